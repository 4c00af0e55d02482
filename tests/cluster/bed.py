#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""bed.py - a real Kubernetes cluster on this machine, in namespaces of its own, with Ripstop installed as a user would.

    bed.py up [--nodes N] [--dual] [--proxy iptables] [--runtime new] [--no-install]   bring one up, leave it running
    bed.py down                                                                        take it away, also after a crash
    bed.py kubectl ARG...                                                              ask it

    with Cluster(nodes=2, dual=True, proxy="nftables") as c:
        c.install()                                  # image and manifests of this tree
        c.apply({"apiVersion": "v1", "kind": "Pod", ...})
        c.wait_pods("default")
        c.exec("default", "client", "/agnhost", "connect", "10.244.1.7:80")
        c.node(1).run(["nft", "list", "tables"])     # in the node's namespaces
        c.node(2).stop(); c.node(2).start()          # the plug is pulled; another boot
        c.stop_apiserver(); c.start_apiserver()

The network: a bridge in a namespace (`c.lan`, 10.77.0.1, fd77::1), where the control plane and the test programs live;
node i is 10.77.0.1i. Nothing is made in the machine's own network namespace. Everything is named rsc-NAME-..., and
what a run says lies in build/cluster/NAME: control/*.log, nodeN/{containerd,kubelet,kube-proxy}.log, nodeN/log/pods,
and dump/.
"""
import argparse
import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tarfile

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import bedlib  # noqa: E402
import newruntime  # noqa: E402
import programs  # noqa: E402
from bedcontrol import SERVER, ControlPlane, node_ready, pod_ready  # noqa: E402
from bedinstall import Install  # noqa: E402
from bedlib import BedError, Hopeless, NetNs, run, wait_for  # noqa: E402
from bednode import PLUGIN_DIR, PLUGINS, Node  # noqa: E402

RUNS = os.path.join(bedlib.ROOT, "build", "cluster")
TOOLS = ("etcd", "containerd", "runc", "openssl", "ip", "nft", "iptables", "nsenter", "unshare", "mount", "sysctl",
         "nice")
WORLD = ("192.0.2.1", "2001:db8::1")  # addresses of nobody in the cluster, on the LAN's own loopback


class Cluster(Install):
    """One cluster; a context manager that always takes it away again.

    name     names its namespaces and its folder; clusters of different names do not meet
    nodes    how many
    dual     IPv4 and IPv6, else IPv4 alone
    proxy    kube-proxy's mode: nftables or iptables
    kubelet  more of a KubeletConfiguration, for every node; node(i).kubelet_config for one, before it starts
    runtime  debian: containerd and runc of this machine; new: containerd 2 and runc 1.3, built from source
    build    the build folder whose programs are installed
    """

    def __init__(self, name="check", nodes=2, dual=False, proxy="nftables", kubelet=None, apiserver=(),
                 runtime="debian", build=None, dataplane="nft"):
        if not re.fullmatch(r"[a-z0-9]{1,12}", name) or not 1 <= nodes <= 9:
            raise BedError("a cluster's name is up to 12 of a-z0-9, its nodes are 1 to 9")
        self.name, self.dual, self.proxy, self.dataplane = name, dual, proxy, dataplane
        self.kubelet_config, self.apiserver_options = dict(kubelet or {}), list(apiserver)
        self.build = os.path.abspath(build or os.path.join(bedlib.ROOT, "build", "rel"))
        self.prefix, self.dir = "%s-%s" % (bedlib.PREFIX, name), os.path.join(RUNS, name)
        self.pod_cidrs = ["10.244.0.0/16"] + (["fd00:10:244::/48"] if dual else [])
        self.service_cidrs = ["10.96.0.0/16"] + (["fd00:10:96::/112"] if dual else [])
        self.lan = NetNs(self.prefix + "-lan")
        self.nodes = [Node(self, i) for i in range(1, nodes + 1)]
        self.control = ControlPlane(self)
        self.kubeconfig = self.control.kubeconfig("admin")
        self.runtime, self.path, self.programs, self.images = runtime, "", None, []

    def __enter__(self):
        try:
            self.up()
        except BaseException:
            self.down()
            raise
        return self

    def __exit__(self, *_):
        self.down()

    # -- life

    def up(self):
        """Control plane and nodes; the nodes are registered, and not Ready: they have no network plugin yet."""
        gone = bedlib.missing(TOOLS) + [p for p in PLUGINS if not os.path.exists(os.path.join(PLUGIN_DIR, p))]
        if gone or os.geteuid() != 0:
            raise BedError("needs " + (" ".join(gone) if gone else "root"))
        self.get_programs()
        self.images = list(self.programs.images)
        take_down(self.name)
        os.makedirs(self.dir)
        self._lan()
        self.control.make_credentials()
        self.control.start()
        for node in self.nodes:
            node.start()
        wait_for("nodes register", 180, self._registered)
        wait_for("service accounts", 120, lambda: self.get_one("serviceaccount", "default"))
        for node in self.nodes:
            self.route_to(node)

    def _registered(self):
        for node in self.nodes:
            state = node.state("kubelet")
            if not state["running"]:  # too many open files: fs.inotify.max_user_instances is one for all clusters
                said = bedlib.tail(os.path.join(node.dir, "kubelet.log"), 2)
                raise Hopeless("%s: kubelet ended: %s" % (node.name, said))
        return len(self.get("nodes")) == len(self.nodes)

    def get_programs(self):
        """Build what is missing."""
        self.programs = programs.ensure()
        folders = [self.programs.bin] + ([newruntime.ensure()] if self.runtime == "new" else [])
        self.path = ":".join(folders + [bedlib.BASE_PATH])

    def _lan(self):
        self.lan.make()
        self.lan.sysctl("net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1")
        self.lan.ip("link add lan0 type bridge mcast_snooping 0", "link set lan0 up",
                    "address add %s/24 dev lan0" % SERVER, "address add %s/32 dev lo" % WORLD[0])
        if self.dual:
            self.lan.ip("address add fd77::1/64 dev lan0 nodad", "address add %s/128 dev lo nodad" % WORLD[1])

    def route_to(self, node):
        """The LAN reaches the node's pods, as a cloud's router would."""
        def ranges():
            return self.get_one("node", node.name)["spec"].get("podCIDRs")
        for cidr in wait_for("podCIDRs of " + node.name, 60, ranges):
            self.lan.ip("route replace %s via %s" % (cidr, node.ip6 if ":" in cidr else node.ip4))

    def down(self):
        """Everything is taken away; what it said stays in its folder."""
        with contextlib.suppress(Exception):
            self.control.stop()
        take_down(self.name, keep_logs=True)

    def node(self, i):
        return self.nodes[i - 1]

    def stop_apiserver(self):
        self.control.stop_one("kube-apiserver")

    def start_apiserver(self):
        self.control.start_one("kube-apiserver")
        self.control.wait_ready()

    def set_proxy(self, mode):
        """Let every kube-proxy run in another mode. A node has one mode's rules at a time, as after a fresh boot."""
        self.proxy = mode
        for node in self.nodes:
            node.stop_service("kube-proxy")
            node.run(["kube-proxy", "--cleanup"], check=False)
            node.start_service("kube-proxy")

    def kubeconfig_of(self, user):
        return self.control.kubeconfig(user)

    # -- asking and telling

    def env(self):
        return {"PATH": self.path, "HOME": self.dir, "KUBECONFIG": self.kubeconfig,
                "LANG": "C.UTF-8"}

    def run(self, argv, check=True, timeout=120, **kw):
        """A command on the LAN, with the programs in the PATH and KUBECONFIG set: kubectl, e2e.test, curl."""
        return run(self.lan.argv(argv), check=check, timeout=timeout, env=kw.pop("env", self.env()), **kw)

    def popen(self, argv, **kw):
        """The same, left running: the caller ends it."""
        return subprocess.Popen(self.lan.argv(argv), env=kw.pop("env", self.env()), **kw)

    def kubectl(self, *args, check=True, timeout=120, **kw):
        return self.run(["kubectl", "--request-timeout=60s"] + list(args), check=check, timeout=timeout, **kw)

    def get(self, kind, namespace=None, selector=None):
        """Objects of a kind, as a list; of all namespaces where none is named."""
        args = ["get", kind, "-o", "json"] + (["-n", namespace] if namespace else ["-A"])
        return json.loads(self.kubectl(*args, *(["-l", selector] if selector else [])).stdout)["items"]

    def get_one(self, kind, name, namespace="default"):
        return json.loads(self.kubectl("get", kind, name, "-n", namespace, "-o", "json").stdout)

    def apply(self, *objects, check=True):
        """Objects (dicts), or one text of YAML."""
        if len(objects) == 1 and isinstance(objects[0], str):
            text = objects[0]
        else:
            text = json.dumps({"apiVersion": "v1", "kind": "List", "items": list(objects)})
        return self.kubectl("apply", "-f", "-", input=text, check=check)

    def delete(self, kind, name, namespace="default", wait=True):
        self.kubectl("delete", kind, name, "-n", namespace, "--ignore-not-found", "--wait=%s" % str(wait).lower(),
                     timeout=240)

    def exec(self, namespace, pod, *argv, check=True, timeout=60, container=None):
        """A command in a pod; returns the CompletedProcess."""
        where = ["-n", namespace, pod] + (["-c", container] if container else [])
        return self.kubectl("exec", *where, "--", *argv, check=check, timeout=timeout)

    # -- waiting

    def wait_nodes(self, seconds=180):
        wait_for("every node Ready", seconds, lambda: all(map(node_ready, self.get("nodes"))))

    def wait_pods(self, namespace, selector=None, count=None, seconds=180):
        """Until the pods there (`count` of them, or at least one) are Ready; returns them."""
        def ready():
            pods = [p for p in self.get("pods", namespace, selector) if not p["metadata"].get("deletionTimestamp")]
            bad = [p["metadata"]["name"] for p in pods if not pod_ready(p)]
            if bad or not pods or (count is not None and len(pods) != count):
                raise BedError("%d pods, not ready: %s" % (len(pods), " ".join(bad)))
            return pods
        return wait_for("pods of %s Ready" % namespace, seconds, ready, 0.5)

    # -- images and what is left to read

    def names_in(self, tar):
        """The names that an archive gives its images."""
        names = set()
        with tarfile.open(tar) as t:
            for member in ("manifest.json", "index.json"):
                with contextlib.suppress(KeyError):
                    found = json.load(t.extractfile(member))
                    for m in found if isinstance(found, list) else found["manifests"]:
                        names.update(m.get("RepoTags") or [])
                        names.add((m.get("annotations") or {}).get("io.containerd.image.name"))
        return sorted(filter(None, names))

    def load_image(self, tar):
        """Give every node the images of an archive, now and after a restart with an empty disk."""
        if tar not in self.images:
            self.images.append(tar)
        for node in self.nodes:
            if node.alive():
                node.load_image(tar)

    def dump(self, title):
        """Write down what the cluster and the kernel hold, for somebody who reads a failure; returns the folder."""
        folder = os.path.join(self.dir, "dump", re.sub(r"[^\w.-]+", "-", title)[:80])
        os.makedirs(folder, exist_ok=True)

        def keep(name, call):
            try:
                p = call()
                text = p.stdout + p.stderr
            except Exception as e:  # what can be had is enough
                text = "%s\n" % e
            bedlib.write(os.path.join(folder, name), text)
        kinds = "nodes,pods,svc,endpointslices,netpol,ns,ds"
        keep("objects.yaml", lambda: self.kubectl("get", kinds, "-A", "-o", "yaml"))
        keep("wide.txt", lambda: self.kubectl("get", "nodes,pods,svc,netpol", "-A", "-o", "wide"))
        keep("events.txt", lambda: self.kubectl("get", "events", "-A", "--sort-by=.lastTimestamp"))
        for node in filter(Node.alive, self.nodes):
            keep(node.name + ".nft", lambda n=node: n.run(["nft", "list", "ruleset"]))
            keep(node.name + ".net", lambda n=node: n.run(["sh", "-c", "ip -d a; ip r; ip -6 r; ip rule; ip neigh"]))
        for pod in self.agents(check=False):
            keep(pod["metadata"]["name"] + ".log", lambda p=pod: self.kubectl(
                "logs", "-n", p["metadata"]["namespace"], p["metadata"]["name"], "--all-containers", "--tail=-1"))
            keep(pod["metadata"]["name"] + ".status", lambda p=pod: self.ripstop(p["spec"]["nodeName"], "status"))
        return folder


def take_down(name, keep_logs=False):
    """Everything that bears that cluster's name, whoever made it and however that ended."""
    prefix, folder = "%s-%s-" % (bedlib.PREFIX, name), os.path.join(RUNS, name)
    for base, _, files in os.walk(folder):
        if base.count(os.sep) - folder.count(os.sep) > 1:
            continue
        for file in files:
            if file.endswith(".pid"):
                bedlib.end_process(os.path.join(base, file), signal.SIGKILL)
    for netns in bedlib.named_netns(prefix):
        NetNs(netns).delete()
    for top in bedlib.hierarchies():
        for cgroup in [c for c in os.listdir(top) if c.startswith(prefix)]:
            bedlib.remove_cgroup(cgroup)
    if not keep_logs:
        shutil.rmtree(folder, ignore_errors=True)
        if os.path.exists(folder):
            raise BedError("%s cannot be removed" % folder)
        return
    for base in (os.listdir(folder) if os.path.isdir(folder) else []):
        for heavy in ("containerd", "kubelet"):
            if base.startswith("node"):
                shutil.rmtree(os.path.join(folder, base, heavy), ignore_errors=True)
    shutil.rmtree(os.path.join(folder, "etcd"), ignore_errors=True)


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("verb", choices=("up", "down", "kubectl"))
    ap.add_argument("--name", default="hand")
    ap.add_argument("--nodes", type=int, default=2)
    ap.add_argument("--dual", action="store_true")
    ap.add_argument("--proxy", default="nftables", choices=("nftables", "iptables"))
    ap.add_argument("--runtime", default="debian", choices=("debian", "new"))
    ap.add_argument("--build", default=None)
    ap.add_argument("--no-install", action="store_true")
    args, rest = ap.parse_known_args()
    try:
        if args.verb == "down":
            take_down(args.name, keep_logs=True)
            return 0
        cluster = Cluster(args.name, args.nodes, args.dual, args.proxy, runtime=args.runtime, build=args.build)
        if args.verb == "kubectl":
            cluster.get_programs()
            return subprocess.call(cluster.lan.argv(["kubectl"] + rest), env=cluster.env())
        cluster.up()
        if not args.no_install:
            cluster.install()
        print("%s: KUBECONFIG=%s; enter with nsenter --net=%s" % (args.name, cluster.kubeconfig, cluster.lan.path))
        return 0
    except (BedError, programs.NoPrograms) as e:
        print("bed: %s" % e, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
