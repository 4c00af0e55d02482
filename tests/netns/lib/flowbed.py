# SPDX-License-Identifier: Apache-2.0
"""flowbed.py - the node that the tests of established flows play on: its objects, its pods, its flows.

Namespace t holds b, isolated for ingress, s and c, that no policy selects at first; namespace u (team=red) holds a; the
world is an outside host and the pod r of another node. Groups of flows, and what lets them through:

    V   a to b, ports 5000 on and echo, direct and by a Service    policy `allow`: role=client of team=red, any port
    K   a to b, ports 7000 on, direct and by a Service             policy `keep`: app=a of namespace u, those ports
    C   c to b                                                     policy `keep`: app=c
    S   a to s, ports 5000 on and echo                             nothing selects s
    T   a to s, ports 7000 on                                      nothing selects s
    W   a to the world                                             policy `out`: a block
    R   r to b                                                     policy `remote`: app=r
"""
import json
import os

from harness import Lab
from probe import Flow

OUT = {4: "203.0.113.10", 6: "2001:db8::10"}
VIP = {4: "10.96.0.10", 6: "fd00:96::10"}
REMOTE = {4: "10.244.2.5", 6: "fd00:10:244:2::5"}
PROTOCOLS = ["tcp", "udp", "sctp", "icmp"]
HIGH = [{"protocol": p, "port": 7000, "endPort": 7999} for p in ("TCP", "UDP", "SCTP")]


def ips(n):
    return {4: "10.244.1.%d" % n, 6: "fd00:10:244:1::%d" % n}


ADDRESS = {"a": ips(11), "b": ips(12), "c": ips(13), "s": ips(14)}


def meta(name, namespace=None, labels=None, uid=None):
    out = {"name": name}
    for key, value in (("namespace", namespace), ("labels", labels), ("uid", uid)):
        if value:
            out[key] = value
    return out


def policy(name, namespace, subject, **spec):
    """ingress and egress as lists of rules; what is absent does not isolate."""
    types = [t for t in ("Ingress", "Egress") if t.lower() in spec]
    return {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": meta(name, namespace),
            "spec": dict(spec, podSelector={"matchLabels": subject}, policyTypes=types)}


def pods_of(labels, namespace=None):
    out = {"podSelector": {"matchLabels": labels}}
    if namespace is not None:
        out["namespaceSelector"] = {"matchLabels": namespace}
    return out


def base_objects():
    """{key: object}: a test changes some and applies them all."""
    name = "kubernetes.io/metadata.name"
    o = {"ns-t": {"apiVersion": "v1", "kind": "Namespace", "metadata": meta("t")},
         "ns-u": {"apiVersion": "v1", "kind": "Namespace", "metadata": meta("u", None, {"team": "red"}, "u-1")}}
    pods = {"a": ("u", {"app": "a", "role": "client"}), "b": ("t", {"app": "b", "open": "yes"}),
            "c": ("t", {"app": "c"}), "s": ("t", {"app": "s"}), "r": ("t", {"app": "r"})}
    for pod, (namespace, labels) in pods.items():
        o["pod-" + pod] = {"apiVersion": "v1", "kind": "Pod", "metadata": meta(pod, namespace, labels)}
    o["pod-r"]["metadata"]["uid"] = "r-1"
    o["pod-r"]["status"] = {"phase": "Running", "podIP": REMOTE[4], "podIPs": [{"ip": i} for i in REMOTE.values()]}
    o["closed"] = policy("closed", "t", {"app": "b"}, ingress=[])
    o["allow"] = policy("allow", "t", {"app": "b", "open": "yes"},
                        ingress=[{"from": [pods_of({"role": "client"}, {"team": "red"})]}])
    o["keep"] = policy("keep", "t", {"app": "b"}, ingress=[
        {"from": [pods_of({"app": "c"})]}, {"from": [pods_of({"app": "a"}, {name: "u"})], "ports": HIGH}])
    o["remote"] = policy("remote", "t", {"app": "b"}, ingress=[{"from": [pods_of({"app": "r"})]}])
    o["out"] = policy("out", "u", {"app": "a"}, egress=[
        {"to": [{"namespaceSelector": {}}]},
        {"to": [{"ipBlock": {"cidr": "203.0.113.0/24"}}, {"ipBlock": {"cidr": "2001:db8::/64"}}]}])
    return o


class FlowBed:
    def __init__(self, build, *options):
        self.lab = Lab(build)
        try:
            self._make(options)
        except BaseException:
            self.lab.close()
            raise

    def _make(self, options):
        self.node = self.lab.node()
        self.node.agent_options = list(options)
        self.world = self.lab.world
        self.world.add(*OUT.values(), *REMOTE.values())
        # the world has many addresses and answers from this one
        self.world.sh("for f in 4 6; do ip -$f route show | grep '10[.:]244' | while read r; do "
                      "[ $f = 4 ] && ip route change $r src %s || ip -6 route change $r src %s; done; done" %
                      (OUT[4], OUT[6]))
        self.objects = base_objects()
        self.node.write_manifest("world.yaml", self._text())
        self.node.start_agent()
        self.pods = {}
        for name in "abcs":
            self.attach(name)
        self.node.sh("nft add table inet svc;"
                     "nft add chain inet svc pre '{ type nat hook prerouting priority dstnat; }';"
                     "nft add rule inet svc pre ip daddr %s dnat ip to %s; nft add rule inet svc pre ip6 daddr %s dnat "
                     "ip6 to %s" % (VIP[4], ADDRESS["b"][4], VIP[6], ADDRESS["b"][6]))

    def attach(self, name, short=None):
        pod = self.lab.pod(short or name)
        pod.attach(self.node, "u" if name == "a" else "t", name, ips=list(ADDRESS[name].values()))
        self.pods[name] = pod
        return pod

    def _text(self):
        return "\n---\n".join(json.dumps(o) for o in self.objects.values() if o)

    def apply(self, changes):
        """Objects by key (None: gone) over what is there; back when they are in force."""
        self.objects.update(changes)
        self.node.apply("world.yaml", self._text(), 30)

    def reset(self):
        self.objects = base_objects()
        self.node.apply("world.yaml", self._text(), 30)

    def place(self, name):
        return self.world if name in ("world", "r") else self.pods[name]

    def flows(self, group, src, dst, first, protocols=tuple(PROTOCOLS), via=("direct",)):
        """A flow for each protocol, family and way of addressing; each with a port of its own."""
        out, port = [], first
        for way in via:
            for kind in protocols:
                for family in (4, 6):
                    to = OUT if dst == "world" else VIP if way == "service" else ADDRESS[dst]
                    own = REMOTE if src == "r" else OUT if src == "world" else ADDRESS[src]
                    out.append(Flow("%s:%s>%s:%s%d:%s" % (group, src, dst, kind, family, way), kind, self.place(src),
                                    own[family], self.place(dst), to[family], port))
                    port += 1
        return out

    def all_flows(self):
        both, no_echo = ("direct", "service"), ("tcp", "udp", "sctp")
        return (self.flows("V", "a", "b", 5000, via=both) + self.flows("K", "a", "b", 7000, no_echo, both) +
                self.flows("C", "c", "b", 5100) + self.flows("S", "a", "s", 5000) +
                self.flows("T", "a", "s", 7000, no_echo) + self.flows("W", "a", "world", 5200) +
                self.flows("R", "r", "b", 5300))

    def stamp(self):
        """The present stamp, as the table has it."""
        text = self.node.nft("-j", "list", "set", "inet", "ripstop", "stamp_now").stdout
        entry = next(e["set"] for e in json.loads(text)["nftables"] if "set" in e)
        elem = entry["elem"][0]
        return elem["elem"]["val"] if isinstance(elem, dict) else elem

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.lab.close()


assert os.name == "posix"
