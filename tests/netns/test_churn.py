#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What many pods and a dying agent leave behind, and the first packet of a new pod.

    test_churn.py [--build DIR] [churn|kill|first]...

Sizes by environment: RS_CHURN_CYCLES (500) ADD/DEL cycles, RS_CHURN_PARALLEL (50) of them at a time,
RS_KILLS (200) of the agent, RS_FIRST_PODS (20) fresh pods.
"""
import argparse
import concurrent.futures
import json
import os
import random
import signal
import sys
import threading
import time
import traceback

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
import harness  # noqa: E402
from attackbed import LABELS, OUT4, OUT6, Bed, udp_arrives  # noqa: E402
from harness import CniError, CtlError, HarnessError  # noqa: E402
from probe import Flood, Flow, show_counts  # noqa: E402

CYCLES = int(os.environ.get("RS_CHURN_CYCLES", "500"))
PARALLEL = int(os.environ.get("RS_CHURN_PARALLEL", "50"))
KILLS = int(os.environ.get("RS_KILLS", "200"))
FIRST_PODS = int(os.environ.get("RS_FIRST_PODS", "20"))


# the test's own pods have fixed addresses of the first two; the IPAM of ours gives out the others
RANGES = ["10.244.1.0/24", "fd00:10:244:1::/64", "10.244.4.0/22", "fd00:10:244:4::/64"]


class Failures(list):
    def expect(self, holds, text):
        if not holds:
            self.append(text)


# ---- what a node holds ------------------------------------------------------------------------------


def files_of(folder):
    try:
        return sorted(f for f in os.listdir(folder) if not f.startswith("."))
    except OSError:
        return []


def leases_held(node):
    """Addresses that are in use (resting ones are not)."""
    return [name for name in files_of(os.path.join(node.state, "leases")) if not name.endswith(".resting")]


def snapshot(node):
    routes = node.sh("ip route show table all; ip -6 route show table all").splitlines()
    return {"leases": leases_held(node),
            "records": files_of(os.path.join(node.state, "endpoints")),
            "links": sorted(l.split(":")[1].strip() for l in node.sh("ip -o link").splitlines()),
            "routes": sorted(r.split(" expires ")[0].strip() for r in routes),
            "neighbours": sorted(n for n in node.sh("ip neigh; ip -6 neigh").splitlines() if "PERMANENT" in n),
            "elements": harness.PLANE.held(node)}


def compare(before, after, fails):
    for what in before:
        extra = [x for x in after[what] if x not in before[what]]
        gone = [x for x in before[what] if x not in after[what]]
        fails.expect(not extra, "%d %s left behind: %s" % (len(extra), what, extra[:4]))
        fails.expect(not gone, "%d %s lost: %s" % (len(gone), what, gone[:4]))


# ---- churn ----------------------------------------------------------------------------------------------


def test_churn(bed, fails):
    """ADD and DEL many times in parallel, then look at what is left."""
    # labels in use, so that every pod has a class and a group of its own
    bed.add("warm", "10.244.1.90", {"app": "a"}).detach()
    bed.pods.pop("warm").delete()
    before = snapshot(bed.node)
    conf = bed.node.cni_conf(timeoutSeconds=60)
    conf["ipam"] = {"type": "ripstop", "ranges": RANGES[2:]}
    spaces = [bed.lab.pod("k%d" % i) for i in range(PARALLEL)]
    begin = time.monotonic()

    def cycles(k):
        for n in range(k, CYCLES, PARALLEL):
            pod = spaces[k]
            pod.container_id = "churn-%d-%d" % (k, n)
            labels = [{"app": "a"}, {"deny": "yes"}, {"app": "b"}, {"app": "n%d" % n}][n % 4]
            pod.attach(bed.node, "t", "churn-%d" % n, labels=labels, conf=conf)
            pod.detach(netns=n % 3 != 0)

    with concurrent.futures.ThreadPoolExecutor(PARALLEL) as pool:
        jobs = [pool.submit(cycles, k) for k in range(PARALLEL)]
        for job in jobs:
            try:
                job.result()
            except (CniError, HarnessError) as e:
                fails.append(str(e))
    seconds = time.monotonic() - begin
    for s in spaces:
        links = [l for l in s.sh("ip -o link").splitlines() if ": lo:" not in l]
        fails.expect(not links, "%s still has %s" % (s.short, links))
    compare(before, snapshot(bed.node), fails)
    status = bed.node.ctl("status")
    fails.expect(status["endpoints"]["total"] == len(LABELS), "status counts %s endpoints" % status["endpoints"]["total"])
    fails.expect(status["dataplane"].get("inSync", True), "the agent says the dataplane is not in sync")
    fails.expect(udp_arrives(bed.a, bed.b, bed.b.ip4(), 8080), "a no longer reaches b")
    fails.expect(not udp_arrives(bed.d, bed.b, bed.b.ip4(), 8080), "d reaches b")
    return "%d cycles, %d at a time, %.1f s (%.0f ms each)" % (CYCLES, PARALLEL, seconds,
                                                              seconds * 1e3 * PARALLEL / max(CYCLES, 1))


# ---- kill ------------------------------------------------------------------------------------------------


def kill_flows(bed):
    """10 allowed and 10 forbidden flows; half of them are a new flow with every packet."""
    flows = []
    ok = [(bed.a, bed.b, 8080), (bed.e, bed.b, 8080), (bed.d, bed.f, 6000), (bed.world, bed.f, 6001),
          (bed.f, bed.world, 6002)]
    bad = [(bed.d, bed.b, 8080), (bed.a, bed.c, 6000), (bed.c, bed.f, 6003), (bed.world, bed.b, 8080),
           (bed.c, bed.world, 6004)]
    for word, pairs in (("ok", ok), ("bad", bad)):
        for n, (src, dst, port) in enumerate(pairs):
            # the source is the pod's own; the world has several addresses, and the kernel's choice is as good as any
            for i, kind in ((0, "udp"), (1, "udpnew")):
                flows.append(Flow("%s%d:%s>%s:%s@%d" % (word, n, src.short, dst.short, kind, i), kind, src, "*", dst,
                                  dst.ips[i], port))
                flows.append(Flow("%s%d:%s>%s:%s@%d" % (word, n, src.short, dst.short, kind, 1 - i), kind, src, "*",
                                  dst, dst.ips[1 - i], port))
    return flows


class Guest:
    """A pod whose ADD is on its way when the agent is killed: it must succeed with the next agent."""

    def __init__(self, bed, fails):
        self.bed, self.fails, self.n = bed, fails, 0
        self.pod = bed.lab.pod("guest")
        self.conf = bed.node.cni_conf(timeoutSeconds=30, ipam={"type": "ripstop", "ranges": RANGES[2:]})
        self.thread = None

    def begin(self):
        self.n += 1
        self.thread = threading.Thread(target=self._attach)
        self.thread.start()

    def _attach(self):
        try:
            self.pod.container_id = "guest-%d" % self.n
            self.pod.attach(self.bed.node, "t", "guest-%d" % self.n, labels={"app": "guest%d" % self.n}, conf=self.conf)
        except (CniError, HarnessError) as e:
            self.fails.append("ADD over a kill: %s" % e)

    def end(self):
        if self.thread:
            self.thread.join()
            self.thread = None
            try:
                self.pod.detach()
            except (CniError, HarnessError) as e:
                self.fails.append("DEL over a kill: %s" % e)


def kill_once(bed, guest, phase, n, rng):
    """Bring the agent into a phase and kill it there."""
    if phase == "start":
        time.sleep(rng.uniform(0, 0.08))  # somewhere between exec and ready
    else:
        bed.node.wait_ready()
        guest.end()
    if phase == "commit":
        # a change that is committed about now: the folder is read some 200 ms after the last write
        bed.node.write_manifest("churn.yaml", DUMMY % (n, n % 7))
        time.sleep(rng.uniform(0.18, 0.30))
    elif phase == "attach":
        guest.begin()
        time.sleep(rng.uniform(0, 0.03))
    elif phase == "idle":
        time.sleep(rng.uniform(0, 0.1))
    bed.node.kill_agent(signal.SIGKILL)
    bed.node.start_agent(wait=False)


def test_kill(bed, fails):
    """kill -9 of the agent, spread over start, commit, attach and idle, under allowed and forbidden packets."""
    flows = kill_flows(bed)
    per_flow = 1000 / sum(f.id.startswith("ok") for f in flows)
    rng, guest = random.Random(3), Guest(bed, fails)
    phases = ["start", "commit", "attach", "idle"]
    begin = time.monotonic()
    with Flood(bed.lab, flows, per_flow, 900) as flood:
        time.sleep(0.5)
        for n in range(KILLS):
            kill_once(bed, guest, phases[n % len(phases)], n, rng)
        bed.node.wait_ready()
        guest.end()
        time.sleep(0.5)
        counts = flood.stop()
    seconds = time.monotonic() - begin
    sent = {w: sum(c.sent for i, c in counts.items() if i.startswith(w)) for w in ("ok", "bad")}
    lost = {i: c for i, c in counts.items() if i.startswith("ok") and c.lost}
    leaked = {i: c for i, c in counts.items() if i.startswith("bad") and c.received}
    unsent = {i: c for i, c in counts.items() if c.unsent}
    fails.expect(not lost, "allowed packets were lost:\n" + show_counts(lost))
    fails.expect(not leaked, "forbidden packets got through:\n" + show_counts(leaked))
    fails.expect(not unsent, "packets could not be sent:\n" + show_counts(unsent))
    for word, total in sent.items():
        fails.expect(total > seconds * 800, "only %d %s packets were sent in %.0f s" % (total, word, seconds))
    fails.expect(udp_arrives(bed.a, bed.b, bed.b.ip4(), 8080), "a no longer reaches b after the last start")
    return "%d kills (over %s) in %.0f s, %d allowed and %d forbidden packets" % (
        KILLS, ", ".join(phases), seconds, sent["ok"], sent["bad"])


# Changes what the node enforces without touching any flow of the test: another policy on b, another name.
DUMMY = """apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: churn-%d, namespace: t}
spec:
  podSelector: {matchLabels: {app: b}}
  policyTypes: [Ingress]
  ingress: [{from: [{podSelector: {matchLabels: {app: nobody%d}}}], ports: [{protocol: TCP, port: 99}]}]
"""


# ---- the first packet of a new pod ---------------------------------------------------------------------


def test_first(bed, fails):
    """A prober sits in the namespace before the pod has an interface: does anything forbidden get out or in?"""
    bed.node.apply("first.yaml", FIRST)
    worst = 0.0
    for n in range(FIRST_PODS):
        ip4 = "10.244.1.%d" % (200 + n % 50)
        ip6 = "fd00:10:244:1::%d" % (200 + n % 50)
        pod = bed.lab.pod("first%d" % n)
        flows = []
        for i, ip in ((4, ip4), (6, ip6)):
            f = bed.f.ips[i == 6]
            out = OUT6 if i == 6 else OUT4
            flows += [Flow("bad-out-pod@%d" % i, "udpnew", pod, "*", bed.f, f, 9001),
                      Flow("bad-out-tcp@%d" % i, "tcpnew", pod, "*", bed.f, f, 9002),
                      Flow("bad-out-world@%d" % i, "udpnew", pod, "*", bed.world, out, 9001),
                      Flow("bad-out-node@%d" % i, "udpnew", pod, "*", bed.node, bed.node.ips[i == 6], 9001),
                      Flow("bad-in-pod@%d" % i, "udp", bed.f, "*", pod, ip, 9001),
                      Flow("bad-in-tcp@%d" % i, "tcpnew", bed.f, "*", pod, ip, 9002),
                      Flow("bad-in-world@%d" % i, "udp", bed.world, "*", pod, ip, 9003),
                      Flow("ok-out@%d" % i, "udpnew", pod, "*", bed.f, f, 9100),
                      Flow("ok-in@%d" % i, "udp", bed.f, "*", pod, ip, 9101)]
        with Flood(bed.lab, flows, 500, 60) as flood:
            time.sleep(0.1)
            pod.attach(bed.node, "t", "first-%d" % n, ips=[ip4, ip6], labels={"first": "yes"})
            attached = time.monotonic() * 1e3
            time.sleep(0.4)
            counts = flood.stop()
        for ident, c in counts.items():
            if ident.startswith("bad"):
                fails.expect(not c.received, "pod %d: %s: %d forbidden packets, the first %.1f ms after ADD returned" %
                             (n, ident, c.received, c.first - attached))
            else:
                fails.expect(c.received > 20, "pod %d: control %s: only %d packets arrived" % (n, ident, c.received))
                worst = max(worst, c.first - attached)
        pod.detach()
        pod.delete()
    return "%d pods, allowed traffic at most %.1f ms after ADD returned" % (FIRST_PODS, worst)


FIRST = """apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: first, namespace: t}
spec:
  podSelector: {matchLabels: {first: "yes"}}
  policyTypes: [Ingress, Egress]
  ingress: [{from: [{podSelector: {matchLabels: {app: f}}}], ports: [{protocol: UDP, port: 9101}]}]
  egress: [{to: [{podSelector: {matchLabels: {app: f}}}], ports: [{protocol: UDP, port: 9100}]}]
"""

TESTS = [("churn", test_churn), ("kill", test_kill), ("first", test_first)]


def play(build, fn):
    fails, note = Failures(), ""
    try:
        with Bed(build, ranges=RANGES) as bed:
            try:
                note = fn(bed, fails)
            finally:
                if fails:
                    fails.append("agent log:\n" + bed.node.log_tail())
    except Exception as e:  # pylint: disable=broad-except
        fails.append("%s: %s" % (type(e).__name__, e))
        if not isinstance(e, (HarnessError, CniError, CtlError)):
            fails.append(traceback.format_exc())
    return fails, note


def main():
    ap = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    ap.add_argument("--build", default=None)
    ap.add_argument("name", nargs="*")
    args = ap.parse_args()
    harness.start()
    passed = failed = 0
    for name, fn in TESTS:
        if args.name and name not in args.name:
            continue
        begin = time.monotonic()
        fails, note = play(args.build, fn)
        passed, failed = passed + (not fails), failed + bool(fails)
        print("%-8s %-8s %6.1f s  %s" % ("failed" if fails else "passed", name, time.monotonic() - begin, note))
        for line in fails[:12]:
            print("         " + line)
        sys.stdout.flush()
    print("%d passed, %d failed, 0 skipped" % (passed, failed))
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
