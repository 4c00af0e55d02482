# SPDX-License-Identifier: Apache-2.0
"""suite_upgrade.py - to another version and table layout and back, under traffic; plugin and agent of two versions.

The other version is this very tree, built with another VERSION and other layouts of table and maps: its agent finds
rules that it must make anew, and so does ours on the way back.
"""
import json
import os
import re

import bedlib
import scene
import traffic
from bedinstall import NAMESPACE
from bedlib import BedError, wait_for
from suite_faults import KUBELET, agent_pids, held, no_leak
from traffic import Watch

CLUSTERS = [{"kubelet": KUBELET}]
LAYOUT = 1002
OPT = "-O2 -D_FORTIFY_SOURCE=2 -DRS_NFT_LAYOUT=%d -DRS_BPF_LAYOUT=%d" % (LAYOUT, LAYOUT)
NEXT = os.path.join(bedlib.ROOT, "build", "next")
NS = "upgrade"
CODES = {50, 51}  # what STATUS may say, with a reason


def run(cluster, result):
    traffic.image(cluster)
    crowd, names = traffic.Crowd(cluster, NS), {}
    with result.case("the tree as another version with another layout of the table"):
        version = bedlib.read(os.path.join(bedlib.ROOT, "VERSION")).strip()
        names["ours"] = "localhost/ripstop:" + version
        tar, names["next"] = cluster.image(version + "-next", NEXT, ["OPT=" + OPT])
        cluster.load_image(tar)
        crowd.start()
    if not crowd.strangers:
        return
    ours = plugin(cluster.node(1))
    if change(cluster, result, crowd, "up", names["next"]):
        other = plugin(cluster.node(1))
        mixed(cluster, result, crowd, "an older plugin with a newer agent", ours)
        if change(cluster, result, crowd, "down", names["ours"]):
            mixed(cluster, result, crowd, "a newer plugin with an older agent", other)
    crowd.delete()


def change(cluster, result, crowd, way, image):
    """`kubectl set image`, while pods talk and others come; True when it went well."""
    failed = result.count("failed")
    with result.case("XA8 XF12 an upgrade %s under traffic loses nothing and opens nothing" % way):
        before = {n.name: layout(cluster, n) for n in cluster.nodes}
        plugins = {n.name: plugin(n) for n in cluster.nodes}
        with Watch(crowd) as w:
            cluster.kubectl("-n", NAMESPACE, "set", "image", "daemonset/ripstop-agent", "install=" + image,
                            "agent=" + image)
            for i in range(4):
                node = cluster.nodes[i % 2]
                cluster.apply(traffic.pod("%s%d" % (way, i), NS, node, {"role": "server", "came": way}))
                wait_for("pods begin", 60, lambda: cluster.get("pods", NS, "came=" + way))
            cluster.wait_installed(400)
            cluster.wait_pods(NS, "came=" + way, 4, 300)
        result.say("%s to %s: %s" % (way, image, w.check()))
        for node in cluster.nodes:
            now = layout(cluster, node)
            assert now != before[node.name], "%s: the rules are of layout %d still" % (node.name, now)
            assert plugin(node) != plugins[node.name], "the plugin on %s is the old one" % node.name
            assert cluster.agent_on(node.name)["spec"]["containers"][0]["image"] == image
    cluster.kubectl("delete", "pods", "-n", NS, "-l", "came=" + way, timeout=240)
    return result.count("failed") == failed


def layout(cluster, node):
    """The number in the table's comment, which nft's JSON leaves out; with eBPF that of the one folder of pins."""
    if cluster.dataplane == "nft":
        found = re.findall(r"layout (\d+)", node.run(["nft", "-t", "list", "table", "inet", "ripstop"]).stdout)[:1]
    else:
        found = re.findall(r"^v(\d+)[ab]$", node.run(["ls", "/sys/fs/bpf/ripstop"]).stdout, re.M)
    if len(found) != 1:
        raise BedError("%s: rules of layout %s" % (node.name, " and ".join(found) or "none"))
    return int(found[0])


def plugin(node):
    """The plugin that lies on a node: its bytes."""
    with open(os.path.join(node.dir, "cni-bin", "ripstop"), "rb") as f:
        return f.read()


def put_plugin(node, data):
    path = os.path.join(node.dir, "cni-bin", "ripstop")
    with open(path + ".new", "wb") as f:
        f.write(data)
    os.chmod(path + ".new", 0o755)
    os.rename(path + ".new", path)


def cni_status(node):
    """The plugin's STATUS, as a runtime asks it: (exit status, answer)."""
    conf = {"cniVersion": "1.1.0", "name": "ripstop", "type": "ripstop"}
    p = node.run(["env", "CNI_COMMAND=STATUS", "CNI_PATH=/opt/cni/bin", "/opt/cni/bin/ripstop"], check=False,
                 input=json.dumps(conf))
    return p.returncode, p.stdout.strip()


def mixed(cluster, result, crowd, what, other):
    """On one node the plugin is another version's; what was attached by the agent's own is detached by it too."""
    node, name = cluster.node(1), "mixed"
    own = plugin(node)
    with result.case("XA8 %s: ADD, DEL and STATUS work, and the agent says so" % what):
        cluster.apply(traffic.pod("before", NS, node, {"role": "server", "mixed": "yes"}))
        cluster.wait_pods(NS, "mixed=yes", 1)
        with Watch(crowd) as w:
            put_plugin(node, other)
            wait_for("PluginChanged", 60, lambda: "PluginChanged" in cluster.ripstop(
                node.name, "status", check=False).stdout)
            code, said = cni_status(node)
            assert code == 0 or json.loads(said)["code"] in CODES and "plugin" in said, "STATUS: %d %s" % (code, said)
            result.say("%s: STATUS: %s" % (what, said or "ready"))
            cluster.apply(traffic.pod(name, NS, node, {"role": "server", "mixed": "yes"}))
            pods = cluster.wait_pods(NS, "mixed=yes", 2)
            addresses = [a for p in pods for a in scene.addresses(p)]
            assert set(addresses) <= set(held(node)[0])
            cluster.kubectl("delete", "pods", "-n", NS, "-l", "mixed=yes", timeout=240)
            no_leak(cluster, node)
            assert not set(addresses) & set(held(node)[0])
        result.say("%s: %s" % (what, w.check()))
    with result.case("XF12 %s: a restart of the agent's pod puts its own plugin back" % what):
        pids = agent_pids(node)
        cluster.kubectl("delete", "pod", "-n", NAMESPACE, cluster.agent_on(node.name)["metadata"]["name"], timeout=120)
        wait_for("another agent", 120, lambda: agent_pids(node) and agent_pids(node) != pids)
        cluster.wait_installed()
        assert plugin(node) == own, "the plugin is still the other one"
