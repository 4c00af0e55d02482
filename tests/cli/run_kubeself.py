#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""`kubectl ripstop test --self` with a stand-in kubectl that makes pods and judges packets, and stand-in agents; and its two
ends, `ripstop __listen` and `__connect`, for real.

    tests/cli/run_kubeself.py [--build DIR] [--only PART,...]

The last line is the count.
"""
import argparse
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import xml.etree.ElementTree as ET

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
sys.path.insert(0, os.path.join(HERE, "..", "support"))
from fake_agent import FakeAgent  # noqa: E402
from fake_kubectl import denied  # noqa: E402
from jsonschema_lite import Schemas  # noqa: E402
from run_kubectl import HOSTILE, STEERING, Runner, agent_pod, half  # noqa: E402

NODES = {"server": "worker-1", "client": "worker-2"}
V4 = {"server": ["10.244.1.20"], "client": ["10.244.2.31"]}
DUAL = {"server": ["10.244.1.20", "fd00:1::14"], "client": ["10.244.2.31", "fd00:2::1f"]}


class Agent(FakeAgent):
    """What an agent says of what was created. how: "lies" (that all is allowed, that all is denied), "slow" (nothing is
    committed), "silent" (to explain)."""

    def __init__(self, path, node, kubectl, how):
        self.node, self.kubectl, self.how = node, kubectl, how
        super().__init__(path, {})

    def find(self, request):
        made = self.kubectl.cluster()
        if request["op"] == "policies":
            items = [{"namespace": p["metadata"]["namespace"], "name": p["metadata"]["name"], "uid": p["metadata"]["uid"],
                      "objectGeneration": 1, "types": p["spec"]["policyTypes"], "podSelector": "-", "selects": [],
                      "ingressRules": 0, "egressRules": 0, "enforced": self.how != "slow",
                      "whyNotEnforced": "a commit is under way " + HOSTILE} for p in made["NetworkPolicy"]]
            return {"result": {"apiVersion": "ripstop.dev/v1", "kind": "PolicyList", "metadata": {"node": self.node},
                               "items": [i for i in items if i["name"] == request["name"]]}}
        if request["op"] == "explain" and self.how != "silent":
            return {"result": self.explain(request, made)}
        return {"error": {"errno": 5, "message": "input/output"}}

    def explain(self, request, made):
        ends = {p["metadata"]["name"]: p for p in made["Pod"]}
        port, want = int(request["port"]), ":" if request["family"] == 6 else "."
        out = {"apiVersion": "ripstop.dev/v1", "kind": "ExplainResult", "metadata": {"node": self.node, "generation": 7},
               "protocol": "tcp", "port": port}
        for key, text in (("source", request["src"]), ("destination", request["dst"])):
            ns, name = text.split("/")
            ip = next(x["ip"] for x in ends[name]["status"]["podIPs"] if want in x["ip"])
            out[key] = {"text": text, "ip": ip, "namespace": ns, "name": name}
        for key, direction, pod, peer in (("egress", "Egress", "client", "server"), ("ingress", "Ingress", "server", "client")):
            no = {"allow": False, "deny": True}.get(self.how, denied(made, direction, pod, peer, port))
            here = ends[pod]["spec"]["nodeName"] == self.node
            out[key] = half("denied" if no else "allowed", "because") if here else half(None, "another node judges it")
        known = [out[k] for k in ("egress", "ingress") if out[k]["known"]]
        out["verdict"] = "denied" if any(h["verdict"] == "denied" for h in known) else "allowed"
        return out


class SelfTest(Runner):
    def __init__(self, build):
        super().__init__(build, False)
        self.build = os.path.abspath(build)
        self.ripstop = os.path.join(self.build, "ripstop")
        self.schemas = Schemas(os.path.join(HERE, "..", "..", "docs", "schema"))

    def begin_agents(self, how=None, /, **table):
        image = [{"name": "agent", "image": "registry.example/ripstop:1", "imagePullPolicy": "Never"}]
        agents = [agent_pod("ripstop-agent-b", "worker-2"), agent_pod("ripstop-agent-a", "worker-1")]
        for pod in agents:
            pod["spec"].update(containers=image, imagePullSecrets=[{"name": "pull"}])
        self.table["agents"] = agents
        for node, pod in (("worker-1", "ripstop-agent-a"), ("worker-2", "ripstop-agent-b")):
            path = os.path.join(self.tmp.name, pod + ".sock")
            self.table["sockets"][pod] = path
            self.agents[node] = Agent(path, node, self.kubectl, how)
        self.kubectl.cluster(forget=True)
        self.kubectl.write(**table)
        self.kubectl.calls()

    def end_agents(self):
        left = self.kubectl.cluster(forget=True)
        self.stop()
        return left["Namespace"]

    def run_self(self, name, code, line="", how=None, said=(), left=0, **network):
        """One whole test; returns stdout and stderr. said: on stderr; left: namespaces afterwards."""
        self.begin_agents(how, self=network)
        argv = ["test", "--self"] + line.split()
        got, out, err = self.call(argv)
        stays = self.end_agents()
        self.check(f"{name}: code", got == code, f"{got}, not {code}: {out} {err}")
        self.check(f"{name}: what is left", len(stays) == left, f"{stays}")
        self.check(f"{name}: what is said", all(s in err for s in said) and (code in (0, 1, 7)) == bool(out), f"{out!r} {err!r}")
        return out, err

    def results(self, out):
        """[(result, name, to)]"""
        o = json.loads(out)
        faults = self.schemas.errors("self-test.json", o)
        self.check("the object obeys its schema", not faults, f"{faults[:3]}")
        return o, [(i["result"], i["name"], i.get("to")) for i in o["items"]]

    # ---- the parts

    def works(self):
        out, err = self.run_self("all is well", 0)
        self.check("all is well: the screen", out.count("\nok ") == 10 and "11 tests: 11 ok, 0 failed" in out and not err and
                   "server on worker-1, client on worker-2" in out and "nothing between nodes" not in out, out + err)
        out, _ = self.run_self("all is well, JSON", 0, "-o json")
        o, got = self.results(out)
        self.check("all is well: every check", len(got) == 11 and all(r == "ok" for r, _, _ in got) and not o["disagrees"], out)
        flows = [(i["port"], i["expect"], i["packets"], i["explain"]) for i in o["items"] if "to" in i]
        self.check("all is well: the flows", flows == [
            (8080, "allow", "answered", "allowed"), (8081, "allow", "answered", "allowed"), (8080, "deny", "dropped", "denied"),
            (8080, "allow", "answered", "allowed"), (8081, "deny", "dropped", "denied"), (8080, "deny", "dropped", "denied")],
            f"{flows}")
        out, _ = self.run_self("dual stack", 0, "-o json", ips=DUAL)
        _, got = self.results(out)
        self.check("dual stack: each family", len([1 for r, _, to in got if to == "fd00:1::14" and r == "ok"]) == 6, f"{got}")
        out, _ = self.run_self("one node", 0, nodes={"server": "worker-1", "client": "worker-1"})
        self.check("one node: it is said", "Both pods are on worker-1: nothing between nodes was tested." in out, out)
        out, _ = self.run_self("JUnit", 0, "-o junit")
        suite = ET.fromstring(out)[0]
        self.check("JUnit", suite.get("tests") == "11" and suite.get("failures") == "0" and len(suite) == 11, out)
        out, _ = self.run_self("CSV", 0, "-o csv")
        self.check("CSV", out.splitlines()[0] == "RESULT,TEST,FLOW,FOUND" and len(out.splitlines()) == 12, out)
        self.run_self("a namespace without its account yet", 0, lag=2)

    def objects(self):
        """What is made, as the stand-in got it, and with --keep."""
        self.begin_agents()
        code, out, err = self.call(["test", "--self", "--keep", "--context=prod"])
        made, calls = self.kubectl.cluster(), self.kubectl.calls()
        left = self.end_agents()
        self.check("--keep", code == 0 and len(left) == 1 and f"Kept: kubectl delete namespace {left[0]['metadata']['name']}"
                   in out and not any("delete" in c and "auth" not in c for c in calls), f"{code} {out} {err} {left}")
        ns = left[0]["metadata"]
        self.check("the namespace", ns["name"].startswith("ripstop-selftest-") and ns["labels"] == {
            "app.kubernetes.io/name": "ripstop", "app.kubernetes.io/component": "selftest",
            "pod-security.kubernetes.io/enforce": "restricted"}, f"{ns}")
        self.check("every call has kubectl's flags", all(c[0] == "--context=prod" for c in calls), f"{calls[:3]}")
        server, client = made["Pod"]
        for pod in (server, client):
            spec, box = pod["spec"], pod["spec"]["containers"][0]
            self.check(f"pod {pod['metadata']['name']}", spec["automountServiceAccountToken"] is False and "tolerations" not in
                       spec and spec["restartPolicy"] == "Never" and spec["activeDeadlineSeconds"] and
                       box["image"] == "registry.example/ripstop:1" and box["imagePullPolicy"] == "Never" and
                       spec["imagePullSecrets"] == [{"name": "pull"}] and box["securityContext"]["readOnlyRootFilesystem"] and
                       box["resources"]["limits"]["memory"] and box["command"] == ["ripstop", "__listen", "8080", "8081"],
                       f"{spec}")
        self.check("the client prefers another node", "podAntiAffinity" in client["spec"]["affinity"] and "affinity" not in
                   server["spec"], f"{client['spec']}")

    def failures(self):
        """What an installation may do wrong, and how it is told."""
        out, _ = self.run_self("policies do nothing", 7, "-o json", network="leaky",
                               said=["packets fare otherwise than explain says", "kubectl ripstop bundle"])
        o, got = self.results(out)
        self.check("policies do nothing: which", o["disagrees"] and [n for r, n, _ in got if r == "fail"] == [
            "default deny: tcp/8080 is dropped", "one port allowed: tcp/8081 is dropped", "egress denied: tcp/8080 is dropped"]
            and all("bundle" in i["hint"] for i in o["items"] if i["result"] == "fail"), out)
        out, _ = self.run_self("explain says what is not so", 7, how="allow")
        self.check("explain says what is not so: told", "dropped; explain: allowed" in out and "bug of ours" in out, out)
        out, _ = self.run_self("explain denies everything", 7, "--timeout 1", how="deny")
        self.check("explain denies everything: told", "answered; explain: denied" in out, out)
        out, _ = self.run_self("nothing gets through", 1, "-o json --timeout 1", network="dead")
        o, got = self.results(out)
        self.check("nothing gets through: the rest is not run", [r for r, _, _ in got] == [
            "ok", "fail", "fail", "skipped", "skipped", "skipped", "ok"] and not o["disagrees"], f"{got}")
        self.check("nothing gets through: no bug of ours", "firewall" in o["items"][1]["hint"], out)
        out, _ = self.run_self("one family is mute", 1, "-o json --timeout 10", network="dead4", ips=DUAL)
        _, got = self.results(out)
        self.check("one family is mute: the other is tested", [n for r, n, to in got if r == "fail"] == [
            "without a policy: tcp/8080 is answered", "without a policy: tcp/8081 is answered"] and
            len([1 for r, _, to in got if r == "ok" and to == "fd00:1::14"]) == 6 and not any(
                to == "10.244.1.20" and not n.startswith("without") for _, n, to in got), f"{got}")
        out, _ = self.run_self("refused", 1, "--timeout 1", network="refuses")
        self.check("refused: told", "refused (10.244.1.20 port 8080: Connection refused); explain: allowed" in out, out)
        out, _ = self.run_self("somebody else answers", 1, "--timeout 1", network="impostor")
        self.check("somebody else answers: told", "refused (somebody else answered)" in out, out)
        out, err = self.run_self("explain is silent", 1, "--timeout 1", how="silent")
        self.check("explain is silent: told", "answered; explain: no verdict (" in out and "kubectl ripstop status" in out, out)
        out, _ = self.run_self("a policy is never committed", 1, "--timeout 5", how="slow")
        self.check("a policy is never committed: told", "worker-1: a commit is under way" in out and not STEERING.search(out) and
                   "2 not run" in out and "\n-  " in out, out)
        out, _ = self.run_self("JUnit of failures", 1, "-o junit --timeout 5", how="slow")
        suite = ET.fromstring(out)[0]
        self.check("JUnit of failures", len(suite.findall("*/failure")) == 1 and len(suite.findall("*/skipped")) == 2, out)

    def pods(self):
        """Pods that do not come."""
        waiting = {"waiting": {"reason": "ImagePullBackOff", "message": "no such image " + HOSTILE}}
        out, _ = self.run_self("an image is not there", 1, "--timeout 1", state={"client": waiting})
        self.check("an image is not there: told", "pod client on worker-2: its container peer does not run: ImagePullBackOff, no "
                   "such image" in out and "4 not run" in out and not STEERING.search(out), out)
        out, _ = self.run_self("no node takes it", 1, "--timeout 1", nodes={"server": None, "client": None})
        self.check("no node takes it: told", "pod server is on no node: 0/2 nodes are available" in out, out)
        out, _ = self.run_self("no address", 1, "--timeout 1", ips={"server": [], "client": ["x"]})
        self.check("no address: told", "pod server on worker-1 has no address" in out, out)
        out, _ = self.run_self("it is not removed", 0, "--keep", left=1)
        out, _ = self.run_self("the namespace goes all the same", 1, "--timeout 1", state={"server": waiting})
        self.check("the namespace goes all the same: told", re.search("ok +all of it is removed", out), out)

    def cannot(self):
        """It cannot be run: code 4, why, and nothing is left."""
        self.run_self("no right to make a namespace", 4, forbidden=["create namespaces"],
                      said=["you may not: create namespaces", "cluster-admin"])
        self.run_self("no right to exec, none to delete", 4, forbidden=["create pods/exec", "delete namespaces"],
                      said=["you may not: delete namespaces, create pods/exec"])
        for name, fault, said in [
                ("can-i fails", {"when": ["auth"], "stderr": "error: no\n", "code": 1}, "kubectl: no"),
                ("can-i mumbles", {"when": ["auth"], "stdout": "maybe\n"}, "neither yes nor no"),
                ("the namespace is refused", {"when": ["create"], "stderr": 'Error from server (Forbidden): namespaces is '
                                              'forbidden: User "jane" cannot create\n', "code": 1}, 'User "jane" cannot create'),
                ("no list of pods", {"when": ["get", "server"], "stdout": "<html>"}, "no answer that can be used"),
                ("exec is refused", {"when": ["__connect"], "stderr": "error: unable to upgrade connection\n", "code": 1},
                 "unable to upgrade connection"),
                ("no policy", {"when": ["networkpolicies.networking.k8s.io", "--ignore-not-found"], "stderr": "error: boom\n", "code": 1}, "boom"),
                ("the agent's pod has no image", {"when": ["get", "ripstop-agent-a"], "stdout": '{"kind":"Pod","spec":{}}'},
                 "the image of pod ripstop-agent-a cannot be told")]:
            self.begin_agents(faults=[fault])
            self.expect(f"cannot: {name}", "test --self", 4, said, out=False)
            self.check(f"cannot: {name}: nothing is left", self.end_agents() == [])
        self.begin_agents()
        self.kubectl.write(agents=[])
        self.expect("cannot: no agents", "test --self", 4, "no agent is in namespace", out=False)
        dead = agent_pod("ripstop-agent-a", "worker-1", {"waiting": {"reason": "CrashLoopBackOff"}})
        self.kubectl.write(agents=[dead])
        self.expect("cannot: no agent runs", "test --self", 4, "CrashLoopBackOff", out=False)
        self.check("cannot: nothing was created", not any("create" in c and "auth" not in c for c in self.kubectl.calls()))
        self.end_agents()
        self.begin_agents(faults=[{"when": ["delete", "namespace"], "stderr": "error: not now\n", "code": 1}])
        code, out, err = self.call(["test", "--self"])
        left = self.end_agents()
        self.check("it cannot be removed", code == 1 and re.search("FAIL +all of it is removed", out) and "not now" in out and
                   "kubectl delete namespace ripstop-selftest-" in out and len(left) == 1, f"{code} {out} {err}")

    def usage(self):
        for line, said in (("test --keep", "there is no --self"), ("test --self -f x", "asks no files"),
                           ("test --self -n shop", "a namespace of its own"), ("test --self --node worker-1", "scheduler"),
                           ("test --self x", "too many operands"), ("status --self", "means nothing to status")):
            self.expect(f"usage {line}", line, 2, said, out=False)
        p = subprocess.run([self.ripstop, "test", "--self"], capture_output=True, text=True, timeout=30, check=False)
        self.check("on a node", p.returncode == 2 and "needs a cluster's API" in p.stderr and "kubectl ripstop test --self" in p.stderr
                   and p.stderr.count("\n") == 2 and not p.stdout, f"{p}")

    def signals(self):
        """Whatever it waits for: it ends at once, and removes what it made."""
        signals = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        for sig in [s for s in signals if signal.getsignal(s) != signal.SIG_IGN]:
            for name, words in (("at a packet", ["__connect"]), ("at a policy", ["networkpolicies.networking.k8s.io", "--ignore-not-found"]),
                                ("at explain", ["exec", "explain"]), ("at the pods", ["get", "server", "client"])):
                mark = os.path.join(self.tmp.name, "mark")
                self.begin_agents(faults=[{"when": words, "touch": mark, "hang": True}])
                p = self.begin(["test", "--self"])
                self.until(lambda path=mark: os.path.exists(path))
                p.send_signal(sig)
                out, err = p.communicate(timeout=60)
                self.check(f"{sig.name} {name}", p.returncode == 4 and not out and b"interrupted" in err and
                           err.count(b"\n") == 1 and self.kubectl.cluster()["Namespace"] == [], f"{p.returncode} {out} {err}")
                os.unlink(mark)
                self.end_agents()
        self.begin_agents(self={"stays": True})
        p = self.begin(["test", "--self", "--timeout", "2"])
        self.until(lambda: any(c[0] == "delete" for c in self.kubectl.calls()))
        p.send_signal(signal.SIGINT)
        out, err = p.communicate(timeout=60)
        self.check("Ctrl-C while the namespace goes", p.returncode == 1 and b"interrupted before it was gone" in out, f"{out} {err}")
        self.end_agents()

    @staticmethod
    def until(condition):
        end = threading.Event()
        for _ in range(1200):
            if condition():
                return
            end.wait(0.05)
        raise AssertionError("it never came")

    def peers(self):
        """The two ends, for real: on loopback."""
        a, b = self.free_ports(2)
        with subprocess.Popen([self.ripstop, "__listen", str(a), str(b)], stderr=subprocess.PIPE) as p:
            host = socket.gethostname()
            for address in ("127.0.0.1", "::1"):
                if address == "::1" and not self.has_ipv6():
                    continue
                for port in (a, b):
                    self.until(lambda x=address, y=port: self.peer(x, y)[0] == 0)
                    code, out, err = self.peer(address, port)
                    self.check(f"{address}: answered", code == 0 and out == f"ripstop-selftest {host}\n" and not err, f"{out} {err}")
            mute = [socket.create_connection(("127.0.0.1", a)) for _ in range(100)]
            self.check("a hundred who say nothing hold nobody up", self.peer("127.0.0.1", a)[0] == 0)
            for s in mute:
                s.close()
            p.terminate()
            self.check("SIGTERM ends it", p.wait(30) == 0)
        code, out, err = self.peer("127.0.0.1", a)
        self.check("nobody listens", code == 3 and not out and "Connection refused" in err, f"{code} {out} {err}")
        for name, answer, want in (("silence", None, 1), ("a hostile line", HOSTILE.encode("utf-8", "surrogateescape") + b"\n", 0),
                                   ("an endless line", b"x" * 5000, 3), ("a line cut off", b"ripstop-self", 3), ("an end", b"", 3)):
            with socket.create_server(("127.0.0.1", 0)) as server:
                thread = threading.Thread(target=self.serve_one, args=(server, answer), daemon=True)
                thread.start()
                code, out, err = self.peer("127.0.0.1", server.getsockname()[1])
                self.check(f"a server of {name}", code == want and not STEERING.search(out + err), f"{code} {out!r} {err!r}")
                thread.join()
        for argv in ([], ["127.0.0.1"], ["x", "1"], ["127.0.0.1", "0"], ["127.0.0.1", "65536"], ["127.0.0.1", "1x"]):
            code, out, err = self.peer(*argv)
            self.check(f"no address or port {argv}", code == 2 and not out and err.startswith("ripstop: "), f"{code} {err}")
        for argv in ([], ["0"], ["1"] * 5, ["x"]):
            p = subprocess.run([self.ripstop, "__listen"] + argv, capture_output=True, text=True, timeout=30, check=False)
            self.check(f"no ports {argv}", p.returncode == 2 and not p.stdout, f"{p}")

    @staticmethod
    def serve_one(server, answer):
        conn, _ = server.accept()
        with conn:
            if answer is None:
                conn.recv(1)  # until it hangs up
            else:
                conn.sendall(answer)

    @staticmethod
    def free_ports(n):
        held = [socket.create_server(("127.0.0.1", 0)) for _ in range(n)]
        ports = [s.getsockname()[1] for s in held]
        for s in held:
            s.close()
        return ports

    @staticmethod
    def has_ipv6():
        try:
            with socket.create_server(("::1", 0), family=socket.AF_INET6):
                return True
        except OSError:
            return False

    def peer(self, *argv):
        p = subprocess.run([self.ripstop, "__connect"] + [str(a) for a in argv], capture_output=True, timeout=60, check=False,
                           env=self.environ())
        return p.returncode, p.stdout.decode("utf-8", "replace"), p.stderr.decode("utf-8", "replace")


def main():
    # Where it is ignored (a shell's job in the background), what is started would ignore it, too.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    ap = argparse.ArgumentParser()
    ap.add_argument("--build", default="build/rel")
    ap.add_argument("--only", default="", help="parts, by the names of the functions, with commas")
    args = ap.parse_args()
    r = SelfTest(args.build)
    if not os.access(r.program, os.X_OK):
        print(f"{r.program} is not there: make it first\n0 passed, 1 failed, 0 skipped")
        return 1
    parts = ("works", "objects", "failures", "pods", "cannot", "usage", "signals", "peers")
    for part in [p for p in parts if not args.only or p in args.only.split(",")]:
        getattr(r, part)()
    print(f"{r.passed} passed, {r.failed} failed, {r.skipped} skipped")
    return 1 if r.failed else 0


if __name__ == "__main__":
    sys.exit(main())
