# SPDX-License-Identifier: Apache-2.0
"""attacks_flow.py - F1 to F4: flows that begin too early, flows that are none, errors about flows, flows come back to life."""
import re
import socket as I
import struct
import time

import wire
from attackbed import OUT4, OUT6, Tcp, tcp_connects, udp_arrives
from harness import HarnessError, silence


# ---- F1: a flow to an address that nobody holds, then an isolated pod gets it --------------------------


class EarlyFlows:
    """Flows to one address from before anyone has it: UDP and TCP, from a pod and from the world."""

    def __init__(self, bed, ip4, ip6):
        self.bed, self.targets, self.senders = bed, [ip4, ip6], []
        for who, ips in ((bed.f, bed.f.ips), (bed.world, [OUT4, OUT6])):
            for ip, target in zip(ips, self.targets):
                family = I.AF_INET6 if ":" in ip else I.AF_INET
                u = who.socket(family, I.SOCK_DGRAM, bind=(ip, 40001))
                t = who.socket(family, I.SOCK_STREAM, bind=(ip, 40002))
                t.setblocking(False)
                self.senders.append((u, t, target))
        self.send(3)
        for _, t, target in self.senders:
            t.connect_ex((target, 8080))

    def send(self, n=1):
        for _ in range(n):
            for u, _, target in self.senders:
                try:
                    u.sendto(b"early", (target, 5353))
                except OSError:
                    pass  # an unreachable answer to the one before
            time.sleep(0.02)

    def arrivals(self, pod):
        """What reaches the pod now, on the old flows."""
        through = []
        for ip in pod.ips:
            family = I.AF_INET6 if ":" in ip else I.AF_INET
            with pod.socket(family, I.SOCK_DGRAM, bind=(ip, 5353)) as u, \
                    pod.socket(family, I.SOCK_STREAM, bind=(ip, 8080)) as t:
                t.listen(8)
                self.send(3)
                # the kernel repeats the SYN after 1 and 3 s; a refused connect is begun again from its old port
                for _, c, target in self.senders:
                    if target == ip:
                        c.connect_ex((target, 8080))
                if wire.got(u, b"early"):
                    through.append("udp:" + ip)
                end = time.monotonic() + silence(2.5)
                while time.monotonic() < end:
                    t.settimeout(max(0.01, end - time.monotonic()))
                    try:
                        c, peer = t.accept()
                    except OSError:
                        continue
                    c.close()
                    through.append("tcp:%s:%d" % peer[:2])
        return through

    def close(self):
        for u, t, _ in self.senders:
            u.close()
            t.close()


def f1(bed, res):
    def attempt(octet, labels, route_gone):
        ip4, ip6 = "10.244.1.%d" % octet, "fd00:10:244:1::%d" % octet
        if route_gone:  # what if the packets do leave the node, by its default route, and get a stamp?
            bed.node.sh("ip route del unreachable 10.244.1.0/24; ip -6 route del unreachable fd00:10:244:1::/64",
                        check=False)
        flows = EarlyFlows(bed, ip4, ip6)
        pod = bed.add("g%d" % octet, ip4, labels)
        through = flows.arrivals(pod)
        flows.close()
        return through

    deny, free = {"deny": "yes"}, {"app": "free"}
    res.attack("flows to an address of nobody, then a default-deny pod has it", attempt(31, deny, False))
    seen = attempt(32, free, False)
    res.control("the same flows reach a pod that no policy selects: %s" % seen,
                len([s for s in seen if s.startswith("udp")]) == 2)
    res.attack("the same without the unreachable routes", attempt(33, deny, True))
    seen = attempt(34, free, True)
    res.control("the same reach a free pod without the routes: %s" % seen, len(seen) >= 2)


# ---- F2: packets without a conntrack entry --------------------------------------------------------------

UNTRACKED = (128, 130, 131, 132, 133, 134, 135, 136, 137, 143)


def icmp6_types(src, src_ip, dst, dst_ip, hops):
    """Which ICMPv6 types, with 900 bytes of payload, arrive?"""
    through = []
    with dst.socket(I.AF_INET6, I.SOCK_RAW, I.IPPROTO_ICMPV6) as r, \
            src.socket(I.AF_INET6, I.SOCK_RAW, I.IPPROTO_ICMPV6) as s:
        s.setsockopt(I.IPPROTO_IPV6, I.IPV6_UNICAST_HOPS, hops)
        s.bind((src_ip, 0))
        for kind in UNTRACKED:
            body = struct.pack(">BBHI", kind, 0, 0, 0) + b"\0" * 16 + b"F2-%03d-" % kind + b"x" * 900
            try:
                s.sendto(body, (dst_ip, 0))
            except OSError:
                pass
        end = time.monotonic() + silence(0.5)
        while time.monotonic() < end:
            r.settimeout(max(0.01, end - time.monotonic()))
            try:
                data = r.recv(2048)
            except OSError:
                continue
            found = re.search(rb"F2-(\d+)-", data)
            if found and data[0] != 129:
                through.append(int(found.group(1)))
    return sorted(set(through))


def f2(bed, res):
    ways = [("c>world", bed.c, bed.c.ip6(), bed.world, OUT6), ("world>c", bed.world, OUT6, bed.c, bed.c.ip6()),
            ("f>c", bed.f, bed.f.ip6(), bed.c, bed.c.ip6()), ("d>b", bed.d, bed.d.ip6(), bed.b, bed.b.ip6())]
    for hops in (255, 64):
        for name, src, src_ip, dst, dst_ip in ways:
            res.attack("ICMPv6 %s hop limit %d" % (name, hops), icmp6_types(src, src_ip, dst, dst_ip, hops))
    bed.node.sh("nft add table ip other; nft add chain ip other pre "
                "'{ type filter hook prerouting priority raw; }'; nft add rule ip other pre udp dport 5353 notrack; "
                "nft add rule ip other pre tcp dport 5354 notrack")
    pairs = (("f>c", bed.f, bed.c), ("d>b", bed.d, bed.b), ("world>c", bed.world, bed.c), ("c>world", bed.c, bed.world))
    for name, src, dst in pairs:
        res.attack("notrack UDP " + name, udp_arrives(src, dst, dst.ips[0], 5353))
        res.attack("notrack TCP " + name, tcp_connects(src, dst, dst.ips[0], 5354, 0.4))
    with bed.bare():
        seen = [n for n, s, si, d, di in ways if icmp6_types(s, si, d, di, 255)]
        res.control("without our table the untracked types pass: %s" % seen, len(seen) == len(ways))
        res.control("without our table notrack UDP passes", udp_arrives(bed.f, bed.c, bed.c.ip4(), 5353))
    bed.node.sh("nft delete table ip other")


# ---- F3: forged ICMP errors ------------------------------------------------------------------------------


def error_arrives(src, dst, dst_ip, quoted, src_ip, kind=None, code=None):
    """src sends an ICMP error from src_ip to dst_ip; does it arrive?"""
    marker = b"F3%d" % time.monotonic_ns()
    six = ":" in dst_ip
    with dst.socket(I.AF_INET6 if six else I.AF_INET, I.SOCK_RAW,
                    I.IPPROTO_ICMPV6 if six else I.IPPROTO_ICMP) as r:
        wire.send_ip(src, wire.icmp_error(src_ip, dst_ip, quoted + marker + b"z" * 200, kind, code))
        return wire.got(r, marker, 0.5)


def f3_round(bed, world_to_a, index):
    """The forgeries in one family; returns what got through."""
    out, a, c = (OUT4, OUT6)[index], bed.a.ips[index], bed.c.ips[index]
    there = wire.tcp(out, a, world_to_a.port, 9090, 1, 1, 0x10)
    back = wire.tcp(a, out, 9090, world_to_a.port, 1, 1, 0x10)
    through = []
    if error_arrives(bed.c, bed.world, out, there, c):
        through.append("R1:c>world")
    if error_arrives(bed.c, bed.a, a, back, c):
        through.append("R2:c>a")
    return through


def f3(bed, res):
    for index, out in enumerate((OUT4, OUT6)):
        six = index == 1
        a, b = bed.a.ips[index], bed.b.ips[index]
        with Tcp(bed.world, bed.a, a, 9090, out) as w, Tcp(bed.a, bed.b, b, 8080, a) as ab:
            res.attack("forged errors quote the flow of others (%s)" % out, f3_round(bed, w, index))
            there = wire.tcp(out, a, w.port, 9090, 1, 1, 0x10)
            res.control("a's genuine error about its own flow reaches the world (%s)" % out,
                        error_arrives(bed.a, bed.world, out, there, a))
            big = (2, 0) if six else (3, 4)
            res.control("too-big from the world about an allowed flow reaches a (%s)" % out,
                        error_arrives(bed.world, bed.a, a, wire.tcp(a, out, 9090, w.port, 1, 1, 0x10), out, *big))
            quoted = wire.tcp(b, a, 8080, ab.port, 1, 1, 0x10)
            res.control("an error about an allowed pod-to-pod flow passes (%s)" % out,
                        error_arrives(bed.a, bed.b, b, quoted, a))
            bed.revoke_a()
            res.attack("R3: revoked a quotes its own dead flow to b (%s)" % out,
                       error_arrives(bed.a, bed.b, b, quoted, a))
            bed.allow_a()
    with Tcp(bed.world, bed.a, bed.a.ip4(), 9090, OUT4) as w, bed.bare():
        seen = f3_round(bed, w, 0)
        res.control("without our table the forgeries pass: %s" % seen, len(seen) == 2)


# ---- F4: a revoked TCP flow is picked up in mid-stream ------------------------------------------------------


def sequence_of(frames, conn):
    """(next sequence number, acknowledged number) of the client, from its last segment on the wire."""
    own = {}

    def wanted(f):
        if f[12:14] != b"\x08\x00" or f[23] != 6:
            return False
        t = f[14 + (f[14] & 15) * 4:]
        sport, _, seq, ack = struct.unpack(">HHII", t[:12])
        if sport == conn.port:
            length = struct.unpack(">H", f[16:18])[0] - (f[14] & 15) * 4 - (t[12] >> 4) * 4
            own["seq"], own["ack"] = seq + length, ack
        return False

    conn.up()
    conn.down()
    conn.up()
    frames.seen(wanted, 0.4)
    return own["seq"], own["ack"]


def f4_attempt(bed, lose, revoke=True):
    """Revoke a's open connection, make conntrack forget it, let b push: does data move again?"""
    a, b = bed.a.ip4(), bed.b.ip4()
    with Tcp(bed.a, bed.b, b, 8080, a) as conn, wire.Frames(bed.a) as frames:
        if not (conn.up() and conn.down()):
            raise HarnessError("the connection of a and b does not work")
        seq, ack = sequence_of(frames, conn)
        if revoke:
            bed.revoke_a()
        through = []
        if lose == "flush":
            wire.flush_conntrack(bed.node)
        else:
            for step in (0, 1):  # one of the two is the right one, whatever is in flight
                wire.send_ip(bed.a, wire.tcp(a, b, conn.port, 8080, seq + step, ack, 0x14))
        if lose == "rst":
            time.sleep(1.3)  # its entry is in CLOSE and goes
        if conn.down(4 if lose == "rst" else 2):
            through.append("server>client")
        if conn.up(1):
            through.append("client>server")
    if revoke:
        bed.allow_a()
    return through


def f4(bed, res):
    # the entry of a closed connection lives 10 s by default; shorter, the test needs no half a minute
    bed.node.sysctl("net/netfilter/nf_conntrack_tcp_timeout_close", 1)
    loose = bed.node.sysctl("net/netfilter/nf_conntrack_tcp_loose")
    res.control("mid-stream pick-up is on in this kernel", loose != "0")
    res.attack("revoked, then conntrack flushed", f4_attempt(bed, "flush"))
    res.attack("revoked, then an RST of the client and the server's retransmission", f4_attempt(bed, "rst"))
    with Tcp(bed.d, bed.f, bed.f.ip4(), 8080) as free:
        free.up()
        wire.flush_conntrack(bed.node)
        res.control("a flow between pods that no policy selects survives a flush", free.up(3) and free.down(3))
    bed.allow_a()
    with Tcp(bed.a, bed.b, bed.b.ip4(), 8080) as again:
        res.control("an allowed client connects again after a flush", again.up())
    bed.node.kill_agent()
    bed.node.take_rules_away()
    conn = Tcp(bed.a, bed.b, bed.b.ip4(), 8080)
    wire.flush_conntrack(bed.node)
    res.control("without our table a flushed flow is picked up", conn.down(3))
    conn.close()
    bed.node.start_agent()
