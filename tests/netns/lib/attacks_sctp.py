# SPDX-License-Identifier: Apache-2.0
"""attacks_sctp.py - F4 for SCTP: a HEARTBEAT of either end makes conntrack an entry, whoever opened the association.

The packets are made by hand, so that it runs also where the kernel has no SCTP sockets; where it has them, the
pods' own kernels are kept from answering.
"""
import itertools
import socket as I
import struct
import time

import wire
from craft import CRC, chunk
from harness import HarnessError

PORT = 8080
CLOSED = "net/netfilter/nf_conntrack_sctp_timeout_closed"
TAG = {"up": 0x5EED0002, "down": 0x5EED0001}  # what packets of that way carry: the receiver's own
_ports = itertools.count(42000)
_numbers = itertools.count(1)


def packet(src, dst, sport, dport, tag, chunks):
    head = struct.pack(">HHII", sport, dport, tag, 0)
    crc = 0xFFFFFFFF
    for b in head + chunks:
        crc = crc >> 8 ^ CRC[(crc ^ b) & 255]
    body = head[:8] + struct.pack("<I", ~crc & 0xFFFFFFFF) + chunks
    return wire.ip_header(src, dst, 132, len(body)) + body


def init(kind, tag, more=b""):
    return chunk(kind, 0, struct.pack(">IIHHI", tag, 1 << 16, 1, 1, 1) + more)


class Assoc:
    """What a client and a server would send, and whether it arrives at the other's link."""

    def __init__(self, client, client_ip, server, server_ip):
        self.port = next(_ports)
        self.ends = {"up": (client, client_ip, self.port, server, server_ip, PORT),
                     "down": (server, server_ip, PORT, client, client_ip, self.port)}
        self.ear = {}
        for way, (_, _, _, receiver, to, _) in self.ends.items():
            with receiver.inside():
                self.ear[way] = I.socket(I.AF_PACKET, I.SOCK_RAW, I.ntohs(0x86DD if ":" in to else 0x800))

    def put(self, way, chunks, tag=None, seconds=0.6):
        src, src_ip, sport, _, dst_ip, dport = self.ends[way]
        p = packet(src_ip, dst_ip, sport, dport, TAG[way] if tag is None else tag, chunks)
        wire.send_ip(src, p)
        return wire.got(self.ear[way], p[-len(chunks) - 12:], seconds)

    def open(self):
        """The handshake, every packet of which must arrive."""
        cookie = struct.pack(">HHI", 7, 8, next(_numbers))
        return (self.put("up", init(1, TAG["down"]), 0, 3) and self.put("down", init(2, TAG["up"], cookie), None, 3) and
                self.put("up", chunk(10, 0, b"cook"), None, 3) and self.put("down", chunk(11, 0, b""), None, 3))

    def data(self, way, seconds=0.6):
        return self.put(way, chunk(0, 3, struct.pack(">IHHII", next(_numbers), 0, 0, 0, next(_numbers))), None, seconds)

    def beat(self, way, answer=False, seconds=0.6):
        return self.put(way, chunk(5 if answer else 4, 0, struct.pack(">HHI", 1, 8, next(_numbers))), None, seconds)

    def abort(self):
        self.put("up", chunk(6, 0, b""), None, 0.1)

    def revived(self):
        """The server's heartbeat, the client's answer, and data both ways: what of it arrives."""
        steps = (("server's heartbeat", lambda: self.beat("down")), ("client's answer", lambda: self.beat("up", True)),
                 ("client's data", lambda: self.data("up")), ("server's data", lambda: self.data("down")))
        return [name for name, step in steps if step()]

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        for s in self.ear.values():
            s.close()


def hush(pod):
    """Its kernel answers no SCTP: packet sockets hear it before."""
    pod.sh("nft 'add table inet hush; add chain inet hush c { type filter hook prerouting priority -400; }; "
           "add rule inet hush c meta l4proto 132 drop'")


def attempt(bed, client, server, index, lose, revoke=True):
    """Revoke the client's association, make conntrack forget it, let the server send: what arrives?"""
    with Assoc(client, client.ips[index], server, server.ips[index]) as assoc:
        if not (assoc.open() and assoc.data("up", 3) and assoc.data("down", 3)):
            raise HarnessError("the association does not work")
        if revoke:
            bed.revoke_a()
            if assoc.data("up") or assoc.data("down"):
                return ["not cut at all"]
        if lose == "flush":
            wire.flush_conntrack(bed.node)
        else:
            assoc.abort()
            time.sleep(1.5)  # its entry is closed, and goes
        through = assoc.revived()
    if revoke:
        bed.allow_a()
    return through


def f4_sctp(bed, res):
    for pod in bed.pods.values():
        hush(pod)
    bed.node.sysctl(CLOSED, 1)  # 10 s by default
    for index, family in enumerate(("IPv4", "IPv6")):
        for lose in ("flush", "abort"):
            res.attack("SCTP revoked, its entry lost by %s, then the server's heartbeat (%s)" % (lose, family),
                       attempt(bed, bed.a, bed.b, index, lose))
        for lose in ("flush", "abort"):
            seen = attempt(bed, bed.d, bed.f, index, lose, False)
            res.control("between pods that no policy selects a heartbeat makes a flow (%s): %s" % (family, seen),
                        len(seen) == 4)
        with Assoc(bed.a, bed.a.ips[index], bed.b, bed.b.ips[index]) as again:
            res.control("an allowed client opens again (%s)" % family, again.open() and again.data("up", 3))
    with bed.bare():
        seen = attempt(bed, bed.a, bed.b, 0, "flush", False)
        res.control("without our table a heartbeat revives it: %s" % seen, len(seen) == 4)
