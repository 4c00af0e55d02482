# SPDX-License-Identifier: Apache-2.0
"""bypass_flow.py - a neighbour's raw frames in flows of others, an end that breaks its own (XD5, XD7, XD8, F3).

Real connections of others are open: from the world to `one`, from `one` to `free` (at the allowed port), and from
`free` to the world. The attackers are `att` and `deny`. Afterwards every connection works.
"""
import socket as I

import craft
from attackbed import Tcp
from bypass_bed import Way
from craft import ACK, FIN, PSH, RST, SYN, chain, ip, options_header, tcp

TCP_REPAIR, TCP_REPAIR_QUEUE, TCP_QUEUE_SEQ = 19, 20, 21
FAR = 1 << 30


def next_sequence(s):
    """The next sequence number that a connected socket will send."""
    s.setsockopt(I.IPPROTO_TCP, TCP_REPAIR, 1)
    try:
        s.setsockopt(I.IPPROTO_TCP, TCP_REPAIR_QUEUE, 2)
        return s.getsockopt(I.IPPROTO_TCP, TCP_QUEUE_SEQ) & 0xFFFFFFFF
    finally:
        s.setsockopt(I.IPPROTO_TCP, TCP_REPAIR, -1)  # off, and no probe of the window


class Flow:
    def __init__(self, bed, client, server, six):
        self.bed, self.client, self.server, self.six = bed, client, server, six
        source, dst = bed.address(client, six), bed.address(server, six)
        self.conn = Tcp(bed.ends[client], bed.ends[server], dst, craft.ALLOWED_PORT, source)
        self.works()

    def works(self):
        return self.conn.up(5) and self.conn.down(5)

    def ends(self, as_client):
        """(from, to, source port, port, sequence, acknowledged) of the next segment of one end."""
        a, b = next_sequence(self.conn.client), next_sequence(self.conn.server)
        if as_client:
            return self.client, self.server, self.conn.port, craft.ALLOWED_PORT, a, b
        return self.server, self.client, craft.ALLOWED_PORT, self.conn.port, b, a

    def name(self):
        return "%s>%s" % (self.client, self.server)


SEGMENTS = [
    ("data", PSH | ACK, 0, 0), ("a pure ACK", ACK, 0, 0), ("FIN", FIN | ACK, 0, 0),
    ("RST", RST, 0, 0), ("RST ACK", RST | ACK, 0, 0),
    ("SYN", SYN, 0, 0), ("SYN ACK", SYN | ACK, 0, 0), ("data out of the window", PSH | ACK, FAR, 0),
    ("RST out of the window", RST, FAR, 0), ("an ACK of the future", ACK, 0, FAR), ("no flags", 0, 0, 0),
    ("Christmas tree", 0x29, 0, 0),
]
ERRORS4 = [("port unreachable", 3, 3, 0), ("prohibited", 3, 13, 0), ("too big", 3, 4, 576), ("time exceeded", 11, 0, 0),
           ("parameter problem", 12, 0, 0), ("source quench", 4, 0, 0), ("redirect", 5, 1, 0)]
ERRORS6 = [("unreachable", 1, 4, 0), ("too big", 2, 0, 1280), ("time exceeded", 3, 0, 0),
           ("parameter problem", 4, 0, 0)]
CHAINS = (1, 9, 63, 64, 65, 120)  # extension headers: some readers give up after a few
# Segments that no window holds: conntrack calls them invalid, and no isolated end gets or sends such.
BROKEN = [("data out of the window", PSH | ACK, FAR, 0, {}), ("RST out of the window", RST, FAR, 0, {}),
          ("an ACK of the future", ACK, 0, FAR, {}), ("no flags", 0, 0, 0, {}), ("Christmas tree", 0x29, 0, 0, {}),
          ("SYN FIN", SYN | FIN, 0, 0, {}), ("a wrong sum", PSH | ACK, 0, 0, {"sum_": 1}),
          ("header of four words", PSH | ACK, 0, 0, {"doff": 4})]


def between(c, flow, as_client):
    """The context of a sending between the ends of a flow."""
    sender, receiver, sport, dport, seq, ack = flow.ends(as_client)
    here = c.at(c.bed.address(sender, flow.six), c.bed.address(receiver, flow.six))
    return here, dict(sport=sport, dport=dport, seq=seq, ack=ack)


def segment_into(flow, as_client, flags, ahead, ahead_ack, **kw):
    def build(c):
        here, numbers = between(c, flow, as_client)
        numbers["seq"] += ahead
        numbers["ack"] += ahead_ack
        return [ip(here, craft.TCP, tcp(here, flags, c.data(4), **numbers, **kw))]
    return build


def error_into(flow, as_client, kind, code, rest, ahead=0):
    """An error from the attacker's own address that quotes what the receiver sent. ahead: so many headers before it."""
    def build(c):
        back, numbers = between(c, flow, not as_client)
        quoted = ip(back, craft.TCP, tcp(back, ACK, c.data(4), **numbers))
        here = c.at(dst=back.src)
        last = (craft.icmp_number(c.six), craft.icmp(here, kind, code, rest, quoted))
        return [ip(here, *chain(*[(60, options_header)] * ahead, last))]
    return build


def datagram_into(flow, as_client):
    def build(c):
        here, numbers = between(c, flow, as_client)
        return [ip(here, 17, craft.udp(here, c.data(4), sport=numbers["sport"], dport=numbers["dport"]))]
    return build


def open_flows(bed):
    return [Flow(bed, *pair.split(">"), six) for six in (False, True)
            for pair in ("world>one", "one>free", "free>world")]


def forgeries(flows):
    """(name, family, way, build) of the neighbours' forgeries."""
    out = []
    for flow in flows:
        fam = "6" if flow.six else "4"
        for attacker in ("att", "deny"):
            for as_client in (True, False):
                to = flow.server if as_client else flow.client
                way = Way(attacker, to)
                side = "%s, as its %s: " % (flow.name(), "client" if as_client else "server")
                for name, flags, ahead, ahead_ack in SEGMENTS:
                    out.append((side + name, fam, way, segment_into(flow, as_client, flags, ahead, ahead_ack)))
                out.append((side + "UDP of the same ports", fam, way, datagram_into(flow, as_client)))
                for name, kind, code, rest in ERRORS6 if flow.six else ERRORS4:
                    out.append((side + "own error, " + name, fam, way, error_into(flow, as_client, kind, code, rest)))
                for n in CHAINS if flow.six else ():
                    out.append((side + "own error behind %d headers" % n, fam, way,
                                error_into(flow, as_client, *ERRORS6[0][1:], ahead=n)))
    return out


def misbehaviours(flows):
    """What an end of an allowed flow sends into it that belongs to none: (name, family, way, build, isolated)."""
    out = []
    for flow in flows:
        for as_client in (True, False):
            here, to = (flow.client, flow.server) if as_client else (flow.server, flow.client)
            for name, flags, ahead, ahead_ack, kw in BROKEN:
                out.append(("%s, the %s sends %s" % (flow.name(), "client" if as_client else "server", name),
                            "6" if flow.six else "4", Way(here, to),
                            segment_into(flow, as_client, flags, ahead, ahead_ack, **kw),
                            "one" in (here, to)))
    return out
