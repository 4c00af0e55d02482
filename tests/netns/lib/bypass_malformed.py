# SPDX-License-Identifier: Apache-2.0
"""bypass_malformed.py - transport headers that lie, and TCP flags that open nothing (XD7, C23, C29)."""

import craft
from bypass_table import Shape
from craft import ACK, CWR, ECE, FIN, PSH, RST, SYN, URG, ip, tcp, udp

IDS = "XD7 C28"

FLAGS = [
    ("none at all", 0), ("FIN", FIN), ("RST", RST), ("ACK", ACK), ("SYN ACK unsolicited", SYN | ACK),
    ("FIN ACK", FIN | ACK),
    ("RST ACK", RST | ACK), ("PSH ACK", PSH | ACK), ("PSH", PSH), ("URG", URG), ("Christmas tree", FIN | PSH | URG),
    ("SYN FIN", SYN | FIN), ("SYN RST", SYN | RST), ("SYN FIN ACK", SYN | FIN | ACK), ("SYN RST ACK", SYN | RST | ACK),
    ("FIN RST", FIN | RST), ("every flag", 255), ("ECE CWR", ECE | CWR), ("SYN ECE CWR", SYN | ECE | CWR),
    ("SYN PSH", SYN | PSH), ("SYN URG", SYN | URG), ("URG ACK", URG | ACK), ("FIN PSH ACK", FIN | PSH | ACK),
]

TCP = [
    ("wrong sum", {"sum_": 0x1234}), ("sum 0", {"sum_": 0}), ("header of four words", {"doff": 4}),
    ("header of 15 words", {"doff": 15}), ("header of 0 words", {"doff": 0}), ("source port 0", {"sport": 0}),
    ("port 0", {"dport": 0}), ("both ports 0", {"sport": 0, "dport": 0}), ("reserved bits", {"reserved": 15}),
    ("fast open cookie", {"options": b"\x22\x0a" + b"c" * 8}), ("MD5 option", {"options": b"\x13\x12" + b"m" * 16}),
    ("option of length 0", {"options": b"\x08\0\0\0"}), ("option longer than the header", {"options": b"\x08\x28\0\0"}),
    ("40 bytes of padding", {"options": b"\1" * 40}), ("window scale 255", {"options": b"\3\3\xff\0"}),
    ("urgent pointer", {"flags": SYN | URG, "urgent": 0xFFFF}), ("sequence number at the wrap", {"seq": 0xFFFFFFFF}),
    ("the allowed port as its source", {"sport": craft.ALLOWED_PORT}),
]

UDP = [
    ("no sum", {"sum_": 0}), ("wrong sum", {"sum_": 0x1234}), ("length 0", {"length": 0}), ("length 7", {"length": 7}),
    ("length 8", {"length": 8}), ("length beyond the packet", {"length": 400}), ("port 0", {"dport": 0}),
    ("source port 0", {"sport": 0}), ("DNS's port as its source", {"sport": 53}),
    ("from DHCP's port", {"sport": 67, "dport": 68}),
    ("to the allowed port, but UDP", {"dport": craft.ALLOWED_PORT}), ("to port 53", {"dport": 53}),
    ("one port for both", {"sport": 9090}),
]

ICMP4 = [("echo reply unsolicited", 0, 0), ("unreachable, host", 3, 1), ("unreachable, port", 3, 3), ("too big", 3, 4),
         ("source quench", 4, 0), ("redirect for a host", 5, 1), ("redirect for a net", 5, 0),
         ("echo with code 1", 8, 1),
         ("router advertisement", 9, 0), ("router solicitation", 10, 0), ("time exceeded", 11, 0),
         ("reassembly time exceeded", 11, 1), ("parameter problem", 12, 0), ("timestamp", 13, 0),
         ("timestamp reply", 14, 0),
         ("information", 15, 0), ("address mask", 17, 0), ("address mask reply", 18, 0), ("traceroute", 30, 0),
         ("extended echo", 42, 0), ("unknown type", 200, 0)]
ICMP6 = [("unreachable", 1, 4), ("too big", 2, 0), ("time exceeded", 3, 0), ("parameter problem", 4, 0),
         ("private error", 100, 0), ("echo reply unsolicited", 129, 0), ("echo with code 1", 128, 1),
         ("listener query", 130, 0), ("listener report", 131, 0), ("listener done", 132, 0),
         ("router solicitation", 133, 0),
         ("router advertisement", 134, 0), ("neighbour solicitation", 135, 0), ("neighbour advertisement", 136, 0),
         ("redirect", 137, 0), ("renumbering", 138, 0), ("node information", 139, 0), ("inverse solicitation", 141, 0),
         ("listener report 2", 143, 0), ("home agent", 144, 0), ("certification", 148, 0), ("multicast router", 151, 0),
         ("extended echo", 160, 0), ("private information", 200, 0)]
QUIET = (130, 131, 132, 133, 134, 137, 143)
NEVER_A_POD = "the guard throws away what steers routers, from every pod"


def segment_of(kind, **kw):
    if kind == "tcp":
        return lambda c: [ip(c, craft.TCP, tcp(c, **kw))]
    return lambda c: [ip(c, craft.UDP, udp(c, **kw))]


def message(kind, code, hops=64):
    def build(c):
        return [ip(c, craft.icmp_number(c.six), craft.icmp(c, kind, code, 0, c.data(8)), ttl=hops)]
    return build


def all_types(hops):
    def build(c):
        number = craft.icmp_number(c.six)
        return [ip(c, number, craft.icmp(c, kind, 0, c.sport << 16 | kind, c.data(5, kind)),
                   ttl=hops) for kind in range(256)]
    return build


def to_allowed(flags):
    """The port is allowed to `one`, but nothing opens a connection like this."""
    return lambda c: [ip(c, craft.TCP, tcp(c, flags, dport=craft.ALLOWED_PORT))]


def as_answer(flags):
    """As if it were the answer of an allowed server."""
    return lambda c: [ip(c, craft.TCP, tcp(c, flags, sport=craft.ALLOWED_PORT, ack=99))]


def land(c):
    same = c.at(src=c.dst)
    return [ip(same, craft.TCP, tcp(same, sport=9090))]


def shortened(kind, keep):
    """A transport header that is cut off; the token is in an option of the IP header."""
    def build(c):
        number, body = craft.segment(c, kind)
        if c.six:
            return [ip(c, *craft.chain((60, lambda n: craft.options_header(n, b"\x1e\x08" + c.token())),
                                       (number, body[:keep])))]
        return [ip(c, number, body[:keep], options=b"\x9e\x0a" + c.token())]
    return build


def simultaneous(c):
    """Both ends open to each other; the isolated end's SYN must not make a hole for the other's."""
    back = c.at(c.dst, c.src)
    out = [ip(c, craft.TCP, tcp(c, sport=7001, dport=7002))]
    if c.way.receiver in c.bed.mouths:
        out.insert(0, craft.By(c.way.receiver, ip(back, craft.TCP, tcp(back, payload=b"hole", sport=7002, dport=7001))))
        out.append(out[1])
    return out


def punched(c):
    """UDP the same way: the other end has sent first."""
    back = c.at(c.dst, c.src)
    there = ip(c, craft.UDP, udp(c, sport=7003, dport=7004))
    if c.way.receiver not in c.bed.mouths:
        return [there]
    return [craft.By(c.way.receiver, ip(back, craft.UDP, udp(back, b"hole", sport=7004, dport=7003))), there]


def flags():
    out = []
    for name, bits in FLAGS:
        out.append(Shape("flags", name, segment_of("tcp", flags=bits), ids="XD7 C29"))
        if bits & (SYN | ACK | RST | FIN) != SYN:
            out.append(Shape("flags", name + ", the allowed port", to_allowed(bits), ids="XD7 C29"))
            out.append(Shape("flags", name + ", from the allowed port", as_answer(bits), ids="XD7 C29"))
    return out


def malformed():
    out = []
    for name, kw in TCP:
        out.append(Shape("malformed", "TCP, " + name, segment_of("tcp", **kw), ids=IDS))
    for name, kw in UDP:
        out.append(Shape("malformed", "UDP, " + name, segment_of("udp", **kw), ids=IDS))
    for kind in ("udp", "tcp", "icmp"):
        for keep in (0, 4, 7):
            out.append(Shape("malformed", "%s header of %d bytes" % (kind, keep), shortened(kind, keep), ids=IDS))
    out.append(Shape("malformed", "simultaneous open", simultaneous, ids="XD7"))
    out.append(Shape("malformed", "UDP hole from both sides", punched, ids="XD7"))
    return out


def icmp_shapes():
    out = [Shape("icmp", "echo with a wrong sum",
                 lambda c: [ip(c, craft.icmp_number(c.six), craft.icmp(c, bad=True))], ids="XD8 C23")]
    for name, kind, code in ICMP4:
        out.append(Shape("icmp", name, message(kind, code), "4", ids="XD8 C23"))
    for name, kind, code in ICMP6:
        for hops in (64, 255):
            held = {w: NEVER_A_POD for w in ("att>free", "att>world", "att>node")} if kind in QUIET else None
            out.append(Shape("icmp", "%s, hop limit %d" % (name, hops), message(kind, code, hops), "6",
                             ids="XD8 C23 C25 F2", held=held,
                             passes={0} if hops == 255 and kind in (135, 136) else None))
    for hops in (64, 255):
        sweep = Shape("icmp", "all 256 types, hop limit %d" % hops, all_types(hops), ids="XD8 C23 C25 F2")
        sweep.absent = {"6/pod": set(QUIET)}
        sweep.passes = {135, 136} if hops == 255 else set()
        out.append(sweep)
    return out
