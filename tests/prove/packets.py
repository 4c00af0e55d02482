#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Cases of the differential test as real packets: up to two nodes with an agent each, pods attached by the real plugin at the
addresses of the case, every flow sent and its fate compared with the verdict that the readers agreed on.

    tests/prove/packets.py [--build DIR] [--jobs N] FILE

FILE holds one case a line (tests/prove/prove.h) with "verdicts" added: one boolean a flow. Half of the TCP and UDP flows to
pods go through a Service: to an address that the sender's node (for a host: the pod's node) translates, as kube-proxy
would; a pod that meets itself there is masqueraded.
"""
import argparse
import concurrent.futures
import ipaddress
import json
import os
import sys
import time
import traceback

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "netns", "lib"))
import harness  # noqa: E402
from dial import Call, Listeners, dial  # noqa: E402
from harness import CniError, HarnessError, Lab, NODE_LINKLOCAL6, is6  # noqa: E402
from probe import Flow, probe  # noqa: E402
from wire import flush_conntrack  # noqa: E402

KINDS = {6: "tcp", 17: "udp", 132: "sctp", 1: "icmp", 58: "icmp"}
SERVICES = {"ip": "10.96.0.%d", "ip6": "fd00:10:96::%x"}
TRANSLATE = """
table %(f)s services {
    map tcp_to { type %(t)s . inet_service : %(t)s . inet_service; %(tcp)s }
    map udp_to { type %(t)s . inet_service : %(t)s . inet_service; %(udp)s }
    set oneself { type %(t)s . %(t)s; %(self)s }
    chain pre { type nat hook prerouting priority dstnat;
        dnat %(f)s addr . port to %(f)s daddr . tcp dport map @tcp_to
        dnat %(f)s addr . port to %(f)s daddr . udp dport map @udp_to
    }
    chain out { type nat hook output priority -100;
        dnat %(f)s addr . port to %(f)s daddr . tcp dport map @tcp_to
        dnat %(f)s addr . port to %(f)s daddr . udp dport map @udp_to
    }
    chain post { type nat hook postrouting priority srcnat; %(f)s saddr . %(f)s daddr @oneself masquerade; }
}
"""


def inside(address, ranges):
    a = ipaddress.ip_address(address)
    return any(a in ipaddress.ip_network(r) for r in ranges if is6(r) == is6(address))


def elements(items):
    return "elements = { %s };" % ", ".join(sorted(set(items))) if items else ""


class Bed:
    """One case: who is where."""

    def __init__(self, lab, case):
        self.lab, self.case = lab, case
        world = case["world"]
        self.nodes, self.ends, self.ranges = {}, {}, {}
        for n in world["nodes"]:
            node = lab.node(n["name"], ips=n["addresses"], ranges=n["ranges"], cluster=world["podRanges"])
            node.write_manifest("objects.json", json.dumps({"apiVersion": "v1", "kind": "List", "items": case["objects"]}))
            self.nodes[n["name"]] = node
            self.ends["node", n["name"]] = (node, n["addresses"], n["name"])
        for h in world["hosts"]:
            lab.world.add(*h["addresses"])
            self.ends["host", h["name"]] = (lab.world, h["addresses"], None)
        for node in self.nodes.values():
            node.start_agent()
        for o in case["objects"]:
            if o["kind"] == "Pod":
                self.attach(o)

    def attach(self, o):
        spec, status, meta = o.get("spec") or {}, o.get("status") or {}, o["metadata"]
        ips = [i["ip"] for i in status.get("podIPs") or []] or [i for i in [status.get("podIP")] if i]
        if spec.get("hostNetwork") or not ips or status.get("phase") in ("Succeeded", "Failed"):
            return
        ips = [str(ipaddress.ip_address(i)) for i in ips]
        home = [n for n in self.nodes.values() if inside(ips[0], n.ranges)]
        if not home:
            return
        pod = self.lab.pod("p%d" % len(self.ends))
        pod.attach(home[0], meta.get("namespace", "default"), meta["name"], ips=ips)
        self.ends["pod", "%s/%s" % (meta.get("namespace", "default"), meta["name"])] = (pod, ips, home[0].short)

    def end(self, e, family):
        """(namespace, address, name of the node or None)"""
        key = next(iter(e.items()))
        if key not in self.ends:
            raise HarnessError("a flow names %s, which is nowhere" % (key,))
        ns, ips, node = self.ends[key]
        return ns, next(i for i in ips if is6(i) == (family == 6)), node


class Sent:
    """One flow on its way."""

    def __init__(self, number, flow, allow, bed):
        self.number, self.flow, self.allow = number, flow, allow
        self.src, self.src_addr, self.src_node = bed.end(flow["src"], flow["family"])
        self.dst, self.dst_addr, self.dst_node = bed.end(flow["dst"], flow["family"])
        self.proto, self.fate, self.why = flow["proto"], None, ""
        self.service = None

    def __str__(self):
        f = self.flow
        way = " through %s" % self.service[0] if self.service else ""
        return "%s -> %s proto %d port %d (%s -> %s%s)" % (
            "/".join(next(iter(f["src"].items()))), "/".join(next(iter(f["dst"].items()))), f["proto"], f["port"],
            self.src_addr, self.dst_addr, way)

    def impossible(self, bed):
        """Why no honest machine can send this, or ''."""
        if "host" in self.flow["src"] and self.dst_node and inside(self.src_addr, bed.nodes[self.dst_node].ranges):
            return "from an address of the receiving node's own pod range, elsewhere: forged"
        if "host" in self.flow["dst"] and self.src_node and inside(self.dst_addr, bed.nodes[self.src_node].ranges):
            return "to an address of the own pod range that nobody holds: unreachable"
        return ""

    def wants_service(self):
        return self.number % 2 and self.proto in (6, 17) and "pod" in self.flow["dst"] and self.flow["port"]

    def as_flow(self):
        kind = KINDS.get(self.proto, "ip")
        port = self.proto if kind == "ip" else self.flow["port"]
        return Flow("f%d" % self.number, kind, self.src, self.src_addr, self.dst, self.dst_addr, port)


def serve(bed, flows):
    """Give every flow a Service of its own and write the nodes' translations."""
    lists = {n: {(f, k): [] for f in ("ip", "ip6") for k in ("tcp", "udp", "self")} for n in bed.nodes}
    routes = []
    for k, s in enumerate(flows):
        family = "ip6" if is6(s.dst_addr) else "ip"
        s.service = (SERVICES[family] % (1 + k % 200), 2000 + k)
        at = s.src_node or s.dst_node
        lists[at][family, KINDS[s.proto]].append("%s . %d : %s . %d" % (*s.service, s.dst_addr, s.flow["port"]))
        if s.src_addr == s.dst_addr:
            lists[at][family, "self"].append("%s . %s" % (s.src_addr, s.dst_addr))
        if s.src_node is None:
            routes.append((s, at))
    for name, node in bed.nodes.items():
        for f, t in (("ip", "ipv4_addr"), ("ip6", "ipv6_addr")):
            text = TRANSLATE % dict(f=f, t=t, **{k: elements(lists[name][f, k]) for k in ("tcp", "udp", "self")})
            p = harness.run(node.argv(["nft", "-f", "-"]), check=False, input=text)
            if p.returncode:
                raise HarnessError("translations of %s: %s" % (name, p.stderr))
    for s, at in routes:  # a host meets the Service at the pod's own node
        via = NODE_LINKLOCAL6 if is6(s.dst_addr) else [a for a in bed.nodes[at].ips if not is6(a)][0]
        end = "n%d" % (1 + list(bed.nodes).index(at))
        bed.lab.world.run(["ip", "route", "replace", "%s/%d" % (s.service[0], harness.host_len(s.service[0])),
                           "via", via, "dev", end] + ([] if is6(via) else ["onlink"]))


def one_node_each(flows):
    """Hosts share the world's routes: a Service address leads to one node only, so lots of one receiving node each."""
    lots = {}
    for s in flows:
        lots.setdefault(s.dst_node if s.src_node is None else "", []).append(s)
    return list(lots.values())


def send_direct(bed, flows, ms):
    """Without ports, a flow is to conntrack the answer of the one that goes the other way: two lots then."""
    lots, seen = ([], []), {}
    for s in flows:
        key = (s.proto, s.src_addr, s.dst_addr)
        if KINDS.get(s.proto, "ip") == "ip":
            if key in seen:
                seen[key].append(s)
                continue
            seen[key] = []
            lots[(s.proto, s.dst_addr, s.src_addr) in seen].append(s)
        else:
            lots[0].append(s)
    for lot in lots:
        if not lot:
            continue
        for node in bed.nodes.values():
            flush_conntrack(node)
        fates = probe(bed.lab, [s.as_flow() for s in lot], ms)
        late = [s for s in lot if s.allow and fates["f%d" % s.number][0] == "blocked"]
        if late:  # the machine may be busy; only silence is tried again
            fates.update(probe(bed.lab, [s.as_flow() for s in late], 3500))
        for s in lot:
            s.fate, s.why = fates["f%d" % s.number]
            for twin in seen.get((s.proto, s.src_addr, s.dst_addr), []) if KINDS.get(s.proto, "ip") == "ip" else []:
                twin.fate, twin.why = s.fate, s.why


def send_through_services(bed, flows):
    for lot in one_node_each(flows):
        for node in bed.nodes.values():
            for f in ("ip", "ip6"):
                node.nft("delete", "table", f, "services")
        serve(bed, lot)
        with Listeners() as servers:
            opened, calls = set(), []
            for s in lot:
                key = (s.dst_addr, KINDS[s.proto], s.flow["port"])
                if key not in opened:
                    opened.add(key)
                    servers.open("s", s.dst, *key)
                calls.append(Call("f%d" % s.number, s.src, s.src_addr, KINDS[s.proto], *s.service, s.allow))
            dial(servers, calls)
            for s, c in zip(lot, calls):
                s.fate, s.why = c.fate, c.fate


def play(build, case, ms):
    """(what differs, as lines; flows sent, of them through a Service, denied, IPv6, between nodes; not sent)"""
    with Lab(build) as lab:
        bed = Bed(lab, case)
        flows = [Sent(n, f, v, bed) for n, (f, v) in enumerate(zip(case["flows"], case["verdicts"]))]
        honest = [s for s in flows if not s.impossible(bed)]
        through = [s for s in honest if s.wants_service()]
        direct = [s for s in honest if not s.wants_service()]
        send_direct(bed, direct, ms)
        send_through_services(bed, through)
        bad = ["%s: expected %s, packet %s %s" % (s, "allow" if s.allow else "deny", s.fate, s.why) for s in honest
               if s.fate != ("ok" if s.allow else "blocked")]
        counts = {"sent": len(honest), "service": len(through), "denied": sum(not s.allow for s in honest),
                  "IPv6": sum(s.flow["family"] == 6 for s in honest), "not sent": len(flows) - len(honest),
                  "between nodes": sum(s.src_node != s.dst_node and None not in (s.src_node, s.dst_node) for s in honest)}
        return bad, counts


def run_case(build, number, line, ms):
    begin, counts = time.monotonic(), {}
    try:
        bad, counts = play(build, json.loads(line), ms)
    except (HarnessError, CniError) as e:
        bad = ["%s: %s" % (type(e).__name__, e)]
    except Exception:  # pylint: disable=broad-except
        bad = [traceback.format_exc()]
    return number, bad, counts, time.monotonic() - begin


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--build", default=None)
    ap.add_argument("--jobs", type=int, default=2)
    ap.add_argument("--ms", type=int, default=1300, help="how long silence must last to count as blocked")
    ap.add_argument("file")
    args = ap.parse_args()
    harness.start()
    with open(args.file, encoding="utf-8") as f:
        lines = f.read().splitlines()
    total, passed, failed, begin = {}, 0, 0, time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
        jobs = [pool.submit(run_case, args.build, n, line, args.ms) for n, line in enumerate(lines)]
        try:
            for job in concurrent.futures.as_completed(jobs):
                number, bad, counts, seconds = job.result()
                for k, v in counts.items():
                    total[k] = total.get(k, 0) + v
                passed, failed = passed + (not bad), failed + bool(bad)
                for text in bad[:20]:
                    print("world %d (%.1f s): %s" % (number, seconds, text), flush=True)
        finally:
            for job in jobs:
                job.cancel()
    print("packets: %d worlds, %s, %.0f s" % (len(lines), ", ".join("%d %s" % (v, k) for k, v in total.items()),
                                             time.monotonic() - begin))
    for need in ("sent", "service", "denied", "IPv6"):
        if not total.get(need):
            print("no flow of the kind: " + need)
            failed += 1
    print("%-8s packets" % ("failed" if failed else "passed"))
    print("%d passed, %d failed, 0 skipped" % (passed, failed))
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
