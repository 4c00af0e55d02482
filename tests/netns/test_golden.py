#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every golden case with real packets: pods attached by the real plugin at the addresses of the case, an
agent with its objects, all its flows at once, and each fate compared with the case and with explain.

    test_golden.py [--build DIR] [--jobs N] [CASE...]
"""
import argparse
import concurrent.futures
import os
import sys
import time
import traceback

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
import harness  # noqa: E402
from apibed import ApiBed  # noqa: E402
from golden import Case, case_folders, load_objects  # noqa: E402
from harness import CtlError, HarnessError, Lab  # noqa: E402
from probe import Flow, families, probe  # noqa: E402
from wire import flush_conntrack  # noqa: E402


class Bed:
    """One case on its own node: who is where."""

    def __init__(self, lab, case):
        self.lab, self.case = lab, case
        w = case.world
        self.node = lab.node(w.node_name, ips=w.node_ips, ranges=w.node_ranges, cluster=w.pod_ranges)
        self.ends = {"node": (self.node, w.node_ips)}
        for name, ips in w.hosts.items():
            lab.world.add(*ips)
            self.ends[name] = (lab.world, ips)

    def put(self, state):
        """Put the objects in force."""
        with open(state.objects_path, encoding="utf-8") as f:
            self.node.write_manifest("objects.yaml", f.read())
        if self.node.agent is None:
            self.node.start_agent()
        else:
            self.node.sync()

    def close(self):
        pass

    def enter_state(self, state):
        """Put the objects in force, then attach what is new."""
        self.put(state)
        for p in state.pods:
            key = "%s/%s" % (p.namespace, p.name)
            if not p.local:
                self.lab.world.add(*p.ips)
                self.ends[key] = (self.lab.world, p.ips)
            elif key not in self.ends:
                pod = self.lab.pod("%s-%s" % (p.namespace[:20], p.name[:20]))
                pod.attach(self.node, p.namespace, p.name, ips=p.ips)
                if sorted(pod.ips) != sorted(p.ips):
                    raise HarnessError("%s got %s, not %s" % (key, pod.ips, p.ips))
                self.ends[key] = (pod, p.ips)

    def end(self, name):
        if name not in self.ends:
            raise HarnessError("a flow names '%s', which is nowhere" % name)
        return self.ends[name]


class ApiCase(Bed):
    """A case whose objects are all there are: its agent asks an API server."""

    def __init__(self, lab, case):
        super().__init__(lab, case)
        self.api = ApiBed(lab, start=False, namespaces=())
        self.node.source = ["--kubeconfig", self.api.kubeconfig(os.path.join(self.node.dir, "kubeconfig"))]
        self.node.agent_options += ["--masquerade", "off", "--node-routes", "off"]

    def put(self, state):
        objects = {(o["kind"], o["metadata"].get("namespace"), o["metadata"]["name"]): o
                   for o in load_objects(self.lab, state.objects_path)}
        liar = self.api.liar
        for kind, held in liar.objects.items():
            for ns, name in [k for k in held if (kind, *k) not in objects]:
                liar.delete(kind, name, ns)
        for (kind, ns, name), o in objects.items():
            liar.put(kind, name, ns, labels=o["metadata"].get("labels") or {},
                     **{k: v for k, v in o.items() if k not in ("kind", "apiVersion", "metadata")})
        if self.node.agent is None:
            self.node.start_agent()
        else:
            self.api.settle(self.node)

    def close(self):
        self.api.close()


def expand(bed, state):
    """The case's flows as prober flows: {id: (golden flow, Flow)}."""
    out = {}
    for g in state.flows:
        (src, src_ips), (dst, dst_ips) = bed.end(g.src), bed.end(g.dst)
        pairs = [p for p in families(src_ips, dst_ips) if not g.family or p[0] == g.family]
        if not pairs:
            raise HarnessError("%s:%d: the ends share no family" % (state.flows_path, g.line))
        for family, a, b in pairs:
            ident = "%d@%s" % (g.line, family)
            out[ident] = (g, Flow(ident, g.proto, src, a, dst, b, g.port))
    return out


def operand(name, ip):
    """How a person would name this end to explain."""
    return name if "/" in name else ip


def explain(bed, g, flow):
    """The agent's answer for one flow: (verdict, text)."""
    port = "icmp" if g.proto == "icmp" else "%s/%d" % (g.proto, g.port)
    r = bed.node.ctl("explain", src=operand(g.src, flow.src_addr), dst=operand(g.dst, flow.dst_addr),
                     port=port, family=6 if ":" in flow.src_addr else 4)
    half = r.get("ingress" if "ingress" in r.get("deniedAt", "") else "egress", {})
    miss = half.get("miss") or {}
    text = "%s %s: %s %s" % (r.get("verdict"), r.get("deniedAt", ""), half.get("reason", ""),
                             " ".join(str(miss[k]) for k in ("rule", "ports", "peers") if k in miss))
    return r.get("verdict"), text


def check_flow(bed, g, flow, fate, why):
    """A failure as text, or None."""
    want = "ok" if g.allow else "blocked"
    head = "line %d: %s %s -> %s %s/%d %s -> %s" % (g.line, "allow" if g.allow else "deny", g.src, g.dst,
                                                    g.proto, g.port, flow.src_addr, flow.dst_addr)
    verdict, text = "allowed" if g.allow else "denied", "(not asked)"
    if g.proto != "ip":  # explain has no word for a bare IP protocol
        try:
            verdict, text = explain(bed, g, flow)
        except (CtlError, OSError) as e:
            verdict, text = "no answer", str(e)
    if fate == want and verdict == ("allowed" if g.allow else "denied"):
        return None
    return "%s: packet %s %s, explain: %s" % (head, fate, why, text)


def split_reversed(flows):
    """Two lots: a flow without ports is, to conntrack, the answer of the one that goes the other way."""
    first, second, seen = [], [], set()
    for ident, (_, f) in flows.items():
        if f.kind == "ip" and (f.port, f.dst_addr, f.src_addr) in seen:
            second.append(ident)
        else:
            seen.add((f.port, f.src_addr, f.dst_addr))
            first.append(ident)
    return first, second


def probe_patiently(bed, flows, ms):
    """What was expected to pass and did not is tried once more, alone: the machine may be busy.

    Only silence is tried again, and only towards `ok`: a flow that passes once has passed.
    """
    first, second = split_reversed(flows)
    fates = probe(bed.lab, [flows[i][1] for i in first], ms)
    if second:
        flush_conntrack(bed.node)
        fates.update(probe(bed.lab, [flows[i][1] for i in second], ms))
    late = [i for i, (g, _) in flows.items() if g.allow and fates[i][0] == "blocked"]
    if late:
        fates.update(probe(bed.lab, [flows[i][1] for i in late], 3500))
    return fates


def play(lab, folder, ms):
    """What is wrong with a case, as lines; None when it cannot be played here."""
    case = Case(lab, folder)
    if case.world.closed:
        return None
    bed, lines = (ApiCase if case.world.complete else Bed)(lab, case), []
    try:
        play_states(bed, case, ms, lines)
    finally:
        bed.close()
    return lines


def play_states(bed, case, ms, lines):
    for n, state in enumerate(case.states, 1):
        bed.enter_state(state)
        flows = expand(bed, state)
        fates = probe_patiently(bed, flows, ms)
        for ident, (g, flow) in flows.items():
            bad = check_flow(bed, g, flow, *fates[ident])
            if bad:
                lines.append(bad if len(case.states) == 1 else "state %d: %s" % (n, bad))


def run_case(build, folder, ms):
    """(name, verdict, lines, seconds)"""
    start, name = time.monotonic(), os.path.basename(folder)
    try:
        with Lab(build) as lab:
            lines = play(lab, folder, ms)
    except (HarnessError, harness.CniError) as e:
        lines = ["%s: %s" % (type(e).__name__, e)]
    except Exception:  # pylint: disable=broad-except
        lines = [traceback.format_exc()]
    if lines is None:
        return name, "skipped", ["a pod without known labels needs an API source"], 0
    return name, "failed" if lines else "passed", lines, time.monotonic() - start


def main():
    ap = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    ap.add_argument("--build", default=None)
    ap.add_argument("--jobs", type=int, default=2)
    ap.add_argument("--ms", type=int, default=1300, help="how long silence must last to count as blocked")
    ap.add_argument("--cases", default=os.path.join(harness.ROOT, "tests", "golden"))
    ap.add_argument("case", nargs="*")
    args = ap.parse_args()
    harness.start()
    tally = {"passed": 0, "failed": 0, "skipped": 0}
    folders = case_folders(args.cases, args.case)
    with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
        jobs = [pool.submit(run_case, args.build, f, args.ms) for f in folders]
        try:
            for job in jobs:
                name, verdict, lines, seconds = job.result()
                tally[verdict] += 1
                print("%-8s %-44s %5.1f s" % (verdict, name, seconds), flush=True)
                for line in lines[:20]:
                    print("         " + line)
                if len(lines) > 20:
                    print("         and %d more" % (len(lines) - 20))
        finally:
            for job in jobs:
                job.cancel()
    print("%(passed)d passed, %(failed)d failed, %(skipped)d skipped" % tally)
    return 1 if tally["failed"] or not tally["passed"] else 0


if __name__ == "__main__":
    sys.exit(main())
