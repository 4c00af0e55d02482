# SPDX-License-Identifier: Apache-2.0
"""sem_errors.py - what belongs to a flow without being of it, and what has none: path MTU, neighbours, multicast."""
import contextlib
import socket as I
import struct
import time

import wire
from harness import is6, patience, silence
from sem_bed import FAR, NODE_IPS, OUT, POLICIES, block, each, expect, family, namespace, pairs, policy, test, until

POLICIES += [policy("c24", "{ports: [{port: 9001}], from: %s}" % block(*FAR),
                    "{ports: [{port: 9000}, {port: 9000, protocol: UDP}], to: %s}" % block(*FAR)),
             policy("c24in", "{from: %s}" % block(*FAR), ""),
             policy("c25", "", "{to: %s}, {to: [{podSelector: {matchLabels: {app: free}}}]}" % block(*OUT))]

# ---- path MTU ------------------------------------------------------------------------------------------------

MTU = 1300
BULK = 300000
NO_ERRORS = ("inet deaf { chain f { type filter hook forward priority -50; icmp type destination-unreachable counter "
             "drop; icmpv6 type packet-too-big counter drop; }; }")


def far_away(bed):
    """A host behind the outside, over a hop with a smaller MTU."""
    far = namespace(bed.lab, "far")
    far.ips = FAR
    bed.world.ip("link add far0 type veth peer name eth0 netns " + far.name, "link set far0 mtu %d" % MTU,
                 "link set far0 addrgenmode none", "link set far0 up", "address add fe80::aa/64 dev far0 nodad",
                 "address add 172.31.24.1/24 dev far0")
    far.ip("link set eth0 addrgenmode none", "link set eth0 up", "address add 172.31.24.2/24 dev eth0",
           "address add fe80::bb/64 dev eth0 nodad", "address add %s/32 dev lo" % FAR[0],
           "address add %s/128 dev lo nodad" % FAR[1], "route add default via 172.31.24.1 src %s" % FAR[0],
           "route add default via fe80::aa dev eth0 src %s" % FAR[1])
    bed.world.ip("route add %s/32 via 172.31.24.2" % FAR[0], "route add %s/128 via fe80::bb dev far0" % FAR[1])
    return far


def learns_mtu(pod, src, address, seconds):
    """Send datagrams that are too big and must not be cut; what the pod then holds the path's MTU for."""
    level, discover, mtu = (I.IPPROTO_IPV6, 23, 24) if is6(address) else (I.IPPROTO_IP, 10, 14)
    with pod.socket(family(address), I.SOCK_DGRAM, bind=(src, 0)) as s:
        s.setsockopt(level, discover, 2)  # PMTUDISC_DO
        s.connect((address, 9000))
        end = time.monotonic() + seconds
        got = 1500
        while got == 1500 and time.monotonic() < end:
            with contextlib.suppress(OSError):  # EMSGSIZE: it has learnt
                s.send(b"x" * 1440)
            time.sleep(0.05)
            got = s.getsockopt(level, mtu)
    return got


def carries(client, server, src, dst, port, upward):
    """Does a bulk of data get through in big segments? upward: from the client."""
    with server.socket(family(dst), I.SOCK_STREAM, bind=(dst, port), timeout=patience(5)) as listener, \
            client.socket(family(dst), I.SOCK_STREAM, bind=(src, 0), timeout=patience(5)) as c:
        listener.listen(1)
        c.connect((dst, port))
        s, _ = listener.accept()
        with s:
            a, b = (c, s) if upward else (s, c)
            a.setblocking(False)
            b.settimeout(patience(5))
            sent = got = 0
            end = time.monotonic() + patience(15)
            while got < BULK and time.monotonic() < end:
                with contextlib.suppress(BlockingIOError):
                    if sent < BULK:
                        sent += a.send(b"y" * min(65536, BULK - sent))
                b.settimeout(0.3)
                with contextlib.suppress(TimeoutError):
                    got += len(b.recv(1 << 20))
            return got == BULK


@test
def C24_errors_about_an_allowed_flow_reach_the_pod(bed):
    far = far_away(bed)
    pod, inner, deaf = bed.pod("c24"), bed.pod("c24in"), bed.pod("c24", "c24-deaf")
    with bed.table(NO_ERRORS):
        for src, dst in pairs(deaf.ips, FAR):
            got = learns_mtu(deaf, src, dst, silence(0.6))
            expect(got == 1500, "control: without the error the pod thinks that the path carries", got)
        counted = bed.node.sh("nft list table inet deaf").count("packets 0 ")
        expect(counted == 0, "control: both kinds of error were on their way")
    for src, dst in pairs(pod.ips, FAR):
        got = learns_mtu(pod, src, dst, patience(10))
        expect(got == MTU, "to", dst, "the pod holds the path for", got)
        expect(carries(pod, far, src, dst, 9000, True), "a bulk of TCP from the pod to", dst)
    for src, dst in pairs(FAR, inner.ips):
        expect(carries(far, inner, src, dst, 9002, False), "answers of a pod that may begin nothing, to", src)
    got = bed.fates(*each(pod, far, 9003))
    expect(set(got) == {"blocked"}, "control: the pod is isolated:", got)


# ---- neighbours ----------------------------------------------------------------------------------------------


def link_local(end, device):
    for line in end.sh("ip -6 -o address show dev %s scope link" % device).splitlines():
        return line.split(" inet6 ")[1].split("/")[0]
    return None


def solicit(pod, own, target, hops):
    """Ask for an address by hand with this hop limit."""
    with wire.Frames(pod) as f:
        option = struct.pack(">BB", 1, 1) + f.own
        f.send(wire.icmp(own, target, 135, 0, 0, wire.packed(target) + option, ttl=hops))


NO_ND = "inet nd { chain in { type filter hook input priority 200; iif %s icmpv6 type nd-neighbor-solicit counter; }; }"


@test
def C25_neighbour_discovery_of_isolated_pods_works(bed):
    pod, peer = bed.pod("c25"), bed.pod("free", "c25-peer")
    ways = each(pod, bed.world, 8025) + each(pod, peer, 8125)
    expect(set(bed.fates(*ways)) == {"ok"}, "before:", bed.fates(*ways))
    seen = "inet nd { chain in { type filter hook input priority 50; icmpv6 type nd-neighbor-advert counter; }; }"
    with bed.table(seen):
        for end, device in ((bed.node, "up0"), (bed.world, "n1")):
            end.sh("ip neigh flush dev %s; ip -6 neigh flush dev %s" % (device, device))
        expect(set(bed.fates(*ways)) == {"ok"}, "the node and the outside do not find each other again")
        expect(" packets 0 " not in bed.node.sh("nft list table inet nd"), "control: they had forgotten each other")
    for six in (False, True):
        gate = "169.254.1.1" if not six else "fe80::1"
        lines = pod.sh("ip %s neigh show dev eth0" % ("-6" if six else "-4"))
        expect(gate in lines and "PERMANENT" in lines, "the pod's gateway is no permanent neighbour:", lines)
    # by hand: only what was never forwarded counts as neighbour discovery
    with bed.table(NO_ND % pod.host_link()):
        for own in (link_local(pod, "eth0"), pod.ip6()):
            for hops in (64, 254, 1):
                solicit(pod, own, NODE_IPS[1][1], hops)
        time.sleep(silence(0.3))
        expect(" packets 0 " in bed.node.sh("nft list table inet nd"), "one with a lesser hop limit was let in")
        for n, own in enumerate((link_local(pod, "eth0"), pod.ip6())):
            solicit(pod, own, NODE_IPS[1][1], 255)
            expect(until(lambda n=n: " packets %d " % (n + 1) in bed.node.sh("nft list table inet nd")),
                   "a solicitation from", own, "does not reach the node")
    got = bed.fates(*[("tcp", pod, "*", bed.node, a, 8225) for a in NODE_IPS[1]])
    expect(set(got) == {"blocked"}, "control: the pod is isolated:", got)


# ---- multicast -----------------------------------------------------------------------------------------------

GROUP4, GROUP6 = "239.26.26.26", "ff0e::26:26"


class Router:
    """Multicast routes of the node, for as long as its sockets are open."""

    def __init__(self, node):
        self.node, self.links = node, {}
        self.s4 = node.socket(I.AF_INET, I.SOCK_RAW, I.IPPROTO_IGMP)
        self.s4.setsockopt(I.IPPROTO_IP, 200, 1)  # MRT_INIT
        self.s6 = node.socket(I.AF_INET6, I.SOCK_RAW, I.IPPROTO_ICMPV6)
        self.s6.setsockopt(I.IPPROTO_IPV6, 200, 1)  # MRT6_INIT

    def link(self, name):
        if name not in self.links:
            with self.node.inside():
                index = I.if_nametoindex(name)
            n = self.links[name] = len(self.links)
            # struct vifctl with VIFF_USE_IFINDEX, struct mif6ctl
            self.s4.setsockopt(I.IPPROTO_IP, 202, struct.pack("=HBBIi4s", n, 8, 1, 0, index, b"\0" * 4))
            self.s6.setsockopt(I.IPPROTO_IPV6, 202, struct.pack("=HBBHxxI", n, 0, 1, index, 0))
        return self.links[name]

    def route(self, sources, came, goes):
        """Packets of these sources to the group, from link to link."""
        for address in sources:
            here, there = self.link(came), self.link(goes)
            if is6(address):
                def end(a):
                    return struct.pack("=HHI16sI", I.AF_INET6, 0, 0, wire.packed(a), 0)
                out = struct.pack("=8I", 1 << there, *[0] * 7)
                self.s6.setsockopt(I.IPPROTO_IPV6, 204, end(address) + end(GROUP6) + struct.pack("=Hxx", here) + out)
            else:
                ttls = bytes(1 if i == there else 0 for i in range(32))
                self.s4.setsockopt(I.IPPROTO_IP, 204, wire.packed(address) + wire.packed(GROUP4) +
                                   struct.pack("=H32sxxIIIi", here, ttls, 0, 0, 0, 0))

    def close(self):
        self.s4.close()
        self.s6.close()


def member(ns, device, six):
    """A socket that has joined the group on this link."""
    with ns.inside():
        index = I.if_nametoindex(device)
        s = I.socket(I.AF_INET6 if six else I.AF_INET, I.SOCK_DGRAM)
        s.setsockopt(I.SOL_SOCKET, I.SO_REUSEADDR, 1)
        if six:
            s.setsockopt(I.IPPROTO_IPV6, I.IPV6_JOIN_GROUP, wire.packed(GROUP6) + struct.pack("=I", index))
        else:
            s.setsockopt(I.IPPROTO_IP, I.IP_ADD_MEMBERSHIP, wire.packed(GROUP4) + b"\0" * 4 +
                         struct.pack("=i", index))
        s.bind((GROUP6 if six else GROUP4, 8026))
    return s


def speak(ns, device, src, marker, wrong=False):
    """To the group; wrong: with a sum that conntrack calls invalid."""
    if wrong and not is6(src):
        packet = wire.udp(src, GROUP4, 5353, 8026, marker)
        packet = packet[:8] + b"\x08" + packet[9:10] + b"\0\0" + packet[12:26] + b"\xbe\xef" + packet[28:]
        packet = packet[:10] + struct.pack(">H", wire.checksum(packet[:20])) + packet[12:]
        with wire.Frames(ns, device) as f:
            f.send(packet, dst_mac=b"\1\0\x5e" + bytes([wire.packed(GROUP4)[1] & 127]) + wire.packed(GROUP4)[2:])
        return
    with ns.inside():
        index = I.if_nametoindex(device)
    with ns.socket(family(src), I.SOCK_DGRAM, bind=(src, 0)) as s:
        if is6(src):
            s.setsockopt(I.IPPROTO_IPV6, I.IPV6_MULTICAST_HOPS, 8)
            s.setsockopt(I.IPPROTO_IPV6, I.IPV6_MULTICAST_IF, index)
            s.sendto(marker, (GROUP6, 8026))
        else:
            s.setsockopt(I.IPPROTO_IP, I.IP_MULTICAST_TTL, 8)
            s.setsockopt(I.IPPROTO_IP, I.IP_MULTICAST_IF, b"\0" * 8 + struct.pack("=i", index))
            s.sendto(marker, (GROUP4, 8026))


def ear_of(ns, device, six):
    """Hears every packet that comes in by this link, whatever its sums."""
    with ns.inside():
        s = I.socket(I.AF_PACKET, I.SOCK_RAW, I.ntohs(0x86DD if six else 0x800))
        s.bind((device, 0x86DD if six else 0x800))
    s.setsockopt(263, 23, 1)  # PACKET_IGNORE_OUTGOING
    return s


def multicasts(bed, pod, ok):
    """What of the group's packets passes between this pod and the outside: {(way, family): bool}."""
    out = {}
    for six in (False, True):
        src = pod.ip6() if six else pod.ip4()
        for way, a, link, own, b, there in (("out", pod, "eth0", src, bed.world, "n1"),
                                            ("wrong", pod, "eth0", src, bed.world, "n1"),
                                            ("in", bed.world, "n1", OUT[six], pod, "eth0")):
            if way == "wrong" and six:
                continue
            with member(b, there, six), ear_of(b, there, six) as ear:
                marker = ("%s %s %d %d" % (pod.short, way, six, time.monotonic_ns())).encode()

                def arrives():
                    speak(a, link, own, marker, way == "wrong")
                    return wire.got(ear, marker, 0.2)
                wait = ok(way, six)
                out[way, 6 if six else 4] = until(arrives, 5) if wait else any(arrives() for _ in range(3))
    return out


@test
def C26_routed_multicast_of_an_isolated_pod_is_dropped(bed):
    """Towards pods a group is nobody's address: nothing of it passes at all, save without our table."""
    router = Router(bed.node)
    try:
        free, shut = bed.pod("free", "c26-free"), bed.pod("shut", "c26-shut")
        router.route(free.ips, free.host_link(), "up0")
        router.route(shut.ips, shut.host_link(), "up0")
        router.route(OUT, "up0", shut.host_link())
        got = multicasts(bed, shut, lambda way, six: False)
        expect(not any(got.values()), "of an isolated pod:", got)
        got = multicasts(bed, free, lambda way, six: way != "in")
        expect(all(ok for (way, _), ok in got.items() if way != "in"), "control: of a free one:", got)
        with bed.without_table():
            got = multicasts(bed, shut, lambda way, six: True)
        expect(all(got.values()), "control: without our table:", got)
    finally:
        router.close()
