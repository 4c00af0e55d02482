# SPDX-License-Identifier: Apache-2.0
"""flow_more.py - half-open flows, and those of a pod's predecessor."""
import copy
import select
import socket as I
import struct
import time

import wire
from flowbed import ADDRESS, FlowBed, base_objects, meta, pods_of, policy
from harness import SLOW, HarnessError

# ---- half-open --------------------------------------------------------------------------------------------


def in_conntrack(ns, sport, dport):
    """Does the node know a flow between these ports?"""
    with ns.inside():
        s = I.socket(I.AF_NETLINK, I.SOCK_RAW, 12)  # NETLINK_NETFILTER
    # nlmsghdr (IPCTNL_MSG_CT_GET of NFNL_SUBSYS_CTNETLINK, REQUEST|DUMP), nfgenmsg of no family
    want = [struct.pack("=HH", 6, kind) + struct.pack(">H", port) for kind, port in ((2, sport), (3, dport))]
    with s:
        s.settimeout(10)
        s.send(struct.pack("=IHHII", 20, (1 << 8) | 1, 0x301, 1, 0) + struct.pack("=BBH", 0, 0, 0))
        found = False
        while True:
            data, at = s.recv(1 << 20), 0
            while at + 16 <= len(data):
                size, kind = struct.unpack_from("=IH", data, at)
                if kind == 3:  # NLMSG_DONE
                    return found
                found |= all(w in data[at:at + size] for w in want)
                at += (size + 3) & ~3


class Attempt:
    """A connection that is tried for as long as the kernel likes."""

    def __init__(self, src, src_ip, dst_ip, sport, dport):
        self.ports = sport, dport
        self.s = src.socket(I.AF_INET6 if ":" in dst_ip else I.AF_INET, I.SOCK_STREAM, bind=(src_ip, sport))
        self.s.setblocking(False)
        self.s.connect_ex((dst_ip, dport))

    def done(self):
        p = select.poll()
        p.register(self.s, select.POLLOUT)
        return bool(p.poll(0)) and not self.s.getsockopt(I.SOL_SOCKET, I.SO_ERROR)

    def tries(self):
        """SYNs that were sent again: tcpi_retransmits of TCP_INFO."""
        return self.s.getsockopt(I.IPPROTO_TCP, I.TCP_INFO, 8)[2]


def until(fn, seconds):
    end = time.monotonic() + seconds * SLOW
    while not fn() and time.monotonic() < end:
        time.sleep(0.05)
    return fn()


def listener(pod, ip, port):
    s = pod.socket(I.AF_INET6 if ":" in ip else I.AF_INET, I.SOCK_STREAM, bind=(ip, port))
    s.listen(16)
    return s


HALFWAY = "table inet halfway { chain f { type filter hook forward priority 0; tcp sport 5501 tcp flags & (syn|ack) == " \
       "syn|ack drop; }; }"


def let(name, app):
    return {name: policy(name, "t", {"app": "b"}, ingress=[{"from": [pods_of({"app": app})]}])}


def test_half_open(build, res):
    """F9, F11: a denied SYN leaves nothing behind; one that was accepted ends where the policy ends."""
    with FlowBed(build) as bed:
        b, pods = ADDRESS["b"], bed.pods
        servers = [listener(pods["b"], b[f], port) for f in (4, 6) for port in (5500, 5501)]
        denied = [Attempt(pods["s"], ADDRESS["s"][f], b[f], 41000 + f, 5500) for f in (4, 6)]
        allowed = [Attempt(pods["c"], ADDRESS["c"][f], b[f], 42000 + f, 5500) for f in (4, 6)]
        res.expect(until(lambda: all(x.done() for x in allowed), 10), "control: an allowed connection opens")
        res.expect(all(in_conntrack(bed.node, *x.ports) for x in allowed), "control: and stands in conntrack")
        res.expect(not any(in_conntrack(bed.node, *x.ports) for x in denied), "F11: a denied SYN stands in conntrack")
        res.expect(not any(x.done() for x in denied), "F11: a denied connection opened")
        res.begin("F9 a denied SYN's retransmission opens once it is allowed")
        bed.apply(let("late", "s"))
        res.expect(until(lambda: all(x.done() for x in denied), 20), "F9: a denied SYN's retransmission is stuck")

        res.begin("F11 a half-open connection ends with the policy")
        if bed.node.nft(HALFWAY).returncode:
            raise HarnessError("cannot hold back SYN-ACKs")
        revoked = [Attempt(pods["s"], ADDRESS["s"][f], b[f], 43000 + f, 5501) for f in (4, 6)]
        kept = [Attempt(pods["c"], ADDRESS["c"][f], b[f], 44000 + f, 5501) for f in (4, 6)]
        res.expect(until(lambda: all(in_conntrack(bed.node, *x.ports) for x in revoked + kept), 5),
                   "control: the SYNs were let through")
        res.expect(not any(x.done() for x in revoked + kept), "control: and not answered")
        bed.apply({"late": None})
        bed.node.nft("delete", "table", "inet", "halfway")
        res.expect(until(lambda: all(x.done() for x in kept), 20), "a half-open connection that is allowed opens")
        until(lambda: all(x.tries() >= 2 for x in revoked), 10)
        res.expect(all(x.tries() >= 2 for x in revoked), "control: the revoked ones tried again")
        res.expect(not any(x.done() for x in revoked), "F11: a half-open connection opened after it was revoked")
        bed.apply(let("late", "s"))
        res.expect(until(lambda: all(x.done() for x in revoked), 40), "F9: allowed again it opens by itself")
        for s in servers:
            s.close()


# ---- the address of a pod that was --------------------------------------------------------------------------


class Pair:
    """UDP and echo between fixed ports and ids, so that a successor's packets belong to its predecessor's flows."""

    def __init__(self, bed):
        self.bed = bed
        self.at_b = {f: bed.pods["b"].socket(I.AF_INET6 if f == 6 else I.AF_INET, I.SOCK_DGRAM,
                                             bind=(ADDRESS["b"][f], 5600)) for f in (4, 6)}

    def works(self, pod, seconds=0.5, tries=1):
        """What gets through, of: UDP to b, UDP back, echo. What is hoped for is tried again: the machine may be busy."""
        through = []

        def carries(send, sock, word):
            return any(send() and wire.got(sock, word, seconds) for _ in range(tries))
        for f in (4, 6):
            kind = I.AF_INET6 if f == 6 else I.AF_INET
            own, to = ADDRESS["a"][f], ADDRESS["b"][f]
            with pod.socket(kind, I.SOCK_DGRAM, bind=(own, 45000)) as s:
                if carries(lambda s=s, to=to: s.sendto(b"up-here", (to, 5600)), self.at_b[f], b"up-here"):
                    through.append("udp%d up" % f)
                if carries(lambda f=f, own=own: self.at_b[f].sendto(b"down-here", (own, 45000)), s, b"down-here"):
                    through.append("udp%d down" % f)
            if any(self.echo(pod, own, to, seconds) for _ in range(tries)):
                through.append("echo%d" % f)
        return through

    @staticmethod
    def echo(pod, own, to, seconds):
        six = ":" in to
        with pod.socket(I.AF_INET6 if six else I.AF_INET, I.SOCK_RAW, I.IPPROTO_ICMPV6 if six else I.IPPROTO_ICMP) as s:
            packet = wire.icmp(own, to, 128 if six else 8, 0, 0x4e010001, b"echo-here")
            s.bind((own, 0))
            s.sendto(packet[40 if six else 20:], (to, 0))
            return wire.got(s, b"echo-here", seconds)


def test_successor(build, res):
    """F6, F19: DEL, then ADD of a pod with that address, while the flows of the old one stand in conntrack."""
    with FlowBed(build) as bed:
        pair = Pair(bed)
        everything = pair.works(bed.pods["a"], 0.7 * SLOW, 4)
        res.expect(len(everything) == 6, "control: of the first pod's flows only %s work" % everything)
        other = copy.deepcopy(base_objects()["pod-a"])
        other["metadata"].update(meta("a", "u", {"app": "a", "role": "other"}, "a-2"))
        stories = [("F6 a successor of the same name, with other labels", other, "a", False),
                   ("F19 a successor that is the same", base_objects()["pod-a"], "a", True),
                   ("F6 a pod of another name, that no object describes", None, "z", False),
                   ("F19 the first name again", base_objects()["pod-a"], "a", True)]
        for n, (story, pod_a, name, allowed) in enumerate(stories):
            bed.pods["a"].detach()
            bed.apply({"pod-a": pod_a})
            pod = bed.lab.pod("a%d" % n)
            pod.attach(bed.node, "u", name, ips=list(ADDRESS["a"].values()))
            bed.pods["a"] = pod
            res.begin(story)
            got = pair.works(pod, *((0.7 * SLOW, 4) if allowed else (0.25 * SLOW, 1)))
            res.expect(len(got) == 6 if allowed else not got, "got through: %s" % got)
