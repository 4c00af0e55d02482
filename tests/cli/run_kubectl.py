#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The real `kubectl-ripstop` and the real `ripstop` with a stand-in kubectl between them and a stand-in agent on each
of two nodes: what kubectl is called with, screens, exit codes, refusals, hostile answers.

    tests/cli/run_kubectl.py [--build DIR] [--update] [--only PART,...]

Screens lie in tests/cli/screens/kubectl-NAME.txt: the command, what it prints, and how it called kubectl. --update
writes them anew; look at the difference before you keep it. The last line is the count.
"""
import argparse
import copy
import json
import os
import re
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "support"))
from fake_agent import FakeAgent  # noqa: E402
from fake_kubectl import FakeKubectl  # noqa: E402

HOSTILE = "db\x1b[2J\x1b]0;x\x07\u202e\u009b31mA\r\n\u200bB"
STEERING = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]")
LABELS = {"app.kubernetes.io/name": "ripstop", "app.kubernetes.io/component": "agent"}

SCREENS = {  # name: (arguments, exit code)
    "help": ("help", 0),
    "help-rules": ("rules --help", 0),
    "status": ("status", 0),
    "pods": ("pods -n shop --context prod", 0),
    "pods-named": ("pods shop/db-0 web --no-headers", 0),
    "pods-csv": ("pods -o csv", 0),
    "pods-md": ("pods -n shop -o md", 0),
    "pods-jsonl": ("pods -o jsonl", 0),
    "pods-names": ("pods -o name", 0),
    "policies": ("policies shop/default-deny", 0),
    "policies-yaml": ("policies shop/default-deny -o yaml", 0),
    "monitor": ("monitor --last 5 --reason policy-ingress", 0),
    "monitor-pod": ("monitor shop/db-0 --since 5m -o wide", 0),
    "monitor-hubble": ("monitor -n shop -o hubble", 0),
    "monitor-jsonl": ("monitor -o jsonl --node worker-1", 0),
    "version": ("version", 0),
    "one-node": ("status --node worker-2", 0),
    "rules": ("rules -n shop db-0", 0),
    "explain-one-node": ("explain shop/api shop/db-0 tcp/5432", 0),
    "explain-two-nodes": ("explain shop/web shop/db-0 5432", 1),
    "explain-allowed": ("explain shop/web shop/api 80 --expect allow", 0),
    "explain-json": ("explain shop/web shop/api 80 -o json", 0),
    "explain-addresses": ("explain 10.244.2.31 10.244.1.20 5432", 1),
    "explain-world": ("explain shop/api 8.8.8.8 icmp", 1),
}

USAGE = [  # arguments, what the error says
    ("", "no verb"), ("", "kubectl ripstop help lists the verbs"),
    ("statsu", "did you mean status?"),
    ("status --contxt x", "did you mean --context?"),
    ("status --context", "needs a value"), ("status --context", "kubectl ripstop status --context prod"),
    ("status --insecure-skip-tls-verify=yes", "takes no value"),
    ("status --node=", "is not NODE"), ("status --agent-namespace a/b", "is not NAME"),
    ("status -n shop", "means nothing to status"),
    ("monitor --follow -o yaml", "no end"), ("test --keep", "there is no --self"),
    ("rules", "usage: kubectl ripstop rules [NS/]POD"),
    ("explain a b 90-80", "is no port"),
    ("status --exec-plugin x", "unknown flag --exec-plugin"),
]


def agent_pod(name, node, state=None, **meta):
    state = state or {"running": {"startedAt": "2026-01-01T00:00:00Z"}}
    spec = {"nodeName": node} if node else {}
    return {"apiVersion": "v1", "kind": "Pod",
            "metadata": dict({"name": name, "namespace": "ripstop-system", "labels": LABELS}, **meta), "spec": spec,
            "status": {"phase": "Running", "containerStatuses": [{"name": "agent", "state": state}]}}


def user_pod(ns, name, node, **spec):
    if node:
        spec["nodeName"] = node
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": ns,
                                                            "annotations": {"note": HOSTILE}}, "spec": spec}


def half(verdict, reason, **more):
    if verdict is None:
        return {"known": False, "reason": reason, "isolatedBy": []}
    return dict({"known": True, "verdict": verdict, "reason": reason, "isolatedBy": []}, **more)


def explained(node, src, dst, egress, ingress, port=5432):
    def end(text):
        name, _, ip = text.partition("@")
        ns, slash, pod = name.rpartition("/")
        return dict({"text": name, "ip": ip or name}, **({"namespace": ns, "name": pod} if slash else {}))
    denied = "denied" in (egress.get("verdict"), ingress.get("verdict"))
    return {"apiVersion": "ripstop.dev/v1", "kind": "ExplainResult", "metadata": {"node": node, "generation": 7},
            "verdict": "denied" if denied else "allowed", "source": end(src), "destination": end(dst),
            "protocol": "tcp", "port": port, "egress": egress, "ingress": ingress}


WEB, DB, API = "shop/web@10.244.2.31", "shop/db-0@10.244.1.20", "shop/api@10.244.1.14"
OPEN = half("allowed", "no policy isolates its egress")
SHUT = half("denied", "isolated by shop/db-allow-api; none of its rules allows tcp/5432 from shop/web",
            miss={"rule": "shop/db-allow-api spec.ingress[0]", "ports": "tcp/5432 matches"})
GOOD = half("allowed", "shop/api-allow-web spec.ingress[0] allows it", rule="shop/api-allow-web spec.ingress[0]")


def elsewhere(pod):
    return half(None, "the node of %s judges it" % pod.partition("@")[0])


def explanations():
    """node -> answers to explain. web is on worker-2, db-0 and api on worker-1."""
    ask = [("shop/web", "shop/db-0", "5432", WEB, DB, SHUT), ("shop/web", "shop/api", "80", WEB, API, GOOD),
           ("10.244.2.31", "10.244.1.20", "5432", WEB, DB, SHUT), ("world", "shop/api", "80", "world", API, GOOD)]
    one, two = [], []
    for src, dst, port, a, b, ingress in ask:
        match = {"src": src, "dst": dst, "port": port}
        left = elsewhere(a) if "/" in a else half(None, "no pod of this node: no policy judges it here")
        one.append({"match": match, "result": explained("worker-1", a, b, left, ingress, int(port))})
        two.append({"match": match, "result": explained("worker-2", a, b, OPEN, elsewhere(b), int(port))})
    return {"worker-1": one, "worker-2": two}


class Runner:
    def __init__(self, build, update):
        self.program, self.update = os.path.join(build, "kubectl-ripstop"), update
        self.passed = self.failed = self.skipped = 0
        self.tmp = tempfile.TemporaryDirectory(prefix="rs-kubectl-")
        self.kubectl = FakeKubectl(os.path.join(self.tmp.name, "bin"), os.path.abspath(os.path.join(build, "ripstop")))
        with open(os.path.join(HERE, "answers.json"), encoding="utf-8") as f:
            self.answers = json.load(f)
        self.agents = {}
        self.table = self.kubectl.table
        self.table["agents"] = [agent_pod("ripstop-agent-b", "worker-2"), agent_pod("ripstop-agent-a", "worker-1")]
        self.table["pods"] = [user_pod("shop", "web", "worker-2"), user_pod("shop", "db-0", "worker-1"),
                              user_pod("shop", "api", "worker-1"), user_pod("shop", "late", None),
                              user_pod("shop", "proxy", "worker-1", hostNetwork=True),
                              user_pod("shop", "foreign", "worker-2")]
        self.kubectl.write()

    def check(self, name, holds, detail=""):
        if holds:
            self.passed += 1
        else:
            self.failed += 1
            print(f"FAIL {name}: {detail[:3000]}", flush=True)

    def answers_of(self, node):
        """Those of tests/cli/answers.json; worker-2 has the pod shop/web."""
        table = copy.deepcopy(self.answers)
        table["explain"] = explanations()[node] + table["explain"]
        if node != "worker-1":
            table = json.loads(json.dumps(table).replace('"worker-1"', '"%s"' % node))
            item = dict(table["pods"]["result"]["items"][0], name="web", ips=["10.244.2.31"], interface="rs77")
            table["pods"]["result"]["items"] = [item]
            table["policies"]["result"]["items"][1]["selects"] = ["shop/web"]
        return table

    def start(self, **changes):
        """Agents; changes: worker_1=..., worker_2={op: answer}, None: it has no socket."""
        for node, pod in (("worker-1", "ripstop-agent-a"), ("worker-2", "ripstop-agent-b")):
            path = os.path.join(self.tmp.name, pod + ".sock")
            self.table["sockets"][pod] = path
            change = changes.get(node.replace("-", "_"), {})
            if change is not None:
                self.agents[node] = FakeAgent(path, dict(self.answers_of(node), **change))
        self.kubectl.write()

    def stop(self):
        for agent in self.agents.values():
            agent.stop()
        self.agents = {}
        self.kubectl.write()

    def begin(self, argv):
        return subprocess.Popen([self.program] + argv, env=self.environ(), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE)

    def environ(self, **more):
        env = {"PATH": self.kubectl.folder + ":" + os.environ["PATH"], "LC_ALL": "C.UTF-8", "TERM": "xterm", "TZ": "UTC"}
        env.update({k: v for k, v in os.environ.items() if k.endswith("SAN_OPTIONS")})
        return dict(env, **more)

    def call(self, argv, env=None):
        p = subprocess.run([self.program] + argv, capture_output=True, env=self.environ(**(env or {})), timeout=60,
                           stdin=subprocess.DEVNULL, check=False)
        return p.returncode, p.stdout.decode("utf-8", "replace"), p.stderr.decode("utf-8", "replace")

    def expect(self, name, line, code, *said, out=None):
        """Exit code, texts on stderr, and whether there is anything on stdout."""
        argv = line.split() if isinstance(line, str) else line
        got, stdout, stderr = self.call(argv)
        holds = got == code and all(s in stderr for s in said) and (out is None or bool(stdout) == out)
        if code > 1:
            holds = holds and re.search("^kubectl ripstop: ", stderr, re.M)
        self.check(name, holds, f"exit {got}, stdout {stdout!r}, stderr {stderr!r}")
        return stdout, stderr

    # ---- the parts

    def screens(self):
        self.start()
        self.kubectl.calls()
        for name, (line, want) in SCREENS.items():
            code, out, err = self.call(line.split())
            text = f"$ kubectl ripstop {line}\n{out}" + "".join(f"2> {x}\n" for x in err.splitlines())
            text += "".join(sorted(f"kubectl {' '.join(c)}\n" for c in self.kubectl.calls()))
            text = text.replace("\r", "<CR>")
            path = os.path.join(HERE, "screens", f"kubectl-{name}.txt")
            if self.update:
                with open(path, "w", encoding="utf-8") as f:
                    f.write(text)
            try:
                with open(path, encoding="utf-8") as f:
                    good = f.read()
            except FileNotFoundError:
                good = None
            self.check(f"screen {name}", text == good, f"differs:\n{text}")
            self.check(f"screen {name} exit code", code == want, f"{code}, not {want}: {err}")
        self.stop()

    def usage(self):
        for line, said in USAGE:
            self.expect(f"usage {line!r}", line, 2, said, out=False)
        for line in ("rules a/b/c", "rules Shop/x", "rules shop/a,b", "rules -- -x", "rules shop/", "rules a_b",
                     "explain shop/web .../x/y 80"):
            self.expect(f"no pod's name {line!r}", line, 2, "is no pod: write [NAMESPACE/]NAME", out=False)
        calls = self.kubectl.calls()
        self.check("a wrong name does not reach kubectl", not any("a,b" in c or "-x" in c for c in calls), f"{calls}")

    def handed_on(self):
        """kubectl's own flags reach every call of it, first and unchanged; ours reach ripstop."""
        self.start()
        flags = ["--context=a b", "--kubeconfig=-x", "--as=jane", "--as-group=g1", "--as-group=g2",
                 "--insecure-skip-tls-verify", "--server=https://h:1", "--request-timeout=5s"]
        argv = ["--context", "a b", "--kubeconfig", "-x", "pods", "--as", "jane", "--as-group=g1", "--as-group", "g2",
                "--insecure-skip-tls-verify", "-s", "https://h:1", "--request-timeout", "5s", "-n", "shop", "--timeout", "9"]
        self.kubectl.calls()
        code, _, err = self.call(argv)
        calls = self.kubectl.calls()
        self.check("flags of kubectl", code == 0 and len(calls) == 3 and all(c[:8] == flags for c in calls), f"{err} {calls}")
        tails = sorted(c[8:] for c in calls)
        self.check("flags of ripstop", tails[0] == [
            "exec", "-n", "ripstop-system", "ripstop-agent-a", "-c", "agent", "--", "ripstop", "pods", "-o", "json",
            "--timeout=9000ms", "--namespace=shop"], f"{tails}")
        self.call(["explain", "shop/web", "world", "80", "--family", "6", "--node", "worker-1"])
        calls = self.kubectl.calls()
        self.check("operands stand behind --", calls[-1][7:] == [
            "ripstop", "explain", "-o", "json", "--family=6", "--", "shop/web", "world", "80"], f"{calls}")
        self.call(["status", "--agent-namespace", "net", "--socket", "/s"])
        calls = self.kubectl.calls()
        self.check("another namespace", [c[:4] for c in calls] == [["get", "pods", "-n", "net"]], f"{calls}")
        self.stop()

    def no_shell(self):
        """A word is a word to kubectl, whatever a shell would make of it."""
        mark = os.path.join(self.tmp.name, "mark")
        self.call(["status", "--context", f"$(touch {mark})`touch {mark}`;touch {mark}", "--node", f"n;touch {mark}"])
        calls = self.kubectl.calls()
        self.check("no shell", not os.path.exists(mark) and calls[0][0].startswith("--context=$(touch") and
                   f"spec.nodeName=n;touch {mark}" in calls[0], f"{calls}")

    def no_cluster(self):
        """kubectl is missing, or refuses: one line with its cause, and what to do."""
        code, out, err = self.call(["status"], env={"PATH": self.tmp.name})
        self.check("no kubectl", code == 4 and not out and "kubectl is not in PATH" in err and "install it" in err and
                   err.count("\n") == 2, f"{code} {err!r}")
        code, out, err = self.call(["version"], env={"PATH": self.tmp.name})
        self.check("no kubectl: version tells its own", code == 4 and "not reached" in out, f"{code} {out!r} {err!r}")
        forbidden = ('Error from server (Forbidden): pods is forbidden: User "jane" cannot list resource "pods" in API '
                     'group "" in the namespace "ripstop-system"\n')
        for name, fault, code, said in [
                ("forbidden list", {"stderr": forbidden, "code": 1}, 4, (
                    'kubectl: pods is forbidden: User "jane" cannot list', "optional/kubectl-ripstop-rbac.yaml")),
                ("unauthorized", {"stderr": "error: You must be logged in to the server (Unauthorized)\n", "code": 1}, 4,
                 ("kubectl: You must be logged in", "log in")),
                ("no API server", {"stderr": "E1122 09:00:00.000000    1 memcache.go:265] couldn't get\nThe connection to "
                                   "the server 127.0.0.1:1 was refused - did you specify the right host or port?\n",
                                   "code": 1}, 4, ("was refused", "does kubectl get pods answer")),
                ("bad context", {"stderr": "Error in configuration: context was not found for specified context: x\n",
                                 "code": 1}, 4, ("context was not found", "--context or --kubeconfig")),
                ("speechless", {"code": 3}, 4, ("ended with code 3",)),
                ("killed", {"when": ["get"], "stderr": "", "hang": True}, 124, ("--timeout",)),
                ("not JSON", {"stdout": "<html>", "code": 0}, 4, ("no answer that can be used",)),
                ("cut JSON", {"stdout": '{"kind":"List","items":[', "code": 0}, 4, ("no answer that can be used",)),
                ("empty", {"code": 0}, 4, ("no answer that can be used",)),
                ("another kind", {"stdout": '{"kind":"Table"}', "code": 0}, 4, ("something else than a List",)),
                ("agent without a name", {"stdout": '{"kind":"List","items":[{"spec":{"nodeName":"n"}}]}'}, 4,
                 ("list of agents cannot be used", "name is missing")),
                ("items of odd types", {"stdout": '{"kind":"List","items":[1,null]}'}, 4, ("list of agents cannot be used",)),
                ("no list", {"stdout": '{"kind":"List","items":{"a":1}}'}, 4, ("no agent is in namespace",)),
                ("flood", {"flood": 65 << 20}, 4, ("more than 64 MiB", "--node NODE"))]:
            self.kubectl.write(faults=[dict({"when": ["get"]}, **fault)])
            argv = ["status"] + (["--timeout", "1"] if fault.get("hang") else [])
            _, err = self.expect(f"cluster: {name}", argv, code, *said, out=False)
            self.check(f"cluster: {name}: one line and a hint", err.count("\n") <= 2, repr(err))
        self.kubectl.write(agents=[])
        self.expect("no agent", "status", 4, "no agent is in namespace ripstop-system", "--agent-namespace", out=False)
        self.kubectl.write()
        self.expect("no agent on that node", "status --node worker-9", 4, "no agent is on node worker-9", out=False)

    def agent_troubles(self):
        """Of two nodes one answers: its half is shown, and the code says that it is one."""
        refused = "command terminated with exit code %d\n"
        forbidden = ('Error from server (Forbidden): pods "ripstop-agent-b" is forbidden: User "jane" cannot create '
                     'resource "pods/exec" in API group "" in the namespace "ripstop-system"\n')
        self.start()
        for name, fault, said in [
                ("forbidden exec", {"stderr": forbidden}, ('cannot create resource "pods/exec"', "optional/kubectl-ripstop-rbac")),
                ("gone", {"stderr": 'Error from server (NotFound): pods "ripstop-agent-b" not found\n'}, ("not found",)),
                ("no container", {"stderr": 'error: unable to upgrade connection: container not found ("agent")\n'},
                 ("container not found", "kubectl describe")),
                ("no ripstop", {"stderr": 'OCI runtime exec failed: "ripstop": executable file not found\n' + refused % 126,
                                "code": 126}, ("no ripstop can be run",)),
                ("killed there", {"stderr": refused % 137, "code": 137}, ("ended with code 137",)),
                ("denied without a word", {"stderr": refused % 1, "code": 1}, ("no answer that can be used",)),
                ("cut answer", {"stdout": '{"kind":"Status","ready":', "code": 0}, ("no answer that can be used",)),
                ("another object", {"stdout": '{"kind":"PodList"}', "code": 0}, ("something else than a Status",)),
                ("answer, then a broken wire", {"stdout": '{"kind":"Status","ready":true}', "code": 1,
                                                "stderr": "error: stream closed\n"}, ("stream closed",)),
                ("flood", {"flood": 17 << 20}, ("more than 16 MiB",))]:
            self.kubectl.write(faults=[dict({"when": ["exec", "ripstop-agent-b"], "code": 1}, **fault)])
            code, out, err = self.call(["status"])
            self.check(f"agent: {name}", code == 5 and "worker-1" in out and "worker-2" not in out and
                       "1 of 2 nodes did not answer" in err and all(s in err for s in said) and "worker-2: " in err,
                       f"{code} {out!r} {err!r}")
            self.expect(f"agent: {name}: the only one", "status --node worker-2", 4, *said, out=False)
        self.kubectl.write(faults=[{"when": ["exec"], "stderr": forbidden, "code": 1}])
        self.expect("agent: none may be asked", "status", 4, 'worker-1: kubectl: pods', "worker-2: kubectl: pods", out=False)
        self.kubectl.write(faults=[{"when": ["exec"], "hang": True}])
        self.expect("agent: none answers in time", "pods --timeout 1", 124, "--timeout", out=False)
        waiting = {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 5m0s " + HOSTILE}}
        self.kubectl.write(agents=[self.table["agents"][1], agent_pod("ripstop-agent-b", "worker-2", waiting)])
        _, err = self.expect("agent: does not run", "status", 5, "worker-2: pod ripstop-agent-b: its container agent does not "
                             "run: CrashLoopBackOff", "kubectl -n ripstop-system describe pod ripstop-agent-b", out=True)
        self.check("agent: its words are escaped", not STEERING.search(err) and "\\x1b[2J" in err, repr(err))
        self.check("agent: one that does not run is not asked", not any("ripstop-agent-b" in c for c in self.kubectl.calls()[-2:]))
        self.stop()
        self.start(worker_2=None)
        _, err = self.expect("agent: no socket", "status", 5, "worker-2: ", "no agent listens there", out=True)
        self.stop()
        self.start(worker_2={"status": {"silent": True}})
        self.expect("agent: silent", "status --node worker-2 --timeout 2", 124, out=False)
        self.stop()

    def rollout(self):
        """While agents are replaced a node has two pods: the one that runs and stays is asked."""
        self.start()
        gone = {"deletionTimestamp": "2026-01-01T00:00:00Z"}
        dead, new = {"terminated": {"reason": "Completed"}}, {"waiting": {"reason": "PodInitializing"}}
        for name, pods, want in [
                ("old still runs", [agent_pod("ripstop-agent-a", "worker-1", None, **gone),
                                    agent_pod("new", "worker-1", new)], "ripstop-agent-a"),
                ("new runs", [agent_pod("old", "worker-1", None, **gone), agent_pod("ripstop-agent-a", "worker-1")],
                 "ripstop-agent-a"),
                ("new runs, told first", [agent_pod("ripstop-agent-a", "worker-1"), agent_pod("old", "worker-1", None, **gone)],
                 "ripstop-agent-a"),
                ("old has ended", [agent_pod("old", "worker-1", dead, **gone), agent_pod("ripstop-agent-a", "worker-1")],
                 "ripstop-agent-a"),
                ("one is on no node yet", [agent_pod("new", None, new), agent_pod("ripstop-agent-a", "worker-1")],
                 "ripstop-agent-a")]:
            self.kubectl.write(agents=pods)
            self.kubectl.calls()
            self.expect(f"rollout: {name}", "status", 0, out=True)
            asked = [c[3] for c in self.kubectl.calls() if c[0] == "exec"]
            self.check(f"rollout: {name}: asked once", asked == [want], f"{asked}")
        self.stop()

    def about_pods(self):
        self.start()
        self.expect("no such pod", "rules shop/none", 3, "no pod shop/none", "metadata.name=none", out=False)
        self.expect("no such pod, plain", "rules none", 3, "no pod none in kubectl's namespace", out=False)
        self.expect("pod on no node", "rules shop/late", 3, "pod shop/late is on no node yet", out=False)
        self.expect("pod of the node's network", "rules shop/proxy", 3, "uses its node's network", out=False)
        self.expect("the agent does not know it", "rules shop/foreign", 3, "not found", out=False)
        self.expect("explain: no such pod", "explain shop/web shop/none 80", 3, "no pod shop/none", out=False)
        self.expect("nowhere", "pods shop/db-0 shop/none", 3, "no node has shop/none", out=False)
        self.expect("nowhere, JSON", "pods shop/none -o json", 3, "no node has shop/none", out=False)
        self.expect("no policy", "policies shop/none", 3, "no node has shop/none", out=False)
        self.kubectl.calls()
        self.call(["rules", "db-0"])
        calls = self.kubectl.calls()
        self.check("a plain name is kubectl's", "-n" not in calls[0] and calls[-1][-2:] == ["--", "shop/db-0"], f"{calls}")
        other = user_pod("ops", "db-0", "worker-2")
        self.kubectl.write(faults=[{"when": ["--ignore-not-found"], "stdout": json.dumps(other)}])
        self.expect("another pod than asked", "rules shop/db-0", 4, "it is another pod, ops/db-0", out=False)
        self.kubectl.write(faults=[{"when": ["--ignore-not-found"], "code": 1, "stderr": "Error from server (Forbidden): pods "
                                    '"db-0" is forbidden: User "jane" cannot get resource "pods"\n'}])
        self.expect("forbidden pod", "rules shop/db-0", 4, "cannot get resource", "kubectl-ripstop-rbac.yaml", out=False)
        self.stop()

    def verdicts(self):
        """Nobody's half is made up: a denial is a verdict, a permission beside an unknown half is none."""
        self.start()
        out, _ = self.expect("explain: both nodes", "explain shop/web shop/db-0 5432 -o json", 1)
        o = json.loads(out)
        self.check("explain: each half by its own node", o["egress"].get("node") == "worker-2" and o["ingress"].get(
            "node") == "worker-1" and o["metadata"] == {"nodes": ["worker-2", "worker-1"]} and o["deniedAt"] ==
            "ingress of shop/db-0" and o["verdict"] == "denied", out)
        self.expect("explain: denied as expected", "explain shop/web shop/db-0 5432 --expect deny", 0, out=True)
        self.expect("explain: an address and a pod", "explain world shop/api 80", 0, out=True)
        down = {"when": ["exec", "ripstop-agent-b"], "code": 1, "stderr": "error: unable to upgrade connection\n"}
        self.kubectl.write(faults=[down])
        out, _ = self.expect("explain: one denies, the other is silent", "explain shop/web shop/db-0 5432", 1, "worker-2: kubectl:")
        self.check("explain: and it is said", "worker-2 judges it and did not answer" in out and out.startswith("DENIED"), out)
        for flags in ([], ["--expect", "deny"], ["--expect", "allow"]):
            code, out, err = self.call(["explain", "shop/web", "shop/api", "80"] + flags)
            self.check(f"explain: one allows, the other is silent {flags}", code == 5 and out.startswith("UNKNOWN") and
                       "worker-2: kubectl:" in err, f"{code} {out!r} {err!r}")
        out, _ = self.expect("explain: unknown in JSON", "explain shop/web shop/api 80 -o json", 5)
        self.check("explain: no verdict in JSON", json.loads(out)["verdict"] == "unknown" and json.loads(out)["egress"][
            "known"] is False, out)
        self.kubectl.write(faults=[dict(down, when=["exec"])])
        self.expect("explain: nobody answers", "explain shop/web shop/api 80", 4, "worker-2: ", out=False)
        self.kubectl.write()
        out, _ = self.expect("explain: one node by name", "explain shop/web shop/db-0 5432 --node worker-2", 0)
        self.check("explain: it answers for itself", "the node of shop/db-0 judges it" in out, out)
        self.expect("explain: which node?", "explain node 8.8.8.8 80", 2, "which node is meant?", "--node NODE", out=False)
        self.stop()

    def odd_verdicts(self):
        """Answers that contradict each other, or are none."""
        here = explained("worker-2", "shop/web@10.244.2.31", API, elsewhere(WEB), elsewhere(API), 80)
        self.start(worker_2={"explain": {"result": here}})
        out, _ = self.expect("explain: its own node does not hold it", "explain shop/web shop/api 80", 5)
        self.check("explain: it says so", "worker-2 does not hold that pod" in out and out.startswith("UNKNOWN"), out)
        self.stop()
        moved = explained("worker-2", "shop/web@10.244.2.77", API, OPEN, elsewhere(API), 80)
        self.start(worker_2={"explain": {"result": moved}})
        self.expect("explain: not the same flow", "explain shop/web shop/api 80", 4, "do not know the same addresses", out=False)
        self.stop()
        family = {"error": {"errno": 22, "message": "IPv4 is allowed and IPv6 is denied", "hint": "say which one: --family 4"}}
        self.start(worker_1={"explain": family})
        self.expect("explain: a family must be said", "explain shop/web shop/api 80", 2, "worker-1: IPv4 is allowed",
                    "say which one: --family 4", out=False)
        self.stop()
        proxy = explained("worker-1", "shop/proxy@10.0.0.1", API, half(None, "no pod of this node"), GOOD, 80)
        self.start(worker_1={"explain": {"result": proxy}})
        self.expect("explain: nobody judges the node's network", "explain shop/proxy shop/api 80", 0, out=True)
        self.stop()
        bad = []
        for value in (None, True, "x", [None], {"a": None}):
            for key in ("verdict", "source", "destination", "egress", "ingress", "metadata", "note", "port"):
                answer = dict(explained("worker-1", API, DB, OPEN, GOOD, 80), **{key: value})
                self.start(worker_1={"explain": {"result": answer}})
                code, out, err = self.call(["explain", "shop/api", "shop/db-0", "80"])
                self.stop()
                # A half that is none is a half that is not known.
                want = (5,) if key in ("egress", "ingress") else (4,) if key == "verdict" else (0,)
                if code not in want:
                    bad.append((key, value, code, out, err[-300:]))
        self.check("explain: odd answers", not bad, f"{bad[:3]}")

    def machine(self):
        """JSON of many nodes is one List; of one node its own object."""
        self.start()
        for verb, kind in (("status", "Status"), ("pods", "PodList"), ("policies", "PolicyList"), ("version", "Version")):
            out, _ = self.expect(f"JSON {verb}", f"{verb} -o json", 0)
            o = json.loads(out)
            self.check(f"JSON {verb}: a list", o["kind"] == "List" and [i["kind"] for i in o["items"]] == [kind] * 2, out)
            out, _ = self.expect(f"JSON {verb} of one", f"{verb} -o json --node worker-1", 0)
            self.check(f"JSON {verb} of one: an object", json.loads(out)["kind"] == kind, out)
        self.kubectl.write(faults=[{"when": ["exec", "ripstop-agent-b"], "code": 1, "stderr": "error: no\n"}])
        out, _ = self.expect("JSON of those that answer", "pods -o json", 5)
        self.check("JSON of those that answer: which", [i["metadata"]["node"] for i in json.loads(out)["items"]] == ["worker-1"], out)
        self.stop()
        down = copy.deepcopy(self.answers["status"])
        down["result"].update(ready=False, notReadyReason="the folder has not been read")
        self.start(worker_2={"status": down})
        out, _ = self.expect("one node is not ready", "status", 1)
        self.check("one node is not ready: which", out.index("NOT READY") > out.index("node worker-2"), out)
        self.stop()

    def many(self):
        """More nodes than are asked at once, in their order."""
        self.start()
        pods = [agent_pod("ripstop-agent-%02d" % i, "n%02d" % i) for i in range(20, -1, -1)]
        sockets = {"ripstop-agent-%02d" % i: self.table["sockets"]["ripstop-agent-" + "ab"[i % 2]] for i in range(21)}
        self.kubectl.write(agents=pods, sockets=sockets)
        self.kubectl.calls()
        out, err = self.expect("21 nodes", "pods", 0)
        self.check("21 nodes: in order", re.findall(r"^node (n\d\d)$", out, re.M) == ["n%02d" % i for i in range(21)], out + err)
        sections = out.split("\n\n")
        self.check("21 nodes: each with its own pods", len(sections) == 21 and all(
            ("db-0" in s, " web " in s) == (i % 2 == 0, i % 2 == 1) for i, s in enumerate(sections)), out)
        self.check("21 nodes: each asked once", sorted(c[3] for c in self.kubectl.calls() if c[0] == "exec") == sorted(sockets))
        self.stop()

    def hostile(self):
        """Names, objects and errors that steer a terminal: shown, never obeyed."""
        def infect(v):
            if isinstance(v, dict):
                return {k: (x if k in ("kind", "apiVersion", "verdict", "state") else infect(x)) for k, x in v.items()}
            if isinstance(v, list):
                return [infect(x) for x in v]
            return HOSTILE if isinstance(v, str) else v

        bad = {op: {"result": infect(self.answers[op]["result"])} for op in ("status", "pods", "policies", "version")}
        bad.update({op: {"result": infect(self.answers[op][0]["result"])} for op in ("rules", "explain")})
        self.start(worker_1=bad, worker_2=bad)
        for line in ("status", "pods -o wide", "policies -o wide", "rules shop/db-0", "explain shop/api shop/db-0 80", "version"):
            _, out, err = self.call(line.split())
            self.check(f"hostile {line}", not STEERING.search(out + err) and (line == "version" or "\\x1b[2J" in out),
                       repr(out + err))
            _, out, err = self.call(line.split() + ["-o", "json"])
            self.check(f"hostile JSON {line}", not STEERING.search(out + err), repr(out + err))
        self.stop()
        node = agent_pod("ripstop-agent-a", "n\x1b[2J")
        self.start()
        self.kubectl.write(agents=[node])
        _, out, err = self.call(["pods"])
        self.check("hostile name of a node", not STEERING.search(out + err) and "node n\\x1b[2J" in out, repr(out + err))
        for stderr in ("error: " + HOSTILE + "\n", HOSTILE + "\n", "Enter your PIN: " + HOSTILE, "x" * 9000 + HOSTILE, "\0\0error: \0\n"):
            self.kubectl.write(faults=[{"when": ["get"], "stderr": stderr, "code": 1}])
            code, out, err = self.call(["status"])
            self.check(f"hostile kubectl {stderr[:20]!r}", code == 4 and not STEERING.search(out + err), repr(err))
        _, out, err = self.call([HOSTILE])
        self.check("hostile argument", not STEERING.search(out + err), repr(err))
        self.stop()

    def credentials(self):
        """What a credential plugin asks is shown while kubectl waits; what it leaves behind is not waited for."""
        self.start()
        self.kubectl.write(faults=[{"when": ["get"], "stderr": "Enter MFA code: ", "ask": True}])
        for answer, want in (b"123456\n", 0), (b"1\n", 4):
            p = self.begin(["status", "--timeout", "20"])
            asked = os.read(p.stderr.fileno(), 100)
            _, rest = p.communicate(answer, timeout=60)
            self.check(f"a question is shown, and its answer {answer} arrives", p.returncode == want and
                       asked == b"Enter MFA code: ", f"{p.returncode} {asked} {rest}")
        listing = json.dumps({"kind": "List", "items": self.table["agents"]})
        self.kubectl.write(faults=[{"when": ["get"], "stderr": "Login succeeded\n", "stdout": listing, "orphan": True}])
        code, out, err = self.call(["status"])
        self.check("a plugin's daemon is not waited for", code == 0 and "Login succeeded\n" in err and
                   self.kubectl.stop_orphans() == 1, f"{code} {err!r}")
        self.kubectl.write(faults=[{"when": ["exec", "ripstop-agent-b"], "stderr": "warning from a plugin\nripstop: x\n",
                                    "code": 1}])
        code, _, err = self.call(["status"])
        self.check("words of a node bear its name", "worker-2: warning from a plugin\n" in err, repr(err))
        self.stop()

    def tables(self):
        """A flag is in the help and in docs/cli.md."""
        with open(os.path.join(HERE, "..", "..", "docs", "cli.md"), encoding="utf-8") as f:
            doc = f.read()
        _, text, _ = self.call(["help"])
        for word in sorted(set(re.findall(r"--[a-z-]+", text))):
            self.check(f"docs tell of {word}", word in doc)
        code, out, _ = self.call(["--version"])
        self.check("--version", code == 0 and re.fullmatch(r"kubectl-ripstop \d+\.\d+\.\d+\n", out), out)


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--build", default="build/rel")
    ap.add_argument("--update", action="store_true")
    ap.add_argument("--only", default="", help="parts, by the names of the functions, with commas")
    args = ap.parse_args()
    r = Runner(args.build, args.update)
    if not os.access(r.program, os.X_OK):
        print(f"{r.program} is not there: make it first\n0 passed, 1 failed, 0 skipped")
        return 1
    parts = ("screens", "usage", "handed_on", "no_shell", "no_cluster", "agent_troubles", "rollout", "about_pods", "verdicts",
             "odd_verdicts", "machine", "many", "hostile", "credentials", "tables")
    for part in [p for p in parts if not args.only or p in args.only.split(",")]:
        getattr(r, part)()
    print(f"{r.passed} passed, {r.failed} failed, {r.skipped} skipped")
    return 1 if r.failed else 0


if __name__ == "__main__":
    sys.exit(main())
