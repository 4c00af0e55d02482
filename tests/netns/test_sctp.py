#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Real SCTP associations between pods, through the policy: for kernels that have SCTP (make check-kernels).

    test_sctp.py [--build DIR] [NAME...]

The golden cases with SCTP flows use the kernel's associations too where it has them (test_golden.py); here is
what they cannot show: messages both ways, an association that is cut and heals, one that a heartbeat would revive,
and one with several paths.
"""
import argparse
import ctypes
import os
import socket as I
import struct
import sys
import time
import traceback

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
import harness  # noqa: E402
from harness import HarnessError, Lab, patience, silence  # noqa: E402
from wire import flush_conntrack  # noqa: E402

SCTP = 132  # the protocol, and the level of its socket options
BINDX_ADD, GET_PEER_ADDR_INFO = 100, 15
PATH_STATES = ("inactive", "failing", "active", "unconfirmed")
PORT = 81
# Short enough for a test; an association that is cut must not give up before it may heal.
SYSCTLS = {"rto_initial": 500, "rto_min": 300, "rto_max": 1000, "hb_interval": 500, "path_max_retrans": 2,
           "association_max_retrans": 1000, "max_init_retransmits": 100}
NAMESPACE = "apiVersion: v1\nkind: Namespace\nmetadata: {name: t}\n---\n"
POLICY = NAMESPACE + """apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: b, namespace: t}
spec:
  podSelector: {matchLabels: {app: b}}
  policyTypes: [Ingress, Egress]
  ingress: [{from: [%s], ports: [{protocol: SCTP, port: 81}]}]
"""
FROM_A = "{podSelector: {matchLabels: {app: a}}}"
FROM_C = "{podSelector: {matchLabels: {app: c}}}"

_libc = ctypes.CDLL(None, use_errno=True)


def from_block(address):
    return '{ipBlock: {cidr: "%s/%d"}}' % (address, harness.host_len(address))


class Bed:
    """b takes SCTP on port 81 from a, and begins nothing; a, c and d are free."""

    def __init__(self, build):
        self.lab = Lab(build)
        try:
            self.node = self.lab.node("node")
            self.node.write_manifest("b.yaml", POLICY % FROM_A)
            self.node.start_agent()
            for name in "abcd":
                pod = self.lab.pod(name)
                pod.attach(self.node, "t", name, labels={"app": name})
                for key, value in SYSCTLS.items():
                    pod.sysctl("net/sctp/" + key, value)
                setattr(self, name, pod)
        except BaseException:
            self.lab.close()
            raise

    def allow(self, peers):
        self.node.apply("b.yaml", POLICY % peers)

    def drops(self, reason):
        return self.node.ctl("status").get("drops", {}).get(reason, 0)


class Association:
    """Two sockets and what passes between them. paths: how many addresses each end uses."""

    def __init__(self, src, dst, paths=1, six=False, port=PORT):
        self.src, self.dst, self.port = src, dst, port
        self.family = I.AF_INET6 if six or paths > 1 else I.AF_INET
        self.target = dst.ip6() if six else dst.ip4()
        self.listener = src_socket(dst, self.family, dst.ips if paths > 1 else [self.target], port)
        self.listener.listen(4)
        self.client = src_socket(src, self.family, src.ips if paths > 1 else [src.ip6() if six else src.ip4()], 0)
        self.server = None

    def connect(self, seconds=6):
        """Whether the association comes up."""
        self.client.settimeout(silence(seconds))
        self.listener.settimeout(silence(seconds))
        mapped = "::ffff:" if self.family == I.AF_INET6 and ":" not in self.target else ""
        try:
            self.client.connect((mapped + self.target, self.port))
            self.server, _ = self.listener.accept()
        except OSError:
            return False
        return True

    @staticmethod
    def _moves(a, b, seconds):
        """A message of its own arrives; older ones that were held up are passed over."""
        marker = b"<%d>" % time.monotonic_ns()
        end = time.monotonic() + silence(seconds)
        a.setblocking(False)
        try:
            a.send(marker)
            while time.monotonic() < end:
                b.settimeout(max(0.01, end - time.monotonic()))
                if b.recv(4096) == marker:
                    return True
        except OSError:
            pass
        return False

    def up(self, seconds=6):
        return self._moves(self.client, self.server, seconds)

    def down(self, seconds=6):
        return self._moves(self.server, self.client, seconds)

    def path(self, address):
        """What the client's kernel thinks of one address of the peer."""
        room = ctypes.create_string_buffer(struct.pack("=i", 0) + sockaddr(address, self.port).ljust(128, b"\0") +
                                           bytes(20), 152)
        size = ctypes.c_uint32(152)
        if _libc.getsockopt(self.client.fileno(), SCTP, GET_PEER_ADDR_INFO, room, ctypes.byref(size)):
            return "error %s" % os.strerror(ctypes.get_errno())
        state, = struct.unpack_from("=i", room.raw, 132)
        return PATH_STATES[state] if 0 <= state < len(PATH_STATES) else "unknown"

    def path_becomes(self, address, *states, seconds=20):
        end = time.monotonic() + patience(seconds)
        while self.path(address) not in states and time.monotonic() < end:
            time.sleep(0.1)
        return self.path(address) in states

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        for s in (self.client, self.server, self.listener):
            if s:
                # an ABORT, so that nothing is left to be retransmitted
                s.setsockopt(I.SOL_SOCKET, I.SO_LINGER, struct.pack("ii", 1, 0))
                s.close()


def sockaddr(address, port):
    if ":" in address:
        return struct.pack("=HHI", I.AF_INET6, I.htons(port), 0) + I.inet_pton(I.AF_INET6, address) + bytes(4)
    return struct.pack("=HH", I.AF_INET, I.htons(port)) + I.inet_pton(I.AF_INET, address) + bytes(8)


def src_socket(ns, family, addresses, port):
    s = ns.socket(family, I.SOCK_STREAM, SCTP)
    s.setsockopt(I.SOL_SOCKET, I.SO_REUSEADDR, 1)
    s.setsockopt(SCTP, BINDX_ADD, b"".join(sockaddr(a, port) for a in addresses))
    return s


# ---- tests ----------------------------------------------------------------------------------------

TESTS = []


def test(fn):
    TESTS.append(fn)
    return fn


def expect(cond, *what):
    if not cond:
        raise AssertionError(" ".join(str(w) for w in what))


def comes_up(src, dst, seconds=6, **kw):
    with Association(src, dst, **kw) as a:
        return a.connect(seconds)


@test
def C4_C5_E38_E39_an_association_is_judged_by_its_port(bed):
    for six in (False, True):
        with Association(bed.a, bed.b, six=six) as a:
            expect(a.connect(), "a reaches b on port 81")
            expect(a.up() and a.down(), "messages pass both ways")
        expect(not comes_up(bed.a, bed.b, 1.5, six=six, port=80), "port 80 is in no rule")
        expect(not comes_up(bed.c, bed.b, 1.5, six=six), "c is in no rule")
        expect(not comes_up(bed.b, bed.a, 1.5, six=six), "b begins nothing")
        expect(comes_up(bed.c, bed.d, six=six, port=80), "control: free pods reach each other on port 80")
        expect(not tcp_connects(bed.a, bed.b, bed.b.ips[six]), "C5: a rule for SCTP admits TCP")
        expect(tcp_connects(bed.a, bed.d, bed.d.ips[six]), "control: TCP reaches d")


def tcp_connects(src, dst, address):
    family = I.AF_INET6 if ":" in address else I.AF_INET
    with dst.socket(family, I.SOCK_STREAM, bind=(address, PORT)) as s, src.socket(family, I.SOCK_STREAM) as c:
        s.listen(4)
        c.settimeout(silence(1.5))
        return c.connect_ex((address, PORT)) == 0


@test
def E46_default_deny_and_E48_a_selector(bed):
    bed.allow(FROM_C)
    expect(not comes_up(bed.a, bed.b, 1.5), "a is no peer any more")
    expect(comes_up(bed.c, bed.b), "c is one now")
    bed.node.apply("b.yaml", NAMESPACE + """apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: b, namespace: t}
spec: {podSelector: {}, policyTypes: [Ingress]}
""")
    expect(not comes_up(bed.c, bed.b, 1.5) and not comes_up(bed.c, bed.d, 1.5), "default deny")


@test
def F7_F9_an_association_is_cut_and_heals(bed):
    for six in (False, True):
        with Association(bed.a, bed.b, six=six) as a, Association(bed.c, bed.d, six=six) as other:
            expect(a.connect() and other.connect() and a.up() and a.down(), "established")
            bed.allow(FROM_C)
            expect(not a.up(2), "tightened: the client's messages still arrive")
            expect(not a.down(2), "tightened: the server's messages still arrive")
            expect(other.up() and other.down(), "an unrelated association suffers")
            bed.allow(FROM_A)
            expect(a.up(15) and a.down(15), "loosened: it does not heal")


def paths_of(a):
    """{address of the server: what the client thinks of it}, when nothing is pending any more."""
    for ip in a.dst.ips:
        a.path_becomes(ip, "active")
    return {ip: a.path(ip) for ip in a.dst.ips}


@test
def C30_every_path_is_a_flow_of_its_own(bed):
    with Association(bed.c, bed.d, paths=2) as a:
        expect(a.connect() and a.up() and a.down(), "an association with two paths")
        expect(set(paths_of(a).values()) == {"active"}, "free pods use both paths:", paths_of(a))
        bed.node.sh("nft 'add table inet other; add chain inet other c { type filter hook forward priority 0; }; "
                    "add rule inet other c meta nfproto ipv4 meta l4proto sctp drop'")
        try:
            expect(a.up(30) and a.down(30), "without the first path messages take the other")
        finally:
            bed.node.sh("nft delete table inet other")


@test
def C30_a_heartbeat_opens_no_path_of_an_isolated_pod(bed):
    before = bed.drops("invalid")
    with Association(bed.a, bed.b, paths=2) as a:
        expect(a.connect() and a.up() and a.down(), "an association by the path that its INIT opened")
        end = time.monotonic() + patience(20)
        while bed.drops("invalid") < before + 3 and time.monotonic() < end:
            time.sleep(0.1)
        expect(bed.drops("invalid") >= before + 3, "heartbeats on the other path are dropped")
        expect(a.path(bed.b.ip6()) != "active", "the other path is", a.path(bed.b.ip6()))
        expect(a.path(bed.b.ip4()) == "active" and a.up() and a.down(), "the first one goes on")
        bed.allow(from_block(bed.a.ip6()))
        expect(not a.up(3) and not a.down(3), "its path is cut, and the other takes over")
        bed.allow(from_block(bed.a.ip4()))
        expect(a.up(15) and a.down(15), "loosened: it does not heal")


@test
def F8_C29_a_heartbeat_revives_no_association_that_was_cut(bed):
    one_way = POLICY.replace("[Ingress, Egress]", "[Ingress]")
    for six in (False, True):
        bed.node.apply("b.yaml", one_way % FROM_A)
        with Association(bed.a, bed.b, six=six) as a, Association(bed.c, bed.d, six=six) as other:
            expect(a.connect() and other.connect() and a.up() and a.down() and other.up(), "established")
            bed.node.apply("b.yaml", one_way % FROM_C)
            expect(not a.up(2), "tightened: the client's messages still arrive")
            flush_conntrack(bed.node)
            before = bed.drops("invalid")
            expect(not a.up(4) and not a.down(4), "the server's heartbeat made a flow of its own")
            expect(bed.drops("invalid") > before, "control: there were heartbeats")
            expect(other.up(15) and other.down(15), "control: free pods' association goes on by its heartbeats")


def no_sctp():
    """Why this kernel has none, or ''."""
    try:
        I.socket(I.AF_INET, I.SOCK_STREAM, SCTP).close()
        return ""
    except OSError as e:
        return "this kernel has no SCTP sockets (%s)" % e.strerror


def play(bed, fn):
    """(word, why)"""
    try:
        bed.allow(FROM_A)
        fn(bed)
        return "passed", ""
    except (AssertionError, HarnessError, harness.CniError) as e:
        return "failed", "%s: %s" % (type(e).__name__, e)
    except Exception:  # pylint: disable=broad-except
        return "failed", traceback.format_exc()


def main():
    ap = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    ap.add_argument("--build", default=None)
    ap.add_argument("name", nargs="*")
    args = ap.parse_args()
    harness.start()
    count, missing = {"passed": 0, "failed": 0, "skipped": 0}, no_sctp()
    bed = None if missing else Bed(args.build)
    for fn in TESTS:
        if args.name and not any(n in fn.__name__ for n in args.name):
            continue
        begin = time.monotonic()
        word, why = ("skipped", missing) if missing else play(bed, fn)
        count[word] += 1
        if word == "failed":
            print(bed.node.log_tail())
        print("%-8s %s (%.1f s)%s" % (word, fn.__name__, time.monotonic() - begin, " " + why if why else ""), flush=True)
    if bed:
        bed.lab.close()
    print("%(passed)d passed, %(failed)d failed, %(skipped)d skipped" % count)
    return 1 if count["failed"] else 0


if __name__ == "__main__":
    sys.exit(main())
