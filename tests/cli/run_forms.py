#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The forms of -o: what a program reads equals the object, whatever is in it; tables of people and of programs agree.

    tests/cli/run_forms.py [--build DIR]

The last line is the count.
"""
import argparse
import csv
import io
import json
import os
import re
import subprocess
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from run import HOSTILE, STEERING, Runner  # noqa: E402

try:
    import yaml  # not needed; a second opinion where it is installed
except ImportError:
    yaml = None

# Text that a reader of YAML 1.1 or 1.2 takes for something else when it stands without quotes, or cannot read at all.
TRICKY = ["", " ", " a", "a ", "yes", "No", "ON", "off", "y", "N", "true", "FALSE", "null", "Null", "~", "1", "-1", "+1", "1.5",
          ".5", "1e3", "0x1f", "0o17", "017", "1_000", "12:30:45", "2026-01-02", ".inf", "-.INF", ".nan", "-", "- a", "?", "? a",
          ":", ": a", "a: b", "a:", "a #b", "a#b", "#a", "&a", "*a", "!a", "!!int 3", "|", ">", "%a", "@a", "`a`", "'a'", '"a"',
          "[a]", "{a}", "a]", "a,b", "<<", "=", "---", "...", "a\nb", "a\n", "\ta", "a\tb", "\\", "\\n", "a  b", "é", "日本",
          "\U0001f600", "\u2028", "\u0085", "\ufeff", "\ufffe", "\x7f", HOSTILE, "x" * 3000, "shop/db-0", "db.yaml:12:5", "fd00::1",
          "podSelector app=db (2 pods)", "10.244.1.20", "<all>"]
MISREAD = re.compile(r"(?i)^(y|n|yes|no|on|off|true|false|null|~|[-+.]?[0-9].*|[-+.].*)?$")


class Forms(Runner):
    def json_of(self, line):
        return json.loads(self.call(line.split() + ["-o", "json"])[1])

    def through_yaml(self, text):
        p = subprocess.run([os.path.join(os.path.dirname(self.program), "tests", "yaml2json")], input=text.encode(),
                           capture_output=True, check=False)
        return json.loads(p.stdout) if p.returncode == 0 else p.stderr.decode()

    def yaml(self):
        answer = {"result": {"kind": "PodList", "metadata": {"node": "n1"}, "empty": {}, "none": None, "yes": True, "deep": [[["a"], []], [{}], [[1, {"a": [2]}]]],
                             "items": [{"namespace": t, "name": t, "labels": {t: t, "n": 1}, "ips": [t, [t]]} for t in TRICKY]}}
        agent = self.agent(pods=answer)
        _, text, _ = self.call(["pods", "-o", "yaml"])
        self.check("YAML is the object", self.through_yaml(text) == answer["result"], text)
        if yaml:
            self.check("YAML 1.1 is the object", yaml.safe_load(text) == answer["result"], text)
        plain = [m.group(1) for m in re.finditer(r'^ *(?:- )*(?:[^":]+|"(?:[^"\\]|\\.)*"): ([^"\[{ ].*)$', text, re.M)]
        bad = [p for p in plain if MISREAD.match(p) and p not in ("1", "true", "null", "2")]
        self.check("YAML quotes what may be misread", not bad and len(plain) > 10, f"{bad}")
        self.check("YAML steers no terminal", not STEERING.search(text), repr(text))
        agent.stop()
        agent = self.agent()
        for line in ("pods", "policies", "rules shop/db-0", "explain shop/web shop/db-0 5432"):
            _, text, _ = self.call(line.split() + ["-o", "yaml"])
            self.check(f"YAML of {line}", self.through_yaml(text) == self.json_of(line), text)
        agent.stop()

    def lines(self):
        agent = self.agent()
        for line in ("pods", "policies"):
            _, out, _ = self.call(line.split() + ["-o", "jsonl"])
            self.check(f"JSON Lines of {line}", [json.loads(x) for x in out.splitlines()] == self.json_of(line)["items"], out)
            _, out, _ = self.call(line.split() + ["-o", "name"])
            self.check(f"names of {line}", out.splitlines() == [f"{x['namespace']}/{x['name']}" for x in self.json_of(line)["items"]], out)
        for line in ("status", "rules shop/db-0", "version", "explain shop/web shop/db-0 5432"):
            _, out, _ = self.call(line.split() + ["-o", "jsonl"])
            self.check(f"JSON Lines of {line}", out.count("\n") == 1 and json.loads(out) == self.json_of(line), out)
        agent.stop()
        agent = self.agent(pods={"result": {"kind": "PodList", "items": [{"namespace": HOSTILE, "name": HOSTILE}, {"name": 3}, 5]}})
        _, out, _ = self.call(["pods", "-o", "name"])
        self.check("hostile names", out.count("\n") == 1 and not STEERING.search(out), repr(out))
        _, out, _ = self.call(["pods", "-o", "jsonl"])
        self.check("hostile JSON Lines", out.count("\n") == 3 and not STEERING.search(out), repr(out))
        agent.stop()

    def csv(self):
        agent = self.agent()
        for line in ("pods", "pods -n shop", "policies", "rules shop/db-0"):
            code, out, _ = self.call(line.split() + ["-o", "csv"])
            rows = list(csv.reader(io.StringIO(out, newline=""), strict=True))
            self.check(f"CSV of {line}", code == 0 and len({len(r) for r in rows}) == 1 and out.count("\r\n") == out.count("\n") == len(rows)
                       and all(re.fullmatch(r"[A-Z#-]+", name) for name in rows[0]), out)
            _, bare, _ = self.call(line.split() + ["-o", "csv", "--no-headers"])
            self.check(f"CSV of {line} without names", bare == out.split("\n", 1)[1], bare)
        _, out, _ = self.call(["pods", "-o", "csv"])
        got = [(r["NAMESPACE"], r["POD"], r["IP"], r["POLICIES"]) for r in csv.DictReader(io.StringIO(out))]
        want = [(p["namespace"], p["name"], ",".join(p["ips"])) for p in self.json_of("pods")["items"]]
        self.check("CSV has every pod", [g[:3] for g in got] == want and all(g[3].isdigit() for g in got), out)
        agent.stop()
        names = ["=1+2", "+A1", "-x", "@SUM(A1)", 'a"b', "a,b", "-5", "a\r\nb", "-"]
        agent = self.agent(pods={"result": {"kind": "PodList", "items": [{"namespace": "n", "name": n} for n in names]}})
        _, out, _ = self.call(["pods", "-o", "csv"])
        got = [r["POD"] for r in csv.DictReader(io.StringIO(out))]
        self.check("CSV runs no formula", got == ["'=1+2", "'+A1", "'-x", "'@SUM(A1)", 'a"b', "a,b", "-5", "a\\x0d\\x0ab", ""], f"{got}")
        agent.stop()

    def markdown(self):
        agent = self.agent()
        for line in ("pods", "policies", "rules shop/db-0"):
            _, out, _ = self.call(line.split() + ["-o", "md"])
            pipes = {len(re.findall(r"(?<!\\)\|", x)) for x in out.splitlines()}
            self.check(f"Markdown of {line}", len(pipes) == 1 and re.match(r"\|( -+:? \|)+$", out.splitlines()[1]), out)
        agent.stop()
        agent = self.agent(pods={"result": {"kind": "PodList", "items": [{"namespace": "a|b", "name": "![x](http://y)<b>_*`\\"}]}})
        _, out, _ = self.call(["pods", "-o", "md", "--no-headers"])
        self.check("Markdown is not steered", out.splitlines()[2].startswith(
            r"| a\|b | !\[x\](http://y)\<b\>\_\*\`\\\\ | - |"), out)
        agent.stop()

    def order(self):
        answer = {"result": {"kind": "PolicyList", "items": [{"namespace": "n", "name": n, "ingressRules": k} for n, k in
                                                             (("b", 10), ("a", 9), ("d", None), ("c", 10))]}}
        agent = self.agent(policies=answer)
        for column, want in (("ingress", "abcd"), ("INGRESS", "abcd"), ("name", "abcd"), ("egress", "badc")):
            _, out, _ = self.call(["policies", "--sort-by", column, "--no-headers"])
            self.check(f"--sort-by {column}", [x.split()[1] for x in out.splitlines()] == list(want), out)
        code, out, err = self.call(["policies", "--sort-by", "colour"])
        self.check("--sort-by of no column", code == 2 and not out and "no column colour" in err and "POD-SELECTOR" in err, err)
        code, out, err = self.call(["policies", "--sort-by", "name", "-o", "json"])
        self.check("--sort-by of no table", code == 2 and not out and "json is none" in err, err)
        agent.stop()


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--build", default="build/rel")
    args = ap.parse_args()
    r = Forms(args.build, False)
    for part in (r.yaml, r.lines, r.csv, r.markdown, r.order):
        part()
    print(f"{r.passed} passed, {r.failed} failed, {r.skipped} skipped")
    return 1 if r.failed else 0


if __name__ == "__main__":
    sys.exit(main())
