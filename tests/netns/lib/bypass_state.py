# SPDX-License-Identifier: Apache-2.0
"""bypass_state.py - what a pod may say to steer others: ARP, neighbours, routers, redirects (XD9, XD10, XD18, E_24).

After every case the neighbours, routes and addresses of the node, of the world and of every other pod are what they
were. The bare control: without our table, and with ARP on again on the pods' links, the same frames do move them.
"""
import socket as I
import struct

import craft
import wire
from craft import Addressed, arp, icmp, ip6, nd_option

VOLATILE = {28: {3, 4}, 24: {12}, 20: {6}}  # attributes that age: of neighbours, routes, addresses
PREFIX = nd_option(3, struct.pack(">BBIII", 64, 0xC0, 3600, 3600, 0) + wire.packed("2001:db8:bad::"))


class Tables:
    """Everything that a namespace knows of neighbours, routes and addresses."""

    def __init__(self, ends):
        self.sockets = {}
        for name, end in ends.items():
            with end.inside():
                self.sockets[name] = I.socket(I.AF_NETLINK, I.SOCK_RAW, 0)

    def _dump(self, s, kind, head):
        s.send(struct.pack("=IHHII", 16 + head, kind, 0x301, 1, 0) + b"\0" * head)
        out = set()
        while True:
            data = s.recv(1 << 18)
            while data:
                size, what = struct.unpack_from("=IH", data)
                if what == 3:
                    return out
                out.add(self._plain(what, data[16:size], head))
                data = data[(size + 3) & ~3:]

    @staticmethod
    def _plain(what, body, head):
        parts, at = [what], head
        parts.append(body[:8] if what == 28 else body[:head])  # a neighbour's state ages
        while at + 4 <= len(body):
            size, kind = struct.unpack_from("=HH", body, at)
            if kind not in VOLATILE.get(what, ()):
                parts.append(body[at:at + size])
            at += (size + 3) & ~3
        return tuple(parts)

    def of(self, name):
        s = self.sockets[name]
        out = self._dump(s, 30, 12) | self._dump(s, 26, 12) | self._dump(s, 22, 8)
        # not what a namespace notes of the groups to which it sent something itself, nor whom it asked for in vain
        return {row for row in out if row[0] != 28 or (self._answered(row) and not self._group(row))}

    @staticmethod
    def _answered(row):
        return any(p[2:4] == b"\2\0" for p in row[2:])

    @staticmethod
    def _group(row):
        return any(p[2:4] == b"\1\0" and p[4:5] in (b"\xff", b"\xe0") for p in row[2:])

    def all(self, but=None):
        return {name: self.of(name) for name in self.sockets if name != but}

    def close(self):
        for s in self.sockets.values():
            s.close()


def mac(c, name=None):
    return c.bed.macs[name or c.way.sender][0]


def v4(c, name):
    return c.bed.address(name, False)


def v6(c, name):
    return c.bed.address(name, True)


ZERO, ALL = b"\0" * 6, b"\xff" * 6


def arp_case(op, sender, target, **kw):
    """sender and target are names of ends or addresses."""
    def build(c):
        who = v4(c, sender) if sender in c.bed.ends else sender
        whom = v4(c, target) if target in c.bed.ends else target
        who, whom = who or c.src, whom or c.src
        smac = kw.get("smac", mac(c))
        return [arp(op, smac, who, kw.get("tmac", ZERO if op == 1 else ALL), whom, dst=kw.get("dst", ALL),
                    src=mac(c), tail=c.data(2))]
    return build


STRANGER = b"\2\xaa\xaa\xaa\xaa\xaa"
GATE = "169.254.1.1"
ARP = [
    ("request for the gateway", arp_case(1, None, GATE)), ("request for the node", arp_case(1, None, "node")),
    ("request for another pod", arp_case(1, None, "free")),
    ("request for the world's gateway", arp_case(1, None, "100.64.255.254")),
    ("request for nobody", arp_case(1, None, "10.244.1.200")), ("probe", arp_case(1, "0.0.0.0", "free")),
    ("gratuitous, own", arp_case(1, None, None)), ("gratuitous, another pod's", arp_case(1, "free", "free")),
    ("gratuitous, the node's", arp_case(1, "node", "node")), ("gratuitous, the gateway's", arp_case(1, GATE, GATE)),
    ("gratuitous, the world gateway's", arp_case(1, "100.64.255.254", "100.64.255.254")),
    ("reply, another pod's to the node", arp_case(2, "free", "node")),
    ("reply, nobody's", arp_case(2, "10.244.1.200", "node")),
    ("reply, the world gateway's", arp_case(2, "100.64.255.254", "node")), ("reply, own", arp_case(2, None, "node")),
    ("reply, the world's", arp_case(2, "world", "node")), ("reply to everybody", arp_case(2, "free", "free")),
    ("request as another pod", arp_case(1, "free", "node")), ("request as nobody", arp_case(1, "10.9.8.7", "node")),
    ("request as 127.0.0.1", arp_case(1, "127.0.0.1", "node")),
    ("request as a multicast address", arp_case(1, "224.0.0.9", "node")),
    ("request with a stranger's MAC", arp_case(1, None, "node", smac=STRANGER)),
    ("request with a multicast MAC", arp_case(1, None, "node", smac=b"\1\0\x5e\0\0\1")),
    ("inverse request", arp_case(8, None, "node")), ("inverse reply", arp_case(9, "free", "node")),
    ("DHCP's RARP", arp_case(3, None, "node")), ("operation 0", arp_case(0, "free", "node")),
    ("operation 65535", arp_case(65535, "free", "node")),
]

NODE_LL = "fe80::1"


def nd(src, dst, kind, rest, body, hops=255, mac_to=None, wrap=None):
    """One ICMPv6 message; src, dst: a name, an address or "" for the pod's own link-local address."""
    def build(c):
        who = v6(c, src) if src in c.bed.ends else (src or c.bed.link_local(c.way.sender))
        whom = v6(c, dst) if dst in c.bed.ends else dst
        here = c.at(who, whom)
        here.six = True
        payload = body(c) if callable(body) else body
        message = icmp(here, kind, 0, rest, payload)
        to = mac_to
        if wire.packed(whom)[0] == 255:
            to = b"\x33\x33" + wire.packed(whom)[12:]
        packets = wrap(here, message) if wrap else [ip6(who, whom, 58, message, hops=hops)]
        return [Addressed(p, dst_mac=to) for p in packets]
    return build


def own(c):
    return v6(c, c.way.sender)


def target(name, option, sub=None):
    """A target address, an option with the sender's MAC, and the tokens in an option that nobody knows."""
    def body(c):
        who = v6(c, name) if name in c.bed.ends else (name or own(c))
        return wire.packed(who) + (nd_option(option, mac(c)) if option else b"") + nd_option(253, c.data(2))
    return body


def advert(*options, life=1800):
    def body(c):
        return struct.pack(">II", 0, 0) + nd_option(1, mac(c)) + b"".join(options) + nd_option(253, c.data(2))
    return body


def redirect(dst):
    def body(c):
        return wire.packed(c.bed.link_local(c.way.sender)) + wire.packed(v6(c, dst)) + nd_option(2, mac(c)) + \
            nd_option(253, c.data(2))
    return body


def pieces(here, message):
    return craft.fragments(here, 58, craft.cut(message, 24))


def behind_options(here, message):
    return [ip6(here.src, here.dst, 60, craft.options_header(58) + message, hops=255)]


def behind_hop(here, message):
    return [ip6(here.src, here.dst, 0, craft.options_header(58, b"\5\2\0\0") + message, hops=255)]


OVERRIDE, SOLICITED, ROUTER = 0x20000000, 0x40000000, 0x80000000
RA_HEAD = 64 << 24 | 1800
N = "2001:db8:1::1"
ND = [
    ("solicitation as another pod", nd("free", "ff02::1:ff00:1", 135, 0, target("node", 1))),
    ("solicitation as nobody", nd("fd00:10:244:1::200", "ff02::1:ff00:1", 135, 0, target("node", 1))),
    ("solicitation as nobody, to the node", nd("2001:db8:9::9", N, 135, 0, target("node", 1))),
    ("solicitation from a forged link-local address", nd("fe80::dead", N, 135, 0, target("node", 1))),
    ("solicitation as the world's gateway", nd("fe80::ff", N, 135, 0, target("node", 1))),
    ("solicitation, hop limit 64", nd("fe80::dead", N, 135, 0, target("node", 1), hops=64)),
    ("duplicate address detection of another pod's", nd("::", "ff02::1:ff00:102", 135, 0, target("free", None))),
    ("duplicate address detection of the node's", nd("::", "ff02::1:ff00:1", 135, 0, target("node", None))),
    ("advertisement of another pod's, override", nd("free", N, 136, OVERRIDE | SOLICITED, target("free", 2))),
    ("advertisement of another pod's from a forged address", nd("fe80::dead", N, 136, OVERRIDE, target("free", 2))),
    ("advertisement of the world's gateway, override, router", nd("fe80::ff", N, 136, OVERRIDE | ROUTER,
                                                                  target("fe80::ff", 2))),
    ("advertisement of the gateway's, router", nd("fe80::1", "ff02::1", 136, OVERRIDE | ROUTER, target("fe80::1", 2))),
    ("advertisement of the node's to all", nd("node", "ff02::1", 136, OVERRIDE, target("node", 2))),
    ("advertisement to another pod", nd("fe80::1", "free", 136, OVERRIDE | ROUTER, target("fe80::1", 2))),
    ("advertisement in pieces", nd("fe80::dead", N, 136, OVERRIDE, target("free", 2), wrap=pieces)),
    ("advertisement behind options", nd("fe80::dead", N, 136, OVERRIDE, target("free", 2), wrap=behind_options)),
    ("router advertisement", nd("", "ff02::1", 134, RA_HEAD, advert())),
    ("router advertisement from a forged address", nd("fe80::dead", "ff02::1", 134, RA_HEAD, advert())),
    ("router advertisement of a prefix", nd("", "ff02::1", 134, RA_HEAD, advert(PREFIX))),
    ("router advertisement of a route", nd("", "ff02::1", 134, RA_HEAD,
                                           advert(nd_option(24, struct.pack(">BBI", 0, 0x08, 3600))))),
    ("router advertisement of a link's size",

         nd("", "ff02::1", 134, RA_HEAD, advert(nd_option(5, struct.pack(">HI", 0, 1280))))),
    ("router advertisement of a name server", nd("", "ff02::1", 134, RA_HEAD,
                                                 advert(nd_option(25,
                                                                  b"\0\0\0\0\x0e\x10" + wire.packed("2001:db8::53"))))),
    ("router advertisement as the world's gateway", nd("fe80::ff", "ff02::1", 134, RA_HEAD, advert())),
    ("router advertisement to the node alone", nd("", N, 134, RA_HEAD, advert())),
    ("router advertisement to another pod", nd("fe80::1", "free", 134, RA_HEAD, advert())),
    ("router advertisement, hop limit 64", nd("", "ff02::1", 134, RA_HEAD, advert(), hops=64)),
    ("router advertisement in pieces", nd("", "ff02::1", 134, RA_HEAD, advert(), wrap=pieces)),
    ("router advertisement behind options", nd("", "ff02::1", 134, RA_HEAD, advert(), wrap=behind_options)),
    ("router advertisement behind hop-by-hop", nd("", "ff02::1", 134, RA_HEAD, advert(), wrap=behind_hop)),
    ("router solicitation", nd("", "ff02::2", 133, 0, lambda c: nd_option(1, mac(c)) + nd_option(253, c.data(2)))),
    ("router solicitation as nobody", nd("fe80::dead", "ff02::2", 133, 0,
                                         lambda c: nd_option(1, mac(c)) + nd_option(253, c.data(2)))),
    ("redirect of the world", nd("", N, 137, 0, redirect("world"))),
    ("redirect as the world's gateway", nd("fe80::ff", N, 137, 0, redirect("world"))),
    ("redirect of another pod", nd("", N, 137, 0, redirect("free"))),
    ("redirect to another pod, as its gateway", nd("fe80::1", "free", 137, 0, redirect("world"))),
    ("listener query", nd("", "ff02::1", 130, 1000 << 16, lambda c: b"\0" * 16 + c.data(2), hops=1, wrap=behind_hop)),
    ("listener report", nd("", "ff02::fb", 131, 0, lambda c: wire.packed("ff02::fb") + c.data(2), hops=1,
                           wrap=behind_hop)),
    ("listener report 2", nd("", "ff02::16", 143, 1, lambda c: b"\4\0\0\0" + wire.packed("ff02::fb") + c.data(2),
                             hops=1,
                             wrap=behind_hop)),
    ("listener done", nd("", "ff02::2", 132, 0, lambda c: wire.packed("ff02::fb") + c.data(2), hops=1,
                         wrap=behind_hop)),
]


def cases():
    return [("4", "ARP, " + name, build) for name, build in ARP] + [("6", name, build) for name, build in ND]


# Without our table, and with ARP on, these move the node's tables for certain. Others may (how long ago an entry
# changed counts too) or may not: the row says that this control says nothing.
MOVES = {"ARP, request as nobody", "ARP, reply, nobody's", "router advertisement", "router advertisement of a prefix",
         "router advertisement from a forged address", "router advertisement as the world's gateway"}
NO_CONTROL = "the node's own kernel need not take notice of it"


def open_wide(bed):
    """ARP on the pods' links, routers believed, gratuitous ARP taken."""
    for name in bed.ends:
        if name not in ("world", "node"):
            link = bed.ends[name].host_link()
            bed.node.ip("link set %s arp on" % link)
            bed.node.sysctl("net/ipv6/conf/%s/accept_ra" % link, 2)
            bed.node.sysctl("net/ipv4/conf/%s/arp_accept" % link, 1)
