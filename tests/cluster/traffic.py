# SPDX-License-Identifier: Apache-2.0
"""traffic.py - pods that talk all the time while something happens, and what became of every packet (knock.c).

    with Watch(crowd) as w:        # from here on
        ...                        # whatever is to be survived
    w.check()                      # allowed: nothing lost; forbidden: nothing came through; and both were really tried
"""
import glob
import json
import os
import time

import bedlib
import imagetar
import scene
from bedlib import BedError, run, wait_for

PORT = 7000
IMAGE = "localhost/knock:1"
SETTLE = 12  # seconds after which knock counts an allowed datagram as missing, and some


def image(cluster):
    """Build it, and give it to every node."""
    out = os.path.join(cluster.dir, "knock")
    run(["gcc", "-static", "-O2", "-s", "-Wall", "-Wextra", "-Werror", "-o", out, os.path.join(bedlib.HERE, "knock.c")])
    layer = imagetar.Layer()
    layer.file("/knock", out)
    imagetar.write(out + ".tar", layer, [IMAGE], ["/knock"])
    cluster.load_image(out + ".tar")


def pod(name, ns, node=None, labels=None, args=(), serve=True, **spec):
    """A pod that runs knock; it answers at PORT unless serve is False. More of its spec by keyword."""
    args = (["-l", str(PORT)] if serve else []) + list(args)
    main = {"name": "main", "image": IMAGE, "imagePullPolicy": "Never", "args": args}
    if serve:
        main["readinessProbe"] = {"tcpSocket": {"port": PORT}, "periodSeconds": 1, "timeoutSeconds": 5}
    body = {"terminationGracePeriodSeconds": 0, "containers": [main]}
    if node:
        body["nodeName"] = node.name
    body.update(spec)
    return {"apiVersion": "v1", "kind": "Pod", "spec": body, "metadata": {
        "name": name, "namespace": ns, "labels": labels or {"app": name}}}


def lines(cluster, pod_object, whole=False):
    """What a pod has said, read from its node's disk: no API server is needed. Its last line alone, or all."""
    meta, node = pod_object["metadata"], pod_object["spec"]["nodeName"]
    folder = os.path.join(cluster.node(int(node.removeprefix("node"))).dir, "log", "pods",
                          "%s_%s_%s" % (meta["namespace"], meta["name"], meta["uid"]), "main")
    files = sorted(glob.glob(os.path.join(glob.escape(folder), "*.log")), key=lambda f: int(os.path.basename(f)[:-4]))
    out = []
    for file in files if whole else files[-1:]:
        size = os.path.getsize(file)
        with open(file, "rb") as f:
            f.seek(0 if whole else max(0, size - 16384))
            for line in f.read().decode("utf-8", "replace").splitlines():
                words = line.split(" ", 3)  # time, stream, F for a whole line, the line
                if words[1:3] == ["stdout", "F"] and words[3].endswith("}"):
                    out.append(json.loads(words[3]))
    return out


def last(cluster, pod_object, after=0.0):
    """Its latest line that was said after that time (of time.time())."""
    def said():
        got = lines(cluster, pod_object)
        return got and got[-1]["t"] > after * 1000 and got[-1]
    return wait_for("words of pod " + pod_object["metadata"]["name"], 120, said, 0.3)


class Crowd:
    """Two servers on two nodes behind a policy, one client that it allows and one that it does not, on each node.

    Each client talks to both servers, so every pair is there on one node and across two.
    """

    def __init__(self, cluster, ns):
        self.cluster, self.ns = cluster, ns
        self.servers, self.friends, self.strangers = {}, {}, {}

    def start(self):
        c, ns = self.cluster, self.ns
        c.apply(scene.namespace(ns), scene.policy(ns, "closed", {"role": "server"}, ingress=[
            {"from": [{"podSelector": {"matchLabels": {"role": "friend"}}}], "ports": [
                {"port": PORT}, {"port": PORT, "protocol": "UDP"}]}]))
        c.apply(*[pod("server%d" % n.number, ns, n, {"role": "server"}) for n in c.nodes[:2]])
        self.servers = {p["metadata"]["name"]: p for p in c.wait_pods(ns, "role=server", 2, 240)}
        where = ["%s:%d" % (scene.addresses(p)[0], PORT) for p in self.servers.values()]
        for role, option in (("friend", "-a"), ("stranger", "-f")):
            args = [word for target in where for word in (option, target)]
            c.apply(*[pod("%s%d" % (role, n.number), ns, n, {"role": role}, args, serve=False) for n in c.nodes[:2]])
        self.friends = {p["metadata"]["name"]: p for p in c.wait_pods(ns, "role=friend", 2, 240)}
        self.strangers = {p["metadata"]["name"]: p for p in c.wait_pods(ns, "role=stranger", 2, 240)}
        wait_for("traffic that flows", 120, self.flows, 1)
        # What the other node dropped before it had heard of these pods is told as missing only now.
        time.sleep(SETTLE)
        return self

    def everybody(self):
        return {**self.servers, **self.friends, **self.strangers}

    def said(self, after):
        return {name: last(self.cluster, p, after) for name, p in self.everybody().items()}

    def flows(self):
        """Have all connections that stay come about?"""
        return all(t["heard"] > 20 for p in self.friends.values() for t in last(self.cluster, p)["targets"])

    def delete(self):
        self.cluster.delete("namespace", self.ns)


class Watch:
    """What a Crowd met between entry and exit."""

    def __init__(self, crowd):
        self.crowd, self.before, self.after = crowd, None, None

    def __enter__(self):
        self.before = self.crowd.said(time.time())
        return self

    def __exit__(self, kind, *_):
        if kind is None:
            self.settle()

    def settle(self):
        """What is under way now has its time to arrive, or is lost."""
        now = time.time()
        wait_for("the last answers", SETTLE + 60, lambda: time.time() > now + SETTLE)
        self.after = self.crowd.said(time.time())

    def _grown(self, name, i, key):
        return self.after[name]["targets"][i][key] - self.before[name]["targets"][i][key]

    def check(self, tries=100, leaks_only=False):
        """AssertionError, with figures, unless all is as it must be; returns a line of figures."""
        tried, opened, worst, bad = 0, 0, 0, []
        for name in self.crowd.strangers:
            for i, target in enumerate(self.after[name]["targets"]):
                got = {k: self._grown(name, i, k) for k in ("tried", "passed", "sent", "back")}
                tried += got["tried"] + got["sent"]
                opened += got["passed"] + got["back"]
                if got["passed"] or got["back"] or min(got["tried"], got["sent"]) < tries:
                    bad.append("forbidden, %s to %s: %s" % (name, target["to"], got))
        for name in self.crowd.servers:
            seen = self.after[name]["served"]["F"] - self.before[name]["served"]["F"]
            opened += seen
            if seen:
                bad.append("%s was reached %d times by who may not" % (name, seen))
        allowed = 0
        for name in self.crowd.friends if not leaks_only else ():
            for i, target in enumerate(self.after[name]["targets"]):
                got = {k: self._grown(name, i, k) for k in ("tried", "passed", "lost", "missing", "heard", "broken")}
                allowed += got["passed"]
                worst = max(worst, target["worst"])
                if got["lost"] or got["missing"] or got["broken"] or min(got["passed"], got["heard"]) < tries:
                    bad.append("allowed, %s to %s: %s" % (name, target["to"], got))
        if bad:
            raise AssertionError("; ".join(bad))
        return "%d forbidden tries, none came through; %d allowed connections, none lost; longest wait on one that " \
            "stayed %d ms" % (tried, allowed, worst)


def sweep_args(cluster):
    """Options that let a pod try every address of every node's pod range."""
    out = []
    for node in cluster.nodes:
        cidr = cluster.get_one("node", node.name)["spec"]["podCIDRs"][0]
        base, bits = cidr.split("/")
        if ":" in cidr or int(bits) < 23:
            raise BedError("a sweep wants IPv4 ranges of at most 512 addresses, not " + cidr)
        out += ["-s", "%s+%d:%d" % (base, 2 ** (32 - int(bits)), PORT)]
    return out
