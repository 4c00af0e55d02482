# SPDX-License-Identifier: Apache-2.0
"""real_agent.py - the real ripstop-agent without enforcement, in a network namespace of its own, for tests of what it tells.

    with RealAgent(build, manifests_folder, "--metrics-address", "127.0.0.1:9412") as agent:
        agent.ask({"op": "status"}); agent.inside("ip", "link"); agent.attach("shop", "web", "app:web")
"""
import json
import os
import shutil
import socket
import struct
import subprocess
import tempfile
import time


def possible():
    """Why it cannot be started here; "" when it can."""
    if os.geteuid():
        return "not root"
    return "" if subprocess.run(["unshare", "--net", "true"], check=False).returncode == 0 else "no network namespaces"


class RealAgent:
    def __init__(self, build, manifests, *args, dataplane="null"):
        self.build, self.dir = os.path.abspath(build), tempfile.mkdtemp(prefix="rs-agent-")
        self.state, self.socket, self.children = self.dir + "/state", self.dir + "/state/agent.sock", []
        self.node = self.namespace()
        for cmd in ("link set lo up", "link add up0 type veth peer name up1", "addr add 192.168.77.1/24 dev up0", "link set up0 up"):
            self.inside("ip", *cmd.split())
        self.log = open(self.dir + "/log", "w", encoding="utf-8")
        more = ["--allow-no-enforcement", "on"] if dataplane == "null" else []
        self.agent = subprocess.Popen(self.enter(self.node) + [
            self.build + "/ripstop-agent", "--manifests", manifests, "--state-dir", self.state, "--node-name", "n1", "--node-ranges",
            "10.7.1.0/24,fd07::/64", "--dataplane", dataplane, *more, *args], stdout=self.log, stderr=self.log)
        self.children.append(self.agent)
        end = time.monotonic() + 20
        while True:
            try:
                if self.ask({"op": "status"})["result"]["ready"]:
                    return
            except (OSError, KeyError, TypeError):
                pass
            if time.monotonic() > end or self.agent.poll() is not None:
                text = self.logs()
                self.close()
                raise RuntimeError("the agent is not ready: " + text)
            time.sleep(0.02)

    def namespace(self):
        p = subprocess.Popen(["unshare", "--net", "sh", "-c", "echo; exec sleep 600"], stdout=subprocess.PIPE)
        p.stdout.read(1)
        self.children.append(p)
        return "/proc/%d/ns/net" % p.pid

    @staticmethod
    def enter(ns):
        return ["nsenter", "--net=" + ns]

    def inside(self, *argv, check=True, **kw):
        return subprocess.run(self.enter(self.node) + list(argv), capture_output=True, text=True, timeout=60, check=check, **kw)

    def logs(self):
        with open(self.dir + "/log", encoding="utf-8") as f:
            return f.read()

    def ask(self, request):
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(20)
            s.connect(self.socket)
            body = json.dumps(dict(request, protocol=1)).encode()
            s.sendall(struct.pack(">I", len(body)) + body)
            return json.loads(self.read(s, struct.unpack(">I", self.read(s, 4))[0]))

    @staticmethod
    def read(s, n):
        data = b""
        while len(data) < n:
            piece = s.recv(n - len(data))
            if not piece:
                raise OSError("the agent hung up")
            data += piece
        return data

    def attach(self, ns, pod, labels):
        """A pod by the plugin. Its network namespace."""
        netns = self.namespace()
        conf = {"cniVersion": "1.0.0", "name": "t", "type": "ripstop", "stateDir": self.state, "socket": self.socket, "timeoutSeconds": 5}
        env = {"PATH": os.environ["PATH"], "CNI_COMMAND": "ADD", "CNI_CONTAINERID": "c-" + pod, "CNI_IFNAME": "eth0", "CNI_NETNS": netns,
               "CNI_PATH": "/nonexistent", "CNI_ARGS": "K8S_POD_NAMESPACE=%s;K8S_POD_NAME=%s;RIPSTOP_LABELS=%s" % (ns, pod, labels)}
        p = self.inside(self.build + "/ripstop-cni", env=env, input=json.dumps(conf), check=False)
        if p.returncode:
            raise RuntimeError("ADD: %s %s" % (p.stdout, self.logs()))
        return netns

    def close(self):
        for p in reversed(self.children):
            if p.poll() is None:
                p.terminate()
            p.wait()
        self.log.close()
        shutil.rmtree(self.dir)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()
