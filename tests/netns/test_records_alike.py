#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The same packets through both dataplanes: the same records, member by member, and the same counts by reason.

    test_records_alike.py [--build DIR]
"""
import argparse
import json
import os
import socket
import struct
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
import harness  # noqa: E402
from monbed import WORLD, Bed, expect, until  # noqa: E402

VOLATILE = ("id", "time", "backend", "node_name")
ACK, SYN, RST = 0x10, 0x02, 0x04


def checksum(data):
    total = sum(struct.unpack("!%dH" % (len(data) // 2), data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def ip4(src, dst, proto, data, options=b""):
    words = 5 + len(options) // 4
    head = struct.pack("!BBHHHBBH4s4s", 0x40 | words, 0, words * 4 + len(data), 7, 0, 64, proto, 0,
                       socket.inet_aton(src), socket.inet_aton(dst)) + options
    return head[:10] + struct.pack("!H", checksum(head)) + head[12:] + data


def udp(sport, dport):
    return struct.pack("!HHHH", sport, dport, 9, 0) + b"x"


def tcp(src, dst, sport, dport, flags):
    seg = struct.pack("!HHIIBBHHH", sport, dport, 1000, 2000, 0x50, flags, 1024, 0, 0)
    pseudo = socket.inet_aton(src) + socket.inet_aton(dst) + struct.pack("!HH", 6, len(seg))
    return seg[:16] + struct.pack("!H", checksum(pseudo + seg)) + seg[18:]


def raw(ns, packet, dst):
    with ns.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as s:
        s.sendto(packet, (dst, 0))


def datagram(ns, src, sport, dst, dport):
    with ns.socket(socket.AF_INET6 if ":" in dst else socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.bind((src, sport))
        s.sendto(b"x", (dst, dport))


def group_of(node):
    links = json.loads(node.run(["ip", "-j", "link", "show"]).stdout)
    return next(x["group"] for x in links if x["group"] != "default")


def stray(bed):
    """A link in the pods' group of which nobody has heard; sends one packet."""
    ns = bed.lab.pod("stray")
    node = bed.node
    node.run(["ip", "link", "add", "rsstray", "type", "veth", "peer", "name", "eth9", "netns", ns.name])
    node.run(["ip", "link", "set", "rsstray", "group", group_of(node), "up"])
    ns.ip("link set eth9 up")
    mac = json.loads(node.run(["ip", "-j", "link", "show", "rsstray"]).stdout)[0]["address"]
    frame = bytes.fromhex(mac.replace(":", "")) + b"\x02\0\0\0\0\x09" + b"\x08\0"
    time.sleep(0.2)
    with ns.socket(socket.AF_PACKET, socket.SOCK_RAW) as s:
        s.bind(("eth9", 0))
        s.send(frame + ip4("10.244.1.200", bed.db.ip4(), 17, udp(4009, 5432)))


def packets(bed):
    """How many records they make, in order."""
    web, db, api = bed.web, bed.db, bed.api
    steps = [lambda: datagram(web, web.ip4(), 4001, db.ip4(), 5432),
             lambda: datagram(web, web.ip6(), 4002, db.ip6(), 53),
             lambda: datagram(db, db.ip4(), 4003, WORLD[0], 443),
             lambda: datagram(db, db.ip6(), 4004, WORLD[1], 443),
             lambda: datagram(db, db.ip4(), 4005, bed.node.ips[0], 10250),
             lambda: raw(web, ip4(web.ip4(), db.ip4(), 6, tcp(web.ip4(), db.ip4(), 4011, 5432, SYN)), db.ip4()),
             lambda: raw(api, ip4(api.ip4(), db.ip4(), 6, tcp(api.ip4(), db.ip4(), 4012, 5432, ACK)), db.ip4()),
             lambda: raw(db, ip4(db.ip4(), WORLD[0], 6, tcp(db.ip4(), WORLD[0], 4013, 443, ACK)), WORLD[0]),
             lambda: raw(api, ip4(api.ip4(), db.ip4(), 6, tcp(api.ip4(), db.ip4(), 4014, 5432, RST)), db.ip4()),
             lambda: raw(db, ip4(db.ip4(), WORLD[0], 17, udp(4015, 9), b"\x01\x01\x01\x00"), WORLD[0]),
             lambda: raw(web, ip4("10.9.9.9", db.ip4(), 17, udp(4016, 5432)), db.ip4()),
             lambda: raw(web, ip4(api.ip4(), db.ip4(), 17, udp(4017, 5432)), db.ip4()),
             lambda: web.run(["ping", "-c1", "-W1", db.ip4()], check=False),
             lambda: web.run(["ping", "-c1", "-W1", db.ip6()], check=False),
             lambda: raw(web, ip4(web.ip4(), db.ip4(), 47, b"\0\0\x08\0"), db.ip4()),
             lambda: stray(bed)]
    for i, step in enumerate(steps):
        step()
        expect(until(lambda n=i: len(bed.records()) > n), "no record of step %d" % i, bed.kernel())
    return len(steps)


def play(build, dataplane):
    harness.PLANE = harness.planes.PLANES[dataplane]
    with Bed(build, "--log-rate", "10000") as bed:
        n = packets(bed)
        records = bed.records()
        expect(len(records) == n, len(records), "records of", n, "packets")
        expect(all(r["backend"] == dataplane for r in records), "control: the dataplane", records[0])
        drops = bed.node.ctl("status")["drops"]
        text = json.dumps([{k: v for k, v in r.items() if k not in VOLATILE} for r in records])
        return json.loads(text.replace(bed.node.dir, "")), drops


def differences(nft, ebpf):
    for i, (a, b) in enumerate(zip(nft, ebpf)):
        for key in sorted(a.keys() | b.keys()):
            if a.get(key) != b.get(key):
                yield "packet %d (%s), %s: nft %s, ebpf %s" % (i, a["reason"], key, a.get(key), b.get(key))


def main():
    ap = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    ap.add_argument("--build", default=None)
    args = ap.parse_args()
    harness.start()
    (nft, nft_drops), (ebpf, ebpf_drops) = play(args.build, "nft"), play(args.build, "ebpf")
    wrong = list(differences(nft, ebpf))
    if nft_drops != ebpf_drops:
        wrong.append("counts by reason: nft %s, ebpf %s" % (nft_drops, ebpf_drops))
    for line in wrong:
        print("WRONG " + line)
    print("         %d records alike, reasons %s" % (len(nft) - len(wrong), sorted({r["reason"] for r in nft})))
    print("%d passed, %d failed, 0 skipped" % (not wrong, bool(wrong)))
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
