# SPDX-License-Identifier: Apache-2.0
"""bypass_headers.py - IPv4 options, header lies, IPv6 extension headers (XD2, XD3, C28), every protocol (XD15, C27)."""
import struct

import craft
import wire
from bypass_bed import WAYS
from bypass_table import Shape
from craft import chain, icmp_number, ip, ip4, ip6, options_header, plain, segment

BAD_OPTIONS = "the kernel throws a packet with such options away before any of our hooks"
NOT_SET_UP = "the kernel knows this option and refuses it while nobody has set it up"
STRICT = {w: "a strict route that is used up ends here, so the node does not pass it on"
          for w in (">free", ">deny", ">one")}
BAD_HEADER = "the kernel throws such a header away before any hook"
EXPIRED = "its time is over at the node"

# ---- IPv4 options ------------------------------------------------------------------------------------

A, B = "198.51.100.1", "198.51.100.2"


def record(kind, *addresses, pointer=4, length=None):
    data = b"".join(wire.packed(a) for a in addresses)
    return struct.pack(">BBB", kind, 3 + len(data) if length is None else length, pointer) + data


def optioned(options, kind="udp"):
    def build(c):
        text = options(c) if callable(options) else options
        return [plain(c, kind, options=text)]
    return build


OPTIONS = [
    ("no options but padding", b"\1" * 40, None),
    ("end of list first", b"\0" + b"\x94" * 7, None),
    ("record route", record(7, "0.0.0.0", "0.0.0.0"), None),
    ("record route, full", record(7, A, B, pointer=12), None),
    ("record route, nine slots", record(7, *["0.0.0.0"] * 9), None),
    ("loose source route, used up", record(131, A, pointer=8), None),
    ("strict source route, used up", record(137, A, pointer=8), STRICT),
    ("timestamp", struct.pack(">BBBB", 68, 12, 5, 0) + b"\0" * 8, None),
    ("timestamp with addresses", struct.pack(">BBBB", 68, 12, 5, 1) + b"\0" * 8, None),
    ("timestamp, prespecified", struct.pack(">BBBB4sI", 68, 12, 5, 3, wire.packed(A), 0), None),
    ("timestamp, overflow counter", struct.pack(">BBBB", 68, 8, 9, 0x10) + b"\0" * 4, None),
    ("router alert", b"\x94\4\0\0", None),
    ("router alert, unknown value", b"\x94\4\1\2", None),
    ("stream id", b"\x88\4\0\1", None),
    ("security", b"\x82\x0b" + b"\0" * 9, None),
    ("CIPSO", b"\x86\x0a\0\0\0\1\1\4\0\1", NOT_SET_UP),
    ("quick start", b"\x19\x08\0\0\0\0\0\0", None),
    ("traceroute", b"\x52\x0c" + b"\0" * 10, None),
    ("experiment, copied", b"\x9e\6abcd", None),
    ("experiment, not copied", b"\x1e\6abcd", None),
    ("unknown class", b"\x60\4\0\0", None),
    ("padding, then router alert", b"\1\1\1\x94\4\0\0\0", None),
    ("every option once", record(7, "0.0.0.0") + b"\x94\4\0\0\x88\4\0\1" + b"\x1e\4zz", None),
    ("record route twice", record(7, "0.0.0.0") * 2, BAD_OPTIONS),
    ("record route, pointer 3", record(7, "0.0.0.0", pointer=3), BAD_OPTIONS),
    ("record route, length 1", b"\7\1\4\0", BAD_OPTIONS),
    ("record route, length 0", b"\7\0\4\0", BAD_OPTIONS),
    ("record route, longer than the header", b"\7\x27\4\0", BAD_OPTIONS),
    ("timestamp, length 3", b"\x44\3\5\0", BAD_OPTIONS),
    ("unknown option, length 1", b"\x9e\1\0\0", BAD_OPTIONS),
    ("unknown option, longer than the header", b"\x9e\x30\0\0", BAD_OPTIONS),
    ("a length that is cut off", b"\1\1\1\x94", BAD_OPTIONS),
]


ERROR_WAYS = ["att>deny", "world>deny", "deny>free", "deny>world", "att>one", "world>one", "one>free", "one>world"]
NO_ROUTE_IN = "a flow to the node's address may not end at a pod"
NOT_NEXT = "the next stop of a strict route is a neighbour of the node, the world is behind a gateway"


def source_routed(kind, strict, at_end):
    """To the node, and from there as the route says: to whom the sender may not speak.

    at_end: the sum is right at the end of the route, so it is wrong, and no flow, at the node.
    """
    def build(c):
        here = c.at(dst=c.bed.address("node", False))
        number, body = segment(c if at_end else here, kind)
        return [ip(here, number, body, options=record(137 if strict else 131, c.dst))]
    return build


def error_by_way_of(kind, behind=b"", ttl=64):
    """The packet dies at the node, and the node's error about it goes where the used up route came from.

    With a wrong option behind the route it dies before the kernel asks whether it takes source routes at all.
    """
    def build(c):
        here = c.at(dst=c.bed.address("world", False))
        return [plain(here, options=record(kind, c.dst, pointer=8) + behind, ttl=ttl)]
    return build


def lying(**kw):
    return lambda c: [plain(c, "udp", **kw)]


def other_version(six_body):
    """A packet of one family behind the other family's Ethernet type."""
    def build(c):
        return [craft.Addressed(plain(c), kind=0x86DD if six_body == 4 else 0x800)]
    return build


def broken_sum(c):
    packet = plain(c)
    return [packet[:10] + bytes([packet[10] ^ 0x55]) + packet[11:]]


def tail(c):
    """More bytes in the frame than the packet says."""
    return [plain(c) + c.data(3)]


def header_lies(kind):
    def build(c):
        # as an option, which it is where the header is said to be longer, a source port of these bytes has no length
        number, body = segment(c, "udp", **({"sport": 0x2700} if kind == "ihl" else {}))
        if kind == "no body":
            return [ip4(c.src, c.dst, number, body, total=20)]
        if kind == "longer than the frame":
            return [ip4(c.src, c.dst, number, body, total=200)]
        return [ip4(c.src, c.dst, number, body, ihl=15)]
    return build


def ipv4_options():
    out = []
    for name, options, why in OPTIONS:
        for kind in ("udp", "tcp"):
            # the node's error about a strict route goes its way: `att` may speak to the world
            ways = [w.name for w in WAYS if w.sender != "att"] if why is STRICT else None
            out.append(Shape("options", "%s, %s" % (name, kind), optioned(options, kind), "4", ways,
                             refused=why, ids="XD1 C28"))
    for kind, at_end in (("udp", False), ("tcp", False), ("icmp", False), ("udp", True), ("tcp", True)):
        for strict in (False, True):
            name = "%s source route through the node, %s, sum right %s" % (
                "strict" if strict else "loose", kind, "at its end" if at_end else "at the node")
            out.append(Shape("options", name, source_routed(kind, strict, at_end), "4", ids="XD1 C28",
                             held=None if at_end else {">free": NO_ROUTE_IN},
                             refused={">world": NOT_NEXT} if strict else None))
    for name, kind in (("loose", 131), ("strict", 137)):
        for how, behind, ttl in (("its time is over", b"", 1), ("a wrong option follows", b"\7\1\4\0", 64)):
            out.append(Shape("options", "the node's error goes the way of a %s source route, %s" % (name, how),
                             error_by_way_of(kind, behind, ttl), "4", ERROR_WAYS, ids="XD1 C28"))
    out += [
        Shape("options", "header of four words", lying(ihl=4), "4", refused=BAD_HEADER),
        Shape("options", "header longer than the packet", header_lies("ihl"), "4", refused=BAD_OPTIONS),
        Shape("options", "version 5", lying(version=5), "4", refused=BAD_HEADER),
        Shape("options", "version 6 in IPv4's frame", other_version(6), "6", refused=BAD_HEADER),
        Shape("options", "version 4 in IPv6's frame", other_version(4), "4", refused=BAD_HEADER),
        Shape("options", "wrong header sum", broken_sum, "4", refused=BAD_HEADER),
        Shape("options", "total length 20", header_lies("no body"), "4", refused="the payload is cut off"),
        Shape("options", "total length beyond the frame", header_lies("longer than the frame"), "4",
              refused=BAD_HEADER),
        Shape("options", "payload length beyond the frame", lying(length=300), "6", refused=BAD_HEADER),
        Shape("options", "bytes behind the packet", tail),
        Shape("options", "time to live 0", lying(ttl=0), refused=TTL_ZERO),
        Shape("options", "time to live 1", lying(ttl=1), refused=TTL_ONE),
        Shape("options", "time to live 2", lying(ttl=2)),
        Shape("options", "time to live 255", lying(ttl=255)),
        Shape("options", "every bit of the service type", lying(tos=255)),
        Shape("options", "do not fragment", lying(frag=0x4000), "4"),
        Shape("options", "the reserved bit", lying(frag=0x8000), "4"),
        Shape("options", "id 0", lying(ident=0), "4"),
    ]
    return out


TTL_ZERO = {w: EXPIRED for w in (">free", ">world", ">deny", ">one")}
TTL_ONE = dict(TTL_ZERO)

# ---- IPv6 extension headers ------------------------------------------------------------------------

RAW = b"\x1e\4\0\0\0\0"  # an option that may be skipped


def hop(options=b""):
    return (craft.HOP, lambda n: options_header(n, options))


def dest(options=b""):
    return (craft.DEST, lambda n: options_header(n, options))


def route(kind, left, addresses=1):
    data = b"\0" * 4 + wire.packed("2001:db8:77::1") * addresses
    return (craft.ROUTE, lambda n: craft.routing_header(n, kind, left, data))


def segments(left):
    """A segment routing header that names the node's and the receiver's address."""
    data = struct.pack(">BBH", 0, 0, 0) + wire.packed("2001:db8:77::1")
    return (craft.ROUTE, lambda n: craft.routing_header(n, 4, left, data))


def frag():
    return (craft.FRAG, lambda n: struct.pack(">BBHI", n, 0, 0, 77))


def auth():
    return (craft.AH, craft.auth_header)


def other(number):
    return (number, craft.generic_header)


def chained(*headers):
    return lambda kind: lambda c: [ip(c, *chain(*headers, segment(c, kind)))]


def raw_first(number, header, kind="udp"):
    """A first header whose bytes are given, before a segment."""
    return lambda c: [ip(c, number, header(segment(c, kind)[0]) + segment(c, kind)[1])]


BAD_HOP = "the kernel throws such hop-by-hop options away before any hook"
EXTENSIONS = [
    ("hop-by-hop, padding", [hop()], {}),
    ("hop-by-hop, router alert", [hop(b"\5\2\0\0")], {}),
    ("hop-by-hop, unknown option to skip", [hop(RAW)], {}),
    ("hop-by-hop, unknown option to discard", [hop(b"\x5e\4\0\0\0\0")], {"refused": BAD_HOP}),
    ("hop-by-hop, unknown option to report", [hop(b"\x9e\4\0\0\0\0")], {"refused": BAD_HOP}),
    ("hop-by-hop, jumbo length", [hop(b"\xc2\4\0\1\0\0")], {"refused": BAD_HOP}),
    ("hop-by-hop, calipso", [hop(b"\7\x08\0\0\0\1\0\0\0\0")], {"refused": NOT_SET_UP}),
    ("hop-by-hop, ioam", [hop(b"\x31\2\0\0")], {"refused": NOT_SET_UP}),
    ("hop-by-hop, padding of 255", [hop(b"\1\xfd" + b"\0" * 253)], {"refused": BAD_HOP}),
    ("hop-by-hop twice", [hop(), hop()], {}),
    ("hop-by-hop behind destination options", [dest(), hop()], {}),
    ("destination options, padding", [dest()], {}),
    ("destination options, home address", [dest(b"\xc9\x10" + wire.packed("2001:db8:66::1"))], {}),
    ("destination options, tunnel limit", [dest(b"\4\1\0")], {}),
    ("destination options, unknown to report", [dest(b"\xde\4\0\0\0\0")], {}),
    ("destination options, long", [dest(b"\x1e\xf0" + b"\0" * 240)], {}),
    ("destination options, 64 of one byte", [dest(b"\0" * 64)], {}),
    ("destination options twice", [dest(), dest()], {}),
    ("eight headers", [dest()] * 8, {}),
    ("nine headers", [dest()] * 9, {}),
    ("sixteen headers", [dest()] * 16, {}),
    ("sixty headers", [dest()] * 60, {}),
    ("routing type 0, used up", [route(0, 0)], {}),
    ("routing type 0, one left", [route(0, 1)], {}),
    ("routing type 2, one left", [route(2, 1)], {}),
    ("routing type 3, one left", [route(3, 1)], {}),
    ("segment routing, used up", [segments(0)], {}),
    ("segment routing, one left", [segments(1)], {}),
    ("routing type 253, 255 left", [route(253, 255)], {}),
    ("authentication", [auth()], {}),
    ("authentication, then destination options", [auth(), dest()], {}),
    ("atomic fragment, then destination options", [frag(), dest()], {}),
    ("atomic fragment, then authentication", [frag(), auth()], {}),
    ("mobility", [other(135)], {}),
    ("HIP", [other(139)], {}),
    ("shim6", [other(140)], {}),
    ("experiment 253", [other(253)], {}),
    ("experiment 254", [other(254)], {}),
    ("all in the right order", [hop(), dest(), route(2, 0), frag(), auth(), dest()], {}),
    ("all in the wrong order", [dest(), auth(), frag(), route(2, 0), dest(), dest()], {}),
    ("hop-by-hop, mobility, destination options", [hop(), other(135), dest()], {}),
    ("destination options with an unknown next header", [dest(), other(200)], {}),
]


def no_next(c):
    return [ip(c, craft.NONE, segment(c, "udp")[1])]


def no_next_after(c):
    return [ip(c, craft.DEST, options_header(craft.NONE) + segment(c, "udp")[1])]


def own_inside(c):
    """IPv6 in IPv6, both from and to the same ends."""
    return [ip(c, 41, plain(c))]


def extension_headers():
    out = []
    for name, headers, why in EXTENSIONS:
        for kind in ("udp", "tcp"):
            out.append(Shape("extensions", "%s, %s" % (name, kind), chained(*headers)(kind), "6", ids="XD2 XD3 C28",
                             **why))
    cut_short = {"ids": "XD2 XD3 C28"}
    out += [
        Shape("extensions", "no next header", no_next, "6", **cut_short),
        Shape("extensions", "no next header behind options", no_next_after, "6", **cut_short),
        Shape("extensions", "destination options longer than the packet",
              raw_first(60, lambda n: struct.pack(">BB", n, 200) + b"\0" * 6), "6", **cut_short),
        Shape("extensions", "hop-by-hop longer than the packet",
              raw_first(0, lambda n: struct.pack(">BB", n, 200) + b"\0" * 6), "6", refused=BAD_HOP, **cut_short),
        Shape("extensions", "hop-by-hop option longer than its header",
              raw_first(0, lambda n: struct.pack(">BB", n, 0) + b"\x1e\x30" + b"\0" * 4), "6", refused=BAD_HOP,
              **cut_short),
        Shape("extensions", "routing header longer than the packet",
              raw_first(43, lambda n: struct.pack(">BBBB", n, 250, 2, 1) + b"\0" * 4), "6", **cut_short),
        Shape("extensions", "authentication of length 0",
              raw_first(51, lambda n: struct.pack(">BB", n, 0) + b"\0" * 6), "6", **cut_short),
        Shape("extensions", "unknown next header with forged ports",
              lambda c: [ip(c, 201, struct.pack(">HH", c.sport, craft.ALLOWED_PORT) + segment(c, "tcp")[1][4:])], "6",
              **cut_short),
    ]
    return out


# ---- protocols ---------------------------------------------------------------------------------------


def all_protocols(c):
    """Every protocol number once, with 40 bytes that every header of its own would find too odd."""
    return [ip(c, n, c.data(5, n)) for n in range(256)]


def inner(c):
    """A packet of the other ends that a tunnel would bring out: from the attacker to the receiver, UDP."""
    return plain(c)


def tunnelled(number, head=b"", six=None):
    def build(c):
        body = inner(c) if six is None or six == c.six else crossed(c)
        return [ip(c, number, head + body)]
    return build


def crossed(c):
    """The inner packet in the other family."""
    way = c.way
    other_c = c.at(c.bed.address(way.sender, not c.six), c.bed.address(way.receiver, not c.six))
    other_c.six = not c.six
    return plain(other_c)


def vxlan(c):
    frame = b"\2\0\0\0\0\1\2\0\0\0\0\2" + struct.pack(">H", craft.type_of(plain(c))) + plain(c)
    return struct.pack(">II", 8 << 24, 1 << 8) + frame


def to_port(port, payload):
    def build(c):
        return [ip(c, 17, craft.udp(c, payload(c), dport=port))]
    return build


def tunnel_in(c):
    """To the node's own VXLAN device, from another node's pod by what is inside."""
    mac = c.bed.vxlan_mac
    if mac is None:
        return []
    inner = c.at(src="fd00:10:244:7::7" if c.six else "10.244.7.7")
    frame = mac + b"\2\0\0\0\0\2" + struct.pack(">H", craft.type_of(plain(inner))) + plain(inner)
    node = c.at(dst=c.bed.address("node", c.six))
    return [ip(node, 17, craft.udp(node, struct.pack(">II", 8 << 24, 1 << 8) + frame, dport=8472))]


def geneve(c):
    return struct.pack(">BBHI", 0, 0, 0x86DD if c.six else 0x800, 1 << 8) + plain(c)


def gtp(c):
    return struct.pack(">BBHI", 0x30, 255, len(plain(c)), 1) + plain(c)


def esp(c):
    return struct.pack(">II", c.number, 1) + c.data(4)


INIT = struct.pack(">IIHHI", 1, 65536, 10, 10, 1)
SCTP_CHUNKS = [
    ("INIT", 0, lambda c: craft.chunk(1, 0, INIT + struct.pack(">HH", 0x9000, 36) + c.data(4))),
    ("INIT ACK unsolicited", 1, lambda c: craft.chunk(2, 0, INIT + struct.pack(">HH", 7, 36) + c.data(4))),
    ("DATA without an association", 1, lambda c: craft.chunk(0, 3, struct.pack(">IHHI", 1, 0, 0, 0) + c.data(4))),
    ("SACK", 1, lambda c: craft.chunk(3, 0, struct.pack(">IIHH", 1, 1, 0, 0)) + craft.chunk(255, 0, c.data(2))),
    ("HEARTBEAT", 1, lambda c: craft.chunk(4, 0, struct.pack(">HH", 1, 36) + c.data(4))),
    ("HEARTBEAT ACK", 1, lambda c: craft.chunk(5, 0, struct.pack(">HH", 1, 36) + c.data(4))),
    ("ABORT", 1, lambda c: craft.chunk(6, 0, struct.pack(">HH", 12, 36) + c.data(4))),
    ("ABORT with the T bit", 1, lambda c: craft.chunk(6, 1, struct.pack(">HH", 12, 36) + c.data(4))),
    ("SHUTDOWN", 1, lambda c: craft.chunk(7, 0, struct.pack(">I", 1)) + craft.chunk(255, 0, c.data(2))),
    ("SHUTDOWN ACK", 1, lambda c: craft.chunk(8, 0, b"") + craft.chunk(255, 0, c.data(2))),
    ("SHUTDOWN COMPLETE", 1, lambda c: craft.chunk(14, 0, b"") + craft.chunk(255, 0, c.data(2))),
    ("ERROR", 1, lambda c: craft.chunk(9, 0, struct.pack(">HH", 12, 36) + c.data(4))),
    ("COOKIE ECHO unsolicited", 1, lambda c: craft.chunk(10, 0, c.data(4))),
    ("COOKIE ACK", 1, lambda c: craft.chunk(11, 0, b"") + craft.chunk(255, 0, c.data(2))),
    ("INIT with a tag", 9, lambda c: craft.chunk(1, 0, INIT + struct.pack(">HH", 0x9000, 36) + c.data(4))),
    ("INIT and DATA in one", 0, lambda c: craft.chunk(1, 0, INIT) + craft.chunk(0, 3, b"\0" * 12 + c.data(2))),
    ("a chunk of length 0", 1, lambda c: b"\0\0\0\0" + c.data(2)),
    ("an unknown chunk", 1, lambda c: craft.chunk(200, 0, c.data(2))),
]


def sctp_of(tag, chunks, bad=False):
    return lambda c: [ip(c, craft.SCTP, craft.sctp(c, chunks(c), tag=tag, bad=bad))]


TUNNEL_IN = "through the node's VXLAN device"
TUNNELS = [
    ("IP in IP", tunnelled(4, six=False)), ("IPv6 in IP", tunnelled(41, six=True)),
    ("GRE", tunnelled(47, struct.pack(">HH", 0, 0x800))),
    ("GRE with a key", tunnelled(47, struct.pack(">HHI", 0x2000, 0x800, 7))),
    ("GRE of PPTP", tunnelled(47, struct.pack(">HHHHI", 0x3001, 0x880B, 60, 5, 1))),
    ("ethernet in IP", tunnelled(97, b"\x30\0" + b"\2\0\0\0\0\1\2\0\0\0\0\2\x08\0")),
    ("MPLS in IP", tunnelled(137, struct.pack(">I", 16 << 12 | 1 << 8 | 64))),
    ("L2TP", tunnelled(115, struct.pack(">I", 1))),
    ("ESP", lambda c: [ip(c, 50, esp(c))]),
    ("authentication", lambda c: [ip(c, 51, craft.auth_header(17) + craft.udp(c))]),
    ("compressed", lambda c: [ip(c, 108, struct.pack(">BBH", 17, 0, 2) + c.data(4))]),
    ("VXLAN to 8472", to_port(8472, vxlan)), ("VXLAN to 4789", to_port(4789, vxlan)),
    ("Geneve", to_port(6081, geneve)), ("GTP", to_port(2152, gtp)), ("ESP in UDP", to_port(4500, esp)),
    ("WireGuard", to_port(51820, lambda c: b"\4\0\0\0" + c.data(4))),
    ("FOU", to_port(5555, plain)),
]
REST = [
    ("IGMP query", 2, lambda c: b"\x11\0\xee\xff\0\0\0\0" + c.data(2)),
    ("IGMP report", 2, lambda c: b"\x16\0\0\0\xe0\0\0\xfb" + c.data(2)),
    ("PIM hello", 103, lambda c: b"\x20\0\xdf\xff" + c.data(2)),
    ("OSPF hello", 89, lambda c: b"\2\1\0\x2c" + c.data(5)),
    ("VRRP", 112, lambda c: b"\x31\1\1\1" + c.data(2)),
    ("RSVP", 46, lambda c: b"\x10\1\0\0" + c.data(2)),
    ("EIGRP", 88, lambda c: b"\2\5\0\0" + c.data(2)),
]


def protocols():
    out = []
    sweep = Shape("protocols", "all 256 protocol numbers", all_protocols, ids="XD15 C27")
    # the tokens are no hop-by-hop options; as a fragment header they make a piece that is never whole
    sweep.absent = {"6": {0, 44}, "6/bare": {0}}
    out.append(sweep)
    for name, tag, chunks in SCTP_CHUNKS:
        out.append(Shape("protocols", "SCTP " + name, sctp_of(tag, chunks), ids="XD15 C30"))
    out.append(Shape("protocols", "SCTP with a wrong sum", sctp_of(0, SCTP_CHUNKS[0][2], True), ids="XD15 C30"))
    for kind, name in enumerate(("request", "response", "data", "ack", "dataack", "closereq", "close", "reset",
                                 "sync")):
        out.append(Shape("protocols", "DCCP " + name, lambda c, k=kind: [ip(c, craft.DCCP, craft.dccp(c, k,
                                                                                                      c.data(4)))],
                         ids="XD15 C27"))
    for name, cover in (("whole", 40), ("header only", 8), ("0", 0), ("too long", 400), ("7", 7)):
        out.append(Shape("protocols", "UDP-Lite, sum over " + name,
                         lambda c, n=cover: [ip(c, craft.UDPLITE, craft.udp(c, length=n, proto=craft.UDPLITE))],
                         ids="XD15 C27"))
    for name, build in TUNNELS:
        out.append(Shape("protocols", name, build, ids="XD15 C27 F9"))
    out.append(Shape("protocols", TUNNEL_IN, tunnel_in, "4", ["deny>free"], ids="F9"))
    out.append(Shape("protocols", TUNNEL_IN + ", inwards", tunnel_in, "4", ["att>deny", "att>one", "world>deny"],
                     passes={0}, ids="F9"))
    for name, number, body in REST:
        out.append(Shape("protocols", name, lambda c, n=number, b=body: [ip(c, n, b(c))], ids="XD15 C26"))
    return out
