#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A person at a terminal: the programs in tmux, at 80 and 200 columns. Colours, tables that fit, -w and Ctrl-C, progress,
ASCII, completion by TAB in a real bash.

    tests/cli/run_terminal.py [--build DIR]

The last line is the count. Without tmux, or where no terminal is to be had, everything is skipped.
"""
import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import time

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
sys.path.insert(0, os.path.join(HERE, "..", "support"))
from fake_kubectl import FakeKubectl  # noqa: E402
from run import Runner  # noqa: E402

PATIENCE = 30  # for what must come; nothing waits longer than it has to


class Terminal:
    """A bash in tmux."""

    opened = 0

    def __init__(self, folder, path, width=80, height=24, env=None):
        Terminal.opened += 1
        self.socket = os.path.join(folder, f"tmux{Terminal.opened}")
        words = {"PATH": path + ":" + os.environ["PATH"], "LC_ALL": "C.UTF-8", "TERM": "xterm-256color", "HOME": folder}
        words.update({k: v for k, v in os.environ.items() if k.endswith("SAN_OPTIONS")})
        words.update(env or {})
        self.env, self.runs = dict(words, TMUX=""), 0
        inside = ["env", "-i"] + [f"{k}={v}" for k, v in words.items()] + ["bash", "--norc", "--noprofile"]
        self.tmux("-f", "/dev/null", "new-session", "-d", "-x", str(width), "-y", str(height), *inside)
        self.tmux("set-option", "-g", "status", "off")
        self.type("PS1='$ '; clear\n")
        self.wait(lambda s: s.rstrip("\n").rstrip(" ") == "$")

    def tmux(self, *argv):
        p = subprocess.run(["tmux", "-S", self.socket, *argv], capture_output=True, env=self.env, timeout=20, check=False)
        return p.stdout.decode("utf-8", "replace")

    def type(self, text):
        for n, part in enumerate(text.split("\n")):
            if n:
                self.tmux("send-keys", "Enter")
            if part:
                self.tmux("send-keys", "-l", "--", part)

    def key(self, name):
        self.tmux("send-keys", name)

    def screen(self, escapes=False):
        return self.tmux("capture-pane", "-p", *(["-e"] if escapes else []))

    def wait(self, holds):
        """The screen when it is as it should be, or as it is in the end."""
        end = time.monotonic() + PATIENCE
        while True:
            text = self.screen()
            if holds(text) or time.monotonic() > end:
                return text
            time.sleep(0.05)

    def run(self, line):
        """Type a command; what stands between it and the next prompt."""
        self.runs += 1
        end = re.compile(rf"^<{self.runs}:(\d+)>$", re.M)
        self.type(f"clear; {line}; echo \"<{self.runs}:$?>\"\n")
        return end.sub(r"[\1]", self.wait(end.search))

    def end(self):
        self.tmux("kill-server")


class Session(Runner):
    def __init__(self, build):
        super().__init__(build, False)
        self.build = os.path.abspath(build)
        self.term = None

    def open(self, width=80, height=24, path=None, **env):
        self.term = Terminal(self.tmp.name, path or self.build, width, height, env)
        return self.term

    def close(self):
        self.term.end()

    def ripstop(self, line):
        command, pipe, rest = line.partition(" | ")
        return self.term.run(f"ripstop {command} --socket {self.socket}{pipe}{rest}")

    # ---- the parts

    def tables(self):
        agent = self.agent()
        long = {"kind": "PolicyList", "items": [{"namespace": "shop", "name": "n", "types": ["Ingress"], "podSelector": "app in (" +
                ",".join(f"value-{i}" for i in range(20)) + ")", "selects": ["shop/a"], "where": "x.yaml:1:1"}]}
        whole = self.call(["rules", "shop/db-0"])[1]
        self.open(80)
        out = self.ripstop("rules shop/db-0")
        words = re.findall(r"[^\s/-]+[/-]?", whole)
        self.check("80 columns: a table fits", max(map(len, out.splitlines())) <= 80 and max(map(len, whole.splitlines()[:5])) > 80, out)
        self.check("80 columns: nothing is cut", all(w in out for w in words) and "…" not in out and "..." not in out, out)
        self.check("80 columns: a cell goes on below itself", re.search(r"^ +app=api \(2 +allow-api *$", out, re.M), out)
        self.close()
        self.open(200)
        out = self.ripstop("rules shop/db-0")
        self.check("200 columns: as in a pipe", [x.rstrip() for x in whole.splitlines()] == out.splitlines()[:len(whole.splitlines())], out)
        agent.stop()
        agent = self.agent(policies={"result": long})
        out = self.ripstop("policies -o wide")
        self.check("200 columns: a long cell is broken at commas", all(len(x) <= 200 for x in out.splitlines()) and
                   re.search(r"value-\d+, +1 ", out) and
                   all(f"value-{i}" in out for i in range(20)), out)
        piped = self.term.run(f"ripstop policies --socket {self.socket} | cat >{self.tmp.name}/out")
        with open(os.path.join(self.tmp.name, "out"), encoding="utf-8") as f:
            text = f.read()
        self.check("a pipe is no terminal", text.count("\n") == 2 and "value-19)" in text and "\x1b" not in text, piped + text)
        self.close()
        agent.stop()

    def colors(self):
        agent = self.agent()
        green, line = "\x1b[32m", f"ripstop status --socket {self.socket}"
        for name, env, command, want in (
                ("colour on a terminal", {}, line, True), ("NO_COLOR", {"NO_COLOR": "1"}, line, False),
                ("TERM=dumb", {}, f"TERM=dumb {line}", False), ("--color never", {}, f"{line} --color never", False),
                ("NO_COLOR and --color always", {"NO_COLOR": "1"}, f"{line} --color always", True),
                ("a pipe", {}, f"{line} | cat", False), ("CLICOLOR_FORCE in a pipe", {}, f"CLICOLOR_FORCE=1 {line} | cat", True),
                ("CLICOLOR_FORCE=0 in a pipe", {}, f"CLICOLOR_FORCE=0 {line} | cat", False),
                ("NO_COLOR before CLICOLOR_FORCE", {"NO_COLOR": "1"}, f"CLICOLOR_FORCE=1 {line}", False)):
            term = self.open(100, **env)
            plain = term.run(command)
            text = term.screen(escapes=True)
            self.check(name, (green in text) == want and "ready" in plain, text)
            self.close()
        agent.stop()

    def watch(self):
        agent = self.agent()
        term = self.open(80, 24)
        term.type(f"ripstop pods -w --interval 200ms --socket {self.socket}\n")
        out = term.wait(lambda s: "every 0.2 s" in s and "job-7x" in s)
        self.check("-w shows the answer", re.match(r"ripstop pods   \d\d:\d\d:\d\d, every 0\.2 s, Ctrl-C ends it\n", out) and "db-0" in out, out)
        asked = len(agent.requests)
        term.wait(lambda s: len(agent.requests) > asked + 3)
        self.check("-w asks again, in the same place", len(agent.requests) > asked + 3 and term.screen().count("every 0.2 s") == 1 and
                   term.screen().count("job-7x") == 1)
        agent.answers["pods"]["result"]["items"] = agent.answers["pods"]["result"]["items"][:1]
        out = term.wait(lambda s: "job-7x" not in s)
        self.check("-w: what is gone is gone", "api-6f7c9" in out and "job-7x" not in out and "db-0" not in out, out)
        agent.stop()
        out = term.wait(lambda s: "hint:" in s)
        self.check("-w: an agent that is gone is told", "no agent listens there" in out and "every 0.2 s" in out, out)
        agent = self.agent()
        out = term.wait(lambda s: "job-7x" in s)
        self.check("-w: and asked when it is back", "job-7x" in out and "hint:" not in out, out)
        term.tmux("resize-window", "-x", "50", "-y", "6")
        out = term.wait(lambda s: "more lines)" in s)
        self.check("-w: a smaller window", re.search(r"\(\d+ more lines\)", out) and len(out.rstrip("\n").split("\n")) <= 6, out)
        term.tmux("resize-window", "-x", "80", "-y", "24")
        term.wait(lambda s: "more lines" not in s)
        term.key("C-c")
        term.wait(lambda s: "every 0.2 s" not in s)
        term.type("echo \"[$?]\"\n")
        out = term.wait(lambda s: "[0]" in s)
        self.check("Ctrl-C ends -w, the last answer stays", "every 0.2 s" not in out and out.count("job-7x") == 1 and "[0]" in out, out)
        term.type("clear\n")
        out = self.ripstop("status -w --interval 100ms | head -3; echo ${PIPESTATUS[0]}; true")
        self.check("-w: a reader that hangs up ends it", "Broken" not in out and re.search(r"^0\n", out, re.M), out)
        self.ripstop(f"pods -w --interval 100ms -o json | head -2 >{self.tmp.name}/rows")
        with open(os.path.join(self.tmp.name, "rows"), encoding="utf-8") as f:
            rows = f.read().splitlines()
        self.check("-w -o json is JSON Lines", len(rows) == 2 and all(json.loads(x)["kind"] == "PodList" for x in rows), f"{rows}")
        self.close()
        agent.stop()
        code, out, err = self.call(["status", "-w"])
        self.check("-w without an agent ends at once", code == 4 and not out and "no agent listens there" in err, f"{code} {err}")
        agent = self.agent(status=dict(self.answers["status"], result=dict(self.answers["status"]["result"], ready=False)))
        p = subprocess.Popen([self.program, "status", "-w", "--interval", "100ms", "--socket", self.socket], stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE, text=True)
        p.stdout.readline()
        p.send_signal(15)
        _, err = p.communicate(timeout=PATIENCE)
        self.check("SIGTERM ends -w with the code of the last answer", p.returncode == 1 and not err, f"{p.returncode} {err}")
        agent.stop()
        if os.path.exists("/dev/full"):
            agent = self.agent()
            with open("/dev/full", "w", encoding="utf-8") as full:
                p = subprocess.run([self.program, "status", "-w", "--socket", self.socket], stdout=full, stderr=subprocess.PIPE,
                                   timeout=PATIENCE, check=False)
            self.check("-w to a full disk", p.returncode == 4 and b"write the answer" in p.stderr, p.stderr)
            agent.stop()

    def ascii(self):
        answer = {"result": {"kind": "PodList", "items": [{"namespace": "n", "name": "日本"}]}}
        agent = self.agent(pods=answer)
        term = self.open(80)
        self.check("UTF-8 is shown", "日本" in self.ripstop("pods"))
        out = self.ripstop("pods --ascii")
        self.check("--ascii", r"\xe6\x97\xa5\xe6\x9c\xac" in out and "日" not in out, out)
        out = term.run(f"LC_ALL=C ripstop pods --socket {self.socket}")
        self.check("a locale that is not UTF-8", r"\xe6\x97\xa5" in out, out)
        out = term.run(f"LC_ALL=C ripstop rules 日本 --socket {self.socket} -o json | tail -1; LC_ALL=C ripstop 日本")
        self.check("errors too", r"unknown verb \xe6\x97\xa5" in out, out)
        _, out, _ = self.call(["pods", "-o", "json", "--ascii"], env={"LC_ALL": "C"})
        self.check("JSON stays UTF-8", json.loads(out)["items"][0]["name"] == "日本", out)
        self.close()
        agent.stop()

    def progress(self):
        """kubectl ripstop, which waits for nodes."""
        agent = self.agent()
        kubectl = FakeKubectl(os.path.join(self.tmp.name, "kube"), os.path.abspath(self.program))
        pod = lambda n: {"metadata": {"name": f"a{n}", "namespace": "ripstop-system"}, "spec": {"nodeName": f"n{n}"},  # noqa: E731
                         "status": {"phase": "Running", "containerStatuses": [{"name": "agent", "state": {"running": {}}}]}}
        kubectl.table["agents"] = [pod(n) for n in range(9)]
        kubectl.table["sockets"] = {f"a{n}": self.socket for n in range(9)}
        # The ninth is asked when the eight before it have answered.
        go = os.path.join(self.tmp.name, "go")
        kubectl.write(faults=[{"when": ["exec", "a8"], "until": go}, {"when": ["exec"], "slow": 0.6}])
        term = self.open(80, path=kubectl.folder + ":" + self.build)
        term.type(f"clear; kubectl-ripstop version >{self.tmp.name}/out; echo \"[$?]\"\n")
        out = term.wait(lambda s: "asking nodes" in s)
        self.check("a bar", re.search(r"^asking nodes  \|#{26}\.{4}\|  8 of 9 \(88%\)$", out, re.M), out)
        open(go, "w", encoding="utf-8").close()
        out = term.wait(lambda s: "[0]" in s)
        self.check("the bar goes away", "asking" not in out and "[0]" in out, out)
        out = term.run(f"kubectl-ripstop version --progress none >{self.tmp.name}/out")
        self.check("--progress none", "asking" not in out and "[0]" in out, out)
        out = term.run(f"cd {self.tmp.name}; kubectl-ripstop version --progress plain >out 2>err; cat err")
        self.check("--progress plain", "kubectl ripstop: asking nodes: 8 of 9 (88%)\n" in out and "\x1b" not in out and "|" not in out, out)
        out = term.run(f"kubectl-ripstop version 2>&1 >{self.tmp.name}/out | cat")
        self.check("no bar in a pipe", "asking" not in out and "[0]" in out, out)
        self.close()
        agent.stop()

    def tab(self):
        agent = self.agent()
        term = self.open(100)
        term.type("source <(ripstop completion bash); clear\n")
        term.wait(lambda s: s.strip() == "$")
        for typed, want in (("ripstop pol", "ripstop policies "), (f"ripstop --socket {self.socket} rules shop/d", "rules shop/db-0 "),
                            (f"ripstop --socket {self.socket} explain -n shop db", "-n shop db-0 "), ("ripstop status --out", "status --output "),
                            ("ripstop pods --output=jsonl", "--output=jsonl"), ("ripstop pods -o ya", "-o yaml "),
                            ("ripstop explain a b sc", "explain a b sctp/"), ("ripstop -f /etc/passw", "-f /etc/passwd")):
            term.type(typed)
            term.key("Tab")
            out = term.wait(lambda s, w=want: w.rstrip() in s.replace("\n", ""))
            self.check(f"TAB after {typed.split(self.socket)[-1].strip()!r}", want.rstrip() in out.replace("\n", ""), out)
            term.key("C-u")
            term.type("clear\n")
            term.wait(lambda s: s.strip() == "$")
        term.type("ripstop completion ")
        term.key("Tab")
        term.key("Tab")
        out = term.wait(lambda s: "kubectl" in s)
        self.check("TAB TAB lists", all(x in out for x in ("bash", "fish", "kubectl", "zsh")), out)
        self.close()
        agent.stop()

    def help(self):
        self.open(100, 200)
        out = self.term.run("ripstop explain --help")
        self.check("help on a terminal", "Usage: ripstop explain SRC DST PORT" in out and "[0]" in out, out)
        self.close()


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--build", default="build/rel")
    args = ap.parse_args()
    r = Session(args.build)
    parts = (r.tables, r.colors, r.watch, r.ascii, r.progress, r.tab, r.help)
    try:
        if not shutil.which("tmux"):
            raise OSError("no tmux here")
        os.close(os.open("/dev/ptmx", os.O_RDWR | os.O_NOCTTY))
    except OSError as e:
        print(f"skipped: a session at a terminal: {e}")
        print(f"0 passed, 0 failed, {len(parts)} skipped")
        return 0
    try:
        for part in parts:
            part()
    finally:
        if r.term:
            r.term.end()
    print(f"{r.passed} passed, {r.failed} failed, {r.skipped} skipped")
    return 1 if r.failed else 0


if __name__ == "__main__":
    sys.exit(main())
