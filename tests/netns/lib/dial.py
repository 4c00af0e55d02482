# SPDX-License-Identifier: Apache-2.0
"""dial.py - connections to addresses that nobody has: what answers to a Service, and whom it believes to answer.

A listener tells its name and the address that it sees; a call says where it went and what became of it:

    with Listeners() as servers:
        servers.open("web", pod, "10.244.1.11", "tcp", 80)
        calls = [Call("friend->web", friend_ns, "10.244.1.12", "tcp", "10.96.0.1", 80, True)]
        dial(servers, calls)     # sets .fate (ok, refused, blocked, held back, error ...), .who, .seen

Every wait is longer on an emulated machine (harness.SLOW).
"""
import contextlib
import errno
import itertools
import os
import resource
import selectors
import socket
import time

from harness import SLOW, is6

FILES = 32768
RESEND_S = (0.0, 0.3, 0.9, 2.0, 4.0, 6.0)
KINDS = {"tcp": (socket.SOCK_STREAM, 0), "udp": (socket.SOCK_DGRAM, 0), "sctp": (socket.SOCK_STREAM, 132)}


def family_of(address):
    return socket.AF_INET6 if is6(address) else socket.AF_INET


def sctp_sockets():
    """Why this kernel has none, or ''."""
    try:
        socket.socket(socket.AF_INET, socket.SOCK_STREAM, 132).close()
        return ""
    except OSError as e:
        return "no SCTP sockets: %s" % e.strerror


def prepare_sctp(ns, sock, address, dst, port):
    """One address, and errors that are told.

    Bound to none, an association tells its peer all addresses of its machine; the peer tries each at once, past the
    NAT that the first one went through, and is sent an ABORT from there. And a port unreachable only counts
    when errors are asked for: without that the socket goes on trying.
    """
    level, option = (socket.IPPROTO_IPV6, 25) if is6(dst) else (socket.IPPROTO_IP, 11)  # *_RECVERR
    sock.setsockopt(level, option, 1)
    if not address:
        with ns.socket(family_of(dst), socket.SOCK_DGRAM) as probe:
            probe.connect((dst, port))
            sock.bind((probe.getsockname()[0], 0))


_numbers = itertools.count()


class Call:
    """One attempt. hopes: whether it should be answered, and so is waited for patiently."""

    def __init__(self, ident, src, src_addr, proto, dst, port, hopes):
        self.ident, self.src, self.src_addr, self.proto = ident, src, src_addr, proto
        self.dst, self.port, self.hopes = dst, port, hopes
        self.fate, self.who, self.seen, self.sock, self.sent, self.open = "", "", "", None, 0, False
        self.token = b"?%d" % next(_numbers)

    def __str__(self):
        return "%s: %s %s -> %s %d" % (self.ident, self.proto, self.src_addr or "*", self.dst, self.port)

    def start(self, selector):
        kind, number = KINDS[self.proto]
        self.fate = self.who = self.seen = ""
        self.sent, self.open = 0, self.proto == "udp"
        self.sock = self.src.socket(family_of(self.dst), kind, number)
        self.sock.setblocking(False)
        if self.src_addr:
            self.sock.bind((self.src_addr, 0))
        if self.proto == "sctp":
            prepare_sctp(self.src, self.sock, self.src_addr, self.dst, self.port)
        selector.register(self.sock, selectors.EVENT_READ | (0 if self.open else selectors.EVENT_WRITE), self)
        code = self.sock.connect_ex((self.dst, self.port))
        if code not in (0, errno.EINPROGRESS):
            self.end(selector, self.name_of(code))

    @staticmethod
    def name_of(code):
        if code == errno.ECONNREFUSED:
            return "refused"
        if code == errno.EPERM:
            return "held back"  # by a rule in the hook output of the sender's own machine
        return "blocked" if code == errno.ETIMEDOUT else "error " + os.strerror(code)

    def end(self, selector, fate):
        self.fate = fate
        selector.unregister(self.sock)
        self.sock.close()

    def resend(self, selector, age):
        if self.sent < len(RESEND_S) and age >= RESEND_S[self.sent] * SLOW:
            self.sent += 1
            try:
                self.sock.send(self.token)
            except OSError as e:
                self.end(selector, self.name_of(e.errno))

    def ready(self, selector, events):
        try:
            if events & selectors.EVENT_WRITE and not self.open:
                code = self.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                if code:
                    return self.end(selector, self.name_of(code))
                self.open = True
                selector.modify(self.sock, selectors.EVENT_READ, self)
                self.sock.send(self.token)
            if events & selectors.EVENT_READ:
                self.answer(selector, self.sock.recv(200))
        except BlockingIOError:
            pass
        except OSError as e:
            self.end(selector, self.name_of(e.errno))

    def answer(self, selector, data):
        words = data.decode().split(" ")
        if len(words) != 2:
            return self.end(selector, "error answer %r" % data)
        self.who, self.seen = words
        self.end(selector, "ok")


class Listeners:
    """Servers in many namespaces, served while dial() or a Line runs."""

    def __init__(self):
        self.selector = selectors.DefaultSelector()
        self.heard = {}  # token of a datagram: who got it, whether or not an answer came back
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        for limit in (max(hard, FILES), hard):  # the second where this root may not raise it
            with contextlib.suppress(ValueError, OSError):
                resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
                break
        # a call has two ends here, and one that was given up may still have its server's
        self.room = min(6000, (resource.getrlimit(resource.RLIMIT_NOFILE)[0] - 800) // 3)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        for key in list(self.selector.get_map().values()):
            key.fileobj.close()
        self.selector.close()

    def open(self, name, ns, address, proto, port):
        kind, number = KINDS[proto]
        s = ns.socket(family_of(address), kind, number, bind=(address, port))
        s.setblocking(False)
        if proto == "udp":
            self.selector.register(s, selectors.EVENT_READ, lambda: self._datagram(name, s))
        else:
            s.listen(4096)
            self.selector.register(s, selectors.EVENT_READ, lambda: self._accept(name, s))

    def _datagram(self, name, s):
        token, peer = s.recvfrom(200)
        self.heard[token] = name
        s.sendto(("%s %s" % (name, peer[0])).encode(), peer)

    def _accept(self, name, s):
        c, peer = s.accept()
        c.setblocking(False)
        self.selector.register(c, selectors.EVENT_READ, lambda: self._stream(name, peer, c))

    def _stream(self, name, peer, c):
        if c.recv(200):
            c.send(("%s %s" % (name, peer[0])).encode())
            return
        self.selector.unregister(c)
        c.close()

    def turn(self, timeout=0.0):
        for key, events in self.selector.select(timeout):
            try:
                if isinstance(key.data, Call):
                    key.data.ready(self.selector, events)
                else:
                    key.data()
            except BlockingIOError:
                pass
            except OSError:  # a client that went away, or an ICMP error on a server's socket
                if key.fileobj.type == socket.SOCK_STREAM and key.fileobj.fileno() >= 0:
                    self.selector.unregister(key.fileobj)
                    key.fileobj.close()


def dial(servers, calls, silence=1.5, patience=12.0):
    """All calls, as many at once as there may be open files; the seconds that it took."""
    return sum(_dial_lot(servers, calls[i:i + servers.room], silence, patience)
               for i in range(0, len(calls), servers.room))


def _dial_lot(servers, calls, silence, patience):
    """Who hopes is waited for up to `patience`; silence is called so after `silence` seconds."""
    begin = time.monotonic()
    for i, c in enumerate(calls):
        c.start(servers.selector)
        if i % 64 == 0:
            servers.turn()
    started = time.monotonic()
    waiting = list(calls)
    while waiting:
        servers.turn(0.02)
        now = time.monotonic()
        for c in waiting:
            if c.open and c.proto == "udp" and not c.fate:
                c.resend(servers.selector, now - begin)
        waiting = [c for c in waiting if not c.fate]
        limit = patience if any(c.hopes for c in waiting) else silence
        if now - started > limit * SLOW:
            break
    for c in waiting:
        c.end(servers.selector, "blocked")
    return time.monotonic() - begin


class Line:
    """A call that stays, for ask()."""

    def __init__(self, servers, call):
        self.servers, self.call = servers, call
        kind, number = KINDS[call.proto]
        self.sock = call.src.socket(family_of(call.dst), kind, number)
        self.sock.setblocking(False)
        if call.src_addr:
            self.sock.bind((call.src_addr, 0))
        if call.proto == "sctp":
            prepare_sctp(call.src, self.sock, call.src_addr, call.dst, call.port)
        self.sock.connect_ex((call.dst, call.port))

    def send(self):
        try:
            self.sock.send(b"?")
        except OSError:  # not connected yet, or held back
            pass

    def drain(self):
        got = False
        try:
            while self.sock.recv(4096):
                got = True
        except OSError:
            pass
        return got

    def close(self):
        self.sock.close()


def ask(servers, lines, seconds, all_of_them=True):
    """Which of these lines are answered when something is sent now, by key. Waits for all, or `seconds` whole."""
    end, again, got = time.monotonic() + seconds * SLOW, 0.0, set()
    for line in lines.values():
        line.drain()
    while time.monotonic() < end and not (all_of_them and len(got) == len(lines)):
        if time.monotonic() >= again:
            again = time.monotonic() + 0.25 * SLOW
            for key, line in lines.items():
                if key not in got:
                    line.send()
        servers.turn(0.02)
        got |= {key for key, line in lines.items() if line.drain()}
    return got
