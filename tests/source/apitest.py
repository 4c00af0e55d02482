# SPDX-License-Identifier: Apache-2.0
"""What tests of the API source share: a folder with certificates, a liar, and the source that listens to it."""
import base64
import json
import os
import select
import subprocess
import sys
import tempfile
import time
import traceback

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from liar import Liar, make_ca  # noqa: E402

PATIENCE = 120  # seconds that something may take on a machine that is busy with other things


class Failed(Exception):
    pass


def need(holds, *what):
    if not holds:
        raise Failed(" ".join(str(w) for w in what))


class Source:
    """tests/source/api_runner.c, running."""

    def __init__(self, runner, *argv, env=None):
        self.p = subprocess.Popen([runner, *argv], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                  env={**os.environ, **(env or {})})
        self.rest, self.said = b"", []

    def tell(self, line):
        self.p.stdin.write(line.encode() + b"\n")
        self.p.stdin.flush()

    def line(self, key):
        """The next line that has this key; others wait their turn."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            for i, said in enumerate(self.said):
                if key in said:
                    return self.said.pop(i)
            if select.select([self.p.stdout], [], [], 1)[0]:
                data = os.read(self.p.stdout.fileno(), 1 << 20)
                if not data:
                    break
                *lines, self.rest = (self.rest + data).split(b"\n")
                self.said += [json.loads(text) for text in lines]
        raise Failed(f"the source did not answer with {key}; exit {self.p.poll()}: {self.errors()}")

    def errors(self):
        return self.p.stderr.read().decode() if self.p.poll() is not None else ""

    def dump(self):
        self.tell("dump")
        return self.line("synced")

    def until(self, what, holds):
        end = time.monotonic() + PATIENCE
        while True:
            d = self.dump()
            if holds(d):
                return d
            if time.monotonic() > end:
                raise Failed(f"never: {what}; last: {json.dumps(d)[:1500]}")
            time.sleep(0.03)

    def synced(self):
        return self.until("synced", lambda d: d["synced"])

    def has(self, kind, names):
        """Wait until exactly these are known."""
        return self.until(f"{kind} {sorted(names)}", lambda d: set(d[kind]["objects"]) == set(names))

    def fresh(self, ns, pod):
        self.tell(f"fresh {ns} {pod}")
        return self.line("fresh")

    def close(self):
        if self.p.poll() is None:
            self.p.stdin.close()
        try:
            self.p.wait(30)
        except subprocess.TimeoutExpired:
            self.p.kill()
            self.p.wait()
        err = self.p.stderr.read().decode()
        self.p.stdout.close()
        self.p.stderr.close()
        return err


class World:
    """One test's folder, servers and sources."""

    def __init__(self, runner, pki):
        self.runner, self.pki = runner, pki
        self.dir = tempfile.mkdtemp(prefix="rs-api-")
        self.open, self.liars = [], []

    def liar(self, **how):
        server = Liar(self.pki, **how)
        self.open.append(server.stop)
        self.liars.append(server)
        return server

    def kubeconfig(self, liar, cluster="", user="token: t0ken", name="config"):
        path = os.path.join(self.dir, name)
        with open(path, "w", encoding="utf-8") as f:
            f.write("apiVersion: v1\nkind: Config\ncurrent-context: here\n"
                    "contexts: [{name: here, context: {cluster: c, user: u}}]\n"
                    f"clusters: [{{name: c, cluster: {{server: \"{liar.url}\""
                    f"{cluster or ', certificate-authority: ' + self.pki + '/ca.crt'}}}}}]\n"
                    f"users: [{{name: u, user: {{{user}}}}}]\n")
        return path

    def data(self, name):
        with open(f"{self.pki}/{name}", "rb") as f:
            return base64.b64encode(f.read()).decode()

    def source(self, liar, *argv, config=None, env=None):
        s = Source(self.runner, "--kubeconfig", config or self.kubeconfig(liar), "--backoff-ms", "20", "--backoff-max-ms", "200",
                   *argv, env=env)
        self.open.append(s.close)
        return s

    def refused(self, *argv, env=None):
        """What a source that cannot even begin says."""
        p = subprocess.run([self.runner, *argv], capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL,
                           env={**os.environ, **(env or {})}, check=False)
        need(p.returncode == 1, "it should have been refused, but exit", p.returncode, p.stderr)
        return p.stderr

    def close(self):
        faults = ""
        for end in reversed(self.open):
            faults += end() or ""
        for server in self.liars:
            faults += "".join(f"a write that nobody asked for: {w}\n" for w in server.unasked)
            faults += "".join(f"an Event that is none: {f} {e}\n" for f, e in server.refused_events)
        subprocess.run(["rm", "-rf", self.dir], check=False)
        need(not faults, "stderr:", faults)


def seed(liar):
    """A small cluster."""
    for ns in ("shop", "infra"):
        liar.put("Namespace", ns, labels={"kubernetes.io/metadata.name": ns})
    liar.put("Node", "n1", spec={"podCIDRs": ["10.1.0.0/24"]})
    pod(liar, "web")
    pod(liar, "db", ip="10.1.0.3")
    policy(liar, "deny")


def pod(liar, name, ns="shop", ip="10.1.0.2", **more):
    fields = {"spec": {"nodeName": "n1"}, "status": {"phase": "Running", "podIPs": [{"ip": ip}] if ip else []}}
    fields.update(more)
    return liar.put("Pod", name, ns, **fields)


def policy(liar, name, ns="shop", **more):
    return liar.put("NetworkPolicy", name, ns, **{"spec": {"podSelector": {}, "policyTypes": ["Ingress"]}, **more})


def in_own_netns():
    """Run the program again where nothing but its own loopback is. Returns why not, or never."""
    if os.geteuid():
        return "not root"
    if os.environ.get("RIPSTOP_API_NETNS"):
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        return ""
    if subprocess.run(["unshare", "--net", "true"], capture_output=True, check=False).returncode:
        return "no network namespaces"
    os.environ["RIPSTOP_API_NETNS"] = "1"
    os.execvp("unshare", ["unshare", "--net", sys.executable, *sys.argv])
    return None


def run_all(tests, build, only=""):
    why = in_own_netns()
    if why:
        print(f"skipped: {why}\n0 passed, 0 failed, {len(tests)} skipped")
        return 0
    pki = tempfile.mkdtemp(prefix="rs-pki-")
    make_ca(pki)
    make_ca(pki, "other")
    good = bad = 0
    for test in tests:
        if only and only not in test.__name__:
            continue
        w = World(f"{build}/tests/source/api_runner", pki)
        begun, why = time.monotonic(), None
        try:
            test(w)
        except Exception as e:  # noqa: BLE001
            why = str(e) if isinstance(e, Failed) else traceback.format_exc()
        try:
            w.close()
        except Failed as e:
            why = why or str(e)
        good, bad = good + (not why), bad + bool(why)
        print(f"{'FAIL' if why else 'ok  '} {test.__name__[5:]}  ({time.monotonic() - begun:.1f} s)" + (f": {why}" if why else ""),
              flush=True)
    subprocess.run(["rm", "-rf", pki], check=False)
    print(f"{good} passed, {bad} failed, 0 skipped")
    return 1 if bad or not good else 0
