# SPDX-License-Identifier: Apache-2.0
"""craft.py - IP packets and Ethernet frames with every field in hand, right or wrong, for the bypass suite.

wire.py makes packets that are right; here a length, an order, a checksum or a header may lie.
"""
import struct
from collections import namedtuple

import wire

UDP, TCP, SCTP, DCCP, UDPLITE = 17, 6, 132, 33, 136
HOP, ROUTE, FRAG, ESP, AH, NONE, DEST = 0, 43, 44, 50, 51, 59, 60
ALLOWED_PORT = 8080
FIN, SYN, RST, PSH, ACK, URG, ECE, CWR = 1, 2, 4, 8, 16, 32, 64, 128

# A frame that goes out as it is; an item without a frame gets the Ethernet header of its IP version.
Frame = namedtuple("Frame", "data")
# An IP packet with chosen MACs (None: the right one) or Ethernet type.
Addressed = namedtuple("Addressed", "packet dst_mac src_mac kind")
Addressed.__new__.__defaults__ = (None, None, None)
# Something that another end sends.
By = namedtuple("By", "sender item")


def icmp_number(six):
    return 58 if six else 1


def ip4(src, dst, proto, body, *, options=b"", ident=7, frag=0, ttl=64, total=None, version=4, ihl=None, tos=0):
    """An IPv4 header (its options are padded to words) and a body; the sum is right unless the header is too short."""
    options += b"\0" * (-len(options) % 4)
    words = 5 + len(options) // 4 if ihl is None else ihl
    total = 20 + len(options) + len(body) if total is None else total
    h = struct.pack(">BBHHHBBH4s4s", version << 4 | words, tos, total, ident & 0xFFFF, frag, ttl, proto, 0,
                    wire.packed(src), wire.packed(dst)) + options
    summed = (h + body)[:words * 4]
    return h[:10] + struct.pack(">H", wire.checksum(summed)) + h[12:] + body


def ip6(src, dst, nxt, body, *, hops=64, length=None, tos=0, version=6):
    length = len(body) if length is None else length
    return (struct.pack(">IHBB", version << 28 | tos << 20, length & 0xFFFF, nxt, hops) + wire.packed(src) +
            wire.packed(dst) + body)


def ip(c, proto, body, **kw):
    """The packet of context c's family from c.src to c.dst."""
    if c.six:
        if "ttl" in kw:
            kw["hops"] = kw.pop("ttl")
        return ip6(c.src, c.dst, proto, body, **kw)
    kw.setdefault("ident", c.ident)
    return ip4(c.src, c.dst, proto, body, **kw)


# ---- segments ------------------------------------------------------------------------------------


def summed(c, proto, body, at):
    value = wire.checksum(wire.pseudo(c.src, c.dst, proto, body)) or 0xFFFF
    return body[:at] + struct.pack(">H", value) + body[at + 2:]


def udp(c, payload=None, *, sport=None, dport=None, length=None, sum_=None, proto=UDP):
    payload = c.data(4) if payload is None else payload
    body = struct.pack(">HHHH", c.sport if sport is None else sport, c.dport if dport is None else dport,
                       8 + len(payload) if length is None else length, 0) + payload
    if sum_ is not None:
        return body[:6] + struct.pack(">H", sum_) + body[8:]
    return summed(c, proto, body, 6)


def tcp(c, flags=SYN, payload=None, *, sport=None, dport=None, seq=1000, ack=0, doff=None, options=b"", sum_=None,
        urgent=0, reserved=0):
    """A segment; with the default payload every token lies at a multiple of eight from its begin."""
    options += b"\0" * (-len(options) % 4)
    payload = b"pad!" + c.data(4) if payload is None else payload
    words = 5 + len(options) // 4 if doff is None else doff
    body = struct.pack(">HHIIBBHHH", c.sport if sport is None else sport, c.dport if dport is None else dport,
                       seq & 0xFFFFFFFF, ack & 0xFFFFFFFF, words << 4 | reserved, flags, 1000, 0, urgent)
    body += options + payload
    if sum_ is not None:
        return body[:16] + struct.pack(">H", sum_) + body[18:]
    return summed(c, TCP, body, 16)


def icmp(c, kind=None, code=0, rest=None, payload=None, *, bad=False):
    """Default: an echo request with an id of its own."""
    kind = (128 if c.six else 8) if kind is None else kind
    rest = c.sport << 16 | 1 if rest is None else rest
    body = struct.pack(">BBHI", kind, code, 0, rest) + (c.data(4) if payload is None else payload)
    value = wire.checksum(wire.pseudo(c.src, c.dst, 58, body) if c.six else body)
    return body[:2] + struct.pack(">H", value ^ (0x1234 if bad else 0)) + body[4:]


def segment(c, kind, **kw):
    """(protocol number, bytes) of a plain udp, tcp or icmp segment that holds tokens."""
    if kind == "udp":
        return UDP, udp(c, **kw)
    if kind == "tcp":
        return TCP, tcp(c, **kw)
    return icmp_number(c.six), icmp(c, **kw)


def plain(c, kind="udp", **kw):
    number, body = segment(c, kind)
    return ip(c, number, body, **kw)


def _crc32c_table():
    table = []
    for n in range(256):
        for _ in range(8):
            n = n >> 1 ^ (0x82F63B78 if n & 1 else 0)
        table.append(n)
    return table


CRC = _crc32c_table()


def sctp(c, chunks, *, tag=0, bad=False, dport=None):
    head = struct.pack(">HHII", c.sport, c.dport if dport is None else dport, tag, 0)
    crc = 0xFFFFFFFF
    for b in head + chunks:
        crc = crc >> 8 ^ CRC[(crc ^ b) & 255]
    return head[:8] + struct.pack("<I", ~crc & 0xFFFFFFFF ^ (1 if bad else 0)) + chunks


def chunk(kind, flags, value):
    return struct.pack(">BBH", kind, flags, 4 + len(value)) + value + b"\0" * (-len(value) % 4)


def dccp(c, kind, payload):
    """A DCCP packet with long sequence numbers (X=1) and the words that its type asks for."""
    extra = {0: b"\0\0\0\1", 1: b"\0" * 8 + b"\0\0\0\1"}.get(kind, b"" if kind == 2 else b"\0" * 8)
    extra += b"\0" * 4 if kind == 7 else b""
    words = (16 + len(extra)) // 4
    body = struct.pack(">HHBBHBBHI", c.sport, c.dport, words, 0, 0, kind << 1 | 1, 0, 0, 1) + extra + payload
    return summed(c, DCCP, body, 6)


# ---- fragments -----------------------------------------------------------------------------------


def cut(body, *at):
    """[(offset, more, bytes)] of a body cut at these multiples of eight."""
    marks = [0] + list(at) + [len(body)]
    return [(a, b < len(body), body[a:b]) for a, b in zip(marks, marks[1:])]


def fragment(c, proto, offset, more, data, *, ident=None, flags=0, before=b"", before_kind=None, **kw):
    """One fragment; before: extension headers (v6) that stand in front of the fragment header."""
    ident = c.ident if ident is None else ident
    if not c.six:
        return ip4(c.src, c.dst, proto, data, ident=ident, frag=flags | (0x2000 if more else 0) | offset >> 3, **kw)
    if "ttl" in kw:
        kw["hops"] = kw.pop("ttl")
    header = struct.pack(">BBHI", proto, 0, (offset & 0xFFF8) | flags | (1 if more else 0), 0x10000 + ident)
    return ip6(c.src, c.dst, FRAG if before_kind is None else before_kind, before + header + data, **kw)


def fragments(c, proto, parts, **kw):
    return [fragment(c, proto, *p, **kw) for p in parts]


# ---- extension headers -----------------------------------------------------------------------------


def options_header(nxt, options=b""):
    """A hop-by-hop or destination options header, padded."""
    pad = -(len(options) + 2) % 8
    options += b"\0" if pad == 1 else (struct.pack(">BB", 1, pad - 2) + b"\0" * (pad - 2) if pad else b"")
    return struct.pack(">BB", nxt, (len(options) + 2) // 8 - 1) + options


def routing_header(nxt, kind, left, data):
    data += b"\0" * (-(len(data) + 4) % 8)
    return struct.pack(">BBBB", nxt, (len(data) + 4) // 8 - 1, kind, left) + data


def auth_header(nxt, data=b"\0" * 12):
    return struct.pack(">BBHII", nxt, (12 + len(data)) // 4 - 2, 0, 0x100, 1) + data


def generic_header(nxt, data=b"\0" * 6):
    """Mobility, HIP, shim6 and what looks like them."""
    return struct.pack(">BB", nxt, (len(data) + 2) // 8 - 1) + data


def chain(*headers):
    """headers: (number, maker of nxt), the last one (number, bytes). Returns (first number, bytes)."""
    number, body = headers[-1]
    for kind, make in reversed(headers[:-1]):
        number, body = kind, make(number) + body
    return number, body


# ---- frames ------------------------------------------------------------------------------------------


def ether(dst, src, kind, body):
    return dst + src + struct.pack(">H", kind) + body


def vlan(tags, kind, body):
    """The part behind the MACs: tags as (type, id), then the real type."""
    return b"".join(struct.pack(">HH", t, i) for t, i in tags) + struct.pack(">H", kind) + body


def arp(op, smac, sip, tmac, tip, *, dst=b"\xff" * 6, src=None, tail=b""):
    body = struct.pack(">HHBBH", 1, 0x800, 6, 4, op) + smac + wire.packed(sip) + tmac + wire.packed(tip) + tail
    return Frame(ether(dst, src or smac, 0x806, body))


def nd_option(kind, data):
    data += b"\0" * (-(len(data) + 2) % 8)
    return struct.pack(">BB", kind, (len(data) + 2) // 8) + data


def type_of(packet):
    return 0x86DD if packet and packet[0] >> 4 == 6 else 0x800
