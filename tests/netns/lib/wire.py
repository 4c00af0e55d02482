# SPDX-License-Identifier: Apache-2.0
"""wire.py - packets made by hand and sent past the kernel's own checks, for the attack tests."""
import socket
import struct
import time

from harness import silence

I = socket


def checksum(data):
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(">%dH" % (len(data) // 2), data))
    total = (total >> 16) + (total & 0xFFFF)
    total += total >> 16
    return ~total & 0xFFFF


def packed(address):
    return I.inet_pton(I.AF_INET6 if ":" in address else I.AF_INET, address)


def ip_header(src, dst, proto, length, ttl=64):
    if ":" in src:
        return struct.pack(">IHBB", 0x60000000, length, proto, ttl) + packed(src) + packed(dst)
    h = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + length, 7, 0, ttl, proto, 0, packed(src), packed(dst))
    return h[:10] + struct.pack(">H", checksum(h)) + h[12:]


def pseudo(src, dst, proto, body):
    if ":" in src:
        return packed(src) + packed(dst) + struct.pack(">II", len(body), proto) + body
    return packed(src) + packed(dst) + struct.pack(">BBH", 0, proto, len(body)) + body


def udp(src, dst, sport, dport, payload):
    body = struct.pack(">HHHH", sport, dport, 8 + len(payload), 0) + payload
    c = checksum(pseudo(src, dst, 17, body)) or 0xFFFF
    body = body[:6] + struct.pack(">H", c) + body[8:]
    return ip_header(src, dst, 17, len(body)) + body


def tcp(src, dst, sport, dport, seq, ack, flags, payload=b""):
    body = struct.pack(">HHIIBBHHH", sport, dport, seq & 0xFFFFFFFF, ack & 0xFFFFFFFF, 0x50, flags, 1000, 0, 0)
    body += payload
    body = body[:16] + struct.pack(">H", checksum(pseudo(src, dst, 6, body))) + body[18:]
    return ip_header(src, dst, 6, len(body)) + body


def icmp(src, dst, kind, code, rest, payload, ttl=64):
    body = struct.pack(">BBHI", kind, code, 0, rest) + payload
    six = ":" in src
    c = checksum(pseudo(src, dst, 58, body) if six else body)
    body = body[:2] + struct.pack(">H", c) + body[4:]
    return ip_header(src, dst, 58 if six else 1, len(body), ttl) + body


def icmp_error(src, dst, quoted, kind=None, code=None):
    """An error from src to dst that quotes a packet; default: administratively prohibited."""
    if ":" in src:
        return icmp(src, dst, 1 if kind is None else kind, 1 if code is None else code, 0, quoted)
    return icmp(src, dst, 3 if kind is None else kind, 13 if code is None else code, 0, quoted)


def send_ip(ns, packet):
    """Send a whole IP packet through ns's routing, whatever its source says."""
    if packet[0] >> 4 == 4:
        with ns.socket(I.AF_INET, I.SOCK_RAW, 255) as s:
            s.sendto(packet, (I.inet_ntop(I.AF_INET, packet[16:20]), 0))
        return
    with ns.socket(I.AF_INET6, I.SOCK_RAW, 255) as s:
        s.setsockopt(I.IPPROTO_IPV6, 36, 1)  # IPV6_HDRINCL
        s.sendto(packet, (I.inet_ntop(I.AF_INET6, packet[24:40]), 0))


def mac_bytes(text):
    return bytes.fromhex(text.replace(":", ""))


def link_macs(pod):
    """(the pod's MAC, its gateway's MAC) of eth0."""
    own = pod.sh("cat /sys/class/net/eth0/address 2>/dev/null || true")
    line = pod.sh("ip -o link show eth0")
    own = line.split("link/ether ")[1].split()[0]
    for entry in pod.sh("ip neigh show dev eth0").splitlines():
        words = entry.split()
        if "lladdr" in words:
            return mac_bytes(own), mac_bytes(words[words.index("lladdr") + 1])
    raise OSError("no neighbour on eth0 of " + pod.name)


class Frames:
    """A packet socket on eth0 of a pod: send frames, see what comes."""

    def __init__(self, pod, device="eth0"):
        with pod.inside():
            self.s = I.socket(I.AF_PACKET, I.SOCK_RAW, I.ntohs(3))
            self.s.bind((device, 3))
        self.own, self.gateway = link_macs(pod)

    def send(self, packet, dst_mac=None, src_mac=None):
        kind = b"\x08\x00" if packet[0] >> 4 == 4 else b"\x86\xdd"
        self.s.send((dst_mac or self.gateway) + (src_mac or self.own) + kind + packet)

    def send_raw(self, frame):
        self.s.send(frame)

    def seen(self, wanted, seconds=0.5):
        """The first frame for which wanted(frame) holds, or None."""
        end = time.monotonic() + silence(seconds)
        while time.monotonic() < end:
            self.s.settimeout(max(0.01, end - time.monotonic()))
            try:
                frame = self.s.recv(4096)
            except OSError:
                continue
            if wanted(frame):
                return frame
        return None

    def close(self):
        self.s.close()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()


def arp(op, sender_mac, sender, target):
    return (b"\xff" * 6 + sender_mac + b"\x08\x06" + struct.pack(">HHBBH", 1, 0x800, 6, 4, op) +
            sender_mac + packed(sender) + b"\0" * 6 + packed(target))


def got(s, marker, seconds=0.6):
    """Does a packet with these bytes arrive at the socket?"""
    end = time.monotonic() + silence(seconds)
    while time.monotonic() < end:
        s.settimeout(max(0.01, end - time.monotonic()))
        try:
            if marker in s.recv(4096):
                return True
        except OSError:
            continue
    return False


def flush_conntrack(ns):
    """Forget every flow of a namespace, as `conntrack -F` does."""
    with ns.inside():
        s = I.socket(I.AF_NETLINK, I.SOCK_RAW, 12)  # NETLINK_NETFILTER
    with s:
        # nlmsghdr (IPCTNL_MSG_CT_DELETE of NFNL_SUBSYS_CTNETLINK, REQUEST|ACK), nfgenmsg of no family
        s.send(struct.pack("=IHHII", 20, (1 << 8) | 2, 5, 1, 0) + struct.pack("=BBH", 0, 0, 0))
        error, = struct.unpack_from("=i", s.recv(4096), 16)
    if error:
        raise OSError(-error, "flush conntrack")
