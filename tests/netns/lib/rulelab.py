# SPDX-License-Identifier: Apache-2.0
"""rulelab.py - one namespace in which the kernel's verdict on a packet is known at once.

Everything that leaves goes to a link without a queue, whose other end is in a namespace that ignores it. A packet socket on it sees what passed the hooks output
and postrouting before sendto() returns: no waiting, no receiver.
"""
import ctypes
import os
import socket
import struct
import subprocess

CLONE_NEWNET = 0x40000000
MAGIC = b"rsWALK"
SO_MARK = 36
IPV6_HDRINCL = 36
UDP, TCP, ICMP, ICMP6, SCTP = 17, 6, 1, 58, 132


class LabError(Exception):
    """The test bed itself failed."""


def sh(*argv, text=None):
    run = subprocess.run(argv, input=text, capture_output=True, text=True)
    return run.returncode, run.stdout, run.stderr


def must(*argv, text=None):
    rc, out, err = sh(*argv, text=text)
    if rc:
        raise LabError("%s: %s" % (" ".join(argv), err.strip()))
    return out


def nft(script):
    """Load a script of nft; its complaint, or nothing."""
    rc, _, err = sh("nft", "-f", "-", text=script)
    return err.strip() or "exit %d" % rc if rc else ""


def total(data):
    if len(data) % 2:
        data += b"\0"
    s = sum(struct.unpack("!%dH" % (len(data) // 2), data))
    while s >> 16:
        s = (s & 0xffff) + (s >> 16)
    return ~s & 0xffff


def family(addr):
    return socket.AF_INET6 if ":" in addr else socket.AF_INET


def upper(p, body):
    """The header behind IP's, with the body; sums that nobody checks stay zero."""
    proto = p["proto"]
    if proto == UDP:
        return struct.pack("!HHHH", p["sport"], p["dport"], 8 + len(body), 0) + body
    if proto == TCP:
        return struct.pack("!HHIIBBHHH", p["sport"], p["dport"], 7, 0, 5 << 4, p["flags"], 1024, 0, 0) + body
    if proto == SCTP:
        return struct.pack("!HHII", p["sport"], p["dport"], 1, 0) + body
    if proto in (ICMP, ICMP6):
        head = struct.pack("!BBHHH", p["type"], p["code"], 0, p["ident"], 1)
        if proto == ICMP:
            head = struct.pack("!BBHHH", p["type"], p["code"], total(head + body), p["ident"], 1)
        return head + body
    return body


def craft(p, number):
    body = upper(p, MAGIC + struct.pack("!I", number))
    src, dst = (socket.inet_pton(family(p["src"]), p[k]) for k in ("src", "dst"))
    if family(p["src"]) == socket.AF_INET:
        words = p.get("words", 5)
        head = struct.pack("!BBHHHBBH", 0x40 | words, 0, words * 4 + len(body), number & 0xffff, 0, p["ttl"], p["proto"],
                           0) + src + dst + b"\1" * (words * 4 - 20)
        head = head[:10] + struct.pack("!H", total(head)) + head[12:]
    else:
        head = struct.pack("!IHBB", 6 << 28, len(body), p["proto"], p["ttl"]) + src + dst
    return head + body


class RuleLab:
    """Enter a new network namespace (for the rest of this process) and make the link."""

    def __init__(self, build):
        self.tool = os.path.join(build, "tests", "ruleset_tool")
        there = self.new_ns()
        here = self.new_ns()
        must("ip", "link", "set", "lo", "up")
        must("ip", "link", "add", "dm0", "group", "77", "type", "veth", "peer", "name", "dm1", "netns",
             "/proc/%d/fd/%d" % (os.getpid(), there))
        self.enter(there)
        sh("sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=1")
        must("ip", "link", "set", "dm1", "up", "arp", "off")
        self.enter(here)
        must("ip", "link", "set", "dm0", "arp", "off")
        must("ip", "addr", "add", "10.99.0.1/32", "dev", "dm0")
        must("ip", "-6", "addr", "add", "fd99::1/128", "dev", "dm0", "nodad")
        must("ip", "link", "set", "dm0", "up")
        must("ip", "route", "add", "default", "dev", "dm0")
        must("ip", "-6", "route", "add", "default", "dev", "dm0")
        # Tracking for both families, whatever the rules under test ask for; flows must outlive a slow test.
        must("nft", "-f", "-", text="table inet tracked { chain c { type filter hook input priority 0; ct state new; }; }")
        for name in ("udp_timeout", "udp_timeout_stream", "icmp_timeout", "icmpv6_timeout", "generic_timeout",
                     "sctp_timeout_closed", "sctp_timeout_cookie_wait"):
            sh("sysctl", "-qw", "net.netfilter.nf_conntrack_%s=7200" % name)
        self.oif = socket.if_nametoindex("dm0")
        self.number = 0
        self.tap = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK, socket.htons(3))
        self.tap.bind(("dm0", 3))
        self.out = {socket.AF_INET: socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW),
                    socket.AF_INET6: socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_RAW)}
        self.out[socket.AF_INET6].setsockopt(socket.IPPROTO_IPV6, IPV6_HDRINCL, 1)

    @staticmethod
    def call(what, *args):
        libc = ctypes.CDLL(None, use_errno=True)
        if getattr(libc, what)(*args):
            raise LabError("%s: %s" % (what, os.strerror(ctypes.get_errno())))

    def new_ns(self):
        self.call("unshare", CLONE_NEWNET)
        return os.open("/proc/self/ns/net", os.O_RDONLY)

    def enter(self, fd):
        self.call("setns", fd, CLONE_NEWNET)

    def passes(self, p):
        """Send the packet. True: it left, with its own ends unchanged."""
        self.number += 1
        packet = craft(p, self.number)
        s = self.out[family(p["src"])]
        s.setsockopt(socket.SOL_SOCKET, SO_MARK, struct.pack("I", p["mark"]))
        try:
            s.sendto(packet, (p["dst"], 0))
        except PermissionError:
            pass  # a drop at output says so
        want = MAGIC + struct.pack("!I", self.number)
        seen = False
        while True:
            try:
                data = self.tap.recv(4096)
            except BlockingIOError:
                return seen
            # An error message quotes the packet: it is longer in front.
            seen |= data.endswith(want) and len(data) == len(packet)

    def walker(self, table):
        return Walker(self.tool, table)


class Walker:
    """The interpreter, as a program that is asked line by line."""

    def __init__(self, tool, table):
        self.p = subprocess.Popen([tool, table], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.last = ""  # verdict of the last walk
        self.first = self.p.stdout.readline().rstrip("\n")

    def ok(self):
        return self.first.startswith("read\t")

    def ask(self, **words):
        line = " ".join("%s=%s" % kv for kv in words.items() if kv[1] is not None)
        self.p.stdin.write(line + "\n")
        self.p.stdin.flush()
        words = self.p.stdout.readline().rstrip("\n").split("\t")
        if words[0] not in ("accept", "drop"):
            raise LabError("walk %s: %s" % (line, " ".join(words)))
        self.last = words[0]
        keys = ("verdict", "by", "chain", "handle", "mark", "ctmark", "notrack", "log", "comment")
        return dict(zip(keys, words))

    def close(self):
        self.p.stdin.close()
        self.p.stdout.close()
        self.p.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Flows:
    """What conntrack keeps, as far as these packets go: who answered, and the mark."""

    def __init__(self):
        self.seen = {}

    @staticmethod
    def ends(p):
        """The tuple of a packet and that of its answers."""
        if p["proto"] in (ICMP, ICMP6):
            answer = {8: 0, 0: 8, 13: 14, 14: 13, 128: 129, 129: 128}.get(p["type"], p["type"])
            here = (p["src"], p["ident"], p["dst"], p["type"] << 8 | p["code"])
            back = (p["dst"], p["ident"], p["src"], answer << 8 | p["code"])
        elif p["proto"] in (UDP, TCP, SCTP):
            here, back = (p["src"], p["sport"], p["dst"], p["dport"]), (p["dst"], p["dport"], p["src"], p["sport"])
        else:
            here, back = (p["src"], 0, p["dst"], 0), (p["dst"], 0, p["src"], 0)
        return (p["proto"],) + here, (p["proto"],) + back

    def look(self, p):
        """The flow of a packet, made when there is none: its words for the interpreter, and the record."""
        here, back = self.ends(p)
        if here in self.seen:
            flow, reply = self.seen[here], False
        elif back in self.seen:
            flow, reply = self.seen[back], True
            flow["answered"] = True
        else:
            flow, reply = {"answered": False, "mark": 0, "key": here}, False
        a, b = (back, here) if reply else (here, back)
        words = {"state": "established" if flow["answered"] else "new", "reply": int(reply), "ctmark": flow["mark"],
                 "orig_src": a[1], "orig_sport": a[2], "orig_dst": a[3], "orig_dport": a[4],
                 "reply_src": b[1], "reply_sport": b[2], "reply_dst": b[3], "reply_dport": b[4]}
        return flow, words

    def keep(self, flow, accepted, ctmark):
        flow["mark"] = ctmark
        if accepted:
            self.seen[flow["key"]] = flow


def tracked(p):
    """False for what connection tracking calls invalid: no flow begins with it."""
    if p["proto"] == TCP:
        return p["flags"] in (0x02, 0x10, 0x18)
    if p["proto"] == ICMP:
        return p["type"] in (8, 13)
    if p["proto"] == ICMP6:
        return p["type"] == 128
    return p["proto"] != SCTP


def judge(lab, walker, flows, p):
    """(kernel, interpreter) of one packet through output and postrouting, and what the interpreter said last."""
    words = {k: p.get(k) for k in ("src", "dst", "proto", "ttl", "sport", "dport", "flags", "type", "code", "mark", "words")}
    words.update(oif=lab.oif, oifgroup=77, iif=0)
    flow = None
    if tracked(p) or any(k in flows.seen for k in flows.ends(p)):
        flow, more = flows.look(p)
        words.update(more)
    else:
        words.update(state="invalid")
    said = walker.ask(hook="output", **words)
    if said["notrack"]:
        flow = None
        words.update(state="untracked")
    if said["verdict"] == "accept":
        words.update(mark=said["mark"], ctmark=said["ctmark"])
        said = walker.ask(hook="postrouting", **words)
    passed = lab.passes(p)
    if flow:
        flows.keep(flow, passed, int(said["ctmark"], 0))
    return passed, said["verdict"] == "accept", said
