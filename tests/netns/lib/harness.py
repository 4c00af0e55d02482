# SPDX-License-Identifier: Apache-2.0
"""harness.py - nodes, pods and an outside world out of network namespaces, with the real programs.

A Lab owns everything and takes it away again, also after an exception, SIGINT or SIGTERM:

    with Lab(build) as lab:
        node = lab.node("n1", ips=["192.0.2.1"], ranges=["10.244.1.0/24"])
        node.write_manifest("a.yaml", text)
        node.start_agent()
        pod = lab.pod("web")
        pod.attach(node, namespace="shop", name="web")

Every namespace is named rsh-PID-..., nothing is ever made in the namespace that the tests run in, and
processes are ended by their own pid. Standard library only.
"""
import atexit
import contextlib
import ctypes
import ipaddress
import json
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time

CLONE_NEWNET = 0x40000000
NETNS_DIR = "/run/netns"
PREFIX = "rsh"
WORLD_GATEWAY4 = "100.64.255.254"  # on-link next hop of every node; the world answers ARP for it
WORLD_GATEWAY6 = "fe80::ff"
NODE_LINKLOCAL6 = "fe80::fe"
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))

# How much slower than usual this machine is: above 1 in an emulator only.
SLOW = max(1.0, float(os.environ.get("RIPSTOP_TEST_SLOW") or 1))

_libc = ctypes.CDLL(None, use_errno=True)


# What the agents are told to enforce with.
DATAPLANE = os.environ.get("RIPSTOP_TEST_DATAPLANE") or "nft"


def silence(seconds):
    """How long nothing must happen here to mean no: moderate, for every denied packet costs it."""
    return seconds * SLOW


def patience(seconds):
    """How long to wait for what must come: generous, for it costs nothing where all is well."""
    return seconds if SLOW == 1 else 4 * SLOW * seconds


class HarnessError(Exception):
    """The test bed itself failed: says nothing about Ripstop."""


class CniError(Exception):
    """The plugin answered with an error; .code and .msg are its own."""

    def __init__(self, verb, code, msg, details=""):
        super().__init__("CNI %s: code %s: %s %s" % (verb, code, msg, details))
        self.verb, self.code, self.msg, self.details = verb, code, msg, details


def run(argv, check=True, timeout=60, **kw):
    """Run a command and return the CompletedProcess with text output."""
    p = subprocess.run(argv, stdin=kw.pop("stdin", subprocess.DEVNULL) if "input" not in kw else None,
                       stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=patience(timeout), **kw)
    if check and p.returncode:
        raise HarnessError("%s: exit %d: %s" % (" ".join(argv), p.returncode, (p.stderr or p.stdout).strip()))
    return p


def is6(address):
    return ":" in str(address)


def host_len(address):
    return 128 if is6(address) else 32


# ---- namespaces ---------------------------------------------------------------------------------


class NetNs:
    """A named network namespace."""

    def __init__(self, lab, short):
        self.lab = lab
        self.short = short
        self.name = "%s-%d-%s%s" % (PREFIX, os.getpid(), lab.tag, short)
        self.path = os.path.join(NETNS_DIR, self.name)
        run(["ip", "netns", "add", self.name])
        lab.namespaces.append(self)
        self.run(["ip", "link", "set", "lo", "up"])

    def argv(self, argv):
        # not `ip netns exec`: that one remounts /sys
        return ["nsenter", "--net=" + self.path, "--"] + list(argv)

    def run(self, argv, check=True, **kw):
        return run(self.argv(argv), check=check, **kw)

    def sh(self, script, check=True):
        p = self.run(["sh", "-ec" if check else "-c", script], check=check)
        return p.stdout.strip()

    def ip(self, *lines):
        """Several `ip` commands in one call."""
        p = run(self.argv(["ip", "-batch", "-"]), check=False, input="\n".join(lines) + "\n")
        if p.returncode:
            raise HarnessError("ip in %s: %s\n%s" % (self.name, p.stderr.strip(), "\n".join(lines)))

    @contextlib.contextmanager
    def inside(self):
        """This thread is in the namespace; sockets opened here stay here."""
        home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        there = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            if _libc.setns(there, CLONE_NEWNET):
                raise HarnessError("enter %s: %s" % (self.name, os.strerror(ctypes.get_errno())))
            yield
        finally:
            if _libc.setns(home, CLONE_NEWNET):
                os._exit(3)
            os.close(there)
            os.close(home)

    def socket(self, family, kind, proto=0, bind=None, timeout=0.5):
        with self.inside():
            s = socket.socket(family, kind, proto)
        s.settimeout(silence(timeout))
        if bind:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            s.bind(bind)
        return s

    def sysctl(self, path, value=None):
        with self.inside():
            with open("/proc/sys/" + path, "r" if value is None else "w") as f:
                if value is None:
                    return f.read().strip()
                f.write(str(value))
                return str(value)

    def delete(self):
        if self in self.lab.namespaces:
            self.lab.namespaces.remove(self)
        run(["ip", "netns", "del", self.name], check=False)


class World(NetNs):
    """Everything beyond the nodes: one namespace that holds all outside addresses and routes between nodes."""

    def __init__(self, lab):
        super().__init__(lab, "world")
        self.addresses = set()
        self.links = 0
        self.sysctl("net/ipv4/ip_forward", 1)
        self.sysctl("net/ipv6/conf/all/forwarding", 1)
        for which in ("all", "default"):
            self.sysctl("net/ipv4/conf/%s/rp_filter" % which, 0)
        self.add(WORLD_GATEWAY4)

    def add(self, *addresses):
        new = [a for a in addresses if a not in self.addresses]
        self.addresses.update(new)
        if new:
            self.ip(*["address add %s/%d dev lo%s" % (a, host_len(a), " nodad" if is6(a) else "") for a in new])

    def connect(self, node):
        self.links += 1
        end = "n%d" % self.links
        node.ip("link add up0 type veth peer name %s netns %s" % (end, self.name),
                "link set up0 addrgenmode none", "link set up0 up")
        self.ip("link set %s addrgenmode none" % end, "link set %s up" % end,
                "address add %s/64 dev %s nodad" % (WORLD_GATEWAY6, end))
        here, there = [], ["address add %s/64 dev up0 nodad" % NODE_LINKLOCAL6]
        for a in node.ips:
            there.append("address add %s/%d dev up0%s" % (a, host_len(a), " nodad" if is6(a) else ""))
            here.append("route add %s/%d dev %s" % (a, host_len(a), end))
        via4 = [a for a in node.ips if not is6(a)]
        if via4:
            there.append("route add default via %s dev up0 onlink src %s" % (WORLD_GATEWAY4, via4[0]))
        if [a for a in node.ips if is6(a)]:
            there.append("route add default via %s dev up0" % WORLD_GATEWAY6)
        for r in node.ranges:
            if is6(r):
                here.append("route add %s via %s dev %s" % (r, NODE_LINKLOCAL6, end))
            elif via4:
                here.append("route add %s via %s dev %s onlink" % (r, via4[0], end))
        node.ip(*there)
        self.ip(*here)


# ---- the node: a machine with an agent ----------------------------------------------------------


class Node(NetNs):
    """A machine: an uplink to the world, a state folder, a folder of manifests, and an agent."""

    def __init__(self, lab, short, ips, ranges, cluster=None):
        super().__init__(lab, short)
        self.ips, self.ranges = list(ips), list(ranges)
        self.cluster = list(cluster or ranges)
        self.dir = os.path.join(lab.dir, short)
        self.state = os.path.join(self.dir, "state")
        self.manifests = os.path.join(self.dir, "manifests")
        self.socket_path = os.path.join(self.dir, "agent.sock")
        self.log_path = os.path.join(self.dir, "agent.log")
        self.agent = None
        self.source = ["--manifests", self.manifests]
        self.agent_options = []  # for every start of the agent
        self.marker = 0
        os.makedirs(self.manifests)
        lab.world.connect(self)

    # -- objects

    def write_manifest(self, name, text):
        """Put or replace one file of the folder in one step; None removes it."""
        path = os.path.join(self.manifests, name)
        if text is None:
            os.unlink(path)
            return
        temp = os.path.join(self.dir, ".new-" + name)
        with open(temp, "w", encoding="utf-8") as f:
            f.write(text)
        os.rename(temp, path)

    def apply(self, name, text, timeout=10):
        """write_manifest(), and wait until the agent has this state in force."""
        self.write_manifest(name, text)
        self.sync(timeout)

    def sync(self, timeout=10):
        """Wait until the agent enforces what the folder holds now.

        A policy of a fresh name, for a namespace without pods, is written last; the agent answers
        with it only once it has read the folder again, and answers after it has committed.
        """
        self.marker += 1
        name = "marker-%d" % self.marker
        self.write_manifest("zz-marker.yaml", MARKER % name)
        end = time.monotonic() + patience(timeout)
        why = ""
        while time.monotonic() < end:
            try:
                items = self.ctl("policies", namespace="rsh-marker").get("items", [])
                if any(i.get("name") == name for i in items):
                    return
            except (OSError, CtlError) as e:
                why = str(e)
            time.sleep(0.02)
        raise HarnessError("%s: the folder's new state was not taken in %d s %s\n%s" %
                           (self.name, timeout, why, self.log_tail()))

    # -- the agent

    def agent_argv(self, *extra):
        return [self.lab.program("ripstop-agent"), *self.source, "--state-dir", self.state,
                "--socket", self.socket_path, "--node-name", self.short, "--node-ranges",
                ",".join(self.ranges), "--cluster-cidr", ",".join(self.cluster),
                "--metrics-address", ""] + self.lab.dataplane_options(self) + self.agent_options + list(extra)

    def start_agent(self, *extra, wait=True, timeout=15):
        if self.agent and self.agent.poll() is None:
            raise HarnessError("%s has an agent already" % self.name)
        with open(self.log_path, "ab") as log:
            self.agent = self.lab.spawn(self.argv(self.agent_argv(*extra)), stdin=subprocess.DEVNULL,
                                        stdout=log, stderr=log)
        if wait:
            self.wait_ready(timeout)

    def wait_ready(self, timeout=15):
        end = time.monotonic() + patience(timeout)
        why = "no answer"
        while time.monotonic() < end:
            if self.agent.poll() is not None:
                raise HarnessError("agent of %s left with %s:\n%s" %
                                   (self.short, self.agent.returncode, self.log_tail()))
            try:
                status = self.ctl("status")
                if status.get("ready"):
                    return status
                why = status.get("notReadyReason", "not ready")
            except (OSError, CtlError) as e:
                why = str(e)
            time.sleep(0.01)
        raise HarnessError("agent of %s is not ready: %s\n%s" % (self.short, why, self.log_tail()))

    def kill_agent(self, sig=signal.SIGKILL):
        """End it by its pid and wait; returns its exit status."""
        agent, self.agent = self.agent, None
        return self.lab.end(agent, sig)

    def log_tail(self, lines=15):
        try:
            with open(self.log_path, encoding="utf-8", errors="replace") as f:
                return "".join(f.readlines()[-lines:])
        except OSError:
            return ""

    def ctl(self, op, **operands):
        return ctl_call(self.socket_path, op, operands)

    def cli(self, *args):
        """Run `ripstop ARGS` against this node's agent; returns the CompletedProcess."""
        return run([self.lab.program("ripstop"), args[0], "--socket", self.socket_path] + list(args[1:]), check=False)

    def nft(self, *args):
        return self.run(["nft"] + list(args), check=False)

    # -- CNI

    def cni_conf(self, **keys):
        conf = {"cniVersion": "1.0.0", "name": "ripstop", "type": "ripstop", "socket": self.socket_path,
                "stateDir": self.state, "ipam": {"type": "ripstop", "ranges": self.ranges}}
        if SLOW > 1:
            conf["timeoutSeconds"] = int(silence(10))
        conf.update(keys)
        return conf

    def cni(self, verb, container_id, netns, conf, args="", ifname="eth0"):
        """One call of the real plugin, inside this node. Returns the parsed result (None when it has none)."""
        env = {"PATH": os.environ.get("PATH", "/usr/sbin:/usr/bin:/sbin:/bin"), "CNI_COMMAND": verb,
               "CNI_CONTAINERID": container_id, "CNI_NETNS": netns, "CNI_IFNAME": ifname,
               "CNI_ARGS": args, "CNI_PATH": self.lab.cni_path}
        p = run(self.argv([self.lab.program("ripstop-cni")]), check=False, env=env, input=json.dumps(conf))
        out = json.loads(p.stdout) if p.stdout.strip() else None
        if p.returncode:
            out = out or {}
            raise CniError(verb, out.get("code", "exit %d" % p.returncode), out.get("msg", p.stderr.strip()),
                           out.get("details", ""))
        return out


MARKER = """apiVersion: v1
kind: Namespace
metadata: {name: rsh-marker}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: %s, namespace: rsh-marker}
spec: {podSelector: {matchLabels: {rsh: marker}}, policyTypes: [Ingress]}
"""


class Pod(NetNs):
    """A pod's network namespace; attach() gives it its interface through the plugin."""

    def __init__(self, lab, short):
        super().__init__(lab, short)
        self.node = None
        self.ips = []
        self.container_id = self.name
        self.args = ""
        self.conf = None
        self.result = None

    def attach(self, node, namespace=None, name=None, ips=None, labels=None, conf=None, uid=None):
        """CNI ADD. ips: exactly these addresses, through an external IPAM plugin; else ours chooses."""
        self.node = node
        self.conf = conf or node.cni_conf()
        if ips:
            ipam = {"type": "staticipam", "ips": ["%s/%d" % (a, host_len(a)) for a in ips]}
            self.conf = dict(self.conf, ipam=ipam)
        args = ["IgnoreUnknown=1"]
        if namespace:
            args += ["K8S_POD_NAMESPACE=" + namespace, "K8S_POD_NAME=" + (name or self.short)]
        if uid:
            args.append("K8S_POD_UID=" + uid)
        if labels:
            args.append("RIPSTOP_LABELS=" + ",".join("%s:%s" % kv for kv in labels.items()))
        self.args = ";".join(args)
        self.result = node.cni("ADD", self.container_id, self.path, self.conf, self.args)
        self.ips = [str(ipaddress.ip_interface(i["address"]).ip) for i in self.result["ips"]]
        return self

    def detach(self, netns=True):
        self.node.cni("DEL", self.container_id, self.path if netns else "", self.conf, self.args)

    def check(self):
        self.node.cni("CHECK", self.container_id, self.path, dict(self.conf, prevResult=self.result), self.args)

    def ip4(self):
        return next((a for a in self.ips if not is6(a)), None)

    def ip6(self):
        return next((a for a in self.ips if is6(a)), None)

    def record(self):
        """Our attachment record as the plugin wrote it."""
        folder = os.path.join(self.node.state, "endpoints")
        for name in os.listdir(folder):
            try:
                with open(os.path.join(folder, name), encoding="utf-8") as f:
                    e = json.load(f)
            except (OSError, ValueError):
                continue
            if self.container_id in (e.get("containerID"), e.get("container_id")):
                return e
        raise HarnessError("no record of %s in %s" % (self.container_id, folder))

    def host_link(self):
        """Name of the host end of eth0."""
        index = int(self.sh("cat /proc/net/dev >/dev/null; ip -o link show eth0 | sed 's/.*eth0@if\\([0-9]*\\):.*/\\1/'"))
        for line in self.node.sh("ip -o link").splitlines():
            if line.split(":")[0] == str(index):
                return line.split(":")[1].strip().split("@")[0]
        raise HarnessError("no host link of %s" % self.name)


# ---- the control socket ---------------------------------------------------------------------------


class CtlError(Exception):
    """The agent refused or answered nonsense."""


def _recv_exactly(s, n):
    data = b""
    while len(data) < n:
        piece = s.recv(n - len(data))
        if not piece:
            raise CtlError("the agent closed the connection")
        data += piece
    return data


def ctl_call(path, op, operands, timeout=10):
    body = json.dumps(dict(operands, protocol=1, op=op)).encode()
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as s:
        s.settimeout(patience(timeout))
        s.connect(path)
        s.sendall(struct.pack(">I", len(body)) + body)
        size, = struct.unpack(">I", _recv_exactly(s, 4))
        answer = json.loads(_recv_exactly(s, size))
    if not answer.get("ok"):
        raise CtlError("%s: %s" % (op, answer.get("error", {}).get("message", answer)))
    return answer.get("result", {})


# ---- the lab ---------------------------------------------------------------------------------------

_labs = []
_tags = iter(range(1, 1 << 30))
_lock = threading.Lock()


class Lab:
    def __init__(self, build=None):
        self.build = os.path.abspath(build or default_build())
        with _lock:
            self.tag = "%d-" % next(_tags)
        self.namespaces = []
        self.processes = []
        self.cni_path = os.path.join(self.build, "tests", "cni")
        for name in ("ripstop-cni", "ripstop-agent", "ripstop", "tests/prober"):
            if not os.access(self.program(name), os.X_OK):
                raise HarnessError("%s is not built (make BUILD=%s all netns-tools)" % (name, self.build))
        self.dir = tempfile.mkdtemp(prefix="rsh-%d-" % os.getpid())
        self.bpffs = None
        if DATAPLANE.startswith("ebpf"):
            self.mount_bpffs()
        _labs.append(self)
        self.world = World(self)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()

    def mount_bpffs(self):
        """A bpffs of this lab's own, in which each node has a folder."""
        self.bpffs = os.path.join(self.dir, "bpf")
        os.mkdir(self.bpffs)
        run(["mount", "-t", "bpf", "bpf", self.bpffs])

    def bpf_dir(self, node):
        return os.path.join(self.bpffs, node.short.replace(".", "_"))

    def dataplane_options(self, node):
        return ["--dataplane", DATAPLANE, "--bpf-dir", self.bpf_dir(node)] if DATAPLANE.startswith("ebpf") else []

    def program(self, name):
        return os.path.join(self.build, name)

    def node(self, short="node", ips=("192.0.2.1", "fd00:192::1"),
             ranges=("10.244.1.0/24", "fd00:10:244:1::/64"), cluster=("10.244.0.0/16", "fd00:10:244::/48")):
        return Node(self, short, ips, ranges, cluster)

    def pod(self, short):
        return Pod(self, short)

    def spawn(self, argv, **kw):
        p = subprocess.Popen(argv, start_new_session=True, preexec_fn=_die_with_parent, **kw)
        self.processes.append(p)
        return p

    def end(self, p, sig=signal.SIGTERM, timeout=10):
        if p is None:
            return None
        if p in self.processes:
            self.processes.remove(p)
        if p.poll() is None:
            p.send_signal(sig)
            try:
                p.wait(patience(timeout))
            except subprocess.TimeoutExpired:
                p.kill()
                p.wait()
        for stream in (p.stdin, p.stdout, p.stderr):
            if stream:
                with contextlib.suppress(OSError):
                    stream.close()
        return p.returncode

    def keep_log(self, where):
        """Copy the agents' logs to a folder, for a failed test."""
        os.makedirs(where, exist_ok=True)
        for ns in self.namespaces:
            if isinstance(ns, Node) and os.path.exists(ns.log_path):
                shutil.copy(ns.log_path, os.path.join(where, ns.short + ".log"))

    def close(self):
        with _lock:
            if self not in _labs:
                return
            _labs.remove(self)
        with _no_interrupt():
            for p in list(self.processes):
                self.end(p, signal.SIGKILL)
            for ns in list(self.namespaces):
                ns.delete()
            if self.bpffs:
                run(["umount", self.bpffs], check=False)
            shutil.rmtree(self.dir, ignore_errors=True)


def end_with_parent():
    """For a process that cleans up when it is told to end."""
    _libc.prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG


def _die_with_parent():
    _libc.prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


@contextlib.contextmanager
def _no_interrupt():
    """A second Ctrl-C must not leave half of it behind."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    old = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, old)


def close_all():
    for lab in list(_labs):
        lab.close()


def sweep_dead_runs():
    """Namespaces of runs that were killed: named after a pid that lives no more."""
    with contextlib.suppress(OSError):
        for name in os.listdir(NETNS_DIR):
            m = re.match(PREFIX + r"-(\d+)-", name)
            if m and not os.path.exists("/proc/" + m.group(1)):
                run(["ip", "netns", "del", name], check=False)


def default_build():
    return os.environ.get("BUILD") or os.path.join(ROOT, "build", "rel")


def start():
    """What every program on this harness does first."""
    if os.geteuid() != 0:
        sys.exit("this needs root: it makes network namespaces")
    sys.dont_write_bytecode = True
    atexit.register(close_all)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    sweep_dead_runs()
