# SPDX-License-Identifier: Apache-2.0
"""attacks_door.py - F8 to F10: where a packet may come in: Services, the uplink, the pod's own link."""
import socket as I
import time

import harness
import wire
from attackbed import tcp_connects, udp_arrives
from probe import Flow, probe


# ---- F8: where the verdict is spoken (Services by DNAT, local origin) -------------------------------------------

SERVICES = """add table ip svc
add chain ip svc pre { type nat hook prerouting priority dstnat; }
add chain ip svc out { type nat hook output priority -100; }
add chain ip svc post { type nat hook postrouting priority srcnat; }
add rule ip svc pre ip daddr 10.96.0.2 udp dport 53 dnat to %(b)s:8080
add rule ip svc pre ip daddr 10.96.0.2 tcp dport 53 dnat to %(b)s:8080
add rule ip svc pre ip daddr 10.96.0.3 udp dport 53 dnat to %(c)s:8080
add rule ip svc pre ip daddr 192.0.2.1 udp dport 30080 dnat to %(c)s:8080
add rule ip svc pre ip daddr 192.0.2.1 udp dport 30081 dnat to %(f)s:8080
add rule ip svc out ip daddr 10.96.0.3 udp dport 53 dnat to %(c)s:8080
add rule ip svc post udp dport 8080 ct status dnat masquerade
"""


def via_service(bed, src, vip, port, dst):
    """A datagram to a Service address; does it come out at the pod behind it?"""
    with dst.socket(I.AF_INET, I.SOCK_DGRAM, bind=(dst.ips[0], 8080)) as r, src.socket(I.AF_INET, I.SOCK_DGRAM) as s:
        marker = b"svc%d" % time.monotonic_ns()
        s.sendto(marker, (vip, port))
        return wire.got(r, marker, 0.5)


def f8(bed, res):
    bed.node.sh("ip route add 10.96.0.0/16 via %s dev up0 onlink" % harness.WORLD_GATEWAY4)
    harness.run(bed.node.argv(["nft", "-f", "-"]), input=SERVICES % {p: bed.pods[p].ip4() for p in "bcf"})
    bed.world.sh("ip route add 10.96.0.0/16 via 192.0.2.1 dev n1 onlink")
    cases = [("d", bed.d, "10.96.0.2", 53, bed.b), ("world", bed.world, "10.96.0.2", 53, bed.b),
             ("f", bed.f, "10.96.0.3", 53, bed.c), ("world", bed.world, "10.96.0.3", 53, bed.c),
             ("world, node port", bed.world, "192.0.2.1", 30080, bed.c), ("c", bed.c, "10.96.0.2", 53, bed.b)]
    for name, src, vip, port, dst in cases:
        res.attack("%s through a Service to %s" % (name, dst.short), via_service(bed, src, vip, port, dst))
    res.control("a reaches b through its Service", via_service(bed, bed.a, "10.96.0.2", 53, bed.b))
    res.control("world reaches f through a node port", via_service(bed, bed.world, "192.0.2.1", 30081, bed.f))
    res.control("the node reaches default-deny c through a Service", via_service(bed, bed.node, "10.96.0.3", 53, bed.c))
    node4, node6 = bed.node.ips
    for ip in (node4, node6):
        res.attack("default-deny c -> its own node %s" % ip, udp_arrives(bed.c, bed.node, ip, 7070))
        res.attack("default-deny c -> its own node, TCP %s" % ip, tcp_connects(bed.c, bed.node, ip, 7071, 0.5))
        res.control("f -> its own node %s" % ip, udp_arrives(bed.f, bed.node, ip, 7070))
    flows = []
    for i in (0, 1):
        for kind, port in (("tcp", 7072), ("udp", 7072), ("icmp", 0)):
            flows.append(Flow("node>c:%s@%d" % (kind, i), kind, bed.node, "*", bed.c, bed.c.ips[i], port))
            flows.append(Flow("c>node:%s@%d" % (kind, i), kind, bed.c, "*", bed.node, bed.node.ips[i], port + 1))
    for ident, (fate, why) in sorted(probe(bed.lab, flows, 1300).items()):
        if ident.startswith("node"):
            res.control("local origin: %s is answered (%s %s)" % (ident, fate, why), fate == "ok")
        else:
            res.attack(ident, fate != "blocked")
    with bed.bare():
        seen = [n for n, s, vip, port, d in cases if via_service(bed, s, vip, port, d)]
        res.control("without our table the Services answer everybody: %s" % seen, len(seen) == len(cases))


# ---- F9: the uplink forges a local pod --------------------------------------------------------------------


def forged_from_uplink(bed):
    through = []
    for victim in ("a", "e", "d"):
        for index in (0, 1):
            src, dst = bed.pods[victim].ips[index], bed.b.ips[index]
            family = I.AF_INET6 if index else I.AF_INET
            with bed.b.socket(family, I.SOCK_DGRAM, bind=(dst, 8080)) as r:
                marker = b"F9%d" % time.monotonic_ns()
                wire.send_ip(bed.world, wire.udp(src, dst, 33333, 8080, marker))
                if wire.got(r, marker, 0.3):
                    through.append("%s as %s" % (src, victim))
    nobody = "10.244.1.200"
    with bed.b.socket(I.AF_INET, I.SOCK_DGRAM, bind=(bed.b.ip4(), 8080)) as r:
        wire.send_ip(bed.world, wire.udp(nobody, bed.b.ip4(), 33333, 8080, b"F9-nobody"))
        if wire.got(r, b"F9-nobody", 0.3):
            through.append("nobody's " + nobody)
    return through


def f9(bed, res):
    for value in (0, 2):
        for which in ("all", "up0"):
            bed.node.sysctl("net/ipv4/conf/%s/rp_filter" % which, value)
        res.attack("uplink forges local pods, rp_filter %d" % value, forged_from_uplink(bed))
    for index in (0, 1):
        res.control("a itself reaches b (%s)" % bed.b.ips[index], udp_arrives(bed.a, bed.b, bed.b.ips[index], 8080))
    # one pod forges another
    for src, dst in zip(bed.a.ips, bed.b.ips):
        with bed.b.socket(I.AF_INET6 if ":" in src else I.AF_INET, I.SOCK_DGRAM, bind=(dst, 8080)) as r, \
                wire.Frames(bed.d) as frames:
            frames.send(wire.udp(src, dst, 33334, 8080, b"F9-pod"))
            res.attack("pod d sends as %s" % src, wire.got(r, b"F9-pod", 0.4))
            frames.send(wire.udp(bed.d.ips[":" in src], dst, 33334, 8080, b"F9-own"))
            res.attack("pod d as itself, by frame", wire.got(r, b"F9-own", 0.3))
    for which in ("all", "up0"):
        bed.node.sysctl("net/ipv4/conf/%s/rp_filter" % which, 0)
    with bed.bare():
        seen = forged_from_uplink(bed)
        res.control("without our table the forgeries arrive: %s" % seen, len(seen) >= 4)


# ---- F10: what the guard lets through ------------------------------------------------------------------------


def loopback_reached(bed, frames):
    with bed.node.socket(I.AF_INET, I.SOCK_DGRAM, bind=("127.0.0.1", 9999)) as lo:
        frames.send(wire.udp(bed.f.ip4(), "127.0.0.1", 33333, 9999, b"F10-lo"))
        return wire.got(lo, b"F10-lo", 0.5)


def link_local_types(bed, frames, src, mac):
    """ICMPv6 types from a link-local source that the node's own kernel gets to see, sent to all nodes of the link."""
    through = []
    with bed.node.socket(I.AF_INET6, I.SOCK_RAW, I.IPPROTO_ICMPV6) as r:
        for kind in (1, 128, 130, 133, 134, 137, 143):
            marker = b"F10-%03d" % kind
            for dst, dst_mac in (("ff02::1", "333300000001"), (default_gateway6(bed.f), None)):
                frames.send(wire.icmp(src, dst, kind, 0, 0, marker + b"k" * 24, 255), src_mac=mac,
                            dst_mac=bytes.fromhex(dst_mac) if dst_mac else None)
            if wire.got(r, marker, 0.2):
                through.append(kind)
    return through


def f10(bed, res):
    bed.node.sysctl("net/ipv4/conf/all/route_localnet", 1)
    link = bed.f.host_link()
    stranger = bytes.fromhex("02aaaaaaaaaa")
    with wire.Frames(bed.f) as frames:
        res.attack("pod -> 127.0.0.1 of the node with route_localnet", loopback_reached(bed, frames))
        res.attack("ICMPv6 from fe80::dead and a foreign MAC", link_local_types(bed, frames, "fe80::dead", stranger))
        res.attack("ICMPv6 from fe80::dead", link_local_types(bed, frames, "fe80::dead", frames.own))
        res.control("f reaches its node", udp_arrives(bed.f, bed.node, bed.node.ips[0], 9998))
        before = len(bed.node.sh("ip neigh show dev " + link).splitlines())
        for i in range(300):
            frames.send_raw(wire.arp(1, frames.own, "172.16.%d.%d" % (i // 250, i % 250 + 1), "192.0.2.1"))
        answer = frames.seen(lambda f: f[12:14] == b"\x08\x06" and f[20:22] == b"\0\x02", 0.6)
        after = len(bed.node.sh("ip neigh show dev " + link).splitlines())
        res.attack("ARP is answered", answer is not None)
        res.attack("forged ARP makes neighbour entries: %d to %d" % (before, after), after > before)
    spoofed = bed.drops("spoofed")
    bed.f.sh("ip -6 addr add fd00:10:244::77/128 dev eth0; sleep 1.5; ip -6 addr del fd00:10:244::77/128 dev eth0")
    res.attack("DAD and MLD of a pod count as spoofing", bed.drops("spoofed") > spoofed)
    with wire.Frames(bed.f) as frames:
        frames.send(wire.udp("10.244.9.9", "192.0.2.1", 1, 9998, b"x"))
        time.sleep(0.1)
        res.control("a forged source counts as spoofing", bed.drops("spoofed") > spoofed)
        with bed.bare():
            bed.node.sysctl("net/ipv4/conf/all/rp_filter", 0)
            seen = link_local_types(bed, frames, "fe80::dead", frames.own)
            res.control("without our table the node hears it: loopback %s" % seen,
                        loopback_reached(bed, frames) and 134 in seen)
    bed.node.sysctl("net/ipv4/conf/all/route_localnet", 0)


def default_gateway6(pod):
    words = pod.sh("ip -6 route show default").split()
    return words[words.index("via") + 1]
