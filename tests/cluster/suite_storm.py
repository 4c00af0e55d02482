# SPDX-License-Identifier: Apache-2.0
"""suite_storm.py - pods come and go by the dozen while their nodes' agents are killed two seconds after each start.

Every pod tries from its first instant to get out of a namespace that lets nothing out, and two others try all
addresses of all nodes all the time. RIPSTOP_STORM=10 makes it smaller, for somebody who works on it.
"""
import datetime
import os
import time

import scene
import traffic
from bedlib import wait_for
from suite_faults import KUBELET, Killer, no_leak, quiet

CLUSTERS = [{"kubelet": KUBELET}]
PODS = int(os.environ.get("RIPSTOP_STORM", "100"))
WAVE = 25
READY_S = 300
TRIES = 60
DEATH_S = 2
NS, OTHERS = "storm", "onlookers"
TARGET_PORT = traffic.PORT + 1  # not the one that is swept: it has no policy, and is to be reached by none of the storm


def run(cluster, result):
    traffic.image(cluster)
    onlookers = {}
    with result.case("XA1 a pod without a policy reaches the target, and is reached by the sweep"):
        onlookers = watchers(cluster)
    if onlookers:
        storm(cluster, result, onlookers)
        cluster.delete("namespace", NS)
        cluster.delete("namespace", OTHERS)


def stormy(cluster, ns, name, node, target):
    args = ["-i", "100", "-f", "%s:%d" % (scene.addresses(target)[0], TARGET_PORT)]
    return traffic.pod(name, ns, node, {"role": "storm"}, args)


def watchers(cluster):
    """A target without policy and two that sweep; seen to work, for else the silence to come would say nothing."""
    one, two = cluster.nodes[:2]
    sweep = ["-i", "300"] + traffic.sweep_args(cluster)
    cluster.apply(scene.namespace(OTHERS), scene.namespace(NS),
                  traffic.pod("target", OTHERS, one, args=["-l", str(TARGET_PORT)], serve=False),
                  traffic.pod("sweeper1", OTHERS, one, args=sweep, serve=False),
                  traffic.pod("sweeper2", OTHERS, two, args=sweep, serve=False))
    out = {p["metadata"]["name"]: p for p in cluster.wait_pods(OTHERS, count=3)}
    cluster.apply(*[stormy(cluster, NS, "open%d" % n.number, n, out["target"]) for n in (one, two)])
    pods = cluster.wait_pods(NS, count=2)

    def met():
        said = [traffic.last(cluster, p) for p in pods]
        return all(s["served"]["F"] and s["targets"][0]["passed"] and s["targets"][0]["back"] for s in said)
    wait_for("pods without a policy to reach and be reached", 120, met, 1)
    cluster.kubectl("delete", "pods", "-n", NS, "--all", timeout=240)
    cluster.apply(scene.policy(NS, "nothing", {}, ingress=[], egress=[]))
    for name in ("sweeper1", "sweeper2"):
        wait_for("silence", 120, lambda n=name: quiet(cluster, out[n]), 0)
    return out


def counts(cluster, onlookers):
    """What must not grow from here on: answers that the sweeps had, and who came to the target."""
    out = {"target": traffic.last(cluster, onlookers["target"], time.time())["served"]["F"]}
    for name in ("sweeper1", "sweeper2"):
        out[name] = [(t["passed"], t["back"]) for t in traffic.last(cluster, onlookers[name], time.time())["targets"]]
    return out


def storm(cluster, result, onlookers):
    name = "%d pods come and go while the agents are killed %d s after each start: " % (PODS, DEATH_S)
    before, slow, faults, slowest, fewest, killer = counts(cluster, onlookers), [], [], 0, None, None
    with result.case("XA12 " + name + "each is Ready within %d s" % READY_S):
        with Killer(cluster.nodes, DEATH_S) as killer:
            wait_for("the first kills", 120, lambda: min(killer.kills.values()) > 0)
            for first in range(0, PODS, WAVE):
                names = ["s%d" % i for i in range(first, min(first + WAVE, PODS))]
                cluster.apply(*[stormy(cluster, NS, n, cluster.nodes[int(n[1:]) % 2], onlookers["target"])
                                for n in names])
                pods = {p["metadata"]["name"]: p for p in wait_ready(cluster, names)}
                slow += [n for n in names if n not in pods]
                slowest = max([slowest] + [seconds_to_ready(p) for p in pods.values()])
                tries, bad = judge(cluster, pods, onlookers)
                faults += bad
                fewest = min([tries] + ([fewest] if fewest is not None else []))
                cluster.kubectl("delete", "pods", "-n", NS, "--wait=false", *names)
            wait_for("the end of all", 600, lambda: not cluster.get("pods", NS), 2)
        result.say("killed %s times; slowest pod Ready after %d s; at least %s tries a pod" % (
            " and ".join(map(str, killer.kills.values())), slowest, fewest))
        assert not slow, "not Ready in time: " + " ".join(slow)
        assert slowest <= READY_S, "one took %d s" % slowest
    with result.case("XA1 " + name + "no forbidden packet passes, of %d tries a pod and more" % TRIES):
        after = counts(cluster, onlookers)
        assert after == before, "before %s, after %s" % (before, after)
        assert not faults, "; ".join(faults)
        assert fewest is not None and fewest >= TRIES, "only %s tries" % fewest
    with result.case("XF4 " + name + "no address is left behind"):
        cluster.wait_installed()
        for node in cluster.nodes:
            no_leak(cluster, node)


def wait_ready(cluster, names):
    """Those of the pods that are Ready, in the end all of them; waits a little longer than they may take."""
    ready = []

    def all_ready():
        ready[:] = [p for p in cluster.get("pods", NS) if p["metadata"]["name"] in names and
                    any(c["type"] == "Ready" and c["status"] == "True" for c in p["status"].get("conditions", []))]
        return len(ready) == len(names)
    try:
        wait_for("pods", READY_S + 20, all_ready, 1)
    except traffic.BedError:
        pass
    return ready


def seconds_to_ready(pod):
    def when(text):
        return datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))
    since = [c["lastTransitionTime"] for c in pod["status"]["conditions"] if c["type"] == "Ready"][0]
    return (when(since) - when(pod["metadata"]["creationTimestamp"])).total_seconds()


def judge(cluster, pods, onlookers):
    """Wait until each has tried and was tried often enough: (fewest tries, what is wrong)."""
    fewest, bad = None, []
    for name, p in pods.items():
        wait_for("tries of " + name, 120, lambda p=p: own_tries(traffic.last(cluster, p)) >= TRIES)
        said = traffic.lines(cluster, p, whole=True)
        wait_for("tries of " + name + " by others", 120,
                 lambda t=said[0]["t"]: others_tries(cluster, onlookers, t) >= TRIES, 1)
        end = traffic.last(cluster, p, time.time())
        tries = min(own_tries(end), others_tries(cluster, onlookers, said[0]["t"]))
        fewest = tries if fewest is None else min(fewest, tries)
        t = end["targets"][0]
        if end["served"]["F"] or t["passed"] or t["back"]:
            bad.append("%s: %s" % (name, end))
        if said[0]["rounds"] > 1:
            bad.append("%s: its first words are lost: %s" % (name, said[0]))
    return fewest or 0, bad


def own_tries(line):
    return line["targets"][0]["tried"] + line["targets"][0]["sent"]


def others_tries(cluster, onlookers, since):
    """How often the sweepers have tried every address since that time, in milliseconds; connections not counted."""
    rounds = []
    for name in ("sweeper1", "sweeper2"):
        lines = [s for s in traffic.lines(cluster, onlookers[name]) if s["t"] > since]
        rounds.append(lines[-1]["rounds"] - lines[0]["rounds"] if lines else 0)
    return sum(rounds)
