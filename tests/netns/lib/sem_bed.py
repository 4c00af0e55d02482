# SPDX-License-Identifier: Apache-2.0
"""sem_bed.py - two nodes with an agent each, an outside, and pods with the policies that test_semantics.py needs.

Every test has policies of its own (its label is in the subject), so they are all in force from the start and no test
waits for a reload that it does not want to see.
"""
import contextlib
import socket as I
import time

from dial import Call, dial
from harness import Lab, NetNs, is6, patience
from probe import Flow, probe

OUT = ["203.0.113.10", "2001:db8::10"]
OUT2 = ["203.0.113.77", "2001:db8::77"]
FAR = ["198.51.100.24", "2001:db8:24::24"]
RANGES = {n: ["10.244.%d.0/24" % n, "fd00:10:244:%d::/64" % n] for n in (1, 2)}
NODE_IPS = {n: ["192.0.2.%d" % n, "fd00:192::%d" % n] for n in (1, 2)}
TESTS = []


def test(fn):
    TESTS.append(fn)
    return fn


def expect(holds, *what):
    if not holds:
        raise AssertionError(" ".join(str(w) for w in what))


def until(fn, seconds=10):
    end = time.monotonic() + patience(seconds)
    while True:
        got = fn()
        if got or time.monotonic() > end:
            return got
        time.sleep(0.02)


def family(address):
    return I.AF_INET6 if is6(address) else I.AF_INET


def block(*addresses):
    """The peers of a rule that names just these addresses."""
    return "[%s]" % ", ".join('{ipBlock: {cidr: "%s/%d"}}' % (a, 128 if is6(a) else 32) for a in addresses)


def ports(*numbers):
    return "[%s]" % ", ".join("{protocol: %s, port: %d}" % (p, n) for n in numbers for p in ("TCP", "UDP"))


def policy(name, ingress=None, egress=None, subject=None):
    """A policy for the pods with app=subject; a direction that is None is not isolated, "" lets nothing through."""
    types = [t for t, rules in (("Ingress", ingress), ("Egress", egress)) if rules is not None]
    text = ("---\napiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: %s, namespace: t}\n"
            "spec:\n  podSelector: {matchLabels: {app: %s}}\n  policyTypes: [%s]\n" %
            (name, subject or name, ", ".join(types)))
    for word, rules in (("ingress", ingress), ("egress", egress)):
        if rules is not None:
            text += "  %s: [%s]\n" % (word, rules)
    return text


POLICIES = [policy("shut", "", "")]


class Bed:
    def __init__(self, build):
        self.lab = Lab(build)
        try:
            self._build()
        except BaseException:
            self.lab.close()
            raise

    def _build(self):
        self.world = self.lab.world
        self.world.ips = OUT
        self.world.add(*OUT, *OUT2)
        self.nodes = {n: self.lab.node("n%d" % n, NODE_IPS[n], RANGES[n]) for n in (1, 2)}
        self.node = self.nodes[1]
        self.pods = {}
        for node in self.nodes.values():
            node.write_manifest("policies.yaml", "".join(POLICIES))
            node.start_agent(timeout=30)

    def pod(self, app, name=None, ips=None, node=1, uid=None):
        """A new pod of namespace t with the label app."""
        pod = self.lab.pod(name or app)
        pod.attach(self.nodes[node], "t", name or app, ips=ips, labels={"app": app}, uid=uid)
        self.pods[name or app] = pod
        return pod

    def drops(self, reason):
        return self.node.ctl("status").get("drops", {}).get(reason, 0)

    @contextlib.contextmanager
    def table(self, text, ns=None):
        """A foreign table of this name, "FAMILY NAME { ... }", for a while."""
        ns = ns or self.node
        ns.run(["nft", "-f", "-"], input="table " + text)
        try:
            yield
        finally:
            ns.run(["nft", "delete", "table"] + text.split()[:2])

    @contextlib.contextmanager
    def without_table(self):
        """The node without our table and without the agent, for a while."""
        self.node.kill_agent()
        self.node.take_rules_away()
        try:
            yield
        finally:
            self.node.start_agent(timeout=30)

    # -- flows

    def fates(self, *flows, ms=600):
        """flows: (kind, src, src address or "*", dst, dst address, port). Their fates, in order."""
        got = probe(self.lab, [Flow("f%d" % i, *f) for i, f in enumerate(flows)], ms)
        return [got["f%d" % i][0] for i in range(len(flows))]

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.lab.close()


def pairs(a, b):
    """Addresses of one family each: [(of a, of b)]."""
    return [(x, y) for x in a for y in b if is6(x) == is6(y)]


def each(src, dst, port, kinds=("tcp", "udp")):
    """Flows of every kind and family between two ends."""
    return [(kind, src, x, dst, y, port) for x, y in pairs(src.ips, dst.ips) for kind in kinds]


def call_all(servers, calls):
    """dial(), and once more for those that should be answered and were not: a busy machine."""
    dial(servers, calls)
    again = [c for c in calls if c.hopes and c.fate != "ok"]
    if again:
        dial(servers, again)
    return calls


def calls_of(src, dst, dst_ips, port, hopes, protos=("tcp", "udp")):
    return [Call("%s->%s" % (src.short, dst), src, x, proto, y, port, hopes)
            for x, y in pairs(src.ips, dst_ips) for proto in protos]


def fates_of(calls):
    return sorted({c.fate for c in calls})


def namespace(lab, name):
    """One more namespace, which is no node and no pod."""
    return NetNs(lab, name)

