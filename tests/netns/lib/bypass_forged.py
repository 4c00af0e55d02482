# SPDX-License-Identifier: Apache-2.0
"""bypass_forged.py - forged sources and MACs (XD9, E_20), odd frames, side channels (XD11, XD20, C26, E_25, B30)."""
import struct

import craft
import wire
from bypass_table import Shape
from craft import Addressed, Frame, ip, plain
from harness import PLANE

GUARDED = "the guard lets a pod send from no address but its own, isolated or not"
OWN_RANGE = "the guard takes no source inside this node's pod ranges from another link"
LOOPED = "the guard lets no packet to 127/8 or ::1 in from a pod"
MARTIAN = "the kernel takes such a source from no link"
UNROUTED = "no address and no group of the node, and nothing that it routes"
ON_LINK = {w: "a router passes nothing of link scope on" for w in (">free", ">world", ">deny", ">one")}
POD_WAYS = ["att>deny", "att>one", "deny>free", "deny>world", "deny>node", "one>free", "one>world"]
WORLD_WAYS = ["world>deny", "world>one"]


def address(name):
    return lambda c: c.bed.address(name, c.six)


def third(c):
    """A pod that is neither end."""
    return c.bed.address(next(n for n in ("free", "att", "one") if n not in (c.way.sender, c.way.receiver)), c.six)


def fixed(text):
    return lambda c: text


SOURCES = [
    ("46", "another pod's", third, None), ("46", "the node's", address("node"), None),
    ("46", "the world's", address("world"), None), ("46", "the receiver's own", lambda c: c.dst, None),
    ("4", "nobody's in the pod range", fixed("10.244.1.200"), None),
    ("4", "another node's pod", fixed("10.244.7.7"), None),
    ("4", "127.0.0.1", fixed("127.0.0.1"), None), ("4", "0.0.0.0", fixed("0.0.0.0"), MARTIAN),
    ("4", "255.255.255.255", fixed("255.255.255.255"), MARTIAN), ("4", "224.0.0.1", fixed("224.0.0.1"), MARTIAN),
    ("4", "240.0.0.1", fixed("240.0.0.1"), None), ("4", "169.254.7.7", fixed("169.254.7.7"), None),
    ("4", "its gateway's", fixed("169.254.1.1"), None), ("4", "the range's broadcast", fixed("10.244.1.255"), None),
    ("6", "nobody's in the pod range", fixed("fd00:10:244:1::200"), None),
    ("6", "another node's pod", fixed("fd00:10:244:7::7"), None), ("6", "::1", fixed("::1"), MARTIAN),
    ("6", "::", fixed("::"), ON_LINK), ("6", "ff02::1", fixed("ff02::1"), MARTIAN),
    ("6", "ff0e::1", fixed("ff0e::1"), MARTIAN),
    ("6", "fe80::1, its gateway's", fixed("fe80::1"), ON_LINK), ("6", "fe80::dead", fixed("fe80::dead"), ON_LINK),
    ("6", "v4-mapped pod", fixed("::ffff:10.244.1.101"), None),
    ("6", "v4-mapped 127.0.0.1", fixed("::ffff:127.0.0.1"), None),
    ("6", "v4-compatible", fixed("::10.244.1.101"), None), ("6", "6to4", fixed("2002:af4:165::1"), None),
    ("6", "NAT64", fixed("64:ff9b::af4:165"), None),
]


def from_source(source, kind):
    def build(c):
        forged = c.at(src=source(c))
        return [plain(forged, kind)]
    return build


def forged_sources():
    out = []
    for fams, name, source, refused in SOURCES:
        for kind in ("udp", "tcp", "icmp"):
            out.append(Shape("forged", "source %s, %s" % (name, kind), from_source(source, kind), fams, POD_WAYS,
                             held=GUARDED, refused=refused, ids="XD9 E_20 F9 F10"))
    for name, source4, source6 in (("a pod", "att", "att"), ("an isolated pod", "one", "one")):
        for kind in ("udp", "tcp", "icmp"):
            out.append(Shape("forged", "the world as %s, %s" % (name, kind), from_source(address(source4), kind), "46",
                             WORLD_WAYS, held=OWN_RANGE, ids="XD9 E_20 F9"))
    for name, text in (("nobody of the pod range", "10.244.1.200"), ("the range's broadcast", "10.244.1.255")):
        out.append(Shape("forged", "the world as " + name, from_source(fixed(text), "udp"), "4", WORLD_WAYS,
                         held=OWN_RANGE, ids="XD9 E_20 F9"))
    for name, text in (("another node's pod", "10.244.7.7"), ("127.0.0.1", "127.0.0.1"),
                       ("169.254.1.1", "169.254.1.1")):
        out.append(Shape("forged", "the world as " + name, from_source(fixed(text), "udp"), "4", WORLD_WAYS,
                         ids="XD9 XD11"))
    return out


# ---- frames --------------------------------------------------------------------------------------------

NOT_OURS = "a frame to another MAC is nobody's"
NOT_UNICAST = {w: "the kernel passes no packet on that came as a broadcast" for w in (">free", ">world", ">deny",
                                                                                      ">one")}
NO_VLAN = "no such VLAN at the node"
NO_HANDLER = "the node has no handler of this type"
TOO_SHORT = "the header is cut off"


def addressed(**kw):
    return lambda c: [Addressed(plain(c), **kw)]


def behind(make):
    """A frame from and to the right MACs whose part behind them is made from the packet."""
    def build(c):
        own, gate = c.bed.macs[c.way.sender]
        return [Frame(gate + own + make(c, plain(c)))]
    return build


def typed(kind, head=b""):
    return behind(lambda c, p: struct.pack(">H", kind) + head + p)


def tagged(*tags):
    return behind(lambda c, p: craft.vlan(tags, craft.type_of(p), p))


def snap(c, p):
    body = b"\xaa\xaa\3\0\0\0" + struct.pack(">H", craft.type_of(p)) + p
    return struct.pack(">H", len(body)) + body


def raw_llc(c, p):
    return struct.pack(">H", len(p) + 3) + b"\6\6\3" + p


FRAMES = [
    ("own address, forged MAC", addressed(src_mac=b"\2\xaa\0\0\0\1"), None),
    ("own address, the gateway's MAC", lambda c: [Addressed(plain(c), src_mac=c.bed.macs[c.way.sender][1])], None),
    ("own address, a multicast MAC", addressed(src_mac=b"\1\0\x5e\0\0\1"), None),
    ("own address, MAC zero", addressed(src_mac=b"\0" * 6), None),
    ("to the broadcast MAC", addressed(dst_mac=b"\xff" * 6), NOT_UNICAST),
    ("to a multicast MAC", addressed(dst_mac=b"\1\0\x5e\0\0\1"), NOT_UNICAST),
    ("to the MAC of IPv6's all nodes", addressed(dst_mac=b"\x33\x33\0\0\0\1"), NOT_UNICAST),
    ("to a stranger's MAC", addressed(dst_mac=b"\2\xbb\0\0\0\1"), NOT_OURS),
    ("to the receiver's MAC", lambda c: [Addressed(plain(c), dst_mac=c.bed.mac_of(c.way.receiver))], NOT_OURS),
    ("VLAN 0", tagged((0x8100, 0)), None), ("VLAN 0 with a priority", tagged((0x8100, 0xE000)), None),
    ("VLAN 5", tagged((0x8100, 5)), NO_VLAN), ("VLAN 4095", tagged((0x8100, 4095)), NO_VLAN),
    ("VLAN 0 in VLAN 0", tagged((0x88A8, 0), (0x8100, 0)), None),
    ("VLAN 5 in VLAN 7", tagged((0x88A8, 7), (0x8100, 5)), NO_VLAN),
    ("three VLAN tags of 0", tagged((0x88A8, 0), (0x8100, 0), (0x8100, 0)), None),
    ("the old QinQ type", tagged((0x9100, 0)), NO_HANDLER),
    ("802.3 with SNAP", behind(snap), NO_HANDLER), ("802.3 with LLC of IP", behind(raw_llc), NO_HANDLER),
    ("802.3 with Novell's form", behind(lambda c, p: struct.pack(">H", len(p) + 2) + b"\xff\xff" + p), NO_HANDLER),
    ("unknown type", typed(0x1234), NO_HANDLER), ("experimental type", typed(0x88B5), NO_HANDLER),
    ("type 0xffff", typed(0xFFFF), NO_HANDLER), ("type 0x0600", typed(0x600), NO_HANDLER),
    ("MPLS", typed(0x8847, struct.pack(">I", 16 << 12 | 1 << 8 | 64)), NO_HANDLER),
    ("MPLS, explicit null", typed(0x8847, struct.pack(">I", 1 << 8 | 64)), NO_HANDLER),
    ("PPPoE session", typed(0x8864, b"\x11\0\0\1\0\x40\0\x21"), NO_HANDLER),
    ("PPPoE discovery", typed(0x8863, b"\x11\x09\0\0\0\0"), NO_HANDLER),
    ("EAPOL", typed(0x888E, b"\1\0\0\0"), NO_HANDLER), ("LLDP", typed(0x88CC), NO_HANDLER),
    ("MACsec", typed(0x88E5, b"\0" * 6), NO_HANDLER), ("TIPC", typed(0x88CA), NO_HANDLER),
    ("RARP", typed(0x8035, b"\0\1\x08\0\6\4\0\3"), NO_HANDLER), ("batman", typed(0x4305), NO_HANDLER),
    ("network service header", typed(0x894F), NO_HANDLER), ("FCoE", typed(0x8906), NO_HANDLER),
    ("bytes behind the packet", behind(lambda c, p: struct.pack(">H", craft.type_of(p)) + p + b"\0" * 40), None),
    ("the longest frame", lambda c: [ip(c, 17, craft.udp(c, c.data(181 if not c.six else 179)))], None),
    ("a header of 12 bytes", behind(lambda c, p: struct.pack(">H", craft.type_of(p)) + p[:4] + c.token()), TOO_SHORT),
]


# What the eBPF guard at a pod's link sees and nft's does not: the frame around the packet.
FROM_A_POD = ["att>free", "att>world", "att>node"]
HELD_FRAMES = {name: dict.fromkeys(FROM_A_POD, why) for why, names in (
    ("the guard at a pod's link knows its hardware address",
     ["own address, forged MAC", "own address, the gateway's MAC", "own address, a multicast MAC",
      "own address, MAC zero"]),
    ("the guard at a pod's link takes IP and ARP, behind one tag at most", ["VLAN 0 in VLAN 0", "three VLAN tags of 0"]),
) for name in names}


def frames():
    held = {} if PLANE.name == "nft" else HELD_FRAMES
    return [Shape("frames", name, build, refused=why, held=held.get(name), ids="XD9 XD17")
            for name, build, why in FRAMES]


# ---- side channels -------------------------------------------------------------------------------------

NODE_WAYS = ["deny>node", "one>node"]
# True: heard without our table, by the node or by the world, where its default route ends.
SIDE4 = [("127.0.0.1", True), ("127.0.0.53", True), ("127.255.255.254", True), ("169.254.1.1", True),
         ("169.254.169.254", True), ("169.254.20.10", True), ("224.0.0.1", True), ("224.0.0.22", False),
         ("224.0.0.251", False), ("224.0.0.252", False), ("239.255.255.250", False), ("239.1.1.1", False),
         ("232.1.1.1", False), ("255.255.255.255", True), ("10.244.1.255", False), ("10.244.1.0", False),
         ("0.0.0.0", False), ("240.0.0.1", True), ("100.64.255.254", True)]
SIDE6 = [("fe80::1", False), ("fe80::fe", False), ("fe80::ff", False), ("fe80::dead", False), ("ff02::1", True),
         ("ff02::2", True), ("ff02::fb", False), ("ff02::1:3", False), ("ff02::16", False), ("ff02::1:ff00:1", False),
         ("ff01::1", False), ("ff05::1:3", False), ("ff08::1", False), ("ff0e::1", False),
         ("ff00::1", False), ("::1", False), ("::", True), ("fec0::1", True), ("::ffff:192.0.2.1", True),
         ("fd00:10:244:1::", False)]


def link_mac(c, dst):
    """The MAC that a frame to this address has on a link."""
    raw = wire.packed(dst)
    if c.six and raw[0] == 255:
        return b"\x33\x33" + raw[12:]
    if not c.six and 224 <= raw[0] < 240:
        return b"\1\0\x5e" + bytes([raw[1] & 127]) + raw[2:]
    return b"\xff" * 6 if dst == "255.255.255.255" else None


def to_side(dst, kind):
    def build(c):
        there = c.at(dst=dst)
        packet = plain(there, kind, ttl=255)
        return [Addressed(packet, dst_mac=link_mac(c, dst))]
    return build


def to_peer_link(kind, by_mac):
    """The receiver's own link-local address."""
    def build(c):
        there = c.at(dst=c.bed.link_local(c.way.receiver))
        return [Addressed(plain(there, kind), dst_mac=c.bed.mac_of(c.way.receiver) if by_mac else None)]
    return build


def from_link_local(dst, kind):
    """From the link-local address that we gave the pod, or that it may think it has."""
    def build(c):
        forged = c.at(c.bed.link_local(c.way.sender), dst)
        return [Addressed(plain(forged, kind, ttl=255), dst_mac=link_mac(c, dst))]
    return build


def sides():
    out = []
    for fam, targets in (("4", SIDE4), ("6", SIDE6)):
        for dst, heard in targets:
            for kind in ("udp", "tcp", "icmp"):
                held = LOOPED if dst.startswith("127.") or dst == "::1" else None
                out.append(Shape("side", "to %s, %s" % (dst, kind), to_side(dst, kind), fam, NODE_WAYS, held=held,
                                 refused=None if heard else UNROUTED, anywhere=True, ids="XD11 XD20 C26 B30 E_25"))
    for kind in ("udp", "tcp", "icmp"):
        for by_mac in (False, True):
            out.append(Shape("side", "to the receiver's link-local address%s, %s" % (", its MAC" if by_mac else "",
                                                                                     kind),
                             to_peer_link(kind, by_mac), "6", ["att>deny", "world>deny", "deny>free", "deny>world",
                                                               "att>one"],
                             refused=UNROUTED, ids="XD20 E_25"))
        for dst in ("fe80::1", "ff02::1", "2001:db8:1::1"):
            out.append(Shape("side", "from its link-local address to %s, %s" % (dst, kind), from_link_local(dst,
                                                                                                            kind), "6",
                             NODE_WAYS, held=GUARDED, refused=UNROUTED if dst == "fe80::1" else None, ids="XD20 E_25"))
        for dst in ("224.0.0.1", "239.1.1.1", "255.255.255.255", "10.244.1.255"):
            out.append(Shape("side", "the world to %s, %s" % (dst, kind), to_side(dst, kind), "4", ["world>deny"],
                             refused=UNROUTED, passes={0}, ids="XD20 C26"))
        for dst in ("ff02::1", "ff02::fb", "ff0e::1"):
            out.append(Shape("side", "the world to %s, %s" % (dst, kind), to_side(dst, kind), "6", ["world>deny"],
                             refused=UNROUTED, passes={0}, ids="XD20 C26"))
    return out
