# SPDX-License-Identifier: Apache-2.0
"""bednode.py - one node of the cluster: namespaces, containerd, kubelet and kube-proxy."""
import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import uuid

import bedlib
from bedlib import BedError, NetNs, run, wait_for, write_json

KERNEL = {  # what kubelet would set for the whole machine: here it finds it so, and writes into a file of the node
    "/proc/sys/vm/overcommit_memory": "1", "/proc/sys/vm/panic_on_oom": "0",
    "/proc/sys/kernel/panic": "10", "/proc/sys/kernel/panic_on_oops": "1",
    "/proc/sys/kernel/keys/root_maxkeys": "1000000", "/proc/sys/kernel/keys/root_maxbytes": "25000000",
}
OVERLAYS = ["/etc", "/opt", "/var/lib", "/var/log"]
KEPT = {  # folders of the node that outlive its restart: below its folder of the run -> where the node sees them
    "kubelet": "/var/lib/kubelet", "cni-net.d": "/etc/cni/net.d", "cni-bin": "/opt/cni/bin",
    "log/pods": "/var/log/pods", "log/containers": "/var/log/containers", "cni": "/var/lib/cni",
    "static": "/etc/kubernetes/manifests",
}
# What every node has beside its network plugin: containerd asks for the first, we chain the second.
PLUGIN_DIR, PLUGINS = "/usr/lib/cni", ("loopback", "portmap")
SERVICES = ("containerd", "kubelet", "kube-proxy")


class Node:
    """Node number i (from 1) of a cluster. start() and stop() are a machine that boots and one whose plug is pulled."""

    def __init__(self, cluster, i):
        self.cluster, self.number, self.name = cluster, i, "node%d" % i
        self.dir = os.path.join(cluster.dir, self.name)
        self.netns = NetNs("%s-%s" % (cluster.prefix, self.name))
        self.cgroup = "%s-%s" % (cluster.prefix, self.name)
        self.ip4, self.ip6 = "10.77.0.%d" % (10 + i), "fd77::%d" % (10 + i)
        self.ips = [self.ip4] + ([self.ip6] if cluster.dual else [])
        self.pid_path = os.path.join(self.dir, "init.pid")
        self.boot_id, self.boots = "", 0
        self.kubelet_config = {}  # over the cluster's own; see Cluster(kubelet=...)

    # -- life

    def start(self, services=SERVICES):
        """Boot: an empty /run, another boot id, the disk as it was."""
        self.boot_id, self.boots = str(uuid.uuid4()), self.boots + 1
        for folder in list(KEPT) + ["containerd"]:
            os.makedirs(os.path.join(self.dir, folder), exist_ok=True)
        for plugin in PLUGINS:
            shutil.copy2(os.path.join(PLUGIN_DIR, plugin), os.path.join(self.dir, "cni-bin"))
        self._network()
        bedlib.make_cgroup(self.cgroup)
        self._init()
        if "containerd" in services:
            self.start_containerd()
        for name in services:
            if name != "containerd":
                self.start_service(name)

    def stop(self):
        """All processes of the node are gone at once, and so are its /run, its links and its rules."""
        bedlib.end_process(self.pid_path, signal.SIGKILL)
        self.netns.delete()
        bedlib.remove_cgroup(self.cgroup)

    def alive(self):
        return bool(bedlib.noted_pid(self.pid_path))

    def _network(self):
        if self.netns.exists():
            raise BedError("%s is there already; `python3 tests/cluster/bed.py down` takes it away" % self.netns.name)
        self.netns.make()
        lan, port = self.cluster.lan, "port%d" % self.number
        lan.ip("link add %s type veth peer name eth0 netns %s" % (port, self.netns.name),
               "link set %s master lan0 up" % port)
        self.netns.ip("address add %s/24 dev eth0" % self.ip4, "link set eth0 up", "route add default via 10.77.0.1")
        if self.cluster.dual:
            self.netns.ip("address add %s/64 dev eth0 nodad" % self.ip6, "route add default via fd77::1")

    def _init(self):
        kernel = dict(KERNEL, **{"/proc/sys/kernel/random/boot_id": self.boot_id})
        hosts = ["127.0.0.1 localhost", "::1 localhost"]
        hosts += ["%s %s" % (a, n.name) for n in self.cluster.nodes for a in n.ips]
        ready, sock = os.path.join(self.dir, "init.ready"), os.path.join(self.dir, "init.sock")
        for path in (ready, sock):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
        plan = write_json(os.path.join(self.dir, "init.json"), {
            "name": self.name, "ready": ready, "socket": sock, "kernel": kernel,
            "keep": hidden([bedlib.ROOT, self.cluster.dir] + self.cluster.path.split(":")),
            "overlays": [f for f in OVERLAYS if os.path.isdir(f)],
            "binds": [[os.path.join(self.dir, a), b] for a, b in KEPT.items()],
            "files": {"/etc/hosts": "\n".join(hosts) + "\n", "/etc/hostname": self.name + "\n",
                      "/etc/resolv.conf": "nameserver 10.77.0.1\n", "/etc/machine-id": uuid.uuid4().hex + "\n"}})
        argv = ["unshare", "--mount", "--pid", "--uts", "--ipc", "--fork", "--kill-child", "--",
                sys.executable, "-B", os.path.join(bedlib.HERE, "nodeinit.py"), plan]
        log = os.path.join(self.dir, "init.log")
        spawned = os.path.join(self.dir, "unshare.pid")
        bedlib.spawn(self.netns.argv(argv), log, spawned)
        try:
            wait_for("first process of " + self.name, 60,
                     lambda: bedlib.read(ready) or not bedlib.noted_pid(spawned), 0.05)
            if not bedlib.read(ready):
                raise BedError("%s did not boot" % self.name)
        except BedError as e:
            raise BedError("%s: %s" % (e, bedlib.tail(log))) from None
        bedlib.note_pid(self.pid_path, int(bedlib.read(ready)))
        wait_for("control socket of " + self.name, 10, lambda: os.path.exists(sock), 0.05)

    # -- running things in it

    def run(self, argv, check=True, timeout=120, **kw):
        """A command in all of the node's namespaces, with its programs in the PATH; returns the CompletedProcess."""
        return run(self.argv(argv), check=check, timeout=timeout, env=self.env(), **kw)

    def argv(self, argv):
        pid = bedlib.noted_pid(self.pid_path)
        if not pid:
            raise BedError(self.name + " is not running")
        return ["nsenter", "--target", str(pid), "--mount", "--net", "--pid", "--uts", "--ipc", "--"] + list(argv)

    def popen(self, argv, **kw):
        """The same, left running: the caller ends it."""
        return subprocess.Popen(self.argv(argv), env=self.env(), **kw)

    def env(self):
        return {"PATH": self.cluster.path, "HOME": "/root", "LANG": "C.UTF-8"}

    def ctr(self, *args, **kw):
        return self.run(["ctr", "-n", "k8s.io"] + list(args), **kw)

    def processes(self, comm):
        """Pids, as the machine below counts them, of processes by that name in the node's network namespace."""
        return [p for p in self.netns.pids() if (bedlib.read("/proc/%d/comm" % p) or "").strip() == comm]

    # -- services

    def ask(self, request, seconds=60):
        folder = os.open(self.dir, os.O_PATH)
        try:
            with socket.socket(socket.AF_UNIX) as s:
                s.settimeout(seconds)
                s.connect("/proc/self/fd/%d/init.sock" % folder)
                with s.makefile("rw") as f:
                    f.write(json.dumps(request) + "\n")
                    f.flush()
                    answer = json.loads(f.readline() or "{}")
        except OSError as e:
            raise BedError("%s: its first process does not answer: %s" % (self.name, e)) from e
        finally:
            os.close(folder)
        if answer.get("error"):
            raise BedError("%s: %s" % (self.name, answer["error"]))
        return answer

    def start_service(self, name):
        argv = {"containerd": self._containerd, "kubelet": self._kubelet, "kube-proxy": self._proxy}[name]()
        self.ask({"start": name, "argv": argv, "env": self.env(), "log": os.path.join(self.dir, name + ".log")})

    def stop_service(self, name, seconds=20):
        self.ask({"stop": name, "seconds": seconds}, seconds + 60)

    def restart_service(self, name):
        self.stop_service(name)
        self.start_service(name)

    def state(self, name):
        return self.ask({"state": name})

    def start_containerd(self):
        self.start_service("containerd")
        wait_for("containerd of " + self.name, 60,
                 lambda: self.run(["ctr", "version"], check=False, timeout=20).returncode == 0)
        have = self.ctr("images", "list", "-q").stdout
        for tar in self.cluster.images:
            if not all(name in have for name in self.cluster.names_in(tar)):
                self.load_image(tar)

    def load_image(self, tar):
        self.ctr("images", "import", os.path.abspath(tar), timeout=300)

    def _containerd(self):
        p, base = self.cluster.programs, os.path.join(self.dir, "base-spec.json")
        spec = json.loads(self.run(["ctr", "oci", "spec"]).stdout)
        # Containers mount a /proc of their own; before they begin, the node's boot id is laid over the machine's.
        spec["hooks"] = {"createContainer": [{"path": shutil.which("mount", path=bedlib.BASE_PATH), "args": [
            "mount", "--bind", "/run/.bed/boot_id", "proc/sys/kernel/random/boot_id"]}]}
        write_json(base, spec)
        return ["containerd", "-c", bedlib.write(os.path.join(self.dir, "containerd.toml"), CONTAINERD % {
            "root": os.path.join(self.dir, "containerd"), "pause": p.pause, "base": base})]

    def _kubelet(self):
        config = {
            "apiVersion": "kubelet.config.k8s.io/v1beta1", "kind": "KubeletConfiguration",
            "authentication": {"anonymous": {"enabled": True}, "webhook": {"enabled": False}},
            "authorization": {"mode": "AlwaysAllow"}, "cgroupDriver": "cgroupfs", "cgroupRoot": "/" + self.cgroup,
            "failSwapOn": False, "failCgroupV1": False, "oomScoreAdj": 0, "enforceNodeAllocatable": [],
            "containerRuntimeEndpoint": "unix:///run/containerd/containerd.sock", "clusterDomain": "cluster.local",
            "clusterDNS": ["10.96.0.10"], "maxPods": 200, "serializeImagePulls": False, "registryPullQPS": 0,
            "evictionHard": {"memory.available": "50Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
            # Images came by hand and cannot be fetched again.
            "imageGCHighThresholdPercent": 100, "imageGCLowThresholdPercent": 99, "imageMinimumGCAge": "24h",
            "resolvConf": "/etc/resolv.conf", "nodeStatusUpdateFrequency": "5s", "syncFrequency": "10s",
            "staticPodPath": "/etc/kubernetes/manifests", "volumePluginDir": os.path.join(self.dir, "volplug"),
            "logging": {"verbosity": 2}}
        for more in (self.cluster.kubelet_config, self.kubelet_config):
            config = merged(config, more)
        path = write_json(os.path.join(self.dir, "kubelet.json"), config)
        return ["kubelet", "--config=" + path, "--kubeconfig=" + self.cluster.kubeconfig_of(self.name),
                "--hostname-override=" + self.name, "--node-ip=" + ",".join(self.ips), "--root-dir=/var/lib/kubelet"]

    def _proxy(self):
        path = write_json(os.path.join(self.dir, "kube-proxy.json"), {
            "apiVersion": "kubeproxy.config.k8s.io/v1alpha1", "kind": "KubeProxyConfiguration",
            "mode": self.cluster.proxy, "clusterCIDR": ",".join(self.cluster.pod_cidrs), "hostnameOverride": self.name,
            "clientConnection": {"kubeconfig": self.cluster.kubeconfig_of("kube-proxy")}, "oomScoreAdj": 0,
            "healthzBindAddress": "127.0.0.1:10256", "metricsBindAddress": "127.0.0.1:10249",
            # The table's size is one for the machine, and not ours to set.
            "conntrack": {"maxPerCore": 0, "min": 0}})
        return ["kube-proxy", "--config=" + path]


def hidden(paths):
    """Those of our own folders that the node's fresh ones would cover, each once."""
    covered = {p for p in map(os.path.realpath, paths) if p.startswith(tuple(f + "/" for f in OVERLAYS + ["/run"]))}
    return sorted(p for p in covered if not any(p.startswith(q + "/") for q in covered))


def merged(a, b):
    """b over a; objects inside are merged, not replaced."""
    out = dict(a)
    for key, value in b.items():
        out[key] = merged(out[key], value) if isinstance(value, dict) and isinstance(out.get(key), dict) else value
    return out


CONTAINERD = """version = 2
root = "%(root)s"
state = "/run/containerd"
disabled_plugins = ["io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs", \
"io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.devmapper"]
[grpc]
  address = "/run/containerd/containerd.sock"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "%(pause)s"
  disable_apparmor = true
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/opt/cni/bin"
    conf_dir = "/etc/cni/net.d"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      base_runtime_spec = "%(base)s"
"""
