# SPDX-License-Identifier: Apache-2.0
"""attackbed.py - the node that the attack tests play on, and how an attack and its control are told apart.

Pods of namespace t: a and e may reach b (TCP, UDP and SCTP 8080); b is isolated for ingress; c is denied everything both
ways; d and f are selected by no policy, so b and c refuse them. The world holds an outside host.

An attack is a function that returns what got through, as a list of words; empty is good. Its control shows that the
attack traffic is real: mostly the same attack with our table taken away, where it must get through.
"""
import signal
import socket
import time

from harness import Lab, silence

OUT4, OUT6 = "203.0.113.10", "2001:db8::10"
I = socket

POLICY = """apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: b-ingress, namespace: t}
spec:
  podSelector: {matchLabels: {app: b}}
  policyTypes: [Ingress]
  ingress:
    - from:
%s
      ports: [{protocol: TCP, port: 8080}, {protocol: UDP, port: 8080}, {protocol: SCTP, port: 8080}]
"""
DENY = """apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: c-deny, namespace: t}
spec: {podSelector: {matchLabels: {deny: "yes"}}, policyTypes: [Ingress, Egress]}
"""
LABELS = {"a": {"app": "a"}, "b": {"app": "b"}, "c": {"app": "c", "deny": "yes"}, "d": {"app": "d"},
          "e": {"app": "e"}, "f": {"app": "f"}}


def allow_from(*apps):
    return POLICY % "\n".join("        - podSelector: {matchLabels: {app: %s}}" % a for a in apps)


class Bed:
    def __init__(self, build, pods="abcdef", ranges=("10.244.1.0/24", "fd00:10:244:1::/64")):
        self.lab = Lab(build)
        self.ranges = list(ranges)
        try:
            self._build(pods)
        except BaseException:
            self.lab.close()
            raise

    def _build(self, pods):
        self.node = self.lab.node("node", ips=["192.0.2.1", "2001:db8:1::1"], ranges=self.ranges)
        self.world = self.lab.world
        self.world.add(OUT4, OUT6)
        self.world.ips = [OUT4, OUT6]
        self.node.write_manifest("b.yaml", allow_from("a", "e"))
        self.node.write_manifest("deny.yaml", DENY)
        # Some attacks take elements out of the table: its owner must let them.
        self.node.agent_options = ["--own-table", "off"]
        self.node.start_agent()
        self.pods = {}
        for name in pods:
            self.add(name, "10.244.1.%d" % (100 + ord(name) - ord("a")), LABELS[name])

    def add(self, name, ip4, labels, short=None):
        """Attach a pod with this IPv4 address (and the IPv6 one that ends alike)."""
        pod = self.lab.pod(short or name)
        pod.attach(self.node, "t", short or name, ips=[ip4, "fd00:10:244:1::" + ip4.rsplit(".", 1)[1]], labels=labels)
        self.pods[name] = pod
        return pod

    def __getattr__(self, name):
        pods = self.__dict__.get("pods", {})
        if name in pods:
            return pods[name]
        raise AttributeError(name)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.lab.close()

    def revoke_a(self):
        self.node.apply("b.yaml", allow_from("e"))

    def allow_a(self):
        self.node.apply("b.yaml", allow_from("a", "e"))

    # -- the control: the same traffic without our table

    def bare(self):
        return Bare(self)

    def freeze_agent(self):
        self.node.agent.send_signal(signal.SIGSTOP)

    def thaw_agent(self):
        self.node.agent.send_signal(signal.SIGCONT)

    def drops(self, reason):
        return self.node.ctl("status").get("drops", {}).get(reason, 0)


class Bare:
    """Inside, the node has no agent and no table of ours; afterwards both are back."""

    def __init__(self, bed):
        self.bed = bed

    def __enter__(self):
        self.bed.node.kill_agent()
        self.bed.node.take_rules_away()
        return self.bed

    def __exit__(self, *exc):
        self.bed.node.start_agent()


def udp_arrives(src, dst, dst_ip, port, src_ip=None, sport=0, seconds=0.5):
    """One datagram; does it arrive?"""
    six = ":" in dst_ip
    family = I.AF_INET6 if six else I.AF_INET
    with dst.socket(family, I.SOCK_DGRAM, bind=(dst_ip, port)) as r, src.socket(family, I.SOCK_DGRAM) as s:
        if src_ip:
            s.bind((src_ip, sport))
        marker = b"udp%d" % time.monotonic_ns()
        try:
            s.sendto(marker, (dst_ip, port))
        except OSError:
            return False
        r.settimeout(silence(seconds))
        try:
            return r.recv(100) == marker
        except OSError:
            return False


def tcp_connects(src, dst, dst_ip, port, seconds=0.7):
    family = I.AF_INET6 if ":" in dst_ip else I.AF_INET
    with dst.socket(family, I.SOCK_STREAM, bind=(dst_ip, port)) as srv, src.socket(family, I.SOCK_STREAM) as s:
        srv.listen(4)
        s.settimeout(silence(seconds))
        try:
            s.connect((dst_ip, port))
        except OSError:
            return False
        return True


class Tcp:
    """An open connection with both ends in hand."""

    def __init__(self, src, dst, dst_ip, port, src_ip=""):
        family = I.AF_INET6 if ":" in dst_ip else I.AF_INET
        self.listener = dst.socket(family, I.SOCK_STREAM, bind=(dst_ip, port))
        self.listener.listen(4)
        self.client = src.socket(family, I.SOCK_STREAM, timeout=2)
        if src_ip:
            self.client.bind((src_ip, 0))
        self.client.connect((dst_ip, port))
        self.server, _ = self.listener.accept()
        self.port = self.client.getsockname()[1]

    @staticmethod
    def _moves(a, b, seconds):
        marker = b"<%d>" % time.monotonic_ns()
        data, end = b"", time.monotonic() + silence(seconds)
        try:
            a.send(marker)
            while time.monotonic() < end and marker not in data:
                b.settimeout(max(0.01, end - time.monotonic()))
                piece = b.recv(4096)
                if not piece:
                    return False
                data += piece
        except OSError:
            return False
        return marker in data

    def up(self, seconds=0.7):
        """Client to server."""
        return self._moves(self.client, self.server, seconds)

    def down(self, seconds=0.7):
        return self._moves(self.server, self.client, seconds)

    def close(self):
        for s in (self.client, self.server, self.listener):
            s.close()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()
