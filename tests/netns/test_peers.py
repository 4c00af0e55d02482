#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Routes to other nodes by their Node objects, and masquerade of what leaves the pod ranges, with real packets.

    test_peers.py [--build DIR] [NAME...]

Two nodes on one link, an agent each, Node objects in their folders. The world outside knows no pod range.
"""
import argparse
import os
import socket
import sys
import time
import traceback

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
import harness  # noqa: E402
from harness import Lab, NetNs, is6, patience  # noqa: E402

ROOT = harness.ROOT
OUTSIDE = ["203.0.113.10", "2001:db8::10"]
LAN = {"a": ["198.51.100.1", "fd00:1a::1"], "b": ["198.51.100.2", "fd00:1a::2"]}
RANGES = {"a": ["10.244.1.0/24", "fd00:10:244:1::/64"], "b": ["10.244.2.0/24", "fd00:10:244:2::/64"]}
PORT = 7070

OPEN = """apiVersion: v1
kind: Namespace
metadata: {name: shop}
"""


def expect(truth, what):
    if not truth:
        raise AssertionError(what)


def until(what, why, seconds=10):
    end = time.monotonic() + patience(seconds)
    while time.monotonic() < end:
        if what():
            return
        time.sleep(0.05)
    raise AssertionError(why() if callable(why) else why)


def node_object(name, ranges, addresses):
    lines = ["apiVersion: v1", "kind: Node", "metadata: {name: %s}" % name]
    if ranges:
        lines.append("spec: {podCIDRs: [%s]}" % ", ".join('"%s"' % r for r in ranges))
    lines.append("status: {addresses: [%s]}" % ", ".join('{type: %s, address: "%s"}' % a for a in addresses))
    return "\n".join(lines) + "\n"


def internal(name):
    return [("ExternalIP", "192.0.2.77")] + [("InternalIP", a) for a in LAN[name]]


class Bed:
    """Nodes a and b on one link; the world is behind another."""

    def __init__(self, lab):
        self.lab = lab
        self.lan = NetNs(lab, "lan")
        self.lan.ip("link add br0 type bridge mcast_snooping 0", "link set br0 up")
        lab.world.add(*OUTSIDE)
        self.nodes = {n: self.make(n, i + 1) for i, n in enumerate("ab")}

    def make(self, name, i):
        node = self.lab.node(name, ips=["192.0.2.%d" % i, "2001:db8:1::%d" % i], ranges=[], cluster=[])
        node.ip("link add lan0 type veth peer name to-%s netns %s" % (name, self.lan.name), "link set lan0 up",
                *["address add %s/%d dev lan0%s" % (a, 64 if is6(a) else 24, " nodad" if is6(a) else "")
                  for a in LAN[name]])
        self.lan.ip("link set to-%s master br0" % name, "link set to-%s up" % name)
        return node

    def objects(self, node, *others, ranges=None):
        """Node objects for all, in the folder of one; others: more of them, ready-made."""
        docs = [OPEN] + [node_object(n, (ranges or RANGES)[n], internal(n)) for n in "ab" if (ranges or RANGES).get(n) is not None]
        self.nodes[node].write_manifest("nodes.yaml", "---\n".join(docs + list(others)))

    def start(self, *options):
        for name, node in self.nodes.items():
            self.objects(name)
            node.start_agent(*options)

    def pod(self, node, name):
        pod = self.lab.pod(name)
        conf = self.nodes[node].cni_conf(ipam={"type": "ripstop"})
        return pod.attach(self.nodes[node], "shop", name, conf=conf)


def routes(node, which):
    return node.sh("ip %s route show proto 91" % which)


def all_routes(node):
    return [line for f in ("-4", "-6") for line in routes(node, f).splitlines() if " via " in line]


def conditions(node):
    return ["%s: %s" % (c["type"], c["message"]) for c in node.ctl("status").get("conditions", [])]


def wait_condition(node, *words):
    until(lambda: any(all(w in c for w in words) for c in conditions(node)),
          lambda: "no condition with %s: %s" % (words, conditions(node)))


def seen_from(server, address, client, source=None):
    """Which address a TCP server sees when the client connects, or why not."""
    family = socket.AF_INET6 if is6(address) else socket.AF_INET
    listener = server.socket(family, socket.SOCK_STREAM, bind=(address, 0), timeout=3)
    listener.listen(4)
    port = listener.getsockname()[1]
    c = client.socket(family, socket.SOCK_STREAM, bind=(source, 0) if source else None, timeout=2)
    try:
        c.connect((address, port))
        s, peer = listener.accept()
        s.close()
        return peer[0]
    except OSError as e:
        return "no connection: %s" % e
    finally:
        c.close()
        listener.close()


def seen_udp(server, address, client):
    family = socket.AF_INET6 if is6(address) else socket.AF_INET
    s = server.socket(family, socket.SOCK_DGRAM, bind=(address, 0), timeout=2)
    c = client.socket(family, socket.SOCK_DGRAM, timeout=2)
    try:
        c.sendto(b"x", s.getsockname()[:2])
        data, peer = s.recvfrom(16)
        s.sendto(data, peer)
        return peer[0] if c.recv(16) == data else "another answer"
    except OSError as e:
        return "no datagram: %s" % e
    finally:
        c.close()
        s.close()


def sees(server, address, client, want, how=None):
    """The server sees `want`. A first packet may be lost where the machine is slow; another address may not be."""
    for _ in range(5):
        got = (how or seen_from)(server, address, client)
        if not got.startswith("no "):
            break
    expect(got == want, "%s of %s sees %s, not %s" % (address, server.short, got, want))


# ---- routes -----------------------------------------------------------------------------------------


def pods_of_two_nodes_reach_each_other(lab):
    bed = Bed(lab)
    bed.start()
    a, b = bed.pod("a", "one"), bed.pod("b", "two")
    expect("10.244.2.0/24 via 198.51.100.2 dev lan0" in routes(bed.nodes["a"], "-4"), routes(bed.nodes["a"], "-4"))
    expect("fd00:10:244:2::/64 via fd00:1a::2 dev lan0" in routes(bed.nodes["a"], "-6"), routes(bed.nodes["a"], "-6"))
    for get in ("ip4", "ip6"):
        x, y = getattr(a, get)(), getattr(b, get)()
        sees(b, y, a, x)
        sees(a, x, b, y)
    # Before the objects, and without an agent, the routes stay.
    bed.nodes["a"].kill_agent()
    expect(len(all_routes(bed.nodes["a"])) == 2, "routes went with the agent")
    bed.nodes["a"].start_agent()
    expect(len(all_routes(bed.nodes["a"])) == 2, "a restart lost routes")


def nodes_come_change_and_go(lab):
    bed = Bed(lab)
    bed.start()
    a = bed.nodes["a"]
    pod = bed.pod("a", "one")
    bed.objects("a", ranges={"a": RANGES["a"], "b": ["10.244.9.0/24", "fd00:10:244:9::/64"]})
    until(lambda: "10.244.9.0/24 via 198.51.100.2" in routes(a, "-4"), lambda: routes(a, "-4"))
    until(lambda: "fd00:10:244:9::/64 via" in routes(a, "-6"), lambda: routes(a, "-6"))
    until(lambda: len(all_routes(a)) == 2, lambda: "old routes stay: %s" % all_routes(a))
    moved = node_object("b", RANGES["b"], [("InternalIP", "198.51.100.200"), ("InternalIP", "fd00:1a::200")])
    bed.objects("a", moved, ranges={"a": RANGES["a"]})
    until(lambda: "10.244.2.0/24 via 198.51.100.200" in routes(a, "-4"), lambda: routes(a, "-4"))
    until(lambda: len(all_routes(a)) == 2, lambda: "old routes stay: %s" % all_routes(a))
    bed.objects("a", ranges={"a": RANGES["a"]})
    until(lambda: not all_routes(a), lambda: "routes stay: %s" % all_routes(a))
    expect(pod.ip4() in routes(a, "-4"), "the pod's own route went too")
    expect("unreachable 10.244.1.0/24" in a.sh("ip route"), "the unreachable route went too")


def routes_of_others_stay(lab):
    bed = Bed(lab)
    a = bed.nodes["a"]
    a.ip("route add 10.244.2.0/24 via 198.51.100.99 proto static", "route add 10.250.0.0/16 via 198.51.100.99 proto static")
    bed.start()
    wait_condition(a, "RouteTaken", "node b", "10.244.2.0/24")
    expect("10.244.2.0/24 via 198.51.100.99 dev lan0 proto static" in a.sh("ip route"), a.sh("ip route"))
    until(lambda: "fd00:10:244:2::/64 via" in routes(a, "-6"), "the other family's route is missing")
    bed.objects("a", ranges={"a": RANGES["a"]})
    until(lambda: not all_routes(a), lambda: all_routes(a))
    expect(a.sh("ip route").count("via 198.51.100.99") == 2, "a route of somebody else was removed")
    until(lambda: not any("RouteTaken" in c for c in conditions(a)), lambda: conditions(a))


def a_podcidr_that_cannot_be_is_refused_by_name(lab):
    bed = Bed(lab)
    bed.start()
    a = bed.nodes["a"]
    via = [("InternalIP", "198.51.100.3"), ("InternalIP", "fd00:1a::3")]
    more = [node_object("c", ["10.244.2.128/25"], via), node_object("d", ["0.0.0.0/0", "::/0"], via),
            node_object("e", None, via), node_object("f", ["198.51.0.0/16"], via), node_object("g", ["10.244.1.0/24"], via),
            node_object("h", ["10.244.8.0/24"], [("InternalIP", "203.0.113.99")]),
            node_object("i", ["fd00:10:244:3::/64"], [("InternalIP", "198.51.100.4")]),
            node_object("j", ["192.0.2.0/28"], via), node_object("k", ["169.254.0.0/24"], via)]
    bed.objects("a", *more)
    wait_condition(a, "PodCIDRRefused", "node c", "10.244.2.128/25", "overlaps 10.244.2.0/24 of node b")
    wait_condition(a, "PodCIDRRefused", "node d", "0.0.0.0/0", "default route")
    wait_condition(a, "PodCIDRRefused", "node d", "::/0", "default route")
    wait_condition(a, "NodeWithoutPodCIDR", "node e")
    wait_condition(a, "PodCIDRRefused", "node f", "holds the address 198.51.100.1 of node a")
    wait_condition(a, "PodCIDRRefused", "node g", "overlaps 10.244.1.0/24 of node a")
    wait_condition(a, "NodeUnreachable", "node h", "203.0.113.99 is not on a link", "10.244.8.0/24")
    wait_condition(a, "NodeUnreachable", "node i", "no InternalIP of the family")
    # An address of this machine that no Node object tells.
    wait_condition(a, "PodCIDRRefused", "node j", "holds the address 192.0.2.1 of this node (a)")
    wait_condition(a, "PodCIDRRefused", "node k", "cannot be a range of pods")
    expect(len(all_routes(a)) == 2, "a refused range has a route: %s" % all_routes(a))
    bed.objects("a")
    until(lambda: not [c for c in conditions(a) if c.startswith(("PodCIDR", "Node"))], lambda: conditions(a))


def own_podcidr_that_cannot_be_gives_no_range(lab):
    """A default route as this node's range would cut it off: every source would be a pod's, from elsewhere."""
    bed = Bed(lab)
    a = bed.nodes["a"]
    bed.objects("a", ranges={"a": ["0.0.0.0/0"], "b": RANGES["b"]})
    a.start_agent()
    wait_condition(a, "PodCIDRRefused", "node a", "default route")
    wait_condition(a, "NoNodeRanges")
    expect("unreachable" not in a.sh("ip route"), "an unreachable default route")
    sees(a, LAN["a"][0], bed.nodes["b"], LAN["b"][0])


def node_routes_off_sets_none_and_removes_ours(lab):
    bed = Bed(lab)
    bed.start()
    a = bed.nodes["a"]
    expect(len(all_routes(a)) == 2, all_routes(a))
    a.kill_agent()
    a.start_agent("--node-routes=off")
    until(lambda: not all_routes(a), lambda: all_routes(a))


def uninstall_removes_routes_and_masquerade(lab):
    bed = Bed(lab)
    bed.start("--masquerade=on")
    a = bed.nodes["a"]
    until(lambda: "ripstop-nat" in a.sh("nft list tables"), "no masquerade")
    a.kill_agent()
    p = a.run(a.agent_argv()[:1] + ["uninstall"] + a.agent_argv()[1:], check=False)
    expect(p.returncode == 0, p.stderr)
    expect(not all_routes(a) and "unreachable" not in a.sh("ip route"), "routes stay")
    expect(a.sh("nft list tables") == "", "a table stays: " + a.sh("nft list tables"))


# ---- masquerade -------------------------------------------------------------------------------------


def masquerade_is_off_with_a_folder(lab):
    bed = Bed(lab)
    bed.start()
    pod = bed.pod("a", "one")
    expect("ripstop-nat" not in bed.nodes["a"].sh("nft list tables"), "a table that nobody asked for")
    expect("no connection" in seen_from(lab.world, OUTSIDE[0], pod), "the world knows the way back: nothing is shown here")


def what_leaves_takes_the_nodes_address(lab):
    bed = Bed(lab)
    bed.start("--masquerade=on", "--masquerade-exclude=203.0.113.64/26")
    a, pod, other = bed.nodes["a"], bed.pod("a", "one"), bed.pod("b", "two")
    until(lambda: "ripstop-nat" in a.sh("nft list tables"), "no table")
    for address, node in zip(OUTSIDE, a.ips):
        for how in (seen_from, seen_udp):
            sees(lab.world, address, pod, node, how)
    for mine, theirs in ((pod.ip4(), other.ip4()), (pod.ip6(), other.ip6())):
        sees(other, theirs, pod, mine)
    lab.world.add("203.0.113.70")
    lab.world.ip("route add %s via 192.0.2.1 dev n1 onlink" % pod.ip4())
    sees(lab.world, "203.0.113.70", pod, pod.ip4())
    sees(lab.world, OUTSIDE[0], a, "192.0.2.1")
    # To another node, which is no pod: the node's address.
    sees(bed.nodes["b"], LAN["b"][0], pod, LAN["a"][0])


def policy_judges_the_pods_own_address(lab):
    bed = Bed(lab)
    bed.start("--masquerade=on")
    a, pod = bed.nodes["a"], bed.pod("a", "one")
    sees(lab.world, OUTSIDE[0], pod, "192.0.2.1")
    a.apply("deny.yaml", """apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: out, namespace: shop}
spec: {podSelector: {}, policyTypes: [Egress], egress: [{to: [{ipBlock: {cidr: 2001:db8::/32}}]}]}
""")
    expect("no connection" in seen_from(lab.world, OUTSIDE[0], pod), "an egress that no policy allows")
    sees(lab.world, OUTSIDE[1], pod, a.ips[1])


def a_lost_masquerade_is_noticed_and_restored(lab):
    bed = Bed(lab)
    bed.start("--masquerade=on")
    a, pod = bed.nodes["a"], bed.pod("a", "one")
    until(lambda: "fully-random" in a.sh("nft list table inet ripstop-nat", check=False), "no table")
    for harm in ("delete table inet ripstop-nat", "flush chain inet ripstop-nat leaving", "flush ruleset",
                 "delete element inet ripstop-nat of_pods4 { 10.244.1.0/24 }",
                 "insert rule inet ripstop-nat leaving accept", "add chain inet ripstop-nat more",
                 "add element inet ripstop-nat stays4 { 203.0.113.0/24 }"):
        before = a.log_tail(10000).count("is made again")
        p = a.nft(harm)
        expect(p.returncode == 0, "%s: %s" % (harm, p.stderr))
        until(lambda: a.log_tail(10000).count("is made again") > before, "not noticed: " + harm)
        sees(lab.world, OUTSIDE[0], pod, "192.0.2.1")
    expect(a.sh("nft list table inet ripstop-nat").count("fully-random") == 2, a.sh("nft list table inet ripstop-nat"))
    before = a.log_tail(10000).count("is made again")
    a.nft("add table inet unrelated")
    a.apply("more.yaml", OPEN.replace("shop", "more"))
    expect(a.log_tail(10000).count("is made again") == before, "made again for a table of somebody else")


def flows_survive_a_new_masquerade_table(lab):
    bed = Bed(lab)
    bed.start("--masquerade=on")
    a, pod = bed.nodes["a"], bed.pod("a", "one")
    listener = lab.world.socket(socket.AF_INET, socket.SOCK_STREAM, bind=(OUTSIDE[0], 0), timeout=3)
    listener.listen(1)
    c = pod.socket(socket.AF_INET, socket.SOCK_STREAM, timeout=3)
    c.connect(listener.getsockname())
    s, peer = listener.accept()
    s.settimeout(3)
    expect(peer[0] == "192.0.2.1", peer[0])
    handle = a.sh("nft -a list table inet ripstop-nat").split("# handle")[1]
    bed.objects("a", node_object("c", ["10.244.3.0/24"], [("InternalIP", "198.51.100.3")]))
    until(lambda: "10.244.1.0-10.244.3.255" in a.sh("nft list table inet ripstop-nat"),
          lambda: a.sh("nft list table inet ripstop-nat"))
    expect(a.sh("nft -a list table inet ripstop-nat").split("# handle")[1] != handle, "the table is the old one")
    c.sendall(b"on")
    expect(s.recv(2) == b"on", "the flow broke")
    s.sendall(b"ly")
    expect(c.recv(2) == b"ly", "the way back broke")


def masquerade_stays_over_a_kill_and_goes_when_off(lab):
    bed = Bed(lab)
    bed.start("--masquerade=on")
    a, pod = bed.nodes["a"], bed.pod("a", "one")
    a.kill_agent()
    sees(lab.world, OUTSIDE[0], pod, "192.0.2.1")
    a.start_agent("--masquerade=on")
    expect("masquerade set" not in a.log_tail(3), "the same table was made anew")
    a.kill_agent()
    a.start_agent("--masquerade=off")
    until(lambda: "ripstop-nat" not in a.sh("nft list tables"), "it stays although it is off")


def the_optional_baseline_is_taken(lab):
    """manifests/optional: the agent takes it, and it does what it says."""
    bed = Bed(lab)
    bed.start("--masquerade=on")
    a, pod = bed.nodes["a"], bed.pod("a", "one")
    with open(os.path.join(ROOT, "manifests", "optional", "namespace-baseline.yaml"), encoding="utf-8") as f:
        text = f.read()
    sees(lab.world, OUTSIDE[0], pod, "192.0.2.1")
    a.apply("baseline.yaml", text.replace("  name: default-deny", "  name: default-deny\n  namespace: shop")
            .replace("  name: allow-dns", "  name: allow-dns\n  namespace: shop"))
    expect("no connection" in seen_from(lab.world, OUTSIDE[0], pod), "the baseline lets it out")


TESTS = [
    pods_of_two_nodes_reach_each_other, nodes_come_change_and_go, routes_of_others_stay,
    a_podcidr_that_cannot_be_is_refused_by_name, own_podcidr_that_cannot_be_gives_no_range,
    node_routes_off_sets_none_and_removes_ours, uninstall_removes_routes_and_masquerade, masquerade_is_off_with_a_folder,
    what_leaves_takes_the_nodes_address, policy_judges_the_pods_own_address, a_lost_masquerade_is_noticed_and_restored,
    flows_survive_a_new_masquerade_table, masquerade_stays_over_a_kill_and_goes_when_off, the_optional_baseline_is_taken,
]


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--build", default=None)
    ap.add_argument("names", nargs="*")
    args = ap.parse_args()
    harness.start()
    ok = bad = 0
    for test in TESTS:
        if args.names and test.__name__ not in args.names:
            continue
        start, lab = time.monotonic(), None
        try:
            with Lab(args.build) as lab:
                try:
                    test(lab)
                except BaseException:
                    for ns in lab.namespaces:
                        if isinstance(ns, harness.Node):
                            print("---- agent of %s\n%s" % (ns.short, ns.log_tail(12)))
                    raise
            ok += 1
        except AssertionError as e:
            bad += 1
            print("FAILED %s: %s" % (test.__name__, e))
        except Exception:  # pylint: disable=broad-except
            bad += 1
            print("FAILED %s\n%s" % (test.__name__, traceback.format_exc()))
        print("%-50s %.1f s" % (test.__name__, time.monotonic() - start), flush=True)
    print("%d passed, %d failed, 0 skipped" % (ok, bad))
    return 1 if bad or not ok else 0


if __name__ == "__main__":
    sys.exit(main())
