# SPDX-License-Identifier: Apache-2.0
"""sem_life.py - life cycle: a restart under open flows, peers that come later, entries of conntrack that are no way."""
import contextlib
import signal
import socket as I
import time

import wire
from attackbed import Tcp
from flow_more import Attempt, in_conntrack, listener
from harness import is6, patience, silence
from sem_bed import POLICIES, each, expect, family, pairs, policy, test, until

FROM_FRIEND = "{from: [{podSelector: {matchLabels: {app: friend}}}]}"
POLICIES += [policy("f2", FROM_FRIEND, ""), policy("f3", FROM_FRIEND), policy("f8", FROM_FRIEND, ""),
             policy("f11", FROM_FRIEND, "")]


class Udp:
    """A flow of datagrams between fixed ports."""

    def __init__(self, a, a_ip, b, b_ip, port, sport=0):
        self.a = a.socket(family(a_ip), I.SOCK_DGRAM, bind=(a_ip, sport))
        self.b = b.socket(family(b_ip), I.SOCK_DGRAM, bind=(b_ip, port))
        self.to, self.back = (b_ip, port), self.a.getsockname()[:2]

    @staticmethod
    def _moves(s, to, r, seconds):
        marker = b"<%d>" % time.monotonic_ns()
        s.sendto(marker, to)
        return wire.got(r, marker, seconds)

    def up(self, seconds=0.7):
        return self._moves(self.a, self.to, self.b, seconds)

    def down(self, seconds=0.7):
        return self._moves(self.b, self.back, self.a, seconds)

    def close(self):
        self.a.close()
        self.b.close()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()


def open_flows(stack, client, server, port):
    """TCP and UDP, both families, and each has carried something both ways."""
    out = []
    for a, b in pairs(client.ips, server.ips):
        out += [Tcp(client, server, b, port, a), Udp(client, a, server, b, port)]
        for f in out[-2:]:
            stack.enter_context(f)
            expect(f.up(patience(3)) and f.down(patience(3)), "a flow to", b, "does not work")
    return out


def answered(flows, down_first=True):
    """Of each flow: does the server's packet come, and the client's? The server speaks first."""
    return [(f.down(2), f.up(2)) if down_first else (f.up(2), f.down(2)) for f in flows]


@test
def F2_a_restart_under_open_flows_kills_no_answer(bed):
    server, friend, foe = bed.pod("f2"), bed.pod("friend", "f2-friend"), bed.pod("foe", "f2-foe")
    with contextlib.ExitStack() as stack:
        flows = open_flows(stack, friend, server, 8002)
        for sig in (signal.SIGKILL, signal.SIGTERM):
            bed.node.kill_agent(sig)
            expect(set(answered(flows)) == {(True, True)}, "while there is no agent")
            expect(set(bed.fates(*each(foe, server, 8102))) == {"blocked"}, "open while there is no agent")
            bed.node.start_agent(timeout=30)
            expect(set(answered(flows)) == {(True, True)}, "after the restart")
            expect(set(bed.fates(*each(foe, server, 8202))) == {"blocked"}, "open after the restart")
        # attached late: the flow is older than the rules; conntrack knows it, as on every node with a kube-proxy
        with bed.table("inet tracked { chain p { type filter hook prerouting priority 0; ct state new counter; }; }"):
            with bed.without_table():
                older = open_flows(stack, friend, server, 8302)
                bad = open_flows(stack, foe, server, 8402)
        got = answered(older)
        expect(set(got) == {(True, True)}, "flows that are older than the rules, and allowed:", got)
        expect(not [x for f in bad for x in (f.down(0.3), f.up(0.3)) if x],
               "control: those that are not allowed are cut")


@test
def F3_a_later_peer_is_refused_and_its_retry_succeeds(bed):
    server = bed.pod("f3")
    late = bed.pod("friend", "f3-late", ips=["10.244.2.203", "fd00:10:244:2::cb"], node=2)
    servers = [listener(server, b, 8003) for b in server.ips]
    text = ("apiVersion: v1\nkind: Pod\nmetadata: {name: f3-late, namespace: t, labels: {app: friend}}\n"
            "spec: {nodeName: n2, containers: []}\nstatus: {phase: Running, podIP: %s, podIPs: [%s]}\n" %
            (late.ip4(), ", ".join('{ip: "%s"}' % a for a in late.ips)))
    try:
        tries = [Attempt(late, a, b, 43003, 8003) for a, b in pairs(late.ips, server.ips)]
        before = bed.drops("policy-ingress")
        expect(until(lambda: bed.drops("policy-ingress") >= before + 2), "control: its first packets did not come")
        expect(set(bed.fates(*each(late, server, 8103))) == {"blocked"}, "an unknown peer is let in")
        expect(not any(t.done() for t in tries), "an unknown peer's connection opened")
        bed.node.apply("late.yaml", text)
        expect(until(lambda: all(t.done() for t in tries), 20), "the first attempt's retransmission is stuck")
        expect(set(bed.fates(*each(late, server, 8203))) == {"ok"}, "a new attempt")
        expect(set(bed.fates(*each(bed.pod("foe", "f3-foe", node=2), server, 8303))) == {"blocked"},
               "control: others are not let in")
        for t in tries:
            t.s.close()
    finally:
        for s in servers:
            s.close()
        bed.node.write_manifest("late.yaml", "# nobody\n")


@test
def F8_a_cut_flow_does_not_come_back_by_its_answer(bed):
    """What is stale is judged in its original direction, also when the server speaks; without its entry it is gone."""
    server, friend = bed.pod("f8"), bed.pod("friend", "f8-friend")
    # the server may begin flows to the friend: only the direction tells its answer from one of these
    bed.node.apply("f8.yaml", policy("f8-out", None, "{to: [{podSelector: {matchLabels: {app: friend}}}]}", "f8"))
    got = bed.fates(*each(server, friend, 8108))
    expect(set(got) == {"ok"}, "control: the server may speak to the friend on its own:", got)
    closed = policy("f8", "", "")
    with contextlib.ExitStack() as stack:
        flows = open_flows(stack, friend, server, 8008)
        tcp_ports = [(f.port, 8008) for f in flows if isinstance(f, Tcp)]
        bed.node.apply("policies.yaml", "".join(p for p in POLICIES if p != POLICY_F8) + closed)
        got = [(f.down(0.4), f.up(0.4)) for f in flows]
        expect(set(got) == {(False, False)}, "cut, the entries still there:", got)
        expect(all(in_conntrack(bed.node, *p) for p in tcp_ports), "control: the entries are still there")
        wire.flush_conntrack(bed.node)
        for f in flows:
            if isinstance(f, Tcp):
                expect(not f.down(0.6) and not f.up(0.6), "TCP came back after its entry was deleted")
        expect(not any(in_conntrack(bed.node, *reversed(p)) for p in tcp_ports),
               "a packet in mid-stream made an entry the other way round")
        with bed.without_table():
            got = [(f.down(15), f.up(15)) for f in flows]
        expect(set(got) == {(True, True)}, "control: the sockets are alive:", got)
        bed.node.apply("policies.yaml", "".join(POLICIES))
        got = bed.fates(*each(friend, server, 8208))
        expect(set(got) == {"ok"}, "control: allowed again a new flow opens:", got)
    bed.node.write_manifest("f8.yaml", "# nothing\n")


POLICY_F8 = next(p for p in POLICIES if "name: f8," in p)


@test
def F11_a_denied_first_packet_leaves_nothing_established(bed):
    server, foe, friend = bed.pod("f11"), bed.pod("foe", "f11-foe"), bed.pod("friend", "f11-friend")
    for peer, ok, sport in ((friend, True, 41011), (foe, False, 42011)):
        for a, b in pairs(peer.ips, server.ips):
            with Udp(peer, a, server, b, 8011, sport) as f:
                for _ in range(3):
                    got = f.up(2 if ok else 0.2)
                    expect(got == ok, "UDP of", peer.short, "to", b)
                expect(in_conntrack(bed.node, sport, 8011) == ok, "conntrack, UDP of", peer.short, a)
                expect(f.down(2 if ok else 0.4) == ok, "its answer to", peer.short, a)
        for a, b in pairs(peer.ips, server.ips):
            with listener(server, b, 8111), wire_ear(peer, a) as ear:
                t = Attempt(peer, a, b, sport + 1, 8111)
                with t.s:
                    expect(until(t.done, 5) if ok else not until(t.done, 0.4), "TCP of", peer.short, "to", b)
                    expect(in_conntrack(bed.node, sport + 1, 8111) == ok, "conntrack, TCP of", peer.short, a)
                    if ok:
                        continue
                    # the answer that the server never made
                    before = bed.drops("invalid") + bed.drops("policy-egress")
                    wire.send_ip(server, wire.tcp(b, a, 8111, sport + 1, 1, 1, 0x12, b"late-answer"))
                    expect(not wire.got(ear, b"late-answer", 0.4), "a made-up answer to a denied SYN passes")
                    expect(until(lambda: bed.drops("invalid") + bed.drops("policy-egress") > before),
                           "control: it came as far as our rules")


def wire_ear(ns, address):
    with ns.inside():
        s = I.socket(I.AF_PACKET, I.SOCK_RAW, I.ntohs(0x86DD if is6(address) else 0x800))
    s.settimeout(silence(0.4))
    return s

