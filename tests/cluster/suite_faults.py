# SPDX-License-Identifier: Apache-2.0
"""suite_faults.py - the agent is killed, the API server is away, a node loses its power, Ripstop is taken off.

While it happens pods talk all the time (traffic.py): what a policy allows loses nothing, what it forbids never passes.
"""
import base64
import contextlib
import json
import os
import random
import signal
import threading
import time

import bedlib
import scene
import traffic
from bedinstall import NAMESPACE
from bedlib import BedError, wait_for
from scene import at
from traffic import Watch

# Without these a container that dies again and again waits ever longer, up to 5 minutes.
KUBELET = {"featureGates": {"KubeletCrashLoopBackOffMax": True},
           "crashLoopBackOff": {"maxContainerRestartPeriod": "1s"}}
CLUSTERS = [{"kubelet": KUBELET}]
KILLS = 8
OUTAGE_S = 60
ETCD = "http://127.0.0.1:2379/v3/kv/"


def run(cluster, result):
    traffic.image(cluster)
    crowd = None
    with result.case("pods talk: a policy lets some in and not others, on one node and across two"):
        crowd = traffic.Crowd(cluster, "faults").start()
        with Watch(crowd) as w:
            time.sleep(10)
        result.say("at rest: " + w.check())
    if crowd:
        kill(cluster, result, crowd)
        outage(cluster, result, crowd)
        reboot(cluster, result, crowd)
        crowd.delete()
    uninstall(cluster, result)


# ---- agents ------------------------------------------------------------------------------------------------


def agent_pids(node):
    """The agents that run on a node, as the machine below counts them; the installer has the same name."""
    out = []
    for pid in node.processes("ripstop-agent"):
        words = (bedlib.read("/proc/%d/cmdline" % pid) or "").split("\0")
        if "install" not in words and "uninstall" not in words:
            out.append(pid)
    return out


def restarts(cluster):
    """How often each node's agent was started again, by the kubelet's count."""
    return {p["spec"]["nodeName"]: p["status"]["containerStatuses"][0]["restartCount"] for p in cluster.agents()}


class Killer(threading.Thread):
    """Ends every agent of some nodes by SIGKILL, so many seconds after each start, until stop()."""

    def __init__(self, nodes, seconds):
        super().__init__(daemon=True)
        self.nodes, self.seconds = nodes, seconds
        self.seen, self.kills, self.ended = {}, {n.name: 0 for n in nodes}, threading.Event()

    def run(self):
        while not self.ended.wait(0.2):
            for node in self.nodes:
                for pid in agent_pids(node):
                    key = (pid, bedlib.began(pid))
                    since = self.seen.setdefault(key, time.monotonic())
                    if time.monotonic() - since >= self.seconds and key[1] == bedlib.began(pid):
                        with contextlib.suppress(ProcessLookupError):
                            os.kill(pid, signal.SIGKILL)
                            self.kills[node.name] += 1

    def stop(self):
        self.ended.set()
        self.join(60)

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.stop()


def kill(cluster, result, crowd):
    with result.case("XA3 XA4 the agent is killed again and again: nothing allowed is lost, nothing forbidden passes"):
        chance, made = random.Random(1), []
        with Watch(crowd) as w:
            for i in range(KILLS):
                gone = {n.name: agent_pids(n) for n in cluster.nodes}
                for pid in sum(gone.values(), []):
                    os.kill(pid, signal.SIGKILL)
                made.append("late%d" % i)
                cluster.apply(traffic.pod(made[-1], crowd.ns, cluster.nodes[i % 2], {"role": "server", "late": "yes"}))
                for node in cluster.nodes:
                    wait_for("a new agent on " + node.name, 120, lambda n=node: set(agent_pids(n)) - set(gone[n.name]))
                time.sleep(chance.choice((0, 0.1, 0.3, 1, 3)))
            cluster.wait_pods(crowd.ns, "late=yes", KILLS, 300)
            cluster.wait_installed()
        result.say("%d times killed on each node: %s" % (KILLS, w.check()))
        counted = restarts(cluster)
        assert all(n >= KILLS for n in counted.values()), "restarts by the kubelet's count: %s" % counted
    with result.case("XA4 pods that were made while it was killed are Ready and behind their policy"):
        pods = cluster.wait_pods(crowd.ns, "late=yes", KILLS)
        cluster.apply(traffic.pod("late-stranger", crowd.ns, cluster.nodes[0], args=[
            word for p in pods for word in ("-f", at(scene.addresses(p)[0], traffic.PORT))], serve=False))
        stranger = cluster.wait_pods(crowd.ns, "app=late-stranger")[0]
        wait_for("its tries", 120, lambda: min(t["tried"] for t in traffic.last(cluster, stranger)["targets"]) > 60)
        said = traffic.last(cluster, stranger)["targets"]
        assert not any(t["passed"] or t["back"] for t in said), said
        assert not any(traffic.last(cluster, p)["served"]["F"] for p in pods)
    cluster.kubectl("delete", "pods", "-n", crowd.ns, "-l", "late=yes", timeout=240)
    cluster.delete("pod", "late-stranger", crowd.ns)


# ---- the API server is away --------------------------------------------------------------------------------


def etcd_delete(cluster, key):
    """Take an object out of the store itself: a change that happens while no API server can tell of it."""
    body = json.dumps({"key": base64.b64encode(key.encode()).decode()})
    said = json.loads(cluster.run(["curl", "-sf", "-m", "20", "-d", body, ETCD + "deleterange"]).stdout)
    if int(said.get("deleted", 0)) != 1:
        raise BedError("etcd holds no " + key)


def status_on(cluster, node):
    """`ripstop status` on the node itself: kubectl exec needs the API server."""
    return node.run([os.path.join(cluster.build, "ripstop"), "--socket", "/run/ripstop/agent.sock", "status"],
                    check=False)


def outage(cluster, result, crowd):
    one, two = cluster.nodes[:2]
    ns = "outage"
    with result.case("XA10 XB11 an API server that is away for a minute changes nothing, and no agent is restarted"):
        cluster.apply(scene.namespace(ns), scene.pod(cluster, ns, "client", one),
                      scene.pod(cluster, ns, "opens", two), scene.pod(cluster, ns, "closes", two),
                      scene.policy(ns, "shut", {"app": "opens"}, ingress=[]),
                      scene.policy(ns, "isolate", {"app": "closes"}, ingress=[]),
                      scene.policy(ns, "allow", {"app": "closes"}, ingress=[{}]))
        there = {p["metadata"]["name"]: at(scene.addresses(p)[0], scene.PORT) for p in cluster.wait_pods(ns, count=3)}
        scene.until(cluster, ns, "client", there["opens"], "TIMEOUT")
        scene.until(cluster, ns, "client", there["closes"], "OK")
        before, pids = restarts(cluster), {n.name: agent_pids(n) for n in cluster.nodes}
        with Watch(crowd) as w:
            cluster.stop_apiserver()
            try:
                for name in ("shut", "allow"):
                    etcd_delete(cluster, "/registry/networkpolicies/%s/%s" % (ns, name))
                time.sleep(OUTAGE_S)
                said = {n.name: status_on(cluster, n) for n in cluster.nodes}
                stayed = {n.name: agent_pids(n) for n in cluster.nodes}
            finally:
                cluster.start_apiserver()
        result.say("%d s without API server: %s" % (OUTAGE_S, w.check()))
        assert pids == stayed and restarts(cluster) == before, "agents were restarted: %s, %s" % (pids, stayed)
        for name, p in said.items():
            assert "SourceError" in p.stdout, "status on %s does not tell: %s" % (name, p.stdout + p.stderr)
    with result.case("XB11 what changed while it was away counts when it is back"):
        scene.until(cluster, ns, "client", there["opens"], "OK", seconds=120)
        scene.until(cluster, ns, "client", there["closes"], "TIMEOUT", seconds=120)
        for node in cluster.nodes:
            wait_for("status without SourceError on " + node.name, 120,
                     lambda n=node: "SourceError" not in status_on(cluster, n).stdout)
    cluster.delete("namespace", ns)


# ---- a node loses its power --------------------------------------------------------------------------------


def held(node):
    """Addresses that are given out on a node, and its attachments' records; one at rest is nobody's."""
    names = node.run(["sh", "-c", "ls /run/ripstop/leases 2>&-; :"]).stdout.split()  # no folder before the first
    text = node.run(["sh", "-c", "cat /run/ripstop/endpoints/* 2>&-; :"]).stdout.strip()
    decoder, records = json.JSONDecoder(), []
    while text:
        record, end = decoder.raw_decode(text)
        records.append(record)
        text = text[end:].lstrip()
    return sorted(n for n in names if not n.endswith(".resting")), records


def no_leak(cluster, node):
    """What is given out on the node are exactly its pods' addresses, all of this boot."""
    def same():
        pods = [p for p in cluster.get("pods") if p["spec"].get("nodeName") == node.name and
                not p["spec"].get("hostNetwork")]
        want = sorted(a for p in pods for a in scene.addresses(p))
        addresses, records = held(node)
        if addresses != want or sorted(a for r in records for a in r["ips"]) != want:
            raise BedError("%s: leases %s, records %s, pods %s" % (node.name, addresses,
                                                                   [(r.get("pod"), r["ips"]) for r in records], want))
        old = [r["pod"] for r in records if r["bootID"] != node.boot_id]
        if old:
            raise BedError("%s: records of another boot: %s" % (node.name, old))
        return True
    wait_for("as many addresses as pods", 180, same, 2)


def reboot(cluster, result, crowd):
    one, two = cluster.nodes[:2]
    ns, names = "reboot", ["again%d" % i for i in range(6)]
    with result.case("XA9 a sweep of all pod addresses reaches pods without a policy, and none behind one"):
        cluster.apply(scene.namespace(ns), *[traffic.pod(n, ns, one, {"role": "again"}) for n in names])
        cluster.apply(traffic.pod("sweeper", ns, two, serve=False, args=["-i", "300"] + traffic.sweep_args(cluster)))
        pods = cluster.wait_pods(ns, "role=again", len(names))
        sweeper = cluster.wait_pods(ns, "app=sweeper", 1)[0]
        wait_for("the sweep", 120, lambda: all(traffic.last(cluster, p)["served"]["F"] for p in pods))
        cluster.apply(scene.policy(ns, "closed", {"role": "again"}, ingress=[]))
        wait_for("the policy", 120, lambda: quiet(cluster, sweeper), 0)
    with result.case("XA9 a node that boots anew: pods come back, their policy is there before they answer"):
        rounds, boots = traffic.last(cluster, sweeper, time.time())["rounds"], one.boot_id
        one.stop()
        one.start()
        assert one.boot_id != boots
        said = wait_for("pods that came back", 300, lambda: came_back(cluster, ns, len(names)), 1)
        cluster.wait_installed()
        result.say("back after %d sweeps" % (traffic.last(cluster, sweeper, time.time())["rounds"] - rounds))
        wait_for("more sweeps", 120, lambda: traffic.last(cluster, sweeper)["rounds"] > rounds + 60)
        for name, lines in came_back(cluster, ns, len(names)).items():
            assert lines and not lines[-1]["served"]["F"], "%s was reached: %s" % (name, lines[-1])
        assert said
    with result.case("XF1 a node that boots anew: no address of the old boot is held, and status says ok"):
        no_leak(cluster, one)
        p = status_on(cluster, one)
        assert p.returncode == 0, p.stdout + p.stderr
        # The servers of the crowd on that node have other addresses now; the one on the other node is the same.
        same = at(scene.addresses(crowd.servers["server2"])[0], traffic.PORT)
        for friend in cluster.wait_pods(crowd.ns, "role=friend", 2):
            had = [t["passed"] for t in traffic.last(cluster, friend, time.time())["targets"] if t["to"] == same][0]
            wait_for("traffic of " + friend["metadata"]["name"], 120, lambda f=friend, h=had: any(
                t["passed"] > h + 20 for t in traffic.last(cluster, f)["targets"] if t["to"] == same))
    cluster.delete("namespace", ns)


def quiet(cluster, sweeper):
    """Does nobody answer the sweep any more?"""
    a = traffic.last(cluster, sweeper, time.time())
    time.sleep(3)
    b = traffic.last(cluster, sweeper, time.time())
    return b["rounds"] > a["rounds"] and [(t["passed"], t["back"]) for t in a["targets"]] == [
        (t["passed"], t["back"]) for t in b["targets"]]


def came_back(cluster, ns, count):
    """{pod: what it has said since the boot}, once all run for the second time and are Ready; else nothing."""
    pods = cluster.wait_pods(ns, "role=again", count, 1)
    if not all(p["status"]["containerStatuses"][0]["restartCount"] for p in pods):
        return None
    return {p["metadata"]["name"]: traffic.lines(cluster, p) for p in pods}


# ---- Ripstop is taken off ----------------------------------------------------------------------------------


def uninstall(cluster, result):
    one, two = cluster.nodes[:2]
    ns = "stays"
    with result.case("the uninstaller of manifests/uninstall takes Ripstop off every node, as the manual says"):
        cluster.apply(scene.namespace(ns), scene.policy(ns, "closed", {}, ingress=[]))
        cluster.apply(traffic.pod("web", ns, one))
        target = "%s:%d" % (scene.addresses(cluster.wait_pods(ns, "app=web", 1)[0])[0], traffic.PORT)
        cluster.apply(traffic.pod("client", ns, one, args=["-a", target], serve=False))
        pods = {p["metadata"]["name"]: p for p in cluster.wait_pods(ns, count=2)}
        for node in cluster.nodes:
            for trace in ("/etc/cni/net.d/05-ripstop.conflist", "/opt/cni/bin/ripstop", "/run/ripstop/node.json"):
                node.run(["test", "-e", trace])
            ours = {"inet ripstop" if cluster.dataplane == "nft" else "inet ripstop-ct", "inet ripstop-nat"}
            assert set(tables(node)) >= ours and routes(node), "not installed? %s" % tables(node)
            assert bool(pins(node)) == (cluster.dataplane != "nft"), "pins: %s" % pins(node)
        wait_for("no pods on " + two.name, 180, lambda: not held(two)[0])
        said = cluster.uninstall()
        result.say("the uninstaller: " + " | ".join(said.split("\n"))[:600])
        bad = []
        for node in cluster.nodes:
            # A pod that keeps running keeps its own route.
            kept = [scene.addresses(p)[0] + " dev rs" for p in pods.values() if p["spec"]["nodeName"] == node.name]
            left = [t for t in tables(node) if "ripstop" in t] + [
                r for r in routes(node) if not r.startswith(tuple(kept))]
            left += pins(node)
            left += node.run(["find", "/run/ripstop", "/etc/cni/net.d", "-name", "*", "-type", "f"],
                             check=False).stdout.split()
            if left:
                bad.append("%s: %s" % (node.name, left))
        assert not bad, "left: " + "; ".join(bad)
        # Where pods are left their kubelet still needs it; where none is, it is gone.
        one.run(["test", "-x", "/opt/cni/bin/ripstop"])
        assert two.run(["test", "-e", "/opt/cni/bin/ripstop"], check=False).returncode, "the plugin is left"
    with result.case("nothing of it is left in the cluster"):
        for what in ("namespace/ripstop-system", "clusterrole/ripstop-agent", "clusterrolebinding/ripstop-agent"):
            assert cluster.kubectl("get", what, check=False).returncode, what + " is there"
    with result.case("pods that are left keep running, and reach each other on their node"):
        heard = traffic.last(cluster, pods["client"], time.time())["targets"][0]["passed"]
        wait_for("traffic without policy", 60,
                 lambda: traffic.last(cluster, pods["client"])["targets"][0]["passed"] > heard + 50)
        for p in cluster.wait_pods(ns, count=2):
            assert not p["status"]["containerStatuses"][0]["restartCount"], p["metadata"]["name"] + " was restarted"
    with result.case("pods that were left can still be deleted"):
        cluster.delete("namespace", ns)


def tables(node):
    return [line.removeprefix("table ") for line in node.run(["nft", "list", "tables"]).stdout.splitlines()]


def pins(node):
    return node.run(["sh", "-c", "ls /sys/fs/bpf/ripstop 2>&-; :"]).stdout.split()


def routes(node):
    out = []
    for family in ("-4", "-6"):
        out += node.run(["ip", family, "route", "show", "table", "all", "proto", "91"]).stdout.splitlines()
    return out
