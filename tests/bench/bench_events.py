#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""From the last byte of an API event to the committed kernel, with the real agent; and 110 ADDs at once.

    bench_events.py --build DIR --seconds N

Events of W(1k, 10k), one after the other, while allowed traffic flows between two pods: an event's time runs from the moment
before its bytes are given to the TLS connection until the kernel has told its listeners of the new generation of rules. Series
control.event (all), and by what changed: .pod (a pod of another node), .policy (one that selects a pod of this node), .here
(labels of a pod of this node); control.drops is how many packets of the traffic were lost.
control.adds110 is the time of 110 ADDs of 50 namespaces with W(10k, 100k) known, from the first start of a plugin to
the last result.
"""
import errno
import random
import select
import socket
import struct
import sys
import time

from benchbed import NODE, REST, WorldBed, begin
from harness import HarnessError
from probe import Flood, Flow

CYCLES = 100
NEWGEN = 10 << 8 | 15     # NFNL_SUBSYS_NFTABLES, NFT_MSG_NEWGEN
SO_RCVBUFFORCE = 33
PAUSE = (0.002, 0.03)     # seconds between an event's commit and the next event
PATIENCE = 5
AT_ONCE, SPACES, ROUNDS = 110, 50, 5
STEADY = "steady"
RATE = 200


class Commits:
    """Tells when the kernel has taken a batch."""

    def __init__(self, node):
        with node.inside():
            self.s = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 12)  # NETLINK_NETFILTER
        self.s.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 64 << 20)
        self.s.bind((0, 1 << 6))  # NFNLGRP_NFTABLES
        self.s.setblocking(False)
        self.stray = 0

    def read(self):
        """How many generations the next message tells; None: there is no message."""
        try:
            data = self.s.recv(1 << 20)
        except BlockingIOError:
            return None
        except OSError as e:
            if e.errno == errno.ENOBUFS:
                raise HarnessError("the kernel's news of commits were lost") from e
            raise
        gens, at = 0, 0
        while at + 16 <= len(data):
            size, type_ = struct.unpack_from("=IH", data, at)
            gens += type_ == NEWGEN
            at += max(size + 3 & ~3, 16)
        return gens

    def drain(self):
        while (n := self.read()) is not None:
            self.stray += n

    def next_ns(self):
        """CLOCK_MONOTONIC when the next one came."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            if select.select([self.s], [], [], 0.5)[0] and self.read():
                return time.monotonic_ns()
        return None


# ---- what happens -------------------------------------------------------------------------------------


class Story:
    """Events that change what this node has to hold; each is (kind, what puts it)."""

    def __init__(self, bed):
        self.bed, self.api, self.w = bed, bed.api, bed.world
        # Pods of this node that policies of W select: their peers matter. here() takes the policies of pod 0 away from it.
        apps = self.w.policies // self.w.namespaces
        self.subjects = [i for i in range(bed.n_local) if self.w.app(i) < apps and self.w.ns(i) != self.w.ns(0)]

    def guest(self, n):
        """A pod of another node, among the peers that a policy about one of our pods names by its app."""
        i = self.subjects[n % len(self.subjects)]
        ns, labels = self.w.ns(i), self.w.labels(i)
        peer = dict(labels, app="app-%d" % ((self.w.app(i) + 1) % 50), id="guest")
        node, prefix = self.api.spare
        name, ip = "guest-%d" % n, prefix + str(n % 250 + 1)
        yield "pod", lambda: self.api.pod(ns, name, peer, node, ip)
        yield "pod", lambda: self.api.pod(ns, name, dict(peer, app="nobody"), node, ip)
        yield "pod", lambda: self.api.gone("Pod", ns, name)

    def policy(self, n):
        j = self.w.policy_about(n % self.bed.n_local)
        for version in (0, 1):
            yield "policy", lambda version=version: self.api.policy(self.w.policy(j, version))
        yield "policy", lambda: self.api.gone("NetworkPolicy", self.w.ns(j), "policy-%d" % j)

    def here(self, n):
        labels = self.w.labels(0)
        labels["app"] = "app-%d" % (n % 2 + 1)
        yield "here", lambda: self.api.local(0, self.bed.pods[0].ip4(), labels)

    def events(self):
        for n in range(CYCLES):
            for part in (self.guest(2 * n), self.guest(2 * n + 1), self.policy(n), self.here(n)):
                yield from part


def measure(bed, say, commits, kind, put):
    commits.drain()
    event = put()
    at = commits.next_ns()
    if not at:
        raise HarnessError("an event (%s) was not committed within %d s" % (kind, PATIENCE))
    ms = (at - event.told_ns) / 1e6
    say.value("control.event", ms, "ms")
    say.value("control.event." + kind, ms, "ms")


def steady(bed):
    """Two pods of this node and a policy that lets one talk to the other. The flows."""
    api, pods = bed.api, {}
    api.namespace(STEADY)
    for name in ("a", "b"):
        api.pod(STEADY, name, {"app": name}, NODE, "", "Pending")
    ports = [{"protocol": "UDP", "port": 8080, "endPort": 8081}]
    for at, other, way, key in (("b", "a", "ingress", "from"), ("a", "b", "egress", "to")):
        api.policy({"metadata": {"namespace": STEADY, "name": "steady-" + at}, "spec": {
            "podSelector": {"matchLabels": {"app": at}}, "policyTypes": [way.capitalize()],
            way: [{key: [{"podSelector": {"matchLabels": {"app": other}}}], "ports": ports}]}})
    for name in ("a", "b"):
        pods[name] = bed.lab.pod("steady-" + name)
        pods[name].attach(bed.node, STEADY, name, uid="uid-" + name)
        api.pod(STEADY, name, {"app": name}, NODE, pods[name].ip4())
    a, b = pods["a"], pods["b"]
    return [Flow("established", "udp", a, a.ip4(), b, b.ip4(), 8080), Flow("new", "udpnew", a, a.ip4(), b, b.ip4(), 8081)]


def events(args, say):
    bed = WorldBed(args.build, "10k")
    rng = random.Random(7)
    try:
        bed.start()
        bed.attach(range(bed.n_local - 2))
        bed.n_local -= 2
        flows = steady(bed)
        bed.check(say, bed.n_local + 2)
        commits = Commits(bed.node)
        time.sleep(2)
        with Flood(bed.lab, flows, RATE) as flood:
            n = 0
            for kind, put in Story(bed).events():
                measure(bed, say, commits, kind, put)
                n += 1
                time.sleep(rng.uniform(*PAUSE))
            counts = flood.stop()
        say.value("control.drops", sum(c.lost for c in counts.values()), "packets")
        sent = sum(c.sent for c in counts.values())
        say.note("control.event: %d events, each after a rest of %d to %d ms; %d packets of allowed traffic meanwhile, half "
                 "of them first packets of new flows; the stand-in API server, TLS and the reading of the kernel's news are "
                 "included; %d further commits came between the events" % (n, PAUSE[0] * 1e3, PAUSE[1] * 1e3, sent, commits.stray))
        bed.check(say, bed.n_local + 2)
    finally:
        bed.close()


# ---- 110 at once ----------------------------------------------------------------------------------------


def adds(args, say):
    bed = WorldBed(args.build, "100k")
    try:
        say.note("control.adds110: in sync %.1f s after the start" % bed.start())
        # As many others are there already. 50 namespaces have the rest: pod i lies in namespace i modulo 1,000.
        others = range(bed.n_local - AT_ONCE)
        bed.attach(others)
        first = bed.n_local
        numbers = [first + k % SPACES + k // SPACES * bed.world.namespaces for k in range(AT_ONCE)]
        for r in range(ROUNDS):
            if r:
                bed.detach(numbers)
            for i in numbers:
                bed.api.pod(bed.world.ns(i), "pod-%d" % i, bed.world.labels(i), NODE, "", "Pending")
            time.sleep(REST + 1)
            say.value("control.adds110", bed.attach(numbers, AT_ONCE), "s", r)
            bed.check(say, len(others) + AT_ONCE)
            if time.monotonic() > args.end - 15:
                break
    finally:
        bed.close()


def main():
    args, say = begin(__doc__)
    events(args, say)
    adds(args, say)
    return 0


if __name__ == "__main__":
    sys.exit(main())
