# SPDX-License-Identifier: Apache-2.0
"""apibed.py - nodes whose agents take their objects from an API server that lies when told to (tests/support/liar.py).

The server stands in the world outside, over TLS. Nodes get their pod ranges from their Node objects, the plugin from
the agent.
"""
import itertools
import json
import os
import re
import socket
import sys
import tempfile
import threading
import time

import harness
from harness import CniError, CtlError, Lab, Node, is6, patience, silence

sys.path.insert(0, os.path.join(harness.ROOT, "tests", "support"))
from liar import Liar, make_ca  # noqa: E402

SERVER = "198.18.0.1"
PORT = 6443
NS = "shop"
KINDS = ("Namespace", "Pod", "NetworkPolicy", "Node")
ALWAYS = 10 ** 9


def expect(truth, *what):
    if not truth:
        raise AssertionError(" ".join(str(w) for w in what))


def until(what, why, seconds=60):
    """What holds in the end; why: a text, or what says it."""
    end = time.monotonic() + patience(seconds)
    while True:
        got = what()
        if got:
            return got
        if time.monotonic() > end:
            raise AssertionError(why() if callable(why) else why)
        time.sleep(0.03)


def recorded(pod, labels):
    """Its record gets them once the ADD has been answered."""
    until(lambda: pod.record()["labels"] == labels, lambda: "its record says %s" % pod.record(), 5)


def kinds(node):
    """How the source of a node stands with each kind."""
    return {k["kind"]: k for k in node.ctl("status")["source"]["kinds"]}


class ApiNode(Node):
    """A node whose agent asks the server; ranges are those of its Node object."""

    def __init__(self, bed, number):
        super().__init__(bed.lab, "n%d" % number, ["192.0.2.%d" % number, "fd00:192::%d" % number],
                         ["10.244.%d.0/24" % number, "fd00:10:244:%d::/64" % number])
        self.bed = bed
        self.kubeconfig = bed.kubeconfig(os.path.join(self.dir, "kubeconfig"))
        self.source = ["--kubeconfig", self.kubeconfig]

    def agent_argv(self, *extra):
        return [self.lab.program("ripstop-agent"), *self.source, "--state-dir", self.state,
                "--socket", self.socket_path, "--node-name", self.short, "--node-routes", "off", "--masquerade", "off",
                "--metrics-address", ""] + self.lab.dataplane_options(self) + self.agent_options + list(extra)

    def cni_conf(self, **keys):
        return super().cni_conf(**{"ipam": {"type": "ripstop"}, **keys})

    # -- what it says

    def status(self):
        return self.ctl("status")

    def try_status(self):
        try:
            return self.status()
        except (OSError, CtlError):
            return {}

    def conditions(self):
        return ["%s: %s" % (c["type"], c["message"]) for c in self.status().get("conditions", [])]

    def wait_condition(self, *words):
        return until(lambda: [c for c in self.conditions() if all(w in c for w in words)],
                     lambda: "no condition with %s: %s" % (words, self.conditions()))

    def kinds(self):
        return kinds(self)

    def attached(self):
        return {i["name"]: i for i in self.ctl("pods", all=True)["items"]}

    def node_json(self):
        with open(os.path.join(self.state, "node.json"), encoding="utf-8") as f:
            return json.load(f)

    def log(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as f:
            return f.read()

    # -- what it holds

    def folder(self, name):
        path = os.path.join(self.state, name)
        return sorted(os.listdir(path)) if os.path.isdir(path) else []

    def traces(self):
        """All that attachments leave: records, held leases, links, and what the kernel's table says of the pod ranges;
        the sets that limit drop records are the kernel's own."""
        table = self.nft("list", "table", "inet", "ripstop").stdout
        table = re.sub(r"\tset rate[46] \{.*?\n\t\}", "", table, flags=re.S)
        return {"records": self.folder("endpoints"),
                "leases": [n for n in self.folder("leases") if not n.endswith(".resting")],
                "links": [line.split(":")[1].strip() for line in self.sh("ip -o link show type veth").splitlines()],
                "elements": sorted(set(re.findall(r"(?:10\.244\.|fd00:10:244:)\S+", table)))}


class Add:
    """An ADD on its way; result() waits for its end."""

    def __init__(self, pod, node, name, timeout=10, **how):
        self.pod, self.error, self.wrong = pod, None, None
        conf = node.cni_conf(timeoutSeconds=int(silence(timeout)))
        self.thread = threading.Thread(target=self.run, args=(node, name, conf, how), daemon=True)
        self.thread.start()

    def run(self, node, name, conf, how):
        try:
            self.pod.attach(node, how.pop("ns", NS), name, conf=conf, **how)
        except CniError as e:
            self.error = e
        except Exception as e:  # pylint: disable=broad-except
            self.wrong = e

    def over(self):
        return not self.thread.is_alive()

    def result(self):
        self.thread.join(patience(120))
        expect(self.over(), "the ADD never ended")
        if self.wrong:
            raise self.wrong
        return self.error

    def good(self):
        error = self.result()
        expect(not error, "ADD failed:", error)
        return self.pod

    def refused(self, code, *words):
        error = self.result()
        expect(error, "the ADD succeeded")
        text = "%s %s" % (error.msg, error.details)
        expect(error.code == code and all(w in text for w in words), code, words, "but ADD said", error.code, text)
        return text


class ApiBed:
    """One server, nodes n1 and n2 (made when asked for), namespaces `shop` and `other`."""

    pki = None
    lock = threading.Lock()

    def __init__(self, lab, start=True, namespaces=(NS, "other"), **liar):
        self.lab, self.world, self.numbers = lab, lab.world, itertools.count(1)
        self.world.add(SERVER)
        with self.world.inside():
            self.liar = Liar(self.certificates(), port=PORT, host=SERVER, **liar)
        self.nodes = {}
        for ns in namespaces:
            self.liar.put("Namespace", ns, labels={"kubernetes.io/metadata.name": ns})
        if start:
            self.node(1).start_agent()

    @classmethod
    def certificates(cls):
        with cls.lock:
            if not cls.pki:
                cls.pki = tempfile.TemporaryDirectory(prefix="rsh-pki-")  # pylint: disable=consider-using-with
                for ca in ("ca", "other"):
                    make_ca(cls.pki.name, ca, "IP:%s" % SERVER)
            return cls.pki.name

    def close(self):
        self.liar.stop()

    def kubeconfig(self, path, ca="ca", user="token: t"):
        with open(path, "w", encoding="ascii") as f:
            f.write("apiVersion: v1\nkind: Config\ncurrent-context: here\n"
                    "contexts: [{name: here, context: {cluster: c, user: u}}]\n"
                    "clusters: [{name: c, cluster: {server: \"https://%s:%d\", certificate-authority: %s/%s.crt}}]\n"
                    "users: [{name: u, user: {%s}}]\n" % (SERVER, PORT, self.certificates(), ca, user))
        return path

    def node(self, number=1, known=True):
        """The machine; its agent is not started. known: with a Node object."""
        if number not in self.nodes:
            node = self.nodes[number] = ApiNode(self, number)
            if known:
                self.node_object(number)
        return self.nodes[number]

    def node_object(self, number, **spec):
        node = self.nodes[number]
        return self.liar.put("Node", node.short, spec=spec or {"podCIDRs": node.ranges}, status={
            "addresses": [{"type": "InternalIP", "address": a} for a in node.ips]})

    # -- objects

    def pod_object(self, name, node=1, ns=NS, labels=None, ips=(), phase="Pending", uid=None, **more):
        fields = {"spec": {"nodeName": "n%d" % node}, "status": {"phase": phase, "podIPs": [{"ip": a} for a in ips]}}
        return self.liar.put("Pod", name, ns, uid=uid, labels=labels or {"app": name}, **{**fields, **more})

    def policy(self, name, ns=NS, subject=None, ingress=None, egress=None, **how):
        """ingress, egress: rules; None: that direction is not isolated."""
        spec = {"podSelector": {"matchLabels": {"app": subject}} if subject else {}, "policyTypes": []}
        for word, rules in (("ingress", ingress), ("egress", egress)):
            if rules is not None:
                spec["policyTypes"].append(word.capitalize())
                spec[word] = rules
        return self.liar.put("NetworkPolicy", name, ns, spec=spec, **how)

    # -- pods

    def add(self, name, node=1, ns=NS, **how):
        """Begin an ADD."""
        how.setdefault("uid", "uid-" + name)
        return Add(self.lab.pod("%s-%d" % (name, next(self.numbers))), self.nodes[node], name, ns=ns, **how)

    def pod(self, name, node=1, ns=NS, labels=None, phase="Running", **how):
        """A pod as a cluster makes it: object, ADD, addresses in the object."""
        self.pod_object(name, node, ns, labels, uid="uid-" + name)
        pod = self.add(name, node, ns, **how).good()
        self.pod_object(name, node, ns, labels, pod.ips, phase)
        return pod

    def settle(self, *nodes):
        """Until the agents have taken all that watches can have told so far: each watch tells in its order."""
        name = "marker-%d" % next(self.numbers)
        nodes = nodes or [n for n in self.nodes.values() if n.agent]
        before = {n: {k: v["events"] for k, v in kinds(n).items()} for n in nodes}
        self.liar.put("Namespace", name)
        self.pod_object(name, 9, name)
        self.policy(name, name, subject="nobody", ingress=[])
        self.liar.put("Node", name, spec={})
        for n in nodes:
            until(lambda n=n: self.took(n, name, before[n]), lambda n=n: "%s was not told: %s" % (n.short, kinds(n)))

    def took(self, node, name, before):
        items = node.ctl("policies", namespace=name).get("items", [])
        now = kinds(node)
        return items and all(now[k]["events"] > before[k] for k in KINDS)

    # -- the server

    def stall(self, *kinds):
        """Watches of these kinds tell nothing from now on, however long they live."""
        for kind in kinds:
            for what in ("initial", "watch"):
                self.liar.fault(kind, what, times=ALWAYS, hold=True)
        self.liar.drop_connections()

    def mend(self):
        """An honest server from now on."""
        with self.liar.lock:
            self.liar.faults.clear()
        self.liar.drop_connections()

    def gone(self):
        self.liar.leave()

    def nothing_else_was_written(self):
        """No request but GET, unless the test takes Events, and these as a server would."""
        expect(not self.liar.unasked, "writes that nobody asked for:", self.liar.unasked)
        expect(not self.liar.refused_events, "Events that are none:", self.liar.refused_events)

    def back(self):
        with self.world.inside():
            self.liar.come()


# ---- packets -----------------------------------------------------------------------------------------


def tcp(client, server, address=None, port=8080, seconds=1.0):
    """Whether a connection is made."""
    address = address or server.ip4()
    fam = socket.AF_INET6 if is6(address) else socket.AF_INET
    listener = server.socket(fam, socket.SOCK_STREAM, bind=(address, port))
    listener.listen(8)
    c = client.socket(fam, socket.SOCK_STREAM, timeout=seconds)
    try:
        c.connect((address, port))
        return True
    except OSError:
        return False
    finally:
        c.close()
        listener.close()


def passes(client, server, **how):
    """The first packet may come before a change is there."""
    until(lambda: tcp(client, server, **how), lambda: "%s does not reach %s" % (client.short, server.short), 20)


def never(client, server, **how):
    for _ in range(2):
        expect(not tcp(client, server, seconds=0.5, **how), "%s reaches %s" % (client.short, server.short))


def explained(node, src, dst, port=8080):
    """What `ripstop explain` says about TCP between two ends: (verdict, text)."""
    r = node.ctl("explain", src=src, dst=dst, port=str(port))
    return r.get("verdict"), json.dumps(r)


TESTS = []


def test(fn):
    """A test: called with an ApiBed whose node n1 runs."""
    TESTS.append((fn, {}))
    return fn


def test_with(**how):
    """The same, with another ApiBed."""
    def mark(fn):
        TESTS.append((fn, how))
        return fn
    return mark
