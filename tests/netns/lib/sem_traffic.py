# SPDX-License-Identifier: Apache-2.0
"""sem_traffic.py - kinds of traffic: translations on the way, several queries at once, other interfaces, tunnels."""
import contextlib
import mmap
import os
import re
import select
import socket as I
import struct

import wire
from dial import Listeners
from harness import PLANE, HarnessError, is6, patience
from sem_bed import (NODE_IPS, OUT, OUT2, POLICIES, block, call_all, calls_of, each, expect, family, fates_of, pairs,
                     policy, ports, test)

POLICIES += [
    policy("b20real", "{from: %s}" % block(OUT[0], OUT[1])), policy("b20seen", "{from: %s}" % block(*OUT2)),
    policy("c6in", "{ports: %s}" % ports(8080)), policy("c6inservice", "{ports: %s}" % ports(80)),
    policy("c6out", None, "{ports: %s}" % ports(8080)), policy("c6outservice", None, "{ports: %s}" % ports(80)),
    policy("e19", None, "{to: %s}" % block(*OUT)), policy("e19node", None, "{to: %s}" % block(*NODE_IPS[1])),
    policy("c28", "{from: [{podSelector: {matchLabels: {app: friend}}}], ports: %s}" % ports(8028)),
    policy("e22", "", "{to: %s, ports: [{protocol: UDP, port: 53}]}" % block(*OUT)),
]
PODS4, PODS6 = "10.244.0.0/16", "fd00:10:244::/48"


# ---- translations -----------------------------------------------------------------------------------------

UPSTREAM = ("inet upstream { chain post { type nat hook postrouting priority 100; ip saddr %s snat ip to %s; "
            "ip6 saddr %s snat ip6 to %s; }; }" % (OUT[0], OUT2[0], OUT[1], OUT2[1]))


def both_ends(bed, servers, want):
    """Calls of the outside host to the pods, {name: hopes}; what is not as wanted."""
    calls = [c for name, hopes in want.items()
             for c in calls_of(bed.world, name, bed.pods[name].ips, 8080, hopes)]
    call_all(servers, calls)
    return [str(c) + ": " + c.fate for c in calls if (c.fate == "ok") != c.hopes], {c.seen for c in calls if c.seen}


@test
def B20_a_source_translated_upstream_is_judged_by_what_arrives(bed):
    with Listeners() as servers:
        for name in ("b20real", "b20seen"):
            pod = bed.pod(name)
            for ip in pod.ips:
                servers.open(name, pod, ip, "tcp", 8080)
                servers.open(name, pod, ip, "udp", 8080)
        bad, seen = both_ends(bed, servers, {"b20real": True, "b20seen": False})
        expect(not bad and seen == set(OUT), "control, nothing translates:", bad, seen)
        with bed.table(UPSTREAM, bed.world):
            bad, seen = both_ends(bed, servers, {"b20real": False, "b20seen": True})
        expect(not bad and seen == set(OUT2), bad, seen)


@test
def C6_the_port_is_the_containers_after_translation(bed):
    vip = ["10.96.0.6", "fd00:96::6"]
    with Listeners() as servers:
        for name in ("c6in", "c6inservice", "c6free"):
            pod = bed.pod(name)
            for ip in pod.ips:
                for port in (80, 8080):
                    for proto in ("tcp", "udp"):
                        servers.open(name, pod, ip, proto, port)
        for name in ("c6out", "c6outservice", "c6client"):
            bed.pod(name)
        ways = (("c6client", "c6in", True), ("c6client", "c6inservice", False), ("c6out", "c6free", True),
                ("c6outservice", "c6free", False))
        for client, server, ok in ways:
            to = bed.pods[server].ips
            rules = " ".join("%s daddr %s meta l4proto { tcp, udp } th dport 80 dnat %s to %s;" %
                             ("ip6" if is6(v) else "ip", v, "ip6" if is6(v) else "ip",
                              "[%s]:8080" % p if is6(p) else "%s:8080" % p) for v, p in pairs(vip, to))
            with bed.table("inet vips { chain pre { type nat hook prerouting priority -100; %s }; }" % rules):
                got = call_all(servers, calls_of(bed.pods[client], server, vip, 80, ok))
            expect(fates_of(got) == ["ok" if ok else "blocked"], client, "to", server, "by its Service:",
                   [str(c) + ": " + c.fate for c in got])
        direct = [("c6client", "c6inservice", 80, True), ("c6client", "c6in", 80, False),
                  ("c6outservice", "c6free", 80, True), ("c6out", "c6free", 80, False)]
        for client, server, port, ok in direct:
            got = call_all(servers, calls_of(bed.pods[client], server, bed.pods[server].ips, port, ok))
            expect(fates_of(got) == ["ok" if ok else "blocked"], "control, without a Service:", client, "to", server,
                   fates_of(got))


MASQUERADE = ("inet masq { chain post { type nat hook postrouting priority 100; ip saddr %s ip daddr != %s masquerade; "
              "ip6 saddr %s ip6 daddr != %s masquerade; }; }" % (PODS4, PODS4, PODS6, PODS6))


@test
def E_19_egress_is_judged_before_masquerade(bed):
    with Listeners() as servers:
        for ip in OUT:
            servers.open("out", bed.world, ip, "tcp", 8019)
            servers.open("out", bed.world, ip, "udp", 8019)
        want = {"e19": True, "e19node": False, "shut": False, "e19free": True}
        clients = {name: bed.pod(name, "e19-" + name) for name in want}

        def calls(name):
            return call_all(servers, calls_of(clients[name], "out", OUT, 8019, want[name]))

        got = calls("e19")
        expect(fates_of(got) == ["ok"] and {c.seen for c in got} == set(clients["e19"].ips),
               "control: without masquerade the pod's address arrives:", [c.seen for c in got])
        with bed.table(MASQUERADE):
            for name, ok in want.items():
                got = calls(name)
                expect(fates_of(got) == ["ok" if ok else "blocked"], name, [str(c) + ": " + c.fate for c in got])
                expect(not ok or {c.seen for c in got} == set(NODE_IPS[1]), name, "arrives as", [c.seen for c in got])
            expect(not set(servers.heard) & {c.token for n in want if not want[n] for c in calls(n)},
                   "a forbidden datagram arrived")


# ---- extension headers -------------------------------------------------------------------------------------


def behind(packet, headers):
    """An IPv6 packet with so many destination options headers before its transport header."""
    number, rest = packet[6], packet[40:]
    for _ in range(headers):
        number, rest = 60, bytes([number, 0, 1, 4, 0, 0, 0, 0]) + rest
    return packet[:4] + struct.pack(">HB", len(rest), number) + packet[7:40] + rest


def syn_arrives(client, server, port, headers, seconds):
    """A SYN behind so many headers; TCP is judged by its flags, wherever they stand."""
    word = b"syn-behind-%d" % headers
    packet = wire.tcp(client.ip6(), server.ip6(), 45000 + headers, port, 1, 0, 2, word)
    with server.inside():
        ear = I.socket(I.AF_PACKET, I.SOCK_RAW, I.ntohs(0x86DD))
    with ear:
        wire.send_ip(client, behind(packet, headers))
        return wire.got(ear, word, seconds)


@test
def C28_extension_headers_hide_nothing_that_is_allowed(bed):
    server, friend, foe = bed.pod("c28"), bed.pod("friend", "c28-friend"), bed.pod("foe", "c28-foe")
    for n in (0, 1, 9, 30, 63):
        expect(syn_arrives(friend, server, 8028, n, 2), "a SYN behind", n, "headers is lost")
        expect(not syn_arrives(friend, server, 8029, n, 0.2), "a SYN to another port, behind", n, "headers, arrives")
        expect(not syn_arrives(foe, server, 8028, n, 0.2), "a SYN of the foe behind", n, "headers arrives")


# ---- several packets of one flow at once --------------------------------------------------------------------

ROUNDS = 150
QUERIES = (b"A....query", b"AAAA.query")


class Resolver:
    """Answers every query; counts nothing, says nothing."""

    def __init__(self, ns, addresses):
        self.socks = [ns.socket(family(a), I.SOCK_DGRAM, bind=(a, 53)) for a in addresses]
        for s in self.socks:
            s.setsockopt(I.SOL_SOCKET, I.SO_RCVBUF, 1 << 20)

    def serve(self, client, wanted, seconds):
        """Until the client has `wanted` different answers; returns how many it has."""
        answers = set()
        while len(answers) < wanted:
            ready, _, _ = select.select(self.socks + [client], [], [], seconds)
            if not ready:
                break
            for s in ready:
                if s is client:
                    answers.add(s.recv(100))
                else:
                    data, peer = s.recvfrom(100)
                    s.sendto(data, peer)
        return len(answers)

    def close(self):
        for s in self.socks:
            s.close()


def one_after_the_other(pod, resolver, address, order, rounds, wanted=2, seconds=2.0):
    """How many rounds got both answers, up to the first that did not."""
    whole = 0
    for _ in range(rounds):
        with pod.socket(family(address), I.SOCK_DGRAM) as s:
            s.connect((address, 53))
            for i in order:
                s.send(QUERIES[i])
            if resolver.serve(s, wanted, patience(seconds)) < 2:
                break
            whole += 1
    return whole


def at_the_same_time(pod, resolver, address, rounds):
    """Two processes send one query each on one socket, as near to each other as they can."""
    socks = [pod.socket(family(address), I.SOCK_DGRAM) for _ in range(rounds)]
    turn = mmap.mmap(-1, 8)
    for s in socks:
        s.connect((address, 53))
    child = os.fork()
    if child == 0:
        try:
            for i, s in enumerate(socks):
                while turn[0] | turn[1] << 8 != i + 1:
                    pass
                s.send(QUERIES[1])
        finally:
            os._exit(0)
    whole = 0
    try:
        for i, s in enumerate(socks):
            turn[1], turn[0] = (i + 1) >> 8, (i + 1) & 255
            s.send(QUERIES[0])
            if resolver.serve(s, 2, patience(5)) < 2:
                break
            whole += 1
    finally:
        for s in socks:
            s.close()
        if whole < rounds:
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, 9)
        os.waitpid(child, 0)
    return whole


def queues(ns):
    """The rules of this namespace that hand packets to a process."""
    text = ns.run(["nft", "-a", "list", "ruleset"]).stdout
    expect(all(w in text for w in PLANE.listed), "our rules are not listed:", text[:200])
    return [line.strip() for line in text.splitlines() if re.search(r"(?i)\bn?f?queue\b", line.split("comment")[0])]


@test
def E_22_two_dns_queries_of_one_port_race_no_process(bed):
    pod = bed.pod("e22")
    expect(not queues(bed.node), "rules hand packets to a process:", queues(bed.node))
    queue = "inet q { chain f { type filter hook forward priority 50; udp dport 9 queue; }; }"
    try:
        with bed.table(queue):
            expect(queues(bed.node), "control: a queue is seen")
    except HarnessError as e:
        print("         E-22: this kernel has no queues at all (" + str(e).split("Error: ")[-1].split(";")[0] + ")")
    resolver = Resolver(bed.world, OUT)
    try:
        for address in OUT:
            for order in ((0, 1), (1, 0)):
                whole = one_after_the_other(pod, resolver, address, order, ROUNDS)
                expect(whole == ROUNDS, "%s %s: both answers in %d of %d rounds" % (address, order, whole, ROUNDS))
            whole = at_the_same_time(pod, resolver, address, ROUNDS)
            expect(whole == ROUNDS, "%s at once: both answers in %d of %d rounds" % (address, whole, ROUNDS))
        lose = ("inet lose { chain f { type filter hook forward priority 50; udp dport 53 @th,64,32 0x41414141 drop; "
                "}; }")
        with bed.table(lose):
            whole = one_after_the_other(pod, resolver, OUT[0], (0, 1), 2, 2, 0.3)
        expect(whole == 0, "control: a lost query is seen")
    finally:
        resolver.close()
    expect(bed.fates(*each(pod, bed.world, 54)) == ["blocked"] * 4, "control: the pod is isolated")


# ---- what is inside a pod, and beside us ------------------------------------------------------------------------


@test
def E_23_processes_of_one_pod_talk_unseen(bed):
    pod, other = bed.pod("shut", "e23"), bed.pod("free", "e23-other")
    flows = [(kind, pod, a, pod, a, 8023) for a in ["127.0.0.1", "::1"] + pod.ips for kind in ("tcp", "udp", "icmp")]
    flows += [(kind, pod, a, pod, b, 8123) for a, b in pairs(["127.0.0.1", "::1"], pod.ips) for kind in ("tcp", "udp")]
    got = bed.fates(*flows)
    expect(got == ["ok"] * len(flows), got)
    expect(not pod.run(["nft", "list", "ruleset"]).stdout.strip(), "there are rules inside the pod")
    got = bed.fates(*each(pod, other, 8024), *each(other, pod, 8025))
    expect(set(got) == {"blocked"}, "control: with others it does not talk:", got)
    with bed.table("inet shut { chain in { type filter hook input priority 0; iif lo drop; }; }", pod):
        expect(set(bed.fates(*flows[:4])) <= {"blocked", "error"}, "control: rules inside would be noticed")


SECOND = ["172.31.26.%d", "fd00:31:26::%d"]


@test
def E_26_other_interfaces_of_a_pod_are_not_touched(bed):
    """A pod's second link, which somebody else made, leads by the same node to the same outside."""
    pod, free = bed.pod("shut", "e26"), bed.pod("free", "e26-free")
    bed.node.ip("link add second26 type veth peer name net1 netns " + pod.name, "link set second26 up",
                "address add 172.31.26.1/24 dev second26", "address add fd00:31:26::1/64 dev second26 nodad")
    pod.ip("link set net1 up", "address add 172.31.26.2/24 dev net1", "address add fd00:31:26::2/64 dev net1 nodad",
           "rule add from 172.31.26.2 lookup 26", "route add default via 172.31.26.1 dev net1 table 26",
           "route add default via fd00:31:26::1 dev net1 table 26")
    pod.sh("ip -6 rule add from fd00:31:26::2 lookup 26")
    bed.world.ip("route add 172.31.26.0/24 via %s dev n1 onlink" % NODE_IPS[1][0],
                 "route add fd00:31:26::/64 via fe80::fe dev n1")
    second = [s % 2 for s in SECOND]
    # its source there is no address of ours; a free pod's address on that link would be
    flows = [(kind, pod, a, bed.world, b, 8026) for a, b in pairs(second, OUT) for kind in ("tcp", "udp", "icmp")]
    flows += [(kind, bed.world, a, pod, b, 8126) for a, b in pairs(OUT, second) for kind in ("tcp", "udp", "icmp")]
    flows += [(kind, bed.node, "*", pod, b, 8226) for b in second for kind in ("tcp", "udp")]
    got = bed.fates(*flows)
    expect(got == ["ok"] * len(flows), "over its second link:", got)
    got = bed.fates(*each(pod, bed.world, 8326), *each(bed.world, pod, 8426))
    expect(set(got) == {"blocked"}, "control: over ours it is isolated:", got)
    # and what is isolated does not get out there under a name of ours
    before = bed.drops("spoofed")
    pod.sh("ip rule add from %s lookup 26; ip -6 rule add from %s lookup 26" % (pod.ip4(), pod.ip6()))
    got = bed.fates(*each(pod, bed.world, 8526))
    expect(set(got) == {"blocked"} and bed.drops("spoofed") > before, "our address over its second link:", got)
    # the node's other end still judges: to pods of ours the second link is the outside
    got = bed.fates(*[("tcp", pod, a, free, b, 8626) for a, b in pairs(second, free.ips)])
    expect(set(got) == {"ok"}, got)
    bed.node.ip("link del second26")


@test
def E_28_outer_packets_of_tunnels_are_not_judged(bed):
    one, two = bed.pod("shut", "e28-1"), bed.pod("shut", "e28-2", node=2)
    n1, n2 = bed.nodes[1], bed.nodes[2]
    flows = [("udp", a, x, b, y, port) for a, b, from_, to in ((n1, n2, 1, 2), (n2, n1, 2, 1))
             for x, y in pairs(NODE_IPS[from_], NODE_IPS[to]) for port in (8472, 4789, 6081, 51820)]
    got = bed.fates(*flows)
    expect(got == ["ok"] * len(flows), got)
    flows = [("udp", one, "*", n2, y, port) for y in NODE_IPS[2] for port in (8472, 4789)]
    flows += [("udp", n2, "*", one, y, 8472) for y in one.ips] + [("udp", n1, "*", two, y, 4789) for y in two.ips]
    got = bed.fates(*flows)
    expect(set(got) == {"blocked"}, "control: to those ports pods are judged as ever:", got)
    if n1.run(["ip", "link", "add", "vx28", "type", "vxlan", "id", "28", "dstport", "8472", "local", NODE_IPS[1][0],
               "remote", NODE_IPS[2][0]], check=False).returncode:
        return
    n2.ip("link add vx28 type vxlan id 28 dstport 8472 local %s remote %s" % (NODE_IPS[2][0], NODE_IPS[1][0]))
    for n, node in bed.nodes.items():
        node.ip("address add 172.31.28.%d/24 dev vx28" % n, "link set vx28 up")
    got = bed.fates(("tcp", n1, "172.31.28.1", n2, "172.31.28.2", 8028), ("tcp", n2, "*", n1, "172.31.28.1", 8028))
    expect(got == ["ok", "ok"], "through a VXLAN between the nodes:", got)
    n1.ip("route add %s dev vx28" % two.ip4())
    got = bed.fates(("tcp", n1, "172.31.28.1", two, two.ip4(), 8128))
    expect(got == ["blocked"], "what comes out of it for an isolated pod is judged:", got)
    for node in bed.nodes.values():
        node.ip("link del vx28")


@test
def E_30_a_pod_of_one_family_gets_nowhere_in_the_other(bed):
    pod = bed.pod("shut", "e30", ips=["10.244.1.230"])
    other = bed.pod("free", "e30-free", ips=["10.244.1.231"])
    both = bed.pod("free", "e30-both", ips=["10.244.1.232", "fd00:10:244:1::e8"])
    link_local = bed.node.sh("cat /proc/sys/net/ipv6/conf/%s/disable_ipv6" % both.host_link())
    expect(link_local == "0", "the node has no IPv6 on its links")
    gate = both.sh("ip -6 neigh show dev eth0").split("lladdr ")[1].split()[0]

    def give(p, address):
        host = p.node.sh("ip -o link show %s" % p.host_link()).split("link/ether ")[1].split()[0]
        p.sysctl("net/ipv6/conf/eth0/disable_ipv6", 0)
        p.ip("address replace %s/64 dev eth0 nodad" % address, "neigh replace fe80::1 lladdr %s dev eth0" % host,
             "route replace default via fe80::1 dev eth0")

    expect(gate, "no neighbour")
    # an address of its own choice in the pods' range, one as if from a router's prefix, and a private one
    for p in (pod, other):
        for n, address in enumerate(("fd00:10:244:1::77", "2001:db8:bad::%x" % 77, "fd77::77")):
            give(p, address)
            flows = [(kind, p, address, bed.world, OUT[1], 8030 + n) for kind in ("tcp", "udp", "icmp")]
            flows += [(kind, p, address, both, both.ip6(), 8130 + n) for kind in ("tcp", "udp")]
            flows += [("udp", p, address, bed.node, NODE_IPS[1][1], 8230 + n)]
            before = bed.drops("spoofed")
            got = bed.fates(*flows, ms=500)
            expect(set(got) == {"blocked"}, p.short, "as", address, got)
            expect(bed.drops("spoofed") - before >= len(flows), "control: its packets came as far as the guard")
            p.ip("address del %s/64 dev eth0" % address)
    got = bed.fates(*each(both, bed.world, 8330))
    expect(set(got) == {"ok"}, "control: a pod that was given one speaks IPv6:", got)

