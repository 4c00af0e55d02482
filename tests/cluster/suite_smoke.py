# SPDX-License-Identifier: Apache-2.0
"""suite_smoke.py - pods on several nodes by our plugin: they reach each other, Services, the world; a policy counts.

IPv4 alone and dual stack, kube-proxy in its nftables and iptables modes. Prints what the agent and the image weigh.
"""
import ipaddress
import json
import os
import re
import signal
import subprocess
import sys

import bed
import bedlib
import scene
from bedinstall import MANIFESTS, NAMESPACE
from bedlib import wait_for
from scene import PORT, UDP, at

sys.path.insert(0, os.path.join(bedlib.ROOT, "tests", "netns", "lib"))
import pcapng  # noqa: E402

CLUSTERS = [{"nodes": 3, "kubelet": {"maxPods": 120}}, {"dual": True}]
NS = "smoke"
CROWD, RULES = 50, 50


def run(cluster, result):
    kind = "dual" if cluster.dual else "ipv4"
    installed(cluster, result, kind)
    enforced(cluster, result, kind)
    pods = people(cluster, result, kind)
    if not pods:
        return
    itself(cluster, result, kind)
    for mode in ("nftables", "iptables"):
        if cluster.proxy != mode:
            cluster.set_proxy(mode)
        who = "%s %s" % (kind, mode)
        reach(cluster, result, who, pods)
        services(cluster, result, who, pods)
        policies(cluster, result, who, pods)
    world(cluster, result, kind)
    watched(cluster, result, kind)
    if len(cluster.nodes) > 2:
        weight(cluster, result)
        events(cluster, result)


def installed(cluster, result, kind):
    """What an installation leaves on a node, and what it may do."""
    with result.case(kind + " the conflist and the plugin are ours, on every node"):
        for node in cluster.nodes:
            found = node.run(["ls", "/etc/cni/net.d"]).stdout.split()
            assert found == ["05-ripstop.conflist"], "%s: %s" % (node.name, found)
            node.run(["test", "-x", "/opt/cni/bin/ripstop"])
    with result.case(kind + " the agent's account may list and watch, and nothing else"):
        me = ["--as=system:serviceaccount:ripstop-system:ripstop-agent", "-A"]
        for what in ("pods", "nodes", "networkpolicies.networking.k8s.io"):
            for verb, may in (("list", "yes"), ("watch", "yes"), ("get", "no"), ("create", "no"), ("patch", "no")):
                said = cluster.kubectl("auth", "can-i", verb, what, *me, check=False).stdout.strip()
                assert said == may, "%s %s: %s" % (verb, what, said)
        assert cluster.kubectl("auth", "can-i", "get", "secrets", *me, check=False).stdout.strip() == "no"
    with result.case(kind + " status says ok on every node"):
        for node in cluster.nodes:
            p = cluster.ripstop(node.name, "status", check=False)
            assert p.returncode == 0, "%s: exit %d: %s" % (node.name, p.returncode, p.stdout + p.stderr)


def enforced(cluster, result, kind):
    """By what was asked for, on every node, and by nothing beside it."""
    want = "nft" if cluster.dataplane == "nft" else "ebpf"
    with result.case("%s %s enforces on every node, as installed (%s)" % (kind, want, cluster.dataplane)):
        for node in cluster.nodes:
            d = json.loads(cluster.ripstop(node.name, "status", "-o", "json").stdout)["dataplane"]
            assert (d["name"], d["configured"], d["fallback"]) == (want, cluster.dataplane, False), "%s: %s" % (node.name, d)
            assert "beside" not in d, "%s: %s" % (node.name, d)
            tables = node.run(["nft", "list", "tables"]).stdout.split("\n")
            assert ("table inet ripstop" in tables) == (want == "nft"), "%s: %s" % (node.name, tables)
            pins = node.run(["ls", "/sys/fs/bpf/ripstop"], check=False).stdout.split()
            assert bool(pins) == (want == "ebpf"), "%s: %s" % (node.name, pins)


def itself(cluster, result, kind):
    """`kubectl ripstop test --self`, as a user runs it, and that nothing of it stays."""
    with result.case(kind + " kubectl ripstop test --self finds nothing, and leaves nothing behind"):
        path = os.path.join(cluster.build, "kubectl-ripstop")
        p = cluster.run([path, "test", "--self", "-o", "json"], check=False, timeout=420)
        assert p.returncode == 0, "exit %d: %s" % (p.returncode, p.stdout + p.stderr)
        said = json.loads(p.stdout)
        nodes = {said["server"]["node"], said["client"]["node"]}
        assert len(nodes) == 2, "both pods are on one node: %s" % nodes
        tried = {i["to"] for i in said["items"] if "to" in i}
        assert len(tried) == 1 + cluster.dual, "addresses tried: %s" % tried
        left = [n["metadata"]["name"] for n in cluster.get("namespaces", selector="app.kubernetes.io/component=selftest")]
        assert not left, "namespaces left: %s" % left


def people(cluster, result, kind):
    """Two servers and two clients, one of each on both nodes: {name: pod object}."""
    one, two = cluster.nodes[:2]
    with result.case(kind + " pods on two nodes become Ready with addresses of their nodes"):
        cluster.apply(scene.namespace(NS), scene.namespace("elsewhere", team="other"))
        cluster.apply(scene.pod(cluster, NS, "web1", one, {"app": "web"}),
                      scene.pod(cluster, NS, "web2", two, {"app": "web"}),
                      scene.pod(cluster, NS, "friend", one, {"app": "friend"}),
                      scene.pod(cluster, NS, "stranger", two, {"app": "stranger"}),
                      scene.pod(cluster, "elsewhere", "far", two, {"app": "far"}),
                      scene.service(NS, "web", {"app": "web"}, "NodePort", cluster.dual))
        ready = cluster.wait_pods(NS, count=4) + cluster.wait_pods("elsewhere", count=1)
        pods = {p["metadata"]["name"]: p for p in ready}
        for pod in pods.values():
            node = cluster.get_one("node", pod["spec"]["nodeName"])
            have, ranges = scene.addresses(pod), node["spec"]["podCIDRs"]
            assert len(have) == len(ranges), "%s for %s" % (have, ranges)
            for a, cidr in zip(have, ranges):
                assert ipaddress.ip_address(a) in ipaddress.ip_network(cidr), "%s is not in %s" % (a, cidr)
        return pods
    return None


def reach(cluster, result, who, pods):
    with result.case(who + " every pod reaches every pod, also on the other node, by TCP and UDP"):
        for client, server in (("friend", "web1"), ("friend", "web2"), ("stranger", "web1"), ("web1", "web2"),
                               ("web1", "web1")):
            for a in scene.addresses(pods[server]):
                scene.until(cluster, NS, client, at(a, PORT), "OK")
        for a in scene.addresses(pods["web2"]):
            dial = "http://%s/dial?host=%s&port=%d&protocol=udp&request=hostname&tries=3"
            said = scene.fetch(cluster, NS, "friend", dial % (at(scene.addresses(pods["web1"])[0], PORT), a, UDP), 20)
            assert "web2" in said, "UDP to %s: %s" % (a, said)
    with result.case(who + " a node reaches pods of every node"):
        for node in cluster.nodes[:2]:
            for name in ("web1", "web2"):
                for a in scene.addresses(pods[name]):
                    node.run(["curl", "-sgf", "-m", "10", "http://%s/hostname" % at(a, PORT)])


def services(cluster, result, who, pods):
    svc = cluster.get_one("service", "web", NS)["spec"]
    port = svc["ports"][0]["nodePort"]
    with result.case(who + " a ClusterIP leads to every backend, from pods of both nodes"):
        for ip in svc["clusterIPs"]:
            for client in ("friend", "stranger"):
                answers(cluster, client, "http://%s/hostname" % at(ip, 80), {"web1", "web2"})
    with result.case(who + " a backend reaches itself through its own Service"):
        for ip in svc["clusterIPs"]:
            answers(cluster, "web1", "http://%s/hostname" % at(ip, 80), {"web1", "web2"})
    with result.case(who + " a NodePort answers on every node, to pods and from outside"):
        for node in cluster.nodes[:2]:
            for ip in node.ips:
                url = "http://%s/hostname" % at(ip, port)
                answers(cluster, "friend", url, {"web1", "web2"})
                ask = ["curl", "-sgf", "-m", "5", url]
                wait_for("NodePort " + url, 60, lambda argv=ask: cluster.run(argv, check=False).stdout)


def answers(cluster, client, url, want):
    """The client meets each of `want` at that address, and nobody else."""
    met = set()

    def asked():
        said = scene.fetch(cluster, NS, client, url)
        if said:
            met.add(said)
        assert met <= want, "%s: %s" % (url, met)
        return met == want
    try:
        wait_for("", 90, asked, 0.05)
    except bedlib.BedError:
        raise AssertionError("%s at %s met %s of %s" % (client, url, sorted(met), sorted(want))) from None


def policies(cluster, result, who, pods):
    """Nothing, then a denial, then one that is let in, then one that may not go out; then nothing again."""
    svc = cluster.get_one("service", "web", NS)["spec"]
    direct = [at(a, PORT) for name in ("web1", "web2") for a in scene.addresses(pods[name])]
    virtual = [at(ip, 80) for ip in svc["clusterIPs"]]
    by_port = [at(ip, svc["ports"][0]["nodePort"]) for ip in cluster.node(1).ips]
    with result.case(who + " a policy denies: to the pods themselves and through their Service"):
        cluster.apply(scene.policy(NS, "deny", {"app": "web"}, ingress=[]))
        for target in direct + virtual:
            for client in ("friend", "stranger"):
                scene.until(cluster, NS, client, target, "TIMEOUT")
        scene.never(cluster, "elsewhere", "far", direct[0])
    with result.case(who + " a policy allows whom it names, and nobody else"):
        cluster.apply(scene.policy(NS, "allow", {"app": "web"}, ingress=[
            {"from": [{"podSelector": {"matchLabels": {"app": "friend"}}}], "ports": [{"port": "http"}]}]))
        for target in direct + virtual:
            scene.until(cluster, NS, "friend", target, "OK")
        for target in direct:
            scene.never(cluster, NS, "stranger", target, 2)
            scene.never(cluster, "elsewhere", "far", target, 1)
    with result.case(who + " a policy on the way out denies, whatever lets in at the other end"):
        cluster.apply(scene.policy(NS, "stay", {"app": "friend"}, egress=[
            {"to": [{"namespaceSelector": {"matchLabels": {"team": "other"}}}]}]))
        scene.until(cluster, NS, "friend", direct[0], "TIMEOUT")
        far = [at(a, PORT) for a in scene.addresses(pods["far"])]
        for target in far:
            scene.until(cluster, NS, "friend", target, "OK")
        scene.never(cluster, NS, "friend", direct[-1])
    with result.case(who + " without policies all is open again"):
        cluster.kubectl("delete", "networkpolicy", "--all", "-n", NS)
        for target in direct + virtual + by_port:
            scene.until(cluster, NS, "stranger", target, "OK")


def world(cluster, result, kind):
    with result.case(kind + " the world outside sees the node's address, not the pod's"):
        outsides = [bed.WORLD[0]] + ([bed.WORLD[1]] if cluster.dual else [])
        for i, address in enumerate(outsides):
            with scene.Outside(cluster, address) as outside:
                said = wait_for("an answer from outside", 60, lambda o=outside: o.seen(NS, "friend"))
                assert said == cluster.node(1).ips[i], "%s, not %s" % (said, cluster.node(1).ips[i])


def watched(cluster, result, kind):
    """What those see who look on through kubectl while a packet is dropped on another node."""
    path, file = os.path.join(cluster.build, "kubectl-ripstop"), os.path.join(cluster.dir, "dropped-%s.pcapng" % kind)
    stream = os.path.join(cluster.dir, "followed-%s.jsonl" % kind)
    with result.case(kind + " kubectl ripstop monitor --follow and capture tell which policy drops a packet"):
        cluster.apply(scene.policy(NS, "deny", {"app": "web"}, ingress=[]))
        pipes = {"stdin": subprocess.DEVNULL, "stderr": subprocess.PIPE, "text": True}
        target = at(scene.addresses(cluster.get_one("pod", "web2", NS))[-1], PORT)
        with open(stream, "w+", encoding="utf-8") as told, \
                cluster.popen([path, "monitor", "--follow", "--last", "0", "-n", NS, "-o", "jsonl"], stdout=told, **pipes) as follow, \
                cluster.popen([path, "capture", NS + "/web2", "--dropped", "-c", "1", "-O", file], stdout=subprocess.PIPE,
                              **pipes) as capture:
            def caught():
                scene.probe(cluster, NS, "friend", target, seconds=2)
                return capture.poll() is not None and os.path.getsize(stream)
            try:
                # Each of the two sees what comes after its own start.
                wait_for("a dropped packet, both followed and caught", 60, caught)
            finally:
                follow.send_signal(signal.SIGINT)
                capture.terminate()
                _, faults = follow.communicate(timeout=30)
            told.seek(0)
            said = told.read()
        assert follow.returncode == 0 and capture.returncode == 0, "%d %d %s" % (follow.returncode, capture.returncode, faults)
        drops = [d for d in map(json.loads, said.splitlines()) if d["destination"].get("pod_name") == "web2"]
        assert drops, "nothing about web2 in: %s" % said[-500:]
        assert drops[0]["source"]["pod_name"] == "friend", drops[0]
        assert [p["name"] for p in drops[0]["ingress_denied_by"]] == ["deny"], drops[0]
        with open(file, "rb") as f:
            packet = pcapng.File(f.read()).packets[0]
        assert at(packet.dst, packet.dport) == target and NS + "/deny" in packet.comment, packet
        cluster.kubectl("delete", "networkpolicy", "deny", "-n", NS)


def weight(cluster, result):
    """3 nodes, 50 pods, 50 policies: how much memory an agent holds; and what is in the image."""
    with result.case("%d pods and %d policies on %d nodes" % (CROWD, RULES, len(cluster.nodes))):
        objects = [scene.namespace("crowd")]
        for i in range(RULES):
            objects.append(scene.policy("crowd", "p%d" % i, {"app": "a%d" % (i % 10)}, ingress=[
                {"from": [{"podSelector": {"matchLabels": {"app": "a%d" % ((i * 7 + 1) % 10)}}},
                          {"ipBlock": {"cidr": "198.51.100.%d/32" % i}}], "ports": [{"port": 1000 + i}]}]))
        for i in range(CROWD):
            objects.append({"apiVersion": "v1", "kind": "Pod", "metadata": {
                "name": "c%d" % i, "namespace": "crowd", "labels": {"app": "a%d" % (i % 10)}}, "spec": {
                    "terminationGracePeriodSeconds": 0, "containers": [
                        {"name": "main", "image": cluster.programs.pause, "imagePullPolicy": "Never"}]}})
        cluster.apply(*objects)
        cluster.wait_pods("crowd", count=CROWD, seconds=600)
        kept = {}
        for node in cluster.nodes:
            pids = node.processes("ripstop-agent")
            assert len(pids) == 1, "%s has %d agents" % (node.name, len(pids))
            status = bedlib.read("/proc/%d/status" % pids[0]) or ""
            kept[node.name] = int(re.search(r"^VmRSS:\s+(\d+) kB", status, re.M).group(1)) / 1024
        result.say("agent RSS with %d nodes, %d pods, %d policies: %s MB (expected below 15)" % (
            len(cluster.nodes), CROWD, RULES, ", ".join("%s %.1f" % kv for kv in sorted(kept.items()))))
        cluster.delete("namespace", "crowd")
    with result.case("the image's size is printed"):
        assert cluster.image_listing, "nothing was listed"
        lines = cluster.image_listing.strip().splitlines()
        for line in lines[:12] + lines[-2:]:
            result.say("image: " + line.replace(bedlib.ROOT + os.sep, ""))


def events(cluster, result):
    """As manifests/optional/events.yaml says. What the agents' account may do elsewhere is looked at before."""
    with result.case("a dropped packet is an Event on the pod, where Events are switched on"):
        assert not told(cluster), "Events without being asked: %s" % told(cluster)
        cluster.kubectl("apply", "-f", os.path.join(MANIFESTS, "optional", "events.yaml"))
        me = ["--as=system:serviceaccount:ripstop-system:ripstop-agent", "-A"]
        for verb, may in (("create", "yes"), ("get", "no"), ("patch", "no"), ("delete", "no")):
            said = cluster.kubectl("auth", "can-i", verb, "events.events.k8s.io", *me, check=False).stdout.strip()
            assert said == may, "%s: %s" % (verb, said)
        conf = cluster.get_one("configmap", "ripstop-config", NAMESPACE)["data"]["ripstop.conf"]
        patch = json.dumps({"data": {"ripstop.conf": conf.rstrip("\n") + "\nevents: on\n"}})
        cluster.kubectl("-n", NAMESPACE, "patch", "configmap", "ripstop-config", "--type=merge", "-p", patch)
        cluster.kubectl("-n", NAMESPACE, "rollout", "restart", "daemonset/ripstop-agent")
        cluster.wait_installed()
        cluster.apply(scene.policy(NS, "deny", {"app": "web"}, ingress=[]))
        pod = cluster.get_one("pod", "web1", NS)
        scene.until(cluster, NS, "friend", at(scene.addresses(pod)[0], PORT), "TIMEOUT")
        wait_for("an Event", 120, lambda: told(cluster, "web1"))
        said = told(cluster, "web1")[0]
        assert said["involvedObject"]["uid"] == pod["metadata"]["uid"] and said["type"] == "Warning", said
        assert NS + "/deny" in said["message"] and "%s/friend" % NS in said["message"], said["message"]
        shown = cluster.kubectl("describe", "pod", "web1", "-n", NS).stdout
        assert "PolicyDrop" in shown, shown[-1500:]
        result.say("Event: " + said["message"])
        cluster.kubectl("delete", "networkpolicy", "--all", "-n", NS)


def told(cluster, pod=None):
    """The Events about drops, or those of a pod."""
    return [e for e in cluster.get("events") if e["reason"] == "PolicyDrop" and pod in (None, e["involvedObject"]["name"])]
