#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Agents of all dataplanes follow one another under traffic: killed, started again, started with another one.

    test_switch.py [--build DIR] [NAME...]        names: switch, kill, killtc, pods

Forbidden and allowed streams run all the time, every packet numbered: none may pass, none may be lost.
"""
import os
import signal
import sys
import time

os.environ.pop("RIPSTOP_TEST_DATAPLANE", None)  # each agent is told here
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
import harness  # noqa: E402
from flow_main import main  # noqa: E402
from flowbed import FlowBed  # noqa: E402
from gap_foreign import gap_flows, settled  # noqa: E402
from harness import HarnessError  # noqa: E402
from planes import PLANES, has_tcx  # noqa: E402
from streams import Streams  # noqa: E402

RATE = 100
CLSACT_LOSES = 3  # packets of a stream, at most; where there is no tcx
ROUNDS = int(os.environ.get("RS_SWITCH_ROUNDS", "6"))


def options(bed, name):
    """Of an agent with this dataplane; both are told the folder of pins."""
    return ["--dataplane", name, "--bpf-dir", bed.lab.bpf_dir(bed.node)]


def held(bed):
    """The dataplanes that have rules in force."""
    out = set()
    if bed.node.nft("list", "table", "inet", "ripstop").returncode == 0:
        out.add("nft")
    for _, _, pins in os.walk(bed.lab.bpf_dir(bed.node)):
        if "link_sockets" in pins:
            out.add("ebpf-tc")
        elif "link_guard4" in pins:
            out.add("ebpf")
    return out


def wait_held(bed, name):
    end = time.monotonic() + 20 * harness.SLOW
    while held(bed) != {name}:
        if time.monotonic() > end:
            raise HarnessError("rules of %s are in force, not of %s alone\n%s" % (held(bed), name, bed.node.log_tail()))
        time.sleep(0.02)


def follow(bed, name, sig):
    """Another agent takes over."""
    bed.node.kill_agent(sig)
    bed.node.start_agent(*options(bed, name), timeout=30)
    wait_held(bed, name)


class Bed(FlowBed):
    """Its first agent is one of nft."""

    def __init__(self, build):
        super().__init__(build)
        self.lab.mount_bpffs()


def first_clsacts(names):
    """Marks of the agents that put a clsact where there was none: at pods' links, then (ebpf-tc) at the others.

    Before 6.6, which has tcx, programs at every device need one. The kernel stops a link's queues for it, some 2 ms,
    and throws away what is sent to it meanwhile (docs/ebpf.md); it stays, so no later agent does."""
    found = {}
    if has_tcx():
        return set()
    for i in range(ROUNDS):
        name = names[i % len(names)]
        for place in {"ebpf": ["pods"], "ebpf-tc": ["pods", "others"]}.get(name, []):
            found.setdefault(place, i + 1)
    return set(found.values())


def judge(res, counts, what, stops):
    bad = {k: w.received for k, w in counts.items() if k[0][0] == "X" and w.received}
    holes = {k: w.holes for k, w in counts.items() if k[0][0] == "Y" and w.holes}  # by the marks before: of which agent
    lost = {k: h for k, h in holes.items() if any(at not in stops or n > CLSACT_LOSES for at, n in h.items())}
    res.expect(not bad, "%s: forbidden packets passed: %s" % (what, bad))
    res.expect(not lost, "%s: allowed packets were lost: %s" % (what, lost))
    sent = sum(w.sent for w in counts.values())
    res.note("%s: %d packets, %d forbidden ones passed, %d allowed ones lost, %d more where a clsact came to a link" %
             (what, sent, sum(bad.values()), sum(sum(h.values()) for h in lost.values()),
              sum(sum(h.values()) for k, h in holes.items() if k not in lost)))


def play(build, res, names, what):
    with Bed(build) as bed:
        with Streams(bed.lab, gap_flows(bed), RATE) as live:
            time.sleep(0.3)
            settled(bed, live, res)
            for i in range(ROUNDS):
                follow(bed, names[i % len(names)], signal.SIGKILL if i % 3 else signal.SIGTERM)
                time.sleep(0.3)
                settled(bed, live, res)
            counts = live.stop()
        judge(res, counts, what, first_clsacts(names))


def test_switch(build, res):
    """From each to each other."""
    play(build, res, ["ebpf", "ebpf-tc", "nft", "ebpf-tc"], "switch")


def test_kill(build, res):
    """Once there, agents of one dataplane."""
    play(build, res, ["ebpf"], "kill")


def test_kill_tc(build, res):
    play(build, res, ["ebpf-tc"], "kill ebpf-tc")


def programs_at(bed, pod, res):
    """A pod that comes has filters, which come and go quickly; links stand where a clsact would have cost packets."""
    filters = {device for device, _, _ in PLANES["ebpf"].filters(bed.node)}
    links = {p.split("_")[-2] for p in PLANES["ebpf"].pins(bed.node, "link_tc_")}
    index = {line.split(": ")[1].split("@")[0]: line.split(": ")[0] for line in bed.node.sh("ip -o link").splitlines()}
    mine = pod.host_link()
    res.expect(mine in filters and index[mine] not in links, "at %s: filters at %s, links at %s of %s" % (mine, filters, links, index))
    if has_tcx():
        res.expect(links and not filters & {d for d, i in index.items() if i in links}, "links at %s, filters at %s" % (links, filters))


def test_pods(build, res):
    """Pods come and go in between, and what is uninstalled leaves nothing of either."""
    with Bed(build) as bed:
        for i, name in enumerate(["ebpf", "nft", "ebpf-tc", "ebpf", "ebpf-tc"]):
            follow(bed, name, signal.SIGKILL)
            pod = bed.lab.pod("guest%d" % i)
            pod.attach(bed.node, "t", "guest%d" % i, ips=["10.244.1.%d" % (90 + i)])
            res.expect(bed.node.ctl("status").get("dataplane", {}).get("name") == name, "status does not name %s" % name)
            if name != "nft":
                programs_at(bed, pod, res)
            pod.detach()
        bed.node.kill_agent(signal.SIGKILL)
        p = bed.node.run(bed.node.agent_argv(*options(bed, "nft"))[:1] + ["uninstall", "--force"] +
                         bed.node.agent_argv(*options(bed, "nft"))[1:], check=False)
        res.expect(p.returncode == 0, "uninstall: %s" % p.stderr.strip())
        res.expect(not held(bed), "uninstall with the other dataplane left %s" % held(bed))


TESTS = [("switch", "from one dataplane to the other nothing passes and nothing is lost", test_switch),
         ("kill", "an agent of the eBPF dataplane that is killed", test_kill),
         ("killtc", "an agent of ebpf-tc that is killed", test_kill_tc),
         ("pods", "pods and uninstall between dataplanes", test_pods)]

if __name__ == "__main__":
    sys.exit(main(TESTS, __doc__))
