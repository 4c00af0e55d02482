# SPDX-License-Identifier: Apache-2.0
"""svcbed.py - two nodes, pods of every sort, an outside, and Services in front of them; and who may reach whom.

Every backend of the matrix runs on n1, so that n1 is its own node and n2 another one. The expectation is
written here by hand: which address each end's node has to judge (PATHS), and what each policy says to it.
"""
from collections import namedtuple

from harness import SLOW, Lab, is6
from kubeproxy import service

NODE_IPS = {1: ["192.0.2.1", "2001:db8:1::1"], 2: ["192.0.2.2", "2001:db8:1::2"]}
RANGES = {n: ["10.244.%d.0/24" % n, "fd00:10:244:%d::/64" % n] for n in (1, 2)}
CLUSTER = ["10.244.0.0/16", "fd00:10:244::/48"]
SERVICE_CIDR = ["10.96.0.0/16", "fd00:10:96::/112"]
OUTSIDE = {"good": ["203.0.113.10", "2001:db8::10"], "bad": ["203.0.113.66", "2001:db8::66"]}
LB, LB_LOCAL, EXT = (["198.51.100.%d" % n, "2001:db8:51::%d" % n] for n in (10, 11, 20))
DNS_LOCAL = "169.254.20.10"
TARGET, API = 8080, 6443  # where backends listen, and the hostNetwork ones

BACKENDS = ["open", "sel", "blk", "nod", "deny"]
CLIENTS = ["friend", "foe", "egsel", "egdeny", "egnode", "egsvc"]  # one of each on either node
EXTRA = {"cut": 1, "twin1": 1, "twin2": 2, "egdns": 1}
# What a brief bed keeps of them: whoever is judged by pod, by block and by node, at both ends, allowed and not.
BRIEF_BACKENDS, BRIEF_CLIENTS, BRIEF_EXTRA = ["open", "sel", "blk", "nod"], ["friend", "foe", "egsel"], {"cut": 1}
BRIEF_SCTP = {"friend2", "foe2", "n2"}  # the only ones that use SCTP in its matrix
FRIENDLY = {"friend", "egsel", "egdeny", "egnode", "egsvc"}  # have the label that `sel` lets in

# Which destination the egress policy of a pod is asked about ("be": the backend), and which source the ingress policy
# of the backend ("real": the client itself, "n2": a plain address of n2, "local": from its own node, hence exempt), and
# which node's address the backend sees (0: the client's own). None: no such way. "lost": never arrives, or its answer
# does not.
PATHS = {
    # pod on n1, pod on n2, outside, process on n1, process on n2
    "cluster": (("be", "real", 0), ("be", "real", 0), None, ("", "local", 1), ("", "n2", 2)),
    "np1": (("be", "real", 1), ("n1", "real", 1), ("", "real", 1), ("", "local", 1), ("", "n2", 1)),
    "np2": (("n2", "n2", 2), ("be", "n2", 2), ("", "n2", 2), ("", "n2", 2), ("", "n2", 2)),
    "npl1": (("be", "real", 0), ("n1", "real", 0), ("", "real", 0), ("", "local", 1), ("", "n2", 2)),
    "npl2": ("lost", ("be", "real", 0), "lost", "lost", ("", "n2", 2)),
    "lb": (("be", "real", 1), ("be", "n2", 2), ("", "real", 1), ("", "local", 1), ("", "n2", 2)),
    "lbl": (("be", "real", 0), ("be", "real", 0), ("", "real", 0), ("", "local", 1), ("", "n2", 2)),
    "ext": (("be", "real", 1), ("be", "n2", 2), ("", "n2", 2), ("", "local", 1), ("", "n2", 2)),
    "itp": (("be", "real", 0), "lost", None, ("", "local", 1), "lost"),
    "direct": (("be", "real", 0), ("be", "real", 0), ("", "real", 0), ("", "local", 1), ("", "n2", 2)),
    "hostport": (("be", "real", 0), ("n1", "real", 0), ("", "real", 0), ("", "local", 1), ("", "n2", 2)),
}
# Where IPVS differs, with or without policies (test_services.try_bare). "astray": passed on to the backend with an
# unhidden source, so that the answer does not come back the same way; that source is judged nevertheless. On npl2 it is
# the client's own, on lbl the Service's address, which n1 has on its own dummy. "unserved": no destination on
# that node; silence or a refusal, as the kernel likes.
IPVS_PATHS = {
    "npl2": ("lost", ("be", "real", 0), ("astray", "real", 0), ("astray", "n1", 0), ("", "n2", 2)),
    "lbl": (("be", "real", 0), ("be", "real", 0), ("", "real", 0), ("", "local", 1), ("astray", "vip", 0)),
    "itp": (("be", "real", 0), "unserved", None, ("", "local", 1), "unserved"),
}
# What is expected of a call: fate, by which node it was masqueraded (0: by none), whether a backend may get
# what is not answered.
Want = namedtuple("Want", "fate masked heard")
# What a case of the matrix shows, by the ids of docs/semantics.md.
MATRIX_IDS = {
    "cluster": "E_5 E_13 ClusterIP", "np1": "E_8 NodePort on the backend's node",
    "np2": "E_8 E_19 NodePort on another node", "npl1": "E_9 NodePort with externalTrafficPolicy Local",
    "npl2": "E_9 NodePort Local, no endpoint there", "lb": "E_10 LoadBalancer address",
    "lbl": "E_9 E_10 LoadBalancer with externalTrafficPolicy Local", "ext": "E_12 external address",
    "itp": "E_5 internalTrafficPolicy Local", "direct": "E_7 headless", "hostport": "E_11 hostPort",
}

POLICIES = """
{kind: NetworkPolicy, metadata: {name: sel, namespace: shop}, spec: {podSelector: {matchLabels: {name: sel}},
 ingress: [{from: [{podSelector: {matchLabels: {team: friends}}}]}]}}
---
{kind: NetworkPolicy, metadata: {name: blk, namespace: shop}, spec: {podSelector: {matchLabels: {name: blk}},
 ingress: [{from: [{ipBlock: {cidr: 203.0.113.10/32}}, {ipBlock: {cidr: "2001:db8::10/128"}}]}]}}
---
{kind: NetworkPolicy, metadata: {name: nod, namespace: shop}, spec: {podSelector: {matchLabels: {name: nod}},
 ingress: [{from: [{ipBlock: {cidr: 192.0.2.2/32}}, {ipBlock: {cidr: "2001:db8:1::2/128"}}]}]}}
---
{kind: NetworkPolicy, metadata: {name: closed, namespace: shop}, spec: {policyTypes: [Ingress, Egress],
 podSelector: {matchExpressions: [{key: name, operator: In, values: [deny, twin1, twin2]}]}}}
---
{kind: NetworkPolicy, metadata: {name: egsel, namespace: shop}, spec: {podSelector: {matchLabels: {does: egsel}},
 policyTypes: [Egress], egress: [{to: [{podSelector: {matchExpressions: [{key: name, operator: In,
  values: [open, sel, host1, host2, dns]}]}}], ports: [{port: 8080}, {port: 8080, protocol: UDP},
  {port: 8080, protocol: SCTP}, {port: 6443}, {port: 6443, protocol: UDP}, {port: 53, protocol: UDP}]}]}}
---
{kind: NetworkPolicy, metadata: {name: egdeny, namespace: shop}, spec: {podSelector: {matchLabels: {does: egdeny}},
 policyTypes: [Egress]}}
---
{kind: NetworkPolicy, metadata: {name: egnode, namespace: shop}, spec: {podSelector: {matchLabels: {does: egnode}},
 policyTypes: [Egress], egress: [{to: [{ipBlock: {cidr: 192.0.2.1/32}}, {ipBlock: {cidr: "2001:db8:1::1/128"}}]}]}}
---
{kind: NetworkPolicy, metadata: {name: egsvc, namespace: shop}, spec: {podSelector: {matchLabels: {does: egsvc}},
 policyTypes: [Egress], egress: [{to: [{ipBlock: {cidr: 10.96.0.0/16}}, {ipBlock: {cidr: "fd00:10:96::/112"}}]}]}}
---
{kind: NetworkPolicy, metadata: {name: egdns, namespace: shop}, spec: {podSelector: {matchLabels: {does: egdns}},
 policyTypes: [Egress], egress: [{to: [{ipBlock: {cidr: 169.254.20.10/32}}],
 ports: [{port: 53, protocol: UDP}, {port: 53}]}]}}
"""
TIGHT = """{kind: NetworkPolicy, metadata: {name: tight, namespace: shop}, spec: {podSelector: {matchLabels: {name: cut}},
 policyTypes: [Ingress]}}
"""
OBJECT = """{kind: Pod, metadata: {name: %s, namespace: shop, labels: {name: %s, does: %s, team: %s}},
 spec: {nodeName: n%d, hostNetwork: %s, containers: [{name: c, image: i}]},
 status: {phase: Running, podIP: "%s", podIPs: [{ip: "%s"}, {ip: "%s"}]}}
"""


def of_family(addresses, six):
    return next((a for a in addresses if is6(a) == six), None)


def versioned(text):
    """Objects as the folder wants them: with their apiVersion."""
    return text.replace("{kind: NetworkPolicy", "{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy").replace(
        "{kind: Pod", "{apiVersion: v1, kind: Pod")


def may_enter(backend, src):
    """The ingress policy of a backend, about `src`: a client's name, good, bad, n1, n2 or local."""
    if src == "local" or backend == "open":
        return True
    if backend == "sel":
        return src.rstrip("12") in FRIENDLY
    return {"blk": src == "good", "nod": src == "n2", "deny": False}[backend]


def may_leave(client, dst):
    """The egress policy of a pod, about `dst`: a backend's name, n1 or n2."""
    does = client.rstrip("12")
    if does in ("friend", "foe"):
        return True
    return {"egsel": dst in ("open", "sel"), "egdeny": False, "egnode": dst == "n1", "egsvc": False}[does]


class Bed:
    """The lab, its pods and its Services."""

    def __init__(self, build, protos, brief=False):
        self.brief = brief
        self.backends = BRIEF_BACKENDS if brief else BACKENDS
        self.inside = BRIEF_CLIENTS if brief else CLIENTS
        self.extra = BRIEF_EXTRA if brief else EXTRA
        self.lab, self.protos, self.pods, self.ips = Lab(build), protos, {}, {}

    def __enter__(self):
        try:
            self._nodes()
            self._pods()
        except BaseException:
            self.lab.close()
            raise
        return self

    def __exit__(self, *exc):
        self.lab.close()

    def _nodes(self):
        lab = self.lab
        self.nodes = {n: lab.node("n%d" % n, NODE_IPS[n], RANGES[n], CLUSTER) for n in (1, 2)}
        self.world = lab.world
        for addresses in OUTSIDE.values():
            lab.world.add(*addresses)
        for addresses, n in ((LB, 1), (LB_LOCAL, 1), (EXT, 2)):
            lab.world.ip("route add %s/32 via %s dev n%d onlink" % (addresses[0], NODE_IPS[n][0], n),
                         "route add %s/128 via fe80::fe dev n%d" % (addresses[1], n))
        for node in self.nodes.values():
            node.ip("address add %s/32 dev lo scope link" % DNS_LOCAL)  # no source for masquerading

    def _pods(self):
        place = {b: 1 for b in self.backends}
        place.update({c + str(n): n for c in self.inside for n in (1, 2)}, **self.extra)
        texts = []
        for i, (name, n) in enumerate(place.items()):
            self.ips[name] = ["10.244.%d.%d" % (n, 10 + i), "fd00:10:244:%d::%x" % (n, 16 + i)]
            does = name.rstrip("12")
            team = "friends" if does in FRIENDLY else "others"
            texts.append(OBJECT % (name, name, does, team, n, "false", self.ips[name][0], *self.ips[name]))
        for n in (1, 2):
            host = "host%d" % n
            texts.append(OBJECT % (host, host, "host", "friends", n, "true", NODE_IPS[n][0], *NODE_IPS[n]))
        for node in self.nodes.values():
            node.write_manifest("pods.yaml", versioned("---\n".join(texts)))
            node.write_manifest("policies.yaml", versioned(POLICIES))
            node.start_agent(timeout=30 * SLOW)
        for name, n in place.items():
            pod = self.lab.pod(name)
            pod.attach(self.nodes[n], "shop", name, ips=self.ips[name])
            self.pods[name] = pod

    # -- ends

    def clients(self):
        """Every client's name and its column in PATHS."""
        pods = [(c + str(n), n - 1) for n in (1, 2) for c in self.inside]
        return pods + [("good", 2), ("bad", 2), ("n1", 3), ("n2", 4)]

    def client(self, name, six):
        """(namespace, address; None lets the kernel choose) of a client by name."""
        if name in self.pods:
            return self.pods[name], of_family(self.ips[name], six)
        if name in OUTSIDE:
            return self.world, of_family(OUTSIDE[name], six)
        return self.nodes[int(name[1])], None

    def listen(self, servers):
        for name in self.backends + [e for e in ("cut", "twin1", "twin2") if e in self.extra]:
            for address in self.ips[name]:
                for proto in self.protos:
                    servers.open(name, self.pods[name], address, proto, TARGET)
        for n, node in self.nodes.items():
            for address in NODE_IPS[n]:
                for proto in ("tcp", "udp"):
                    servers.open("host%d" % n, node, address, proto, API)
            for proto in ("tcp", "udp"):
                servers.open("dns%d" % n, node, DNS_LOCAL, proto, 53)

    # -- Services

    @staticmethod
    def vip(number, six):
        return ("fd00:10:96::%x" if six else "10.96.0.%d") % number

    def ep(self, name, six):
        return (of_family(self.ips[name], six), TARGET, self.pods[name].node.short)

    def services(self):
        out = []
        for six in (False, True):
            ext, lb, lbl = ([of_family(a, six)] for a in (EXT, LB, LB_LOCAL))
            for proto in self.protos:
                for k, b in enumerate(BACKENDS + ["cut"]):
                    if b not in self.ips:
                        continue
                    eps = [self.ep(b, six)]
                    name, port = "shop/%s" % b, 7000 + k
                    out += [service(name, proto, self.vip(10 + k, six), port, eps, 30100 + k, ext, lb,
                                    hostport=30300 + k),
                            service(name + "-local", proto, self.vip(30 + k, six), port, eps, 30200 + k, (), lbl,
                                    etp_local=True, itp_local=True)]
                if "twin1" in self.ips:
                    twins = [self.ep(t, six) for t in ("twin1", "twin2")]
                    out += [service("shop/twins", proto, self.vip(50, six), 80, twins, 30400),
                            service("shop/other", proto, self.vip(51, six), 80, twins[1:])]
                out += [service("shop/sticky", proto, self.vip(52, six), 80,
                                [self.ep("open", six), self.ep("cut", six)], affinity=True),
                        service("shop/noep", proto, self.vip(60, six), 80, [])]
            for n in (1, 2):
                ep = [(of_family(NODE_IPS[n], six), API, "n%d" % n)]
                out += [service("default/kubernetes%d" % n, proto, self.vip(n, six), 443, ep)
                        for proto in ("tcp", "udp")]
        return out

    @property
    def vips(self):
        """What IPVS keeps on its dummy: every address of a Service."""
        return sorted({a for s in self.services() for a in (s.cluster, *s.ext, *s.lb)})

    def target(self, kind, backend, six):
        """(address, port) that a client dials to reach a backend this way."""
        k = (BACKENDS + ["cut"]).index(backend)
        node1, node2 = (of_family(NODE_IPS[n], six) for n in (1, 2))
        return {
            "cluster": (self.vip(10 + k, six), 7000 + k), "np1": (node1, 30100 + k), "np2": (node2, 30100 + k),
            "npl1": (node1, 30200 + k), "npl2": (node2, 30200 + k), "lb": (of_family(LB, six), 7000 + k),
            "lbl": (of_family(LB_LOCAL, six), 7000 + k), "ext": (of_family(EXT, six), 7000 + k),
            "itp": (self.vip(30 + k, six), 7000 + k), "direct": (of_family(self.ips[backend], six), TARGET),
            "hostport": (node1, 30300 + k),
        }[kind]


def expect(kind, client, column, backend, mode):
    """What becomes of such a call, or None: no such way."""
    path = (IPVS_PATHS.get(kind) if mode == "ipvs" else None) or PATHS[kind]
    path = path[column]
    if path is None:
        return None
    if path in ("lost", "unserved"):
        return Want("blocked" if path == "lost" else "unanswered", 0, False)
    egress, ingress, masked = path
    enter = may_enter(backend, client if ingress == "real" else ingress)
    if egress == "astray":
        return Want("unanswered", 0, enter)
    leave = column > 1 or may_leave(client, backend if egress == "be" else egress)
    return Want("ok" if leave and enter else "blocked", masked, False)
