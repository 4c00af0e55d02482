# SPDX-License-Identifier: Apache-2.0
"""pcapng.py - reads a pcapng file, written from its specification (draft-ietf-opsawg-pcapng); refuses what it does not know."""
import ipaddress
import struct
from collections import namedtuple

Packet = namedtuple("Packet", "time comment flags length full src dst proto sport dport data")


def options(data, where):
    out, at = {}, 0
    while at < len(data):
        code, n = struct.unpack_from("=HH", data, at)
        at += 4
        if not code:
            assert n == 0 and at == len(data), (where, "bytes behind the last option")
            return out
        assert code not in out, (where, "option twice", code)
        out[code] = data[at:at + n]
        assert len(out[code]) == n and not any(data[at + n:at + n + -n % 4]), (where, "option", code)
        at += n + -n % 4
    assert not data, (where, "no end of options")
    return out


def addresses(d):
    if d[0] >> 4 == 4:
        head = (d[0] & 15) * 4
        return str(ipaddress.ip_address(d[12:16])), str(ipaddress.ip_address(d[16:20])), d[9], head
    assert d[0] >> 4 == 6, d[:1]
    return str(ipaddress.ip_address(d[8:24])), str(ipaddress.ip_address(d[24:40])), d[6], 40


def packet(body):
    interface, high, low, n, full = struct.unpack_from("=IIIII", body)
    assert interface == 0 and full >= n, (interface, n, full)
    data = body[20:20 + n]
    opt = options(body[20 + n + -n % 4:], "packet")
    src, dst, proto, head = addresses(data)
    ports = struct.unpack_from(">HH", data, head) if proto in (6, 17) and len(data) >= head + 4 else (None, None)
    return Packet((high << 32 | low) / 1e9, opt[1].decode(), struct.unpack("=I", opt[2])[0], n, full, src, dst, proto, *ports, data)


class File:
    """.name and .about of the interface, .packets, and .received and .lost (None: the file does not end as it should)."""

    def __init__(self, data):
        self.packets, self.received, self.lost, at, kinds = [], None, None, 0, []
        while at < len(data):
            kind, n = struct.unpack_from("=II", data, at)
            assert n % 4 == 0 and n >= 12 and struct.unpack_from("=I", data, at + n - 4)[0] == n, (kind, n, at)
            assert self.received is None, "a block behind the statistics"
            kinds.append(kind)
            self.block(kind, data[at + 8:at + n - 4])
            at += n
        assert kinds[:2] == [0x0a0d0d0a, 1], kinds[:2]

    def block(self, kind, body):
        if kind == 0x0a0d0d0a:
            assert struct.unpack_from("=IHHq", body) == (0x1a2b3c4d, 1, 0, -1), body[:16]
            assert options(body[16:], "section")[4].startswith(b"ripstop "), body
        elif kind == 1:
            link, _, self.snaplen = struct.unpack_from("=HHI", body)
            opt = options(body[8:], "interface")
            assert link == 101 and opt[9] == b"\x09", (link, opt)
            self.name, self.about = opt[2].decode(), opt[3].decode()
        elif kind == 6:
            self.packets.append(packet(body))
        elif kind == 5:
            opt = options(body[12:], "statistics")
            self.received, self.lost = struct.unpack("=Q", opt[4])[0], struct.unpack("=Q", opt[5])[0]
        else:
            raise AssertionError("block %d" % kind)
