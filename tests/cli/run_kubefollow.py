#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""`kubectl ripstop monitor --follow` and `capture` with a stand-in kubectl, the real `ripstop` behind it and stand-in agents:
lines of many nodes, nodes that end, floods, readers that stop, signals, and that nothing runs on when it has ended.

    tests/cli/run_kubefollow.py [--build DIR] [--only PART,...]

The last line is the count.
"""
import argparse
import copy
import json
import os
import re
import signal
import subprocess
import sys
import threading

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
sys.path.insert(0, os.path.join(HERE, "..", "support"))
from fake_agent import FakeAgent  # noqa: E402
from jsonschema_lite import Schemas  # noqa: E402
from run_kubectl import HOSTILE, STEERING, Runner, agent_pod  # noqa: E402

FOOTER = "-- 0 suppressed by the log limit (10/s and pod), 0 lost, while this followed --"


class Agent(FakeAgent):
    """An agent whose drop records come when the test says so."""

    def __init__(self, path, node, record):
        self.node, self.record, self.items = node, record, []
        self.counts = {"since": "2026-11-19T20:29:42Z", "dropped": 0, "records": 0, "suppressed": 0, "lost": 0}
        self.more, self.lock = {}, threading.Lock()
        super().__init__(path, {})

    def add(self, **members):
        with self.lock:
            record = dict(copy.deepcopy(self.record), id=len(self.items) + 1, node_name=self.node, **members)
            self.items.append(record)
            return record

    def find(self, request):
        if request["op"] != "records":
            return {"error": {"errno": 95, "message": "no such operation"}}
        with self.lock:
            first = min(request.get("from", 1), len(self.items) + 1)
            if "last" in request:
                first = max(1, len(self.items) + 1 - request["last"])
            return {"result": dict({
                "apiVersion": "ripstop.dev/v1", "kind": "FlowRecords", "metadata": {"node": self.node, "source": "folder"},
                "items": self.items[first - 1:], "next": len(self.items) + 1, "more": False, "ratePerPod": 10,
                "counts": dict(self.counts)}, **self.more)}


class Follower:
    """A run of the command; `with` ends it."""

    def __init__(self, runner, argv, **how):
        self.p = subprocess.Popen([runner.program] + argv, env=runner.environ(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE, **how)
        self.lines = []

    def read(self, holds):
        """Lines until one of which that holds."""
        while True:
            line = self.p.stdout.readline().decode("utf-8", "replace")
            self.lines.append(line)
            if not line or holds(line):
                return line

    def end(self, sig=signal.SIGINT):
        """(code, the rest of stdout, stderr)"""
        if sig:
            self.p.send_signal(sig)
        out, err = self.p.communicate(timeout=60)
        return self.p.returncode, out.decode("utf-8", "replace"), err.decode("utf-8", "replace")


class Follow(Runner):
    def __init__(self, build):
        super().__init__(build, False)
        self.build = os.path.abspath(build)
        self.ripstop = os.path.join(self.build, "ripstop")
        self.record = self.answers["records"][-1]["result"]["items"][0]
        self.schemas = Schemas(os.path.join(HERE, "..", "..", "docs", "schema"))
        self.mark = os.path.join(self.tmp.name, "mark")

    def begin_agents(self, nodes=2, **table):
        """Node i (from 1) has the pod ripstop-agent-i."""
        self.table["agents"] = [agent_pod(f"ripstop-agent-{i}", f"worker-{i}") for i in range(nodes, 0, -1)]
        for i in range(1, nodes + 1):
            path = os.path.join(self.tmp.name, f"a{i}.sock")
            self.table["sockets"][f"ripstop-agent-{i}"] = path
            self.agents[i] = Agent(path, f"worker-{i}", self.record)
        self.kubectl.write(**table)
        self.kubectl.calls()

    def leashed(self):
        """Processes of ripstop that run on at a node."""
        found = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{pid}/cmdline", "rb") as f:
                    words = f.read().split(b"\0")
            except OSError:
                continue
            if words[0].endswith(b"/ripstop") and b"__leash" in words and any(self.tmp.name.encode() in w for w in words):
                found.append(words)
        return found

    @staticmethod
    def until(condition):
        pause = threading.Event()
        for _ in range(1200):
            if condition():
                return True
            pause.wait(0.05)
        return False

    # ---- the parts

    def lines(self):
        """Lines of two nodes as they come, in each form; the last line; nothing runs on."""
        self.begin_agents()
        self.agents[1].add()
        f = Follower(self, ["monitor", "--follow"])
        f.read(lambda x: x.startswith("worker-1  "))
        self.agents[2].add(reason="policy-egress")
        line = f.read(lambda x: x.startswith("worker-2  "))
        self.agents[1].add()
        again = f.read(lambda x: x.startswith("worker-1  "))
        self.check("three lines", len(f.lines) == 3 and re.search("DENY ingress +shop/web-5d9-q8zzl:40112 -> shop/db-0:5432", line) and again,
                   f"{f.lines}")
        for agent, lost in (self.agents[1], 2), (self.agents[2], 3):
            agent.counts.update(suppressed=10, lost=lost)
        code, out, err = f.end()
        self.check("the last line", code == 0 and not err and
                   out == "-- 20 suppressed by the log limit (10/s and pod), 5 lost, while this followed --\n", f"{code} {out} {err}")
        self.check("nothing runs on", self.until(lambda: not self.leashed()), f"{self.leashed()}")
        self.check("each node is followed", sorted((c[1], c[4]) for c in self.kubectl.calls() if "__leash" in c) == [
            ("-i", "ripstop-agent-1"), ("-i", "ripstop-agent-2")])
        f = Follower(self, ["monitor", "--follow", "-o", "jsonl", "--last", "5"])
        got = [json.loads(f.read(len)) for _ in range(3)]
        faults = [e for o in got for e in self.schemas.errors("flow-record.json", o)]
        self.check("JSON Lines are the records", sorted(o["node_name"] for o in got) == ["worker-1", "worker-1", "worker-2"] and
                   not faults, f"{got} {faults}")
        self.agents[1].counts["lost"] += 1
        code, out, err = f.end(signal.SIGTERM)
        self.check("JSON Lines: no last line, a warning", code == 0 and not out and "0 dropped packets were suppressed by the log "
                   "limit, 1 lost" in err, f"{code} {out} {err}")
        f = Follower(self, ["monitor", "--follow", "-o", "hubble"])
        o = json.loads(f.read(len))
        self.check("Hubble's form", not self.schemas.errors("hubble-flow.json", o), f"{o}")
        self.check("Hubble's form ends", f.end()[0] == 0)
        self.stop()

    def which(self):
        """Who is followed, and with which flags."""
        self.begin_agents(3)
        for line, nodes, words in (
                ("monitor --follow --node worker-2 -n shop --last 0 --reason policy-ingress --direction ingress --since 5m",
                 [2], ["--last=0", "--since=300s", "--reason=policy-ingress", "--direction=ingress", "--namespace=shop"]),
                ("monitor --follow shop/db-0 --timeout 9", [1, 2, 3], ["--timeout=9000ms", "--", "shop/db-0"]),
                (f"monitor --follow db-0 --node worker-1 --socket {self.agents[1].path}", [1],
                 [f"--socket={self.agents[1].path}", "--", "shop/db-0"]),
                ("monitor db-0 -n shop --follow", [1, 2, 3], ["--", "shop/db-0"])):
            self.kubectl.write(faults=[{"when": ["__leash"], "touch": self.mark, "hang": True}])
            self.kubectl.calls()
            f = Follower(self, line.split())
            self.until(lambda: os.path.exists(self.mark))
            code, out, err = f.end()
            calls = [c for c in self.kubectl.calls() if "__leash" in c]
            self.check(f"{line}: followed", code == 0 and {int(c[4][-1]) for c in calls} <= set(nodes) and calls and
                       all(c[c.index("__leash"):] == ["__leash", "monitor", "--follow", "-o", "jsonl"] + words for c in calls),
                       f"{code} {out} {err} {calls}")
            os.unlink(self.mark)
        self.kubectl.write()
        self.expect("no such pod", "monitor --follow shop/none", 3, "no pod shop/none", out=False)
        self.expect("a form without lines", "monitor --follow -o json", 2, "no end", out=False)
        self.agents[1].add()
        f = Follower(self, ["monitor", "--follow", "--node", "worker-1"])
        self.check("of one node the name is not told", f.read(len).startswith("00:31:07"), f"{f.lines}")
        self.check("of one node: its end", f.end()[1] == FOOTER + "\n")
        self.stop()

    def many(self):
        """More nodes than are followed at once."""
        self.begin_agents(2)
        pods = [agent_pod("ripstop-agent-%d" % (i % 2 + 1), "n%02d" % i) for i in range(33)]
        self.kubectl.write(agents=pods)
        self.expect("33 nodes", "monitor --follow", 2, "33 nodes: at most 32 are followed", "--node NODE", out=False)
        pods[7] = agent_pod("ripstop-agent-1", "worker-1")
        self.agents[1].add()
        self.kubectl.write(agents=pods)
        f = Follower(self, ["monitor", "--follow", "shop/db-0"])
        self.check("33 nodes and a pod: its node", f.read(len).startswith("00:31:07"), f"{f.lines}")
        code, out, err = f.end()
        self.check("33 nodes and a pod: it is said", code == 0 and out == FOOTER + "\n" and "only worker-1 is" in err, f"{code} {out} {err}")
        self.kubectl.write(agents=pods[:32])
        f = Follower(self, ["monitor", "--follow"])
        seen = set()
        f.read(lambda x: seen.add(x.split()[0]) or len(seen) == 16)
        self.check("32 nodes", f.end()[0] == 0 and len(seen) == 16, f"{seen}")
        self.check("32 nodes: nothing runs on", self.until(lambda: not self.leashed()), f"{len(self.leashed())}")
        self.stop()

    def ends(self):
        """A node that fails is told once; the others go on."""
        self.begin_agents()
        forbidden = ('Error from server (Forbidden): pods "ripstop-agent-2" is forbidden: User "jane" cannot create '
                     'resource "pods/exec"\n')
        for name, fault, said in (
                ("at the beginning", {"when": ["exec", "ripstop-agent-2"], "stderr": forbidden, "code": 1}, "pods/exec"),
                ("in the middle", {"when": ["__leash", "ripstop-agent-2"], "stdout": "", "stderr": "error: stream closed\n", "code": 1},
                 "stream closed"),
                ("without a word", {"when": ["__leash", "ripstop-agent-2"], "code": 0}, "its monitor ended"),
                ("an older release", {"when": ["__leash", "ripstop-agent-2"], "code": 2,
                                      "stderr": "ripstop: unknown verb __leash\ncommand terminated with exit code 2\n"}, "unknown verb"),
                ("no record", {"when": ["__leash", "ripstop-agent-2"], "stdout": "{]\n", "hang": True}, "its record cannot be used"),
                ("text", {"when": ["__leash", "ripstop-agent-2"], "stdout": HOSTILE + "\n", "hang": True}, "its record cannot be used"),
                ("a list", {"when": ["__leash", "ripstop-agent-2"], "stdout": "[1]\n", "hang": True}, "its record cannot be used"),
                ("an endless line", {"when": ["__leash", "ripstop-agent-2"], "flood": 1 << 20, "hang": True}, "a line of more than 64 KiB")):
            self.kubectl.write(faults=[fault])
            f = Follower(self, ["monitor", "--follow"])
            # It is told before anybody else has said a thing.
            told = f.p.stderr.readline().decode()
            self.agents[1].add()
            line = f.read(lambda x: x.startswith("worker-1  "))
            code, out, err = f.end()
            err = told + err
            self.check(f"a node that ends, {name}", code == 5 and line and err.count("worker-2: ") == 1 and said in err and
                       "1 of 2 nodes were not followed to the end" in err and "on 1 of 2 nodes --" in out and
                       not STEERING.search(err + out), f"{code} {out!r} {err!r}")
            self.kubectl.write(faults=[dict(fault, when=[w for w in fault["when"] if "agent" not in w])])
            code, out, err = Follower(self, ["monitor", "--follow", "--last", "0"]).end(None)
            self.check(f"all nodes end, {name}", code in (2, 4) and err.count(said) == 2, f"{code} {out!r} {err!r}")
        waiting = {"waiting": {"reason": "CrashLoopBackOff"}}
        self.kubectl.write(agents=[agent_pod("ripstop-agent-2", "worker-2", waiting)])
        self.expect("an agent that does not run", "monitor --follow", 4, "worker-2: pod ripstop-agent-2", "CrashLoopBackOff", out=False)
        self.agents[2].more = {"whyNone": "dataplane null makes no drop records", "counts": None}
        self.kubectl.write()
        self.expect("no records are made", "monitor --follow --node worker-2", 4, "dataplane null makes no drop records", out=False)
        self.stop()

    def floods(self):
        """One that never stops, a line in pieces, and a reader that does not read."""
        self.begin_agents()
        line = json.dumps(self.record) + "\n"
        go, stop = os.path.join(self.tmp.name, "go"), os.path.join(self.tmp.name, "stop")
        flood = {"when": ["__leash", "ripstop-agent-1"], "again": line * 20, "until": stop, "hang": True}
        late = {"when": ["__leash", "ripstop-agent-2"], "stdout": "", "until": go, "then": line, "hang": True}
        self.kubectl.write(faults=[flood, late])
        f = Follower(self, ["monitor", "--follow"])
        for _ in range(1000):
            f.read(len)
        with open(go, "w", encoding="utf-8"):
            pass
        self.check("a flood holds nobody up", f.read(lambda x: x.startswith("worker-2  ")))
        self.check("lines stay whole", all(re.fullmatch(r"worker-[12]  00:31:07\.412  DENY .*\n", x) for x in f.lines))
        code, _, err = f.end()
        self.check("a flood ends", code == 0 and not err, f"{code} {err}")
        os.unlink(go)
        f = Follower(self, ["monitor", "--follow"])
        f.read(len)
        f.p.send_signal(signal.SIGINT)  # and nobody reads what is there already
        self.check("a reader that does not read: it ends", f.p.wait(60) == 0)
        f.end(None)
        f = Follower(self, ["monitor", "--follow", "-o", "jsonl"])
        f.read(len)
        f.p.stdout.close()
        self.check("a reader that goes: it ends", f.p.wait(60) in (0, -signal.SIGPIPE))
        f.p.stderr.close()
        with open(stop, "w", encoding="utf-8"):
            pass
        cut = {"when": ["__leash"], "stdout": line[:200], "until": go, "then": line[200:] + line[:50], "hang": True}
        self.kubectl.write(faults=[cut])
        f = Follower(self, ["monitor", "--follow", "--node", "worker-1"])
        with open(go, "w", encoding="utf-8"):
            pass
        got = f.read(len)
        self.check("a line in pieces", got.startswith("00:31:07.412  DENY"), got)
        code, out, _ = f.end()
        self.check("half a line is not shown", code == 0 and out == FOOTER + "\n", out)
        self.stop()

    def quiet(self):
        """A reader that goes, or a kill, while there is nothing to tell: nothing runs on."""
        self.begin_agents()
        f = Follower(self, ["monitor", "--follow", "--last", "0"])
        self.check("both are followed", self.until(lambda: len(self.leashed()) == 4), f"{self.leashed()}")
        f.p.stdout.close()
        self.check("a reader that goes: noticed", f.p.wait(60) == 0)
        f.p.stderr.close()
        self.check("a reader that goes: nothing runs on", self.until(lambda: not self.leashed()), f"{self.leashed()}")
        f = Follower(self, ["monitor", "--follow", "--last", "0"])
        self.until(lambda: len(self.leashed()) == 4)
        f.p.kill()
        f.end(None)
        self.check("killed: nothing runs on", self.until(lambda: not self.leashed()), f"{self.leashed()}")
        self.stop()

    def hostile(self):
        """Names of nodes and text of records that steer a terminal."""
        def infect(v):
            if isinstance(v, dict):
                return {k: infect(x) for k, x in v.items()}
            if isinstance(v, list):
                return [infect(x) for x in v]
            return HOSTILE if isinstance(v, str) else v

        self.begin_agents(2)
        pods = [agent_pod("ripstop-agent-1", "n\x1b[2J"), agent_pod("ripstop-agent-2", "worker-2")]
        line = json.dumps(infect(self.record)) + "\n"
        self.kubectl.write(agents=pods, faults=[{"when": ["__leash"], "stdout": line, "hang": True}])
        for form in ("table", "wide", "jsonl", "hubble"):
            f = Follower(self, ["monitor", "--follow", "-o", form])
            f.read(len)
            f.read(len)
            _, out, err = f.end()
            text = "".join(f.lines) + out + err
            self.check(f"hostile {form}", not STEERING.search(text) and (form != "table" or "n\\x1b[2J" in text), repr(text))
        self.stop()

    def leash(self):
        """`ripstop __leash VERB` by itself: the verb's answer and code; the end of stdin is its end."""
        self.begin_agents(1)
        socket = self.table["sockets"]["ripstop-agent-1"]
        for argv, want in ((["version", "--socket", socket, "-o", "yaml"], 4), (["zork"], 2), ([], 2), (["--version"], 0)):
            with subprocess.Popen([self.ripstop, "__leash"] + argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE) as p:
                out, err, code = p.stdout.read(), p.stderr.read(), p.wait(60)
            q = subprocess.run([self.ripstop] + argv, capture_output=True, stdin=subprocess.DEVNULL, timeout=60, check=False)
            self.check(f"a leashed {argv}", (code, out, err) == (want, q.stdout, q.stderr), f"{code} {out} {err} {q}")
        words = [self.ripstop, "__leash", "monitor", "--follow", "--last", "0", "--socket", socket]
        p = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.until(lambda: any(r["op"] == "records" for r in self.agents[1].requests))
        p.stdin.write(b"what is said to it\n" * 100)
        p.stdin.flush()
        self.agents[1].add()
        self.check("what stdin holds is nothing to it", p.stdout.readline())
        p.stdin.close()
        out = p.stdout.read().decode()
        self.check("the end of stdin: it ends well", p.wait(60) == 0 and out == FOOTER + "\n", out)
        p.stdout.close()
        p.stderr.close()
        p = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.until(lambda: len(self.leashed()) == 2)
        p.kill()
        p.wait(60)
        p.stdin.close()
        self.check("who holds it is killed: it ends", self.until(lambda: not self.leashed()), f"{self.leashed()}")
        self.stop()

    def captures(self):
        """What comes is written as it is, into a file of ours or to a pipe."""
        table = json.loads(subprocess.run([self.program, "__table"], capture_output=True, timeout=30, check=True).stdout)
        if "capture" not in [v["name"] for v in table["verbs"]]:
            print("skipped: this program has no verb capture")
            self.skipped += 1
            return
        self.begin_agents()
        packets = "pcapng" + "\x00\x01\x02\udcff\n" * 1000
        raw = packets.encode("utf-8", "surrogateescape")
        answer = {"when": ["__leash", "capture"], "stdout": packets, "stderr": "ripstop: 7 packets\n", "code": 0}
        path = os.path.join(self.tmp.name, "c.pcapng")
        self.kubectl.write(faults=[answer])
        code, out, err = self.call(["capture", "db-0", "-c", "100", "--dropped", "-O", path])
        with open(path, "rb") as f:
            got = f.read()
        self.check("into a file", code == 0 and got == raw and not out and "7 packets" in err and "wrote " + path in err and
                   os.stat(path).st_mode & 0o777 == 0o600, f"{code} {out} {err}")
        call = [c for c in self.kubectl.calls() if "__leash" in c][0]
        self.check("what is asked", call[:2] == ["exec", "-i"] and call[4] == "ripstop-agent-1" and call[-2:] == ["--", "shop/db-0"] and
                   call[call.index("capture"):-2] == ["capture", "-O", "-", "--count=100", "--dropped"], f"{call}")
        self.expect("never over another file", f"capture shop/db-0 -O {path}", 4, "File exists", "name another file", out=False)
        p = subprocess.run([self.program, "capture", "shop/db-0", "-O", "-"], capture_output=True, env=self.environ(), timeout=60,
                           stdin=subprocess.DEVNULL, check=False)
        self.check("into a pipe", p.returncode == 0 and p.stdout == raw, f"{p.returncode} {p.stderr}")
        os.unlink(path)
        self.kubectl.write(faults=[dict(answer, stdout="", stderr="ripstop: no such pod\ncommand terminated with exit code 3\n", code=3)])
        self.expect("it fails there", f"capture shop/db-0 -O {path}", 3, "worker-1: no such pod", out=False)
        self.check("an empty file is none", not os.path.exists(path))
        self.kubectl.write(faults=[dict(answer, touch=self.mark, hang=True)])
        f = Follower(self, ["capture", "shop/db-0", "-O", path])
        self.until(lambda: os.path.exists(path) and os.path.getsize(path) == len(raw))
        code, out, err = f.end()
        self.check("Ctrl-C: what came stays", code == 0 and os.path.getsize(path) == len(raw) and "wrote" in err, f"{code} {out} {err}")
        self.expect("no such pod", "capture shop/none", 3, "no pod shop/none", out=False)
        self.stop()


def main():
    # Where it is ignored (a shell's job in the background), what is started would ignore it, too.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    ap = argparse.ArgumentParser()
    ap.add_argument("--build", default="build/rel")
    ap.add_argument("--only", default="", help="parts, by the names of the functions, with commas")
    args = ap.parse_args()
    r = Follow(args.build)
    if not os.access(r.program, os.X_OK):
        print(f"{r.program} is not there: make it first\n0 passed, 1 failed, 0 skipped")
        return 1
    parts = ("lines", "which", "many", "ends", "floods", "quiet", "hostile", "leash", "captures")
    for part in [p for p in parts if not args.only or p in args.only.split(",")]:
        getattr(r, part)()
    print(f"{r.passed} passed, {r.failed} failed, {r.skipped} skipped")
    return 1 if r.failed else 0


if __name__ == "__main__":
    sys.exit(main())
