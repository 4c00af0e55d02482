# SPDX-License-Identifier: Apache-2.0
"""bypass_frag.py - fragments (XD1, C28): cut small, in no order, over each other, never whole."""
import struct

import craft
from bypass_table import Shape
from craft import ALLOWED_PORT, cut, fragment, fragments, segment

# Why a packet does not arrive even where no policy is.
NEVER_WHOLE = "conntrack's reassembly in front of our rules keeps what is never whole"
OVERLAP = "reassembly throws datagrams with overlapping pieces away"
TOO_LONG = "reassembly refuses what would be longer than 65535 bytes"
EMPTY = "reassembly throws an empty piece away, so the datagram is never whole"
OWN = "the node's IPv4 stack puts a datagram together before its input hook"
HEADER_FIRST = "RFC 8200: the first piece holds the transport header whole, or reassembly throws it away"


def first_port(c, kind, port):
    """A first piece that names the allowed port (ICMP has none: as it is)."""
    number, body = segment(c, kind)
    if kind != "icmp":
        body = body[:2] + struct.pack(">H", port) + body[4:]
    return number, body


def whole(kind, *at):
    def build(c):
        number, body = segment(c, kind)
        return fragments(c, number, cut(body, *at))
    return build


def ordered(kind, *order):
    """Pieces of a body that is cut at 8, 16 and 32, sent in this order; a piece may be missing or come twice."""
    def build(c):
        number, body = segment(c, kind)
        parts = cut(body, 8, 16, 32)
        return fragments(c, number, [parts[i] for i in order])
    return build


def every_eight(kind):
    def build(c):
        number, body = segment(c, kind)
        return fragments(c, number, cut(body, *range(8, len(body), 8)))
    return build


def overlap(kind, second_first):
    """One piece names the allowed port, another one writes the other port over it."""
    def build(c):
        number, body = segment(c, kind)
        _, friendly = first_port(c, kind, ALLOWED_PORT)
        parts = [(0, True, friendly[:24]), (0, True, body[:16]), (16, False, body[16:])]
        return fragments(c, number, [parts[1], parts[0], parts[2]] if second_first else parts)
    return build


def tail_overlap(kind):
    def build(c):
        number, body = segment(c, kind)
        return fragments(c, number, [(0, True, body[:24]), (16, False, body[16:])])
    return build


def rewrite_ports(kind):
    """The first piece has no more than the allowed ports, the second one begins where it began."""
    def build(c):
        number, body = first_port(c, kind, ALLOWED_PORT)
        real = segment(c, kind)[1]
        return fragments(c, number, [(0, True, body[:24]), (0, True, real[:32]), (32, False, real[32:])])
    return build


def whole_after_first(kind):
    """A first piece with the allowed port waits, then a whole datagram of the same id comes."""
    def build(c):
        number, body = first_port(c, kind, ALLOWED_PORT)
        return fragments(c, number, [(0, True, body[:24]), (0, False, segment(c, kind)[1])])
    return build


def huge(kind):
    def build(c):
        number, body = segment(c, kind)
        return fragments(c, number, [(0, True, body[:8]), (65528, False, c.data(4))])
    return build


def beyond(kind):
    """No first piece, and the last one ends at the very end of what a datagram may be."""
    return lambda c: fragments(c, segment(c, kind)[0], [(65472, False, c.data(4))])


def empty_last(kind):
    def build(c):
        number, body = segment(c, kind)
        return fragments(c, number, [(0, True, body + b"\0" * (-len(body) % 8)), (len(body) + 7 & ~7, False, b"")])
    return build


def many_ids(kind):
    """32 datagrams in pieces, all first pieces first."""
    def build(c):
        number, body = segment(c, kind)
        head, tail = cut(body, 8)
        idents = [(c.ident * 32 + n) & 0xFFFF for n in range(32)]
        return [fragment(c, number, *head, ident=i) for i in idents] + \
            [fragment(c, number, *tail, ident=i) for i in idents]
    return build


def two_protocols(kind):
    def build(c):
        number, body = segment(c, kind)
        head, tail = cut(body, 8)
        return [fragment(c, number, *head), fragment(c, 132, *tail)]
    return build


def ttls(kind):
    def build(c):
        number, body = segment(c, kind)
        head, tail = cut(body, 8)
        return [fragment(c, number, *head, ttl=5), fragment(c, number, *tail, ttl=200)]
    return build


def uneven(kind):
    """A piece that is not the last and no multiple of eight long."""
    def build(c):
        number, body = segment(c, kind)
        return fragments(c, number, [(0, True, body[:13]), (16, False, body[16:])])
    return build


def big(kind):
    """3,000 bytes of payload in pieces that fill the link."""
    def build(c):
        number, body = segment(c, kind, payload=c.data(375))
        return fragments(c, number, cut(body, 1440, 2880))
    return build


def first_whole(kind):
    """The whole datagram, marked as a first piece of more."""
    def build(c):
        number, body = segment(c, kind)
        return fragments(c, number, [(0, True, body + b"\0" * (-len(body) % 8))])
    return build


def flagged(kind, flags):
    def build(c):
        number, body = segment(c, kind)
        return [fragment(c, number, *p, flags=flags) for p in cut(body, 24)]
    return build


def with_option(kind):
    def build(c):
        number, body = segment(c, kind)
        head, tail = cut(body, 16)
        return [fragment(c, number, *head, options=b"\x94\4\0\0"), fragment(c, number, *tail)]
    return build


def atomic(kind, times=1):
    """v6: a fragment header that says "all of it", once or in a row."""
    def build(c):
        number, body = segment(c, kind)
        header = struct.pack(">BBHI", 44, 0, 0, c.ident)
        packet = fragment(c, number, 0, False, body)
        return [packet[:4] + struct.pack(">H", len(packet) - 40 + 8 * (times - 1)) + packet[6:40] +
                header * (times - 1) + packet[40:]]
    return build


def nested(kind):
    """v6: pieces of pieces."""
    def build(c):
        number, body = segment(c, kind)
        inner = [struct.pack(">BBHI", number, 0, o | m, 99) + d for o, m, d in cut(body, 8)]
        out = []
        for n, piece in enumerate(inner):
            out += fragments(c, 44, cut(piece, 8), ident=c.ident + n)
        return out
    return build


def headers_inside(kind, split):
    """v6: destination options behind the fragment header, whole in the first piece or cut through (RFC 7112)."""
    def build(c):
        number, body = segment(c, kind)
        first, chained = craft.chain((60, lambda n: craft.options_header(n, b"\x1e\x0c" + b"\0" * 12)), (number, body))
        return fragments(c, first, cut(chained, split))
    return build


def headers_before(kind):
    def build(c):
        number, body = segment(c, kind)
        return [fragment(c, number, *p, before=craft.options_header(44, b"\x1e\4\0\0\0\0"), before_kind=60)
                for p in cut(body, 8)]
    return build


def jumbled_headers(kind):
    """v6: what stands in front of the fragment header differs from piece to piece."""
    def build(c):
        number, body = segment(c, kind)
        head, tail = cut(body, 8)
        return [fragment(c, number, *head), fragment(c, number, *tail, before=craft.options_header(44), before_kind=60)]
    return build


def late_header(kind):
    """v6: the first piece ends before the transport header begins."""
    def build(c):
        number, body = segment(c, kind)
        first, chained = craft.chain((60, lambda n: craft.options_header(n, b"\x1e\4\0\0\0\0")), (number, body))
        return fragments(c, first, cut(chained, 8))
    return build


def shapes():
    out = []

    def add(name, build, fams="46", held=None, split=False):
        """split: the first piece ends inside TCP's header; held: reassembly in front of our rules keeps it."""
        for kind in ("udp", "tcp", "icmp"):
            why, refused = held, {}
            if split and kind == "tcp":
                why = dict(held or {}, **{"6": HEADER_FIRST})
            if held and why != {"6": OVERLAP}:
                refused = {"4>node": OWN}
            out.append(Shape("fragments", "%s, %s" % (name, kind), build(kind), fams, held=why, refused=refused,
                             ids="XD1 C28"))

    add("two pieces", lambda k: whole(k, 24))
    add("tiny first piece of 8 bytes", lambda k: whole(k, 8), split=True)
    add("first piece of 16 bytes", lambda k: whole(k, 16), split=True)
    add("header split twice", lambda k: whole(k, 8, 16), split=True)
    add("every piece 8 bytes", every_eight, split=True)
    add("reordered", lambda k: ordered(k, 2, 0, 3, 1), split=True)
    add("last first", lambda k: ordered(k, 3, 2, 1, 0), split=True)
    add("first piece twice", lambda k: ordered(k, 0, 0, 1, 2, 3), split=True)
    add("a middle piece twice", lambda k: ordered(k, 0, 1, 1, 2, 3), split=True)
    add("missing first", lambda k: ordered(k, 1, 2, 3), held=NEVER_WHOLE)
    add("missing middle", lambda k: ordered(k, 0, 1, 3), held=NEVER_WHOLE)
    add("missing last", lambda k: ordered(k, 0, 1, 2), held=NEVER_WHOLE)
    add("one piece that is not the first", lambda k: ordered(k, 2), held=NEVER_WHOLE)
    add("the last piece alone", lambda k: ordered(k, 3), held=NEVER_WHOLE)
    add("overlap, the first names the allowed port", lambda k: overlap(k, False), held=OVERLAP)
    add("overlap, the last names the allowed port", lambda k: overlap(k, True), held=OVERLAP)
    add("overlapping tail", tail_overlap, held=OVERLAP)
    add("the second piece rewrites the ports", rewrite_ports, held=OVERLAP)
    add("a whole datagram after a first piece", whole_after_first, held={"6": OVERLAP})
    add("beyond the longest datagram", huge, held=TOO_LONG)
    add("at the end of the longest datagram", beyond, held=NEVER_WHOLE)
    add("empty last piece", empty_last, held=EMPTY)
    add("32 ids, all first pieces first", many_ids, split=True)
    add("the protocol changes", two_protocols, held={"4": NEVER_WHOLE}, split=True)
    add("the time to live changes", ttls, split=True)
    add("an uneven piece", uneven, held=NEVER_WHOLE)
    add("3,000 bytes", big)
    add("all of it as a first piece", first_whole, held=NEVER_WHOLE)
    for name, flags in (("do not fragment", 0x4000), ("the reserved bit", 0x8000)):
        add("pieces with " + name, lambda k, f=flags: flagged(k, f), fams="4")
    add("reserved bits set", lambda k: flagged(k, 6), fams="6")
    add("an option in the first piece only", with_option, fams="4")
    add("an atomic fragment", atomic, fams="6")
    add("two atomic headers", lambda k: atomic(k, 2), fams="6")
    add("twelve atomic headers", lambda k: atomic(k, 12), fams="6")
    add("pieces of pieces", nested, fams="6")
    add("options behind the fragment header", lambda k: headers_inside(k, 40), fams="6")
    add("options cut through", lambda k: headers_inside(k, 8), fams="6", held=HEADER_FIRST)
    add("options before the fragment header", headers_before, fams="6", split=True)
    add("other headers in front of each piece", jumbled_headers, fams="6", split=True)
    add("no transport header in the first piece", late_header, fams="6", held=HEADER_FIRST)
    return out
