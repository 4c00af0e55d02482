# SPDX-License-Identifier: Apache-2.0
"""benchbed.py - what bench programs in Python share: their arguments and lines, and a node of world W with real programs.

A WorldBed is one size of the world: an API server that holds it (worldapi.py), and one node with an agent, in network
namespaces of their own (tests/netns/lib/harness.py).
"""
import argparse
import concurrent.futures
import json
import os
import socket
import sys
import tempfile
import time

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
for folder in (os.path.join(ROOT, "tests", "support"), os.path.join(ROOT, "tests", "netns", "lib"), HERE):
    sys.path.insert(0, folder)
import harness  # noqa: E402
from harness import HarnessError, Lab, Node  # noqa: E402
from liar import make_ca  # noqa: E402
from worldapi import NODE, WorldApi  # noqa: E402
from worldw import LOCAL, World  # noqa: E402

SIZES = {"100": (10, 100), "10k": (1000, 10000), "100k": (10000, 100000)}  # name: policies, pods
SERVER, PORT = "198.18.0.1", 6443
MAKERS = 8      # of network namespaces
PARALLEL = 32   # ADDs and DELs at a time that are not measured
REST = 2  # seconds that an address is not given out again


class Say:
    """JSON Lines for bench.py (docs/bench.md)."""

    @staticmethod
    def line(**o):
        print(json.dumps(o), flush=True)

    def value(self, series, value, unit, round_=None):
        more = {} if round_ is None else {"round": round_}
        self.line(series=series, value=value, unit=unit, **more)

    def note(self, text):
        self.line(note=text)

    def skip(self, what, why):
        self.line(skip=what, why=why)


def arguments(doc):
    ap = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--build", default=os.path.join(ROOT, "build", "rel"))
    ap.add_argument("--seconds", type=float, default=120)
    args = ap.parse_args()
    args.build = os.path.abspath(args.build)
    args.end = time.monotonic() + args.seconds
    return args


class WorldNode(Node):
    """The machine `here`: its uplink is the network of all nodes' own addresses."""

    def __init__(self, lab, kubeconfig):
        super().__init__(lab, "n1", ["192.0.2.1"], ["10.128.0.0/24"])
        self.source = ["--kubeconfig", kubeconfig]
        self.ip("address add 172.31.0.1/16 dev up0")

    def agent_argv(self, *extra):
        """As in the DaemonSet: nothing is switched off."""
        return [self.lab.program("ripstop-agent"), *self.source, "--state-dir", self.state, "--socket", self.socket_path,
                "--node-name", NODE, *self.agent_options, *extra]

    def cni_conf(self, **keys):
        # A node of 254 addresses is not emptied again and again elsewhere: they rest for a moment only.
        return super().cni_conf(**{"ipam": {"type": "ripstop", "restSeconds": REST}, "timeoutSeconds": 60, **keys})

    def pid(self):
        return self.agent.pid

    def ready(self):
        """What a kubelet's probe would hear; it costs the agent next to nothing."""
        try:
            with self.inside():
                s = socket.create_connection(("127.0.0.1", 9412), timeout=10)
            with s:
                s.sendall(b"GET /readyz HTTP/1.0\r\n\r\n")
                return b" 200 " in s.recv(4096).split(b"\r\n")[0]
        except OSError:
            return False


class WorldBed:
    pki = None

    def __init__(self, build, size):
        self.size, self.world = size, World(*SIZES[size])
        self.n_local = min(LOCAL, self.world.pods)
        self.lab = Lab(build)
        self.pods, self.api = {}, None
        try:
            self.lab.world.add(SERVER)
            with self.lab.world.inside():
                self.api = WorldApi(self.certificates(), self.world, port=PORT, host=SERVER)
            self.node = WorldNode(self.lab, self.kubeconfig())
        except BaseException:
            self.close()
            raise

    @classmethod
    def certificates(cls):
        if not cls.pki:
            cls.pki = tempfile.TemporaryDirectory(prefix="rsb-pki-")  # pylint: disable=consider-using-with
            make_ca(cls.pki.name, "ca", "IP:%s" % SERVER)
        return cls.pki.name

    def kubeconfig(self):
        path = os.path.join(self.lab.dir, "kubeconfig")
        with open(path, "w", encoding="ascii") as f:
            f.write("apiVersion: v1\nkind: Config\ncurrent-context: here\n"
                    "contexts: [{name: here, context: {cluster: c, user: u}}]\n"
                    "clusters: [{name: c, cluster: {server: \"https://%s:%d\", certificate-authority: %s/ca.crt}}]\n"
                    "users: [{name: u, user: {token: t}}]\n" % (SERVER, PORT, self.certificates()))
        return path

    def start(self, timeout=120):
        """Seconds from the start of the agent until it is in sync."""
        begin = time.monotonic()
        self.node.start_agent(wait=False)
        while not self.node.ready():
            if self.node.agent.poll() is not None or time.monotonic() > begin + timeout:
                raise HarnessError("the agent of %s pods is not in sync:\n%s" % (self.size, self.node.log_tail()))
            time.sleep(0.005)
        return time.monotonic() - begin

    def namespaces(self, numbers):
        """Network namespaces of pods to come."""
        with concurrent.futures.ThreadPoolExecutor(MAKERS) as pool:
            made = list(pool.map(lambda i: self.lab.pod("p%d" % i), numbers))
        self.pods.update(zip(numbers, made))

    def attach_one(self, i):
        pod, name = self.pods[i], "pod-%d" % i
        pod.attach(self.node, self.world.ns(i), name, uid="uid-" + name)

    def tell_running(self, numbers):
        """The kubelet's word for them."""
        for i in numbers:
            self.api.local(i, self.pods[i].ip4())

    def attach(self, numbers, parallel=PARALLEL):
        """ADD of pods of this node, so many at a time. Seconds until the last has its result."""
        self.namespaces([i for i in numbers if i not in self.pods])
        begin = time.monotonic()
        with concurrent.futures.ThreadPoolExecutor(parallel) as pool:
            list(pool.map(self.attach_one, numbers))
        seconds = time.monotonic() - begin
        self.tell_running(numbers)
        return seconds

    def detach(self, numbers):
        with concurrent.futures.ThreadPoolExecutor(PARALLEL) as pool:
            list(pool.map(lambda i: self.pods[i].detach(), numbers))

    def check(self, say, attached):
        """That the agent holds what was meant; its conditions are told."""
        status = self.node.ctl("status")
        if status["endpoints"]["total"] != attached:
            raise HarnessError("%d endpoints where %d were meant" % (status["endpoints"]["total"], attached))
        for c in status.get("conditions", []):
            say.note("agent of %s pods, condition %s: %s" % (self.size, c["type"], c["message"]))
        return status

    def close(self):
        if self.api:
            self.api.stop()
        self.lab.close()


def begin(doc):
    """For main(): arguments, and that this may run here."""
    args = arguments(doc)
    harness.start()
    return args, Say()
