#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""`ripstop top` against a stand-in agent whose counters move between two looks.

    tests/cli/run_top.py [--build DIR]

The last line is the count.
"""
import argparse
import copy
import json
import os
import pty
import re
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "support"))
from fake_agent import FakeAgent  # noqa: E402
from fake_kubectl import FakeKubectl  # noqa: E402
from jsonschema_lite import Schemas  # noqa: E402

STATUS = {"kind": "Status", "metadata": {"node": "n1"}, "ready": True,
          "drops": {"policy-ingress": 198, "policy-egress": 4, "not-programmed": 0, "spoofed": 7, "invalid": 0}}


def pod(name, ingress, egress, last=None):
    return {"namespace": "shop", "name": name, "ingress": {"isolated": True, "dropRecords": ingress, **({"lastDrop": last} if last else {})},
            "egress": {"isolated": False, "dropRecords": egress}}


def record(i, count, **denied):
    return {"v": 1, "id": i, "count": count, "verdict": "DROPPED",
            **{f"{d}_denied_by": [{"kind": "NetworkPolicy", "namespace": "shop", "name": n} for n in names] for d, names in denied.items()}}


class Runner:
    def __init__(self, build):
        self.build, self.passed, self.failed = os.path.abspath(build), 0, 0
        self.tmp = tempfile.TemporaryDirectory(prefix="rs-top-")
        self.socket = self.tmp.name + "/agent.sock"

    def check(self, name, holds, detail=""):
        self.passed += bool(holds)
        self.failed += not holds
        if not holds:
            print(f"FAIL {name}: {str(detail)[:1500]}", flush=True)

    def top(self, *argv, answers, later=None, want=0, program="ripstop", env=None):
        """later: what the agent answers from the second question on."""
        agent = FakeAgent(self.socket, copy.deepcopy(answers))
        full = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", **{k: v for k, v in os.environ.items() if k.endswith("SAN_OPTIONS")}}
        p = subprocess.Popen([os.path.join(self.build, program), "top", *argv, *(("--socket", self.socket) if program == "ripstop" else ())],
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**full, **(env or {})}, stdin=subprocess.DEVNULL)
        for _ in range(2000):
            if not later or agent.requests or p.poll() is not None:
                break
            time.sleep(0.002)
        agent.answers.update(copy.deepcopy(later or {}))
        out, err = p.communicate(timeout=30)
        requests = agent.requests
        agent.stop()
        self.check(f"top {argv} exit code", p.returncode == want and (want < 2) == bool(out) and (want >= 2) == bool(err), f"{p.returncode} {out} {err}")
        return out, err, requests

    def obeys(self, *argv, answers):
        out, _, _ = self.top(*argv, "--interval", "100ms", "-o", "json", answers=answers)
        faults = Schemas(os.path.join(HERE, "..", "..", "docs", "schema")).errors("top.json", json.loads(out))
        self.check(f"top {argv} obeys the schema", not faults and json.loads(out)["items"], f"{faults} {out}")

    def reason(self):
        answers = {"status": {"result": STATUS}}
        later = copy.deepcopy(answers)
        later["status"]["result"]["drops"].update({"spoofed": 1000, "policy-ingress": 208})
        out, _, _ = self.top(answers=answers, later=later)
        rows = [line.split() for line in out.splitlines()]
        self.check("the fastest first, the silent not at all", [r[0] for r in rows] == ["REASON", "spoofed", "policy-ingress", "policy-egress"] and
                   rows[1][2] == "1000" and float(rows[1][1]) > float(rows[2][1]) > 0 and rows[3][1:] == ["0.0", "4"], out)
        self.obeys(answers=answers)
        out, _, _ = self.top("-o", "json", answers=answers, later=later)
        o = json.loads(out)
        self.check("JSON", o["kind"] == "Top" and o["by"] == "reason" and o["items"][0]["reason"] == "spoofed" and o["items"][0]["packets"] == 1000 and
                   o["items"][0]["perSecond"] > 0 and "records" not in o["items"][0], out)
        fresh = copy.deepcopy(answers)
        fresh["status"]["result"]["drops"].update({"policy-ingress": 1, "spoofed": 0})
        out, _, _ = self.top("-o", "json", answers=answers, later=fresh)
        self.check("an agent that starts anew", all(i["perSecond"] == 0 for i in json.loads(out)["items"]), out)
        out, _, _ = self.top("--interval", "100ms", answers={"status": {"result": dict(STATUS, drops={})}})
        self.check("nothing yet", "nothing was dropped yet" in out, out)
        _, err, _ = self.top(answers={"status": {"result": dict(STATUS, drops=None)}}, want=4)
        self.check("drops not known", "does not know its drops" in err, err)
        for odd in ({"x": -5}, {"x": "y"}, {"x\x1b[2J": 3}, {"x": 9223372036854775807}):
            out, _, _ = self.top("--interval", "100ms", answers={"status": {"result": dict(STATUS, drops=odd)}})
            self.check(f"odd counters {odd}", "\x1b" not in out, repr(out))
        _, err, _ = self.top(answers={"status": {"error": {"errno": 1, "message": "no"}}}, want=4)

    def pods(self):
        answers = {"pods": {"result": {"kind": "PodList", "items": [pod("api", 5, 0), pod("db-0", 198, 4, "2026-11-22T00:31:07Z"), pod("quiet", 0, 0)]}}}
        later = {"pods": {"result": {"kind": "PodList", "items": [pod("api", 50, 0, "2026-11-22T00:31:09Z"), pod("db-0", 199, 4, "2026-11-22T00:31:08Z")]}}}
        self.obeys("--by", "pod", answers=answers)
        out, _, requests = self.top("--by", "pod", answers=answers, later=later)
        rows = [line.split() for line in out.splitlines()]
        self.check("pods", [r[0] for r in rows] == ["POD", "shop/api", "shop/db-0"] and rows[1][2:] == ["50", "50", "0", "2026-11-22T00:31:09Z"] and
                   rows[2][2:] == ["203", "199", "4", "2026-11-22T00:31:08Z"], out)
        self.check("all namespaces are asked", all(q.get("all") for q in requests) and len(requests) == 2, requests)
        no = {"pods": {"result": {"kind": "PodList", "items": [{"namespace": "shop", "name": "x", "ingress": {}}]}}}
        _, err, _ = self.top("--by", "pod", answers=no, want=4)
        self.check("no records", "keeps no drop records" in err and "--by reason" in err, err)

    def policies(self):
        page = {"kind": "FlowRecords", "metadata": {}, "more": True, "next": 3, "items": [record(1, 1, ingress=["deny", "db"]), record(2, 4, ingress=["deny"])]}
        rest = {"kind": "FlowRecords", "more": False, "next": 4, "items": [record(3, 1, egress=["deny"]), {"id": 4}, {"id": 5, "ingress_denied_by": 7}]}
        new = {"kind": "FlowRecords", "more": False, "next": 9, "items": [record(8, 2, egress=["deny"])]}
        answers = {"records": [{"match": {"from": 3}, "result": rest}, {"match": {"from": 4}, "result": new}, {"result": page}]}
        self.obeys("--by", "policy", answers=answers)
        out, _, requests = self.top("--by", "policy", answers=answers)
        rows = [line.split() for line in out.splitlines()]
        self.check("each policy that refused", [(r[0], r[1], r[3]) for r in rows[1:]] == [
            ("shop/deny", "egress", "3"), ("shop/deny", "ingress", "5"), ("shop/db", "ingress", "1")] and float(rows[1][2]) > 0, out)
        self.check("only new records are asked for", [q.get("from") for q in requests] == [None, 3, 4], requests)
        _, err, _ = self.top("--by", "policy", answers={"records": {"result": {"kind": "FlowRecords", "whyNone": "NFLOG is taken"}}}, want=4)
        self.check("why there are none", "NFLOG is taken" in err, err)
        endless = {"records": {"result": {"kind": "FlowRecords", "more": True, "next": 1, "items": []}}}
        self.top("--by", "policy", "--interval", "100ms", answers=endless)

    def usage(self):
        for argv, said in ((("--by", "ns"), "top goes by policy, pod or reason"), (("--by", "colour"), "is not"), (("x",), "too many"),
                           (("-o", "dot"), "no form")):
            _, err, _ = self.top(*argv, answers={}, want=2)
            self.check(f"usage {argv}", said in err, err)
        p = subprocess.run([os.path.join(self.build, "ripstop"), "matrix", "-f", "/dev/null", "--by", "policy"], capture_output=True, text=True, check=False)
        self.check("matrix goes by other things", p.returncode == 2 and "for top" in p.stderr, p)

    def terminal(self):
        """On a terminal it goes on until it is told to end."""
        agent = FakeAgent(self.socket, {"status": {"result": STATUS}})
        pid, fd = pty.fork()
        if pid == 0:
            os.execve(os.path.join(self.build, "ripstop"), ["ripstop", "top", "--interval", "100ms", "--socket", self.socket],
                      {"TERM": "xterm", "LC_ALL": "C.UTF-8", "PATH": os.environ["PATH"]})
        text, end = b"", time.monotonic() + 20
        while text.count(b"policy-ingress") < 4 and time.monotonic() < end:
            text += os.read(fd, 4096)
        os.write(fd, b"\x03")
        try:
            while os.read(fd, 4096):
                pass
        except OSError:
            pass
        _, status = os.waitpid(pid, 0)
        agent.stop()
        self.check("a terminal: again and again", text.count(b"policy-ingress") >= 4 and os.waitstatus_to_exitcode(status) == 0, f"{status} {text[-300:]}")

    def kubectl(self):
        ours = self.tmp.name + "/bin"
        fake = FakeKubectl(ours, os.path.join(self.build, "ripstop"))
        labels = {"app.kubernetes.io/name": "ripstop", "app.kubernetes.io/component": "agent"}
        agents = [{"metadata": {"namespace": "ripstop-system", "name": f"a-{n}", "labels": labels}, "spec": {"nodeName": n},
                   "status": {"phase": "Running", "containerStatuses": [{"name": "agent", "state": {"running": {}}}]}} for n in ("n1", "n2")]
        fake.write(agents=agents, sockets={"a-n1": self.socket, "a-n2": self.socket})
        out, _, _ = self.top(answers={"status": {"result": STATUS}}, program="kubectl-ripstop", env={"PATH": ours + ":" + os.environ["PATH"]})
        self.check("every node", re.findall(r"^node (\S+)", out, re.M) == ["n1", "n2"] and out.count("policy-ingress") == 2 and "  -  " in out, out)


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--build", default="build/rel")
    r = Runner(ap.parse_args().build)
    for part in (r.reason, r.pods, r.policies, r.usage, r.terminal, r.kubectl):
        part()
    print(f"{r.passed} passed, {r.failed} failed, 0 skipped")
    return 1 if r.failed else 0


if __name__ == "__main__":
    sys.exit(main())
