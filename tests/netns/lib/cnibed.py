# SPDX-License-Identifier: Apache-2.0
"""cnibed.py - a node for the plugin alone: a network namespace, a state folder, and an agent that only answers.

Namespaces are named rsf-PID-...; nothing is made in the namespace that the tests run in. Standard library only.
"""
import ctypes
import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import threading
import time

NETNS = "/run/netns/"
CLONE_NEWNET = 0x40000000
SLOW = max(1.0, float(os.environ.get("RIPSTOP_TEST_SLOW") or 1))  # waits are longer on an emulated machine
_libc = ctypes.CDLL(None, use_errno=True)
BOOT_ID = open("/proc/sys/kernel/random/boot_id").read().strip()
NODE_IP4, NODE_IP6, WORLD_IP4 = "192.0.2.1", "2001:db8::1", "192.0.2.2"
RANGE4, RANGE6 = "10.244.1.0/24", "fd00:10:244:1::/64"


def sh(*argv, check=True, ns=None, **kw):
    if ns:
        argv = ("nsenter", "--net=" + NETNS + ns) + argv
    p = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                       timeout=60 * SLOW, **kw)
    if check and p.returncode:
        raise RuntimeError("%s: %s" % (" ".join(argv), p.stderr.strip()))
    return p


def inside(path, fn):
    """Run fn in the network namespace at path, in a thread of its own, and return what it returns."""
    box = {}

    def work():
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            if _libc.setns(fd, CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), "setns " + path)
            box["value"] = fn()
        except BaseException as e:  # handed to the caller
            box["error"] = e
        finally:
            os.close(fd)

    t = threading.Thread(target=work)
    t.start()
    t.join()
    if "error" in box:
        raise box["error"]
    return box["value"]


class FakeAgent:
    """Answers the control socket: each op with what `answers` says (default: yes). Remembers all requests."""

    def __init__(self, path):
        self.path, self.requests, self.answers, self.hooks, self.hang = path, [], {}, {}, False
        self.stopping = False
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        self.sock.bind(path)
        self.sock.listen(128)
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while not self.stopping:
            try:
                c, _ = self.sock.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(c,), daemon=True).start()

    @staticmethod
    def _read(c, n):
        data = b""
        while len(data) < n:
            try:
                piece = c.recv(n - len(data))
            except OSError:  # a client that was killed
                return None
            if not piece:
                return None
            data += piece
        return data

    def _serve(self, c):
        with c:
            while True:
                head = self._read(c, 4)
                body = head and self._read(c, struct.unpack(">I", head)[0])
                if not body:
                    return
                o = json.loads(body)
                self.requests.append(o)
                if o["op"] in self.hooks:
                    self.hooks[o["op"]](o)
                while self.hang and not self.stopping:
                    time.sleep(0.02)
                answer = self.answers.get(o["op"], {"ok": True, "result": {"generation": 1, "dataplane": "null"}})
                text = json.dumps(dict(answer, protocol=1)).encode()
                try:
                    c.sendall(struct.pack(">I", len(text)) + text)
                except OSError:
                    return

    def ops(self, name):
        return [r for r in list(self.requests) if r["op"] == name]

    def close(self):
        self.stopping = True
        self.sock.shutdown(socket.SHUT_RDWR)
        self.sock.close()
        os.unlink(self.path)


class Answer:
    def __init__(self, rc, out, err, seconds):
        self.rc, self.out, self.err, self.seconds = rc, out, err, seconds
        self.json = json.loads(out) if out.strip() else None

    @property
    def code(self):
        return self.json.get("code") if self.rc and self.json else None

    def __repr__(self):
        return "rc %d, %s, stderr %r" % (self.rc, self.out.strip(), self.err.strip())


class Bed:
    """One node with an uplink into a world, its state folder, and its pods."""

    count = 0

    def __init__(self, plugin, agent=True):
        Bed.count += 1
        self.plugin, self.made, self.procs = plugin, [], []
        self.tag = "rsf-%d-%d" % (os.getpid(), Bed.count)
        self.tmp = tempfile.mkdtemp(prefix="rsf-")
        self.state = self.tmp + "/state"
        self.path = self.tmp + "/bin"
        self.socket = self.tmp + "/agent.sock"
        os.mkdir(self.path)
        self.agent = None
        try:
            self.ns, self.world = self.netns("n"), self.netns("w")
            self._uplink()
        except BaseException:
            self.close()
            raise
        if agent:
            self.start_agent()
        self.conf = {"cniVersion": "1.0.0", "name": "net", "type": "ripstop", "stateDir": self.state,
                     "socket": self.socket, "timeoutSeconds": 5, "ipam": {"ranges": [RANGE4, RANGE6], "restSeconds": 0}}

    def _uplink(self):
        sh("ip", "link", "add", "up0", "netns", self.ns, "mtu", "1450", "type", "veth", "peer", "name", "eth0", "netns",
           self.world)
        for ns, dev, ip4, ip6 in ((self.ns, "up0", NODE_IP4, NODE_IP6), (self.world, "eth0", WORLD_IP4, "2001:db8::2")):
            sh("ip", "link", "set", "lo", "up", ns=ns)
            sh("ip", "link", "set", dev, "up", ns=ns)
            sh("ip", "addr", "add", ip4 + "/24", "dev", dev, ns=ns)
            sh("ip", "addr", "add", ip6 + "/64", "dev", dev, "nodad", ns=ns)
        sh("ip", "route", "add", "default", "via", WORLD_IP4, ns=self.ns)

    def start_agent(self):
        self.agent = FakeAgent(self.socket)
        return self.agent

    def stop_agent(self):
        self.agent.close()
        self.agent = None

    def netns(self, name):
        full = "%s-%s" % (self.tag, name)
        sh("ip", "netns", "add", full)
        self.made.append(full)
        return full

    def pod(self, name):
        ns = self.netns(name)
        sh("ip", "link", "set", "lo", "up", ns=ns)
        return NETNS + ns

    def env(self, verb, cid, netns, ifname="eth0", args=None, extra=None):
        env = {"PATH": os.environ.get("PATH", "/usr/bin:/bin:/usr/sbin:/sbin"), "CNI_PATH": self.path}
        for key, value in (("CNI_COMMAND", verb), ("CNI_CONTAINERID", cid), ("CNI_NETNS", netns),
                           ("CNI_IFNAME", ifname), ("CNI_ARGS", args)):
            if value is not None:
                env[key] = value
        env.update(extra or {})
        return env

    def popen(self, verb, cid=None, netns=None, wrap=(), **kw):
        env = self.env(verb, cid, netns, **kw)
        # exec, so that the pid is the plugin's own
        return subprocess.Popen(["nsenter", "--net=" + NETNS + self.ns, *wrap, self.plugin], env=env,
                                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def call(self, verb, cid=None, netns=None, conf=None, stdin=None, timeout=60, **kw):
        if stdin is None:
            stdin = json.dumps(self.conf if conf is None else conf).encode()
        start = time.monotonic()
        p = self.popen(verb, cid, netns, **kw)
        out, err = p.communicate(stdin, timeout=timeout * SLOW)
        return Answer(p.returncode, out.decode(), err.decode("utf-8", "replace"), time.monotonic() - start)

    def config(self, **changes):
        conf = dict(self.conf)
        for key, value in changes.items():
            if value is None:
                conf.pop(key, None)
            else:
                conf[key.replace("__", ".")] = value
        return conf

    # -- what the kernel and the folder hold

    def links(self):
        out = json.loads(sh("ip", "-j", "-d", "link", "show", ns=self.ns).stdout)
        return {l["ifname"]: l for l in out if l["ifname"].startswith("rs")}

    def routes(self, ns=None, six=False):
        out = sh("ip", "-j", "-6" if six else "-4", "route", "show", "table", "main", ns=ns or self.ns).stdout
        return json.loads(out or "[]")

    def pod_routes(self):
        return [r for six in (False, True) for r in self.routes(six=six) if r.get("dev", "").startswith("rs")]

    def files(self, sub):
        folder = os.path.join(self.state, sub)
        return sorted(f for f in os.listdir(folder) if not f.startswith(".")) if os.path.isdir(folder) else []

    def records(self):
        out = {}
        for f in self.files("endpoints"):
            with open(os.path.join(self.state, "endpoints", f)) as fd:
                out[f] = json.load(fd)
        return out

    def held(self):
        """Leases that are in use, not those that rest."""
        return [f for f in self.files("leases") if not f.endswith(".resting")]

    def left_over(self):
        """Everything of pods that is still there; empty when clean."""
        return (["link " + l for l in self.links()] + ["route " + r["dst"] for r in self.pod_routes()] +
                ["record " + r for r in self.files("endpoints")] + ["lease " + l for l in self.held()])

    def write_node(self, **changes):
        o = {"fileVersion": 1, "bootID": BOOT_ID, "node": "n1", "dataplane": "null", "version": "0", "mtu": 0,
             "ranges": [], "linkGroup": 0, "ready": True, "written": int(time.time())}
        o.update(changes)
        os.makedirs(self.state, mode=0o700, exist_ok=True)
        with open(self.state + "/node.json", "w") as f:
            json.dump(o, f)

    def sysctl(self, name, ns=None):
        return sh("cat", "/proc/sys/" + name, ns=ns or self.ns).stdout.strip()

    def close(self):
        if self.agent:
            self.stop_agent()
        for p in self.procs:
            if p.poll() is None:
                p.send_signal(signal.SIGKILL)
            p.wait()
        for ns in self.made:
            sh("ip", "netns", "del", ns, check=False)
        shutil.rmtree(self.tmp, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()


def talk(src, dst, dst_ip, port=8080, seconds=1.0):
    """One TCP connection from namespace src to dst_ip in namespace dst, both given as paths."""
    family = socket.AF_INET6 if ":" in dst_ip else socket.AF_INET
    with inside(dst, lambda: socket.socket(family, socket.SOCK_STREAM)) as srv, \
            inside(src, lambda: socket.socket(family, socket.SOCK_STREAM)) as cli:
        srv.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        srv.bind((dst_ip, port))
        srv.listen(1)
        cli.settimeout(seconds * SLOW)
        try:
            cli.connect((dst_ip, port))
            peer, addr = srv.accept()
            peer.close()
            return addr[0]
        except OSError:
            return None
