#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The real `ripstop` against a stand-in agent: screens, exit codes, bad usage, hostile names, bad answers.

    tests/cli/run.py [--build DIR] [--update]

Screens lie in tests/cli/screens/NAME.txt: the command, then what it prints. --update writes them anew; look at
the difference before you keep it. The last line is the count.
"""
import argparse
import copy
import json
import os
import pty
import re
import socket
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "support"))
from fake_agent import FakeAgent  # noqa: E402

HOSTILE = "db\x1b[2J\x1b]0;x\x07\u202e\u009b31mA\r\n\u200bB"
STEERING = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]")

SCREENS = {  # name: (arguments, exit code)
    "help": ("help", 0),
    "help-explain": ("help explain", 0),
    "status": ("status", 0),
    "pods": ("pods", 0),
    "pods-namespace": ("pods -n shop", 0),
    "pods-wide": ("pods -o wide", 0),
    "pods-named": ("pods shop/db-0 job-7x --no-headers", 0),
    "pods-json": ("pods ops/job-7x -o json", 0),
    "policies": ("policies", 0),
    "policies-wide": ("policies default-deny -o wide", 0),
    "rules": ("rules shop/db-0", 0),
    "rules-color": ("rules -n shop db-0 --color always --no-headers", 0),
    "explain-denied": ("explain shop/web shop/db-0 5432", 1),
    "explain-denied-color": ("explain shop/web shop/db-0 5432 --color always", 1),
    "explain-allowed": ("explain shop/api shop/db-0 tcp/5432", 0),
    "explain-icmp": ("explain shop/api 8.8.8.8 icmp", 1),
    "monitor": ("monitor", 0),
    "monitor-wide": ("monitor -o wide", 0),
    "monitor-hubble": ("monitor -o hubble", 0),
    "monitor-jsonl": ("monitor -o jsonl", 0),
    "monitor-quiet": ("monitor shop/quiet", 0),
    "help-monitor": ("help monitor", 0),
    "version": ("version", 0),
    "version-json": ("version -o json", 0),
}

USAGE = [  # arguments, what the error says
    ("", "no verb"),
    ("statsu", "did you mean status?"),
    ("polices", "did you mean policies?"),
    ("stat", "did you mean status?"),
    ("frobnicate", "ripstop help lists the verbs"),
    ("monitor --verdict allowed", "dropped packets only"), ("monitor --follow -o json", "no end"),
    ("monitor --last many", "--last"), ("monitor --since 0", "--since"), ("monitor --since 5w", "--since"),
    ("monitor a b", "too many"), ("status --last 3", "--last means nothing to status"),
    ("matricks", "did you mean matrix?"),
    ("status --ouptut json", "did you mean --output?"),
    ("status --xyzzy", "unknown flag --xyzzy"),
    ("status -z", "unknown flag -z"),
    ("status -o yml", "table, wide, json, jsonl, yaml"),
    ("status -o csv", "status has: table, wide, json, jsonl, yaml"),
    ("status -o", "needs a value"),
    ("status --no-headers=1", "takes no value"),
    ("status extra", "too many"),
    ("status -n shop", "means nothing to status"),
    ("pods -n shop -A", "contradict"),
    ("pods -n a/b", "is not NAME"),
    ("pods --expect deny", "means nothing to pods"),
    ("rules", "too few"),
    ("explain a b", "usage: ripstop explain SRC DST PORT"),
    ("explain a b c d", "too many"),
    ("explain a b 0", "is no port"), ("explain a b 65536", "is no port"), ("explain a b tcp/", "is no port"),
    ("explain a b TCP/5", "is no port"), ("explain a b -- -1", "is no port"),
    ("explain a b 90-80", "is no port"), ("explain a b icmp/8", "is no port"), ("explain a b ''", "operand 3 is empty"),
    ("explain a b 5432 --expect maybe", "is not allow|deny"),
    ("explain a b 5432 --family 5", "is not 4|6"),
    ("status --timeout 0", "is not SECONDS"), ("status --timeout -1", "is not SECONDS"),
    ("status --timeout 5x", "is not SECONDS"), ("status --timeout 999999999999999999999", "is not SECONDS"),
    ("status --color blue", "is not auto|always|never"),
    ("help nothing", "unknown verb nothing"),
]


class Runner:
    def __init__(self, build, update):
        self.program = os.path.join(build, "ripstop")
        self.update = update
        self.passed = self.failed = self.skipped = 0
        self.tmp = tempfile.TemporaryDirectory(prefix="rs-cli-")
        self.socket = os.path.join(self.tmp.name, "agent.sock")
        with open(os.path.join(HERE, "answers.json"), encoding="utf-8") as f:
            self.answers = json.load(f)

    def check(self, name, holds, detail=""):
        if holds:
            self.passed += 1
        else:
            self.failed += 1
            print(f"FAIL {name}: {detail[:1500]}", flush=True)

    def call(self, argv, socket=True, env=None, timeout=20):
        if socket is True:
            argv = argv + ["--socket", self.socket]
        full = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "TERM": "xterm", "TZ": "UTC"}
        full.update({k: v for k, v in os.environ.items() if k.endswith("SAN_OPTIONS")})
        full.update(env or {})
        p = subprocess.run([self.program] + argv, capture_output=True, env=full, timeout=timeout,
                           stdin=subprocess.DEVNULL, check=False)
        return p.returncode, p.stdout.decode("utf-8", "replace"), p.stderr.decode("utf-8", "replace")

    def agent(self, **answers):
        table = copy.deepcopy(self.answers)
        table.update(answers)
        return FakeAgent(self.socket, table)

    # ---- the parts

    def screens(self):
        agent = self.agent()
        for name, (line, want) in SCREENS.items():
            argv = line.split()
            code, out, err = self.call(argv, socket=argv[0] != "help")
            text = f"$ ripstop {line}\n{out}" + "".join(f"2> {x}\n" for x in err.splitlines())
            text = text.replace("\x1b", "<ESC>")
            path = os.path.join(HERE, "screens", name + ".txt")
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
        agent.stop()

    def usage(self):
        for line, said in USAGE:
            argv = [a if a != "''" else "" for a in line.split()]
            code, out, err = self.call(argv, socket=False)
            self.check(f"usage {line!r}", code == 2 and said in err and not out and err.startswith("ripstop: "),
                       f"exit {code}, stdout {out!r}, stderr {err!r}")

    def requests(self):
        """What goes to the agent."""
        agent = self.agent()
        for line, want in [
                ("pods", {"op": "pods", "all": True}),
                ("pods -A", {"op": "pods", "all": True}),
                ("pods -nshop", {"op": "pods", "namespace": "shop"}),
                ("policies shop/default-deny", {"op": "policies", "namespace": "shop", "name": "default-deny"}),
                ("policies -n shop default-deny", {"op": "policies", "namespace": "shop", "name": "default-deny"}),
                ("policies default-deny", {"op": "policies", "all": True}),
                ("rules --namespace=shop db-0", {"op": "rules", "pod": "shop/db-0"}),
                ("explain -n shop web other/db udp/53", {"op": "explain", "src": "shop/web", "dst": "other/db",
                                                         "port": "udp/53"}),
                ("explain -n shop 10.0.0.1 fd00::1 80", {"op": "explain", "src": "10.0.0.1", "dst": "fd00::1",
                                                         "port": "80"}),
                ("explain -n shop node world 80", {"op": "explain", "src": "node", "dst": "world", "port": "80"}),
                ("explain a world sctp/9 --family 6", {"op": "explain", "src": "a", "dst": "world", "port": "sctp/9",
                                                       "family": 6}),
                ("explain -- -x b 1", {"op": "explain", "src": "-x", "dst": "b", "port": "1"})]:
            head, _, tail = line.partition(" -- ")
            self.call(head.split() + ["--socket", self.socket] + (["--"] + tail.split() if tail else []), socket=False)
            got = agent.requests[-1] if agent.requests else None
            self.check(f"request {line!r}", got == dict(want, protocol=1), f"{got}")
        agent.stop()

    def codes(self):
        agent = self.agent()
        for line, want, said in [
                ("rules nobody", 3, "no pod default/nobody"), ("pods shop/none", 3, "no pod shop/none"),
                ("pods shop/db-0 none", 3, "no pod none"), ("policies none", 3, "no policy none"),
                ("explain bad x 1", 2, "bad is no pod"), ("explain odd x 1", 4, '"maybe"'),
                ("explain denied-me x 1", 4, "may not ask"),
                ("explain shop/web shop/db-0 5432 --expect deny", 0, ""),
                ("explain shop/web shop/db-0 5432 --expect=allow", 1, ""),
                ("explain shop/api shop/db-0 tcp/5432 --expect deny", 1, ""),
                ("explain shop/api shop/db-0 tcp/5432 --expect deny -o json", 1, "")]:
            code, out, err = self.call(line.split())
            self.check(f"code {line!r}", code == want and said in err and bool(out) == (not said),
                       f"exit {code}, stderr {err!r}")
        agent.stop()
        down = copy.deepcopy(self.answers["status"])
        down["result"].update(ready=False, notReadyReason="the folder has not been read")
        down["result"]["dataplane"].update(inSync=False, error="netlink is gone")
        down["result"]["source"].update(synced=False, error="x.yaml:3:5: no such kind")
        agent = self.agent(status=down)
        code, out, _ = self.call(["status"])
        self.check("not ready is 1", code == 1 and all(s in out for s in (
            "NOT READY", "has not been read", "NOT IN SYNC", "ERROR netlink is gone", "NOT SYNCED",
            "ERROR x.yaml:3:5")), out)
        agent.stop()

    def dataplanes(self):
        """Which one, and why."""
        why = "ebpf cannot be used on this node: no BTF; \x1b[2Jmount one"
        for more, words, absent in [
                ({}, ["nft (as configured)   in sync"], ["cannot be used", "judge too"]),
                ({"configured": "auto", "why": why}, ["nft (auto)", "no BTF"], ["fallback", "\x1b"]),
                ({"configured": "ebpf", "fallback": True, "why": why}, ["nft (fallback)", "no BTF"], ["\x1b"]),
                ({"name": "ebpf", "configured": "ebpf", "beside": "nft"}, ["ebpf (as configured)", "rules of nft judge too"], [])]:
            status = copy.deepcopy(self.answers["status"])
            status["result"]["dataplane"].update(more)
            agent = self.agent(status=status)
            code, out, _ = self.call(["status"])
            agent.stop()
            self.check(f"dataplane {more.get('configured', 'plain')}", code == 0 and all(w in out for w in words) and
                       not any(w in out for w in absent), repr(out))

    def no_agent(self):
        for argv in (["status"], ["pods"], ["rules", "x"], ["explain", "a", "b", "1"], ["version"]):
            code, out, err = self.call(argv)
            self.check(f"no agent: {argv[0]}", code == 4 and self.socket in err and "start one" in err and
                       (argv[0] == "version") == bool(out), f"exit {code}, {out!r}, {err!r}")
        sock = socket.socket(socket.AF_UNIX)
        sock.bind(self.socket)
        sock.close()  # the file stays, nobody listens
        code, _, err = self.call(["status"])
        self.check("dead socket", code == 4 and "Connection refused" in err and "start one" in err, f"{code} {err!r}")
        os.unlink(self.socket)

    def bad_agents(self):
        frame = lambda b: (len(b).to_bytes(4, "big") + b).hex()  # noqa: E731
        deep = b'{"a":' * 40 + b"1" + b"}" * 40
        for name, answer, want in [
                ("silent", {"silent": True}, 124), ("drip", {"drip": True}, 124), ("close", {"close": True}, 4),
                ("http", {"raw": b"HTTP/1.1 400 Bad\r\n\r\n".hex()}, 4), ("cut", {"raw": "00000010" + "7b"}, 4),
                ("huge", {"raw": "7fffffff"}, 4), ("empty", {"raw": "00000000"}, 4),
                ("array", {"raw": frame(b"[]")}, 4), ("no ok", {"raw": frame(b"{}")}, 4),
                ("deep", {"raw": frame(deep)}, 4), ("utf8", {"raw": frame(b'{"ok":"\xff"}')}, 4),
                ("wrong kind", {"result": {"kind": "PodList"}}, 4), ("no kind", {"result": {}}, 4),
                ("no result", {"raw": frame(b'{"ok":true}')}, 4), ("no error", {"raw": frame(b'{"ok":false}')}, 4)]:
            agent = self.agent(status=answer)
            began = time.monotonic()
            code, out, err = self.call(["status", "--timeout", "400ms"])
            took = time.monotonic() - began
            self.check(f"agent {name}", code == want and not out and err.startswith("ripstop: ") and took < 5,
                       f"exit {code} in {took:.1f} s, {out!r}, {err!r}")
            agent.stop()

    def odd_objects(self):
        """Right kind, members of wrong types: no crash, and no number made up."""
        odd = [None, True, -1, 1e300, "x", [], {}, [None, 1, {}], {"a": None}, 9223372036854775807]
        keys = {"status": ("status", ["metadata", "ready", "uptimeSeconds", "rssBytes", "dataplane", "source", "ipam",
                                      "objects", "endpoints", "drops", "conditions", "warnings"]),
                "pods": ("pods", ["items"]), "policies": ("policies", ["items"])}
        bad = []
        for op, (verb, names) in keys.items():
            for key in names:
                for value in odd:
                    answer = copy.deepcopy(self.answers[op])
                    answer["result"][key] = value
                    agent = self.agent(**{op: answer})
                    code, _, err = self.call([verb, "-o", "wide"])
                    agent.stop()
                    if code not in (0, 1):
                        bad.append((op, key, value, code, err[-300:]))
        for verb, op in (["rules", "x"], "rules"), (["explain", "a", "b", "1"], "explain"):
            for value in odd:
                kind = {"rules": "Rules", "explain": "ExplainResult"}[op]
                result = {"kind": kind, "verdict": "denied", "pod": value, "source": value, "destination": value,
                          "port": value, "ingress": value, "metadata": value,
                          "egress": {"known": value, "rules": [value], "miss": value, "isolatedBy": value, "reason": value}}
                agent = self.agent(**{op: {"result": result}})
                code, _, err = self.call(verb)
                agent.stop()
                if code not in (0, 1):
                    bad.append((op, value, code, err[-300:]))
        self.check("odd objects", not bad, f"{bad[:3]}")

    def hostile(self):
        """Names that steer a terminal: shown, never obeyed; and JSON gives them back unchanged."""
        def infect(v):
            if isinstance(v, dict):
                return {(HOSTILE if k == "app" else k): (x if k in ("kind", "apiVersion", "verdict", "state") else
                                                         infect(x)) for k, x in v.items()}
            if isinstance(v, list):
                return [infect(x) for x in v]
            return HOSTILE if isinstance(v, str) else v

        answers = {}
        for op in ("status", "pods", "policies"):
            answers[op] = {"result": infect(self.answers[op]["result"])}
        for op in ("rules", "explain"):
            answers[op] = {"result": infect(self.answers[op][0]["result"])}
        agent = self.agent(**answers)
        for argv in (["status"], ["pods"], ["pods", "-o", "wide"], ["policies", "-o", "wide"], ["rules", "x"],
                     ["explain", "a", "b", "1"], ["version"]):
            for lang in ("C.UTF-8", "C"):
                _, out, err = self.call(argv, env={"LC_ALL": lang})
                self.check(f"hostile {argv} {lang}", not STEERING.search(out + err) and (
                    argv == ["version"] or "\\x1b[2J" in out), repr(out + err))
            _, out, err = self.call(argv + ["-o", "json"])
            self.check(f"hostile JSON {argv}", not STEERING.search(out + err), repr(out))
        _, out, _ = self.call(["pods", "-o", "json"])
        self.check("JSON is unchanged", json.loads(out) == answers["pods"]["result"], out)
        agent.stop()
        agent = self.agent(status={"error": {"errno": 5, "message": HOSTILE, "hint": HOSTILE}})
        _, out, err = self.call(["status"])
        self.check("hostile error", not STEERING.search(out + err) and err.count("\n") == 2, repr(err))
        agent.stop()
        _, out, err = self.call([HOSTILE], socket=False)
        self.check("hostile argument", not STEERING.search(out + err), repr(err))

    def on_terminal(self, env):
        pid, fd = pty.fork()
        if pid == 0:
            os.execve(self.program, [self.program, "status", "--socket", self.socket], env)
        out = b""
        while True:
            try:
                chunk = os.read(fd, 4096)
            except OSError:
                break
            if not chunk:
                break
            out += chunk
        os.waitpid(pid, 0)
        os.close(fd)
        return b"\x1b[32m" in out

    def colors(self):
        agent = self.agent()
        base = {"LC_ALL": "C.UTF-8", "TERM": "xterm", "TZ": "UTC"}
        base.update({k: v for k, v in os.environ.items() if k.endswith("SAN_OPTIONS")})
        try:
            os.close(os.open("/dev/ptmx", os.O_RDWR | os.O_NOCTTY))
        except OSError as e:
            self.skipped += 4
            print(f"skipped: colour on a terminal: no terminals here ({e})")
        else:
            self.check("colour on a terminal", self.on_terminal(base))
            self.check("NO_COLOR", not self.on_terminal(dict(base, NO_COLOR="1")))
            self.check("empty NO_COLOR", self.on_terminal(dict(base, NO_COLOR="")))
            self.check("TERM=dumb", not self.on_terminal(dict(base, TERM="dumb")))
        _, out, _ = self.call(["status"])
        self.check("no colour in a pipe", "\x1b" not in out)
        _, out, _ = self.call(["status", "--color", "always"], env={"NO_COLOR": "1"})
        self.check("--color always", "\x1b[32m" in out)
        agent.stop()

    def tables(self):
        """A flag is in the help and in docs/cli.md; so is a verb."""
        with open(os.path.join(HERE, "..", "..", "docs", "cli.md"), encoding="utf-8") as f:
            doc = f.read()
        _, text, _ = self.call(["help"], socket=False)
        verbs = re.findall(r"^  ripstop (\w+)", text, re.M)
        for word in set(re.findall(r"--[a-z-]+", text)) | {f"`{v}" for v in verbs}:
            self.check(f"docs tell of {word}", word in doc)
        for verb in verbs:
            code, out, _ = self.call([verb, "--help"], socket=False)
            self.check(f"{verb} --help", code == 0 and f"Usage: ripstop {verb}" in out)
        code, out, _ = self.call(["--version"], socket=False)
        self.check("--version", code == 0 and re.fullmatch(r"ripstop \d+\.\d+\.\d+\n", out), out)
        if os.path.exists("/dev/full"):
            with open("/dev/full", "w", encoding="utf-8") as full:
                p = subprocess.run([self.program, "help"], stdout=full, stderr=subprocess.PIPE, check=False)
            self.check("full disk", p.returncode == 4 and b"write the answer" in p.stderr, p.stderr)


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--build", default="build/rel")
    ap.add_argument("--update", action="store_true")
    args = ap.parse_args()
    r = Runner(args.build, args.update)
    if not os.access(r.program, os.X_OK):
        print(f"{r.program} is not there: make it first\n0 passed, 1 failed, 0 skipped")
        return 1
    for part in (r.screens, r.usage, r.requests, r.codes, r.dataplanes, r.no_agent, r.bad_agents, r.odd_objects, r.hostile,
                 r.colors, r.tables):
        part()
    print(f"{r.passed} passed, {r.failed} failed, {r.skipped} skipped")
    return 1 if r.failed else 0


if __name__ == "__main__":
    sys.exit(main())
