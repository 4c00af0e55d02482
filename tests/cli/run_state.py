#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""verify, ipam, wait and explain --kernel: the real `ripstop` and `kubectl-ripstop` against stand-in agents.

    tests/cli/run_state.py [--build DIR] [--update]

Screens lie in tests/cli/screens/state-NAME.txt. --update writes them anew. The last line is the count.
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


def head(kind, node="worker-1"):
    return {"apiVersion": "ripstop.dev/v1", "kind": kind, "metadata": {"node": node, "source": "folder", "generation": 412}}


def objects(*kernel):
    names = ["table", "chains", "rules", "sets", "elements"]
    return [{"object": n, "desired": d, "kernel": k} for n, d, k in zip(names, [1, 30, 111, 26, 54], kernel)]


def verify(**more):
    o = dict(head("Verify"), dataplane="nft", objects=objects(1, 30, 111, 26, 54), differences=[], total=0, inSync=True,
             repair={"background": True, "times": 0, "mended": 0})
    o.update(more)
    return o


DRIFT = [{"object": "chain judge: rule handle 177 is another than it should be", "what": "changed",
          "detail": "(has immediate reg 0 accept ;, wants ct load state => reg 1 ;)"},
         {"object": "chain in_p3", "what": "foreign"},
         {"object": "element grp_in4 10.244.1.20", "what": "missing", "about": "shop/db-0"},
         {"object": "element cells 1 . 5 . 9", "what": "missing", "about": "ingress of shop/db-0 from shop/api"}]
WHO = {"who": "pid 4411 (nft)", "time": "2026-11-22T00:29:51Z"}
MENDED = {"background": True, "times": 2, "mended": 3, "lastTime": "2026-11-22T00:20:00Z",
          "last": ["element self4 10.244.1.20 . 10.244.1.20: missing"]}
DRIFTED = verify(objects=objects(1, 31, 112, 26, 52), differences=DRIFT, total=4, inSync=False, changedBy=WHO)

LEASES = [{"address": "10.244.1.20", "state": "held", "pod": "shop/db-0", "containerID": "c1", "interface": "eth0", "ageSeconds": 90},
          {"address": "10.244.1.31", "state": "resting", "containerID": "c2", "interface": "eth0", "ageSeconds": 4}]
IPAM = dict(head("Ipam"), stateDir="/run/ripstop", restSeconds=30, leases=LEASES,
            ranges=[{"range": "10.244.1.0/24", "total": 254, "held": 1, "resting": 1, "free": 252},
                    {"range": "fd00:1::/64", "total": 18446744073709551615, "held": 0, "resting": 0,
                     "free": 18446744073709551615}])
CHECK = {"leaks": [], "compared": ["leases", "records"], "notCompared": ["CNI cache"], "records": 1, "tombstones": 0, "young": 1}
LEAK = {"what": "lease without a record", "object": "10.244.1.20", "containerID": "c1", "hint": "a DEL gives it back"}


def policy(**more):
    o = {"namespace": "shop", "name": "deny", "uid": "u1", "objectGeneration": 3, "selects": ["shop/db-0"], "enforced": True}
    o.update(more)
    return dict(head("PolicyList"), items=[{k: v for k, v in o.items() if v is not None}])


def pod(**more):
    return dict(head("PodList"), items=[dict({"namespace": "shop", "name": "db-0", "enforced": True}, **more)])


def explained(**more):
    half = {"known": True, "verdict": "allowed", "reason": "no policy isolates it", "isolatedBy": []}
    o = dict(head("ExplainResult"), verdict="allowed", protocol="tcp", port=5432, egress=half,
             ingress=dict(half, known=False, reason="the node of shop/db-0 judges it"),
             source={"text": "shop/web", "namespace": "shop", "name": "web", "ip": "10.244.1.31",
                     "link": {"interface": "rs1", "index": 7, "group": 21065, "mac": "02:00:00:00:00:01"}},
             destination={"text": "shop/db-0", "namespace": "shop", "name": "db-0", "ip": "10.244.2.20"})
    o.update(more)
    return o


def kernel(node, agrees, verdict):
    step = {"hook": "postrouting", "verdict": "accept" if verdict == "allowed" else "drop", "chain": "deny_in", "handle": 150,
            "found": [{"set": "grp_in4", "key": "10.244.1.20", "value": "3", "comment": "shop/db-0"},
                      {"set": "cells", "key": "1 . 5 . 9", "value": "2", "judged": 12}],
            "counter": {"name": "n_deny_in", "packets": 198, "bytes": 9900}}
    packets = [{"packet": p, "verdict": verdict, "hooks": [{"hook": "prerouting", "verdict": "accept", "chain": "guard"}, step]}
               for p in ("first packet of a new flow", "answer, judged anew")]
    return {"node": node, "table": "inet ripstop", "asked": True, "agrees": agrees, "verdict": verdict, "packets": packets}


class Turns(FakeAgent):
    """Answers of an operation in turn; the last one stays."""

    def find(self, request):
        turns = self.answers.get(request.get("op"))
        if isinstance(turns, tuple):
            answer = turns[0]
            if len(turns) > 1:
                self.answers[request["op"]] = turns[1:]
            return answer
        return super().find(request)


def said(o):
    return {"result": o}


class Runner:
    def __init__(self, build, update):
        self.ripstop, self.plugin = (os.path.abspath(os.path.join(build, n)) for n in ("ripstop", "kubectl-ripstop"))
        self.update = update
        self.passed = self.failed = 0
        self.tmp = tempfile.TemporaryDirectory(prefix="rs-state-")
        self.socket = os.path.join(self.tmp.name, "agent.sock")
        self.kubectl = FakeKubectl(os.path.join(self.tmp.name, "bin"), self.ripstop)

    def check(self, name, holds, detail=""):
        if holds:
            self.passed += 1
        else:
            self.failed += 1
            print(f"FAIL {name}: {detail[:2500]}", flush=True)

    def run(self, argv):
        env = {"PATH": self.kubectl.folder + ":" + os.environ["PATH"], "LC_ALL": "C.UTF-8", "TERM": "xterm"}
        env.update({k: v for k, v in os.environ.items() if k.endswith("SAN_OPTIONS")})
        p = subprocess.run(argv, capture_output=True, env=env, timeout=60, stdin=subprocess.DEVNULL, check=False)
        return p.returncode, p.stdout.decode("utf-8", "replace"), p.stderr.decode("utf-8", "replace")

    def ask(self, line, **answers):
        """One command against an agent with these answers: exit code, stdout, stderr, what it was asked."""
        agent = Turns(self.socket, copy.deepcopy(answers))
        try:
            return (*self.run([self.ripstop] + line.split() + ["--socket", self.socket]), agent.requests)
        finally:
            agent.stop()

    def screen(self, name, line, code, text):
        path = os.path.join(HERE, "screens", f"state-{name}.txt")
        text = f"$ {line}\n{text}"
        if self.update:
            with open(path, "w", encoding="utf-8") as f:
                f.write(text)
        good = None
        if os.path.exists(path):
            with open(path, encoding="utf-8") as f:
                good = f.read()
        self.check(f"screen {name}", text == good, f"exit {code}, differs:\n{text}")

    # ---- one node

    def screens(self):
        agrees = explained(verdict="denied", kernels=[kernel("worker-1", True, "denied")])
        for name, line, want, answers in [
                ("verify", "verify", 0, {"verify": said(verify())}),
                ("verify-drift", "verify", 1, {"verify": said(DRIFTED)}),
                ("verify-explain", "verify --explain", 1, {"verify": said(dict(DRIFTED, repair=MENDED, total=1004))}),
                ("verify-repair", "verify --repair", 0, {"verify": said(dict(DRIFTED, inSync=True, repaired=True, repair=MENDED))}),
                ("verify-not-repaired", "verify --repair", 1, {"verify": said(dict(DRIFTED, repaired=False))}),
                ("verify-off", "verify --no-headers", 1, {"verify": said(dict(
                    DRIFTED, repair={"background": False, "times": 0, "mended": 0}))}),
                ("verify-null", "verify", 0, {"verify": said(verify(dataplane="null", objects=objects(0, 0, 0, 0, 0)))}),
                ("ipam", "ipam", 0, {"ipam": said(IPAM)}),
                ("ipam-wide", "ipam -o wide --no-headers", 0, {"ipam": said(IPAM)}),
                ("ipam-clean", "ipam --check", 0, {"ipam": said(dict(IPAM, check=CHECK))}),
                ("ipam-leak", "ipam --check", 1, {"ipam": said(dict(IPAM, check=dict(CHECK, leaks=[LEAK], young=0)))}),
                ("ipam-no-ranges", "ipam", 0, {"ipam": said(dict(IPAM, ranges=[], leases=[]))}),
                ("wait", "wait policy/shop/deny", 0, {"policies": said(policy())}),
                ("wait-json", "wait -n shop pod/db-0 -o json", 0, {"pods": said(pod())}),
                ("explain-kernel", "explain shop/web shop/db-0 5432", 1, {"explain": said(agrees)})]:
            code, out, err, _ = self.ask(line, **answers)
            self.screen(name, "ripstop " + line, code, out + "".join(f"2> {x}\n" for x in err.splitlines()))
            self.check(f"screen {name} exit code", code == want, f"{code}, not {want}: {err}")

    def requests(self):
        for line, want, answers in [
                ("verify", {"op": "verify"}, {"verify": said(verify())}),
                ("verify --repair", {"op": "verify", "repair": True}, {"verify": said(verify())}),
                ("ipam", {"op": "ipam"}, {"ipam": said(IPAM)}),
                ("ipam --check", {"op": "ipam", "check": True}, {"ipam": said(IPAM)}),
                ("wait netpol/shop/deny", {"op": "policies", "namespace": "shop", "name": "deny"}, {"policies": said(policy())}),
                ("wait -n shop policy/deny", {"op": "policies", "namespace": "shop", "name": "deny"}, {"policies": said(policy())}),
                ("wait pod/shop/db-0", {"op": "pods", "namespace": "shop"}, {"pods": said(pod())}),
                ("explain a b 1 --kernel", {"op": "explain", "src": "a", "dst": "b", "port": "1", "kernel": True},
                 {"explain": said(explained())})]:
            *_, requests = self.ask(line, **answers)
            self.check(f"request {line!r}", requests and requests[0] == dict(want, protocol=1), f"{requests}")

    def usage(self):
        for line, words in [("verify x", "too many"), ("ipam x", "too many"), ("wait", "too few"), ("wait a b", "too many"),
                            ("wait deny", "is neither"), ("wait policy/", "is neither"), ("wait pod//x", "is neither"),
                            ("wait policy/a/b/c", "is neither"), ("wait policy/a/", "is neither"), ("wait svc/a/b", "is neither"),
                            ("explain a b tcp/80-90 --kernel", "walks one flow"), ("explain a b http --kernel", "walks one flow"),
                            ("explain -f /dev/null a b 80 --kernel", "walks one flow"), ("doctor --check", "means nothing to doctor"),
                            ("status --repair", "means nothing to status"), ("verify --kernel", "means nothing to verify"),
                            ("pods --check", "means nothing to pods"), ("verify --check", "means nothing to verify"),
                            ("ipam --state-dir=", "is not DIR"), ("wait pod/a/b --timeout 0", "is not SECONDS")]:
            code, out, err = self.run([self.ripstop] + line.split())
            self.check(f"usage {line!r}", code == 2 and words in err and not out, f"{code} {out!r} {err!r}")

    def waiting(self):
        """It asks again until it is in force; and says what is in the way when the time is up."""
        not_yet = policy(enforced=False, whyNotEnforced="it is not committed yet")
        code, out, err, requests = self.ask("wait policy/shop/deny", policies=(said(not_yet), said(not_yet), said(policy())))
        self.check("wait asks again", code == 0 and len(requests) == 3 and "is in force" in out, f"{code} {out} {err} {requests}")
        code, out, err, requests = self.ask("wait policy/shop/deny --timeout 400ms", policies=said(not_yet))
        self.check("wait: the time is up", code == 124 and not out and len(requests) > 1 and
                   "policy/shop/deny is not in force: worker-1: it is not committed yet" in err, f"{code} {out} {err}")
        code, out, err, _ = self.ask("wait policy/shop/deny --timeout 300ms", policies=said(policy(enforced=None)))
        self.check("wait: an old agent", code == 124 and "older release" in err, f"{code} {err}")
        code, out, err, _ = self.ask("wait policy/shop/deny", policies={"error": {"errno": 2, "message": "no policy shop/deny"}})
        self.check("wait: no such policy", code == 3 and not out and "no policy shop/deny" in err, f"{code} {err}")
        code, out, err, _ = self.ask("wait pod/shop/other", pods=said(pod()))
        self.check("wait: no such pod", code == 3 and not out and "no pod shop/other on this node" in err, f"{code} {err}")
        code, out, err, _ = self.ask("wait pod/shop/db-0 --timeout 300ms", pods=said(pod(
            enforced=False, whyNotEnforced="nobody knows its labels: it is closed")))
        self.check("wait: a closed pod", code == 124 and "nobody knows its labels" in err, f"{code} {err}")
        code, out, err, _ = self.ask("wait policy/shop/deny --timeout 300ms", policies={"silent": True})
        self.check("wait: a silent agent", code == 124 and not out and err, f"{code} {err}")
        code, out, err = self.run([self.ripstop, "wait", "pod/a/b", "--socket", self.socket])
        self.check("wait: no agent", code == 4 and not out and "start one" in err, f"{code} {err}")

    def kernel_cannot_be_asked(self):
        """Where the rules cannot be read it is an error, never a guess."""
        local = {"dataplane": "nft", "netns": 1, "committed": True}
        for name, answer, words in [
                ("an old agent", explained(), "older release"),
                ("another namespace", explained(local=local), "network namespace"),
                ("no rules", explained(local=dict(local, dataplane="null")), "dataplane is null"),
                ("no MAC", explained(local=dict(local, netns=None), source={"ip": "10.0.0.1", "link": {
                    "index": 7, "group": 1, "mac": HOSTILE}}), "no MAC address"),
                ("no index", explained(local=dict(local, netns=None), source={"ip": "10.0.0.1", "link": {}}), "index"),
                ("no address", explained(local=dict(local, netns=None), source={"ip": "x"}), "what the kernel does")]:
            code, out, err, _ = self.ask("explain shop/web shop/db-0 5432 --kernel", explain=said(answer))
            self.check(f"kernel: {name}", code == 4 and not out and words in err and not STEERING.search(err),
                       f"{code} {out!r} {err!r}")
        # Neither end is here: the answer says that the kernel was not asked.
        far = explained(local=dict(local, netns=None), source={"text": "1.1.1.1", "ip": "1.1.1.1"}, egress={"known": False})
        code, out, err, _ = self.ask("explain 1.1.1.1 shop/db-0 5432 --kernel", explain=said(far))
        self.check("kernel: not asked", code == 0 and "not asked" in out and "neither end is a pod of this node" in out,
                   f"{code} {out!r} {err!r}")
        code, out, err, _ = self.ask("explain a b 1", explain={"error": {"errno": 117, "message": "internal disagreement"}})
        self.check("rules in force that differ from the objects are code 7", code == 7 and not out, f"{code} {err!r}")

    def hostile(self):
        def infect(v):
            if isinstance(v, dict):
                return {k: (x if k in ("kind", "apiVersion", "dataplane", "verdict", "source", "node") else infect(x))
                        for k, x in v.items()}
            if isinstance(v, list):
                return [infect(x) for x in v]
            return HOSTILE if isinstance(v, str) else v

        for line, op, answer in [("verify --explain", "verify", dict(DRIFTED, repair=MENDED)), ("verify", "verify", DRIFTED),
                                 ("ipam --check -o wide", "ipam", dict(IPAM, check=dict(CHECK, leaks=[LEAK]))),
                                 ("wait policy/shop/deny --timeout 200ms", "policies",
                                  policy(enforced=False, whyNotEnforced=HOSTILE)),
                                 ("explain a b 1", "explain", explained(kernels=[kernel("n", False, "denied")]))]:
            answer = answer if op == "policies" else infect(answer)
            for more in ("", " -o json"):
                _, out, err, _ = self.ask(line + more, **{op: said(answer)})
                self.check(f"hostile {line}{more}", out + err and not STEERING.search(out + err), repr(out + err))

    def odd_objects(self):
        """Members of wrong types: no crash, and never "in sync"."""
        bad = []
        for value in [None, True, -1, 1e300, "x", [], {}, [None, 1, {}], {"a": None}]:
            for line, op, answer in [
                    ("verify --explain", "verify", {k: value for k in verify(total=0, changedBy=0, repaired=0)}),
                    ("ipam --check -o wide", "ipam", {k: value for k in dict(IPAM, check=0)}),
                    ("explain a b 1", "explain", dict(explained(), kernels=value)),
                    ("explain a b 1 --kernel", "explain", dict(explained(), local=value)),
                    ("wait pod/shop/db-0 --timeout 100ms", "pods", {"items": value})]:
                kind = {"verify": "Verify", "ipam": "Ipam", "explain": "ExplainResult", "pods": "PodList"}[op]
                code, _, err, _ = self.ask(line, **{op: said(dict(answer, kind=kind))})
                if code not in (0, 1, 3, 4, 7, 124) or (op == "verify" and value is not True and code != 1):
                    bad.append((line, value, code, err[-300:]))
        self.check("odd objects", not bad, f"{bad[:4]}")

    # ---- a cluster

    def cluster(self, table=None, **answers):
        """Agents of worker-1 and worker-2; answers: w1=, w2= (None: nobody listens)."""
        agents = []
        self.kubectl.table.update(agents=[], sockets={}, faults=[], pods=[], policies=[])
        for n in (1, 2):
            pod_name, path = f"agent-{n}", os.path.join(self.tmp.name, f"w{n}.sock")
            self.kubectl.table["agents"].append({
                "kind": "Pod", "metadata": {"namespace": "ripstop-system", "name": pod_name, "labels": LABELS},
                "spec": {"nodeName": f"worker-{n}", "containers": [{"name": "agent"}]},
                "status": {"phase": "Running", "containerStatuses": [{"name": "agent", "ready": True, "state": {"running": {}}}]}})
            self.kubectl.table["sockets"][pod_name] = path
            if answers.get(f"w{n}") is not None:
                agents.append(Turns(path, copy.deepcopy(answers[f"w{n}"])))
        self.kubectl.table.update(table or {})
        self.kubectl.write()
        return agents

    def ask_cluster(self, line, table=None, **answers):
        agents = self.cluster(table, **answers)
        self.kubectl.calls()
        try:
            return (*self.run([self.plugin] + line.split()), self.kubectl.calls())
        finally:
            for agent in agents:
                agent.stop()

    def many_nodes(self):
        node2 = lambda o: json.loads(json.dumps(o).replace("worker-1", "worker-2"))  # noqa: E731
        code, out, err, calls = self.ask_cluster("verify --repair", w1={"verify": said(verify())},
                                                 w2={"verify": said(node2(dict(DRIFTED, inSync=False)))})
        self.check("verify of a cluster", code == 1 and out.startswith("node worker-1\n") and "node worker-2\n" in out and
                   "DRIFT" in out and all("--repair" in c for c in calls if "exec" in c), f"{code} {out} {err} {calls}")
        code, out, err, calls = self.ask_cluster("ipam --check -o json", w1={"ipam": said(dict(IPAM, check=CHECK))},
                                                 w2={"ipam": said(node2(dict(IPAM, check=dict(CHECK, leaks=[LEAK]))))})
        self.check("ipam of a cluster", code == 1 and len(json.loads(out)["items"]) == 2 and
                   all("--check" in c for c in calls if "exec" in c), f"{code} {out} {err}")

    def no_folder_through_kubectl(self):
        code, out, err, calls = self.ask_cluster("ipam --state-dir /run/ripstop", w1={"ipam": said(IPAM)}, w2={"ipam": said(IPAM)})
        self.check("ipam --state-dir through kubectl", code == 2 and not out and "through kubectl" in err and
                   not any("exec" in c for c in calls), f"{code} {out} {err} {calls}")

    def wait_in_vain(self, api, first, second):
        """Exit code, stdout and stderr. A machine that is too slow to ask once within the time gets more of it."""
        for seconds in (2, 8, 32):
            code, out, err, _ = self.ask_cluster(f"wait policy/shop/deny --timeout {seconds}", api, w1={"policies": first},
                                                 w2={"policies": second})
            if "no answer within the time" not in err:
                break
        return code, out, err

    def wait_for_nodes(self):
        api = {"policies": [{"kind": "NetworkPolicy", "metadata": {"namespace": "shop", "name": "deny", "uid": "u1", "generation": 3}}]}
        good, old = said(policy()), said(policy(objectGeneration=2))
        gone = {"error": {"errno": 2, "message": "no policy shop/deny"}}
        code, out, err, _ = self.ask_cluster("wait policy/shop/deny", api, w1={"policies": good},
                                             w2={"policies": (gone, old, said(policy(selects=[])))})
        self.check("wait: every node", code == 0 and out == "policy shop/deny is in force on 2 nodes, for 1 pod\n", f"{code} {out} {err}")
        for name, second, words in [("an old generation", old, "worker-2: it has generation 2, not 3"),
                                    ("another UID", said(policy(uid="u0")), "worker-2: it knows an older policy"),
                                    ("unknown there", gone, "worker-2: it knows no such policy"),
                                    ("not committed", said(policy(enforced=False, whyNotEnforced="no")), "worker-2: no")]:
            code, out, err = self.wait_in_vain(api, good, second)
            self.check(f"wait: {name}", code == 124 and not out and words in err and "worker-1" not in err, f"{code} {out} {err}")
        code, out, err = self.wait_in_vain(api, good, (old, {"silent": True}))
        self.check("wait: what was known before an agent fell silent", code == 124 and "worker-2: it has generation 2, not 3" in err,
                   f"{code} {out} {err}")
        code, out, err, _ = self.ask_cluster("wait policy/shop/deny --timeout 2", api, w1={"policies": good})
        self.check("wait: a node without an agent", code in (4, 124) and not out and "worker-2" in err, f"{code} {out} {err}")
        code, out, err, _ = self.ask_cluster("wait policy/shop/deny", w1={"policies": good}, w2={"policies": good})
        self.check("wait: not in the API", code == 3 and not out and "no policy shop/deny" in err, f"{code} {out} {err}")
        for bad in ("policy/shop/-x", "policy/sh,op/x", "pod/Shop/x"):
            code, out, err, calls = self.ask_cluster(f"wait {bad}", api, w1={"policies": good}, w2={"policies": good})
            self.check(f"wait: no name {bad}", code == 2 and not calls, f"{code} {err} {calls}")
        pods = {"pods": [{"kind": "Pod", "metadata": {"namespace": "shop", "name": "db-0"}, "spec": {"nodeName": "worker-2"}}]}
        code, out, err, calls = self.ask_cluster("wait pod/shop/db-0", pods, w1={"pods": gone}, w2={"pods": said(pod())})
        self.check("wait: the pod's node", code == 0 and out == "pod shop/db-0 is in force on worker-2\n" and
                   not any("agent-1" in c for c in calls), f"{code} {out} {err}")

    def kernels_of_two_nodes(self):
        """Each node's half is asked of its own kernel; one that disagrees is 7, whatever is expected."""
        pods = [{"kind": "Pod", "metadata": {"namespace": "shop", "name": n}, "spec": {"nodeName": f"worker-{k}"}}
                for n, k in (("web", 1), ("db-0", 2))]
        for agrees, want in ((True, 0), (False, 7)):
            one = explained(kernels=[kernel("worker-1", True, "allowed")])
            two = explained(kernels=[kernel("worker-2", agrees, "denied")], egress=one["ingress"], ingress=one["egress"])
            end = {True: (0, ""), False: (7, "ripstop: the kernel of worker-2 ...\ncommand terminated with exit code 7\n")}[agrees]
            faults = [{"when": ["exec", "agent-1", "--kernel"], "stdout": json.dumps(one), "code": 0},
                      {"when": ["exec", "agent-2", "--kernel"], "stdout": json.dumps(two), "stderr": end[1], "code": end[0]}]
            for expect in ("allow", "deny"):
                code, out, err, _ = self.ask_cluster(f"explain shop/web shop/db-0 5432 --kernel --expect {expect}",
                                                     {"pods": pods, "faults": faults}, w1={}, w2={})
                holds = code == (want or expect == "deny") and out.count("Kernel of worker-") == 2
                self.check(f"two kernels: {agrees} {expect}", holds and ("DISAGREES" in out) == (not agrees) and
                           ("bundle" in err) == (not agrees), f"{code} {out} {err}")

    def all(self):
        for part in (self.screens, self.requests, self.usage, self.waiting, self.kernel_cannot_be_asked, self.hostile,
                     self.odd_objects, self.many_nodes, self.no_folder_through_kubectl, self.wait_for_nodes, self.kernels_of_two_nodes):
            part()
        print(f"{self.passed} passed, {self.failed} failed, 0 skipped")
        return 1 if self.failed else 0


def main():
    ap = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    ap.add_argument("--build", default="build/rel")
    ap.add_argument("--update", action="store_true")
    args = ap.parse_args()
    return Runner(args.build, args.update).all()


if __name__ == "__main__":
    sys.exit(main())
