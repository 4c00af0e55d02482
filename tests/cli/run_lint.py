#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""`ripstop lint`: every rule at its exact place and nowhere else, suppressions, forms, exit codes, wrong input.

    tests/cli/run_lint.py [--build DIR] [--update]

The cases of the rules are in lint_cases.py. Screens lie in tests/cli/screens/lint-NAME.txt; --update writes them
anew. The last line is the count.
"""
import argparse
import glob
import json
import os
import re
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.join(HERE, "..", "..")
sys.path.insert(0, HERE)
sys.path.insert(0, os.path.join(HERE, "..", "support"))
try:
    from jsonschema_lite import Schemas
except ImportError:
    Schemas = None
from lint_cases import CASES, DNS, NOTES, ONLY, OUT, np, ns, pod  # noqa: E402

MARK = "§"
HEADER = "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {namespace: shop, name: p}\nspec:\n"
UDP = OUT + DNS + "  - §{protocol: UDP, port: 53}"  # trips dns-udp-only
SCREENS = {
    "lint-help": (["help", "lint"], 0),
    "lint-three-tier": (["lint", "-f", "examples/three-tier"], 0),
    "lint-article": (["lint", "-f", "tests/golden/article-b/objects.yaml"], 1),
    "lint-article-color": (["lint", "-f", "tests/golden/article-b/objects.yaml", "--color", "always", "--severity", "warning"], 1),
    "lint-article-wide": (["lint", "-f", "tests/golden/article-b/objects.yaml", "-o", "wide"], 1),
    "lint-article-json": (["lint", "-f", "tests/golden/article-b/objects.yaml", "-o", "json"], 1),
}


def unmark(text):
    """The text without its marks, and the (line, column) of each."""
    places, out = [], []
    for number, line in enumerate(text.split("\n"), 1):
        while MARK in line:
            places.append((number, line.index(MARK) + 1))
            line = line.replace(MARK, "", 1)
        out.append(line)
    return "\n".join(out), sorted(places)


class Runner:
    def __init__(self, build, update):
        self.program = os.path.join(os.path.abspath(build), "ripstop")
        self.update = update
        self.passed = self.failed = self.skipped = 0
        self.tmp = tempfile.TemporaryDirectory(prefix="rs-lint-")
        self.schemas = Schemas(os.path.join(ROOT, "docs", "schema")) if Schemas else None
        self.n_answers, self.faults = 0, []

    def check(self, name, holds, detail=""):
        if holds:
            self.passed += 1
        else:
            self.failed += 1
            print(f"FAIL {name}: {detail[:1500]}", flush=True)

    def call(self, argv, text=None, timeout=60):
        env = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "TERM": "xterm"}
        env.update({k: v for k, v in os.environ.items() if k.endswith("SAN_OPTIONS")})
        stdin = {"input": text.encode() if isinstance(text, str) else text} if text is not None else {"stdin": subprocess.DEVNULL}
        p = subprocess.run([self.program] + argv, capture_output=True, env=env, timeout=timeout, cwd=ROOT, check=False, **stdin)
        return p.returncode, p.stdout.decode("utf-8", "replace"), p.stderr.decode("utf-8", "replace")

    def lint(self, text, *flags):
        """Findings of a text as (rule, severity, (line, column)), and the whole answer."""
        code, out, err = self.call(["lint", "-f", "-", "-o", "json", *flags], text)
        if code > 1:
            return code, [], {"error": err}
        answer = self.take(out)
        return code, [(i["rule"], i["severity"], (i["line"], i["column"])) for i in answer["items"]], answer

    def take(self, out):
        """Every answer must obey docs/schema/lint-result.json."""
        answer = json.loads(out)
        self.n_answers += 1
        if self.schemas:
            self.faults += self.schemas.errors("lint-result.json", answer)
        return answer

    # ---- the parts

    def schema(self):
        if not self.schemas:
            print("skipped schema: tests/support/jsonschema_lite.py is not there")
            self.skipped += 1
            return
        self.check(f"schema: {self.n_answers} answers obey it", self.n_answers > 300 and not self.faults, str(self.faults[:5]))
        self.check("schema: a foreign field does not", self.schemas.errors("lint-result.json", {"kind": "LintResult", "x": 1}))

    def rules(self):
        for rule, (severity, trips, clean) in CASES.items():
            for n, marked in enumerate(trips):
                self.trip(f"{rule} trips {n}", rule, severity, marked)
            for n, marked in enumerate(clean):
                text, _ = unmark(marked)
                code, found, answer = self.lint(text)
                # An error would silence the other rules.
                self.check(f"{rule} is silent {n}", code <= 1 and not [f for f in found if f[0] == rule or f[1] == "error"],
                           f"exit {code}\n{text}\n{json.dumps(answer, indent=1)}")
        for rule, texts in NOTES.items():
            for n, marked in enumerate(texts):
                self.trip(f"{rule} notes {n}", rule, "note", marked)

    def trip(self, name, rule, severity, marked):
        text, places = unmark(marked)
        code, found, answer = self.lint(text)
        got = [(s, p) for r, s, p in found if r == rule and s == severity]
        self.check(name, code <= 1 and got == [(severity, p) for p in places],
                   f"exit {code}, want {places}, got {got}\n{text}\n{json.dumps(answer, indent=1)}")
        if severity != "note":
            self.check(name + ": exit code", code == 1, f"exit {code}")

    def table_of_rules(self):
        """Each rule has cases, a section in docs/lint.md with its severity, and a stable place in the SARIF log."""
        _, out, _ = self.call(["lint", "-f", "-", "-o", "sarif"], np(ONLY))
        rules = {r["id"]: r["defaultConfiguration"]["level"] for r in json.loads(out)["runs"][0]["tool"]["driver"]["rules"]}
        with open(os.path.join(ROOT, "docs", "lint.md"), encoding="utf-8") as f:
            docs = dict(re.findall(r"^### `([a-z0-9-]+)` \((error|warning|note)\)$", f.read(), re.M))
        self.check("every rule has a case", set(rules) == set(CASES), str(set(rules) ^ set(CASES)))
        self.check("every rule is in docs/lint.md", rules == docs, str(set(rules.items()) ^ set(docs.items())))
        self.check("cases have the rules' severities", all(rules.get(r) == c[0] for r, c in CASES.items()))

    def examples(self):
        """What docs/lint.md says is wrong is told, and what it says is right is not."""
        with open(os.path.join(ROOT, "docs", "lint.md"), encoding="utf-8") as f:
            parts = re.split(r"^### `([a-z0-9-]+)`.*$", f.read(), flags=re.M)
        for rule, body in zip(parts[1::2], parts[2::2]):
            blocks = re.findall(r"```yaml\n(.*?)```", body, re.S)
            self.check(f"docs: {rule} has an example", len(blocks) == 2, f"{len(blocks)} blocks")
            for want, block in zip((True, False), blocks):
                if "kind:" not in block:  # a spec
                    block = HEADER + "".join("  " + line + "\n" for line in block.rstrip("\n").split("\n"))
                _, found, answer = self.lint(block)
                hits = [p[0] for r, _, p in found if r == rule]
                lines = [n for n, line in enumerate(block.split("\n"), 1) if "# <--" in line]
                self.check(f"docs: {rule} {'wrong' if want else 'right'}", hits == (lines if want else []) and bool(hits) == want,
                           f"{hits}, not {lines}\n{block}\n{json.dumps(answer, indent=1)}")

    def ignores(self):
        note = "# ripstop.dev/lint-ignore: dns-udp-only\n"
        udp = np(UDP).replace(MARK, "")
        other = np(UDP, name="q").replace(MARK, "")
        for name, text, left in [
                ("annotation", np(UDP, meta="  annotations: {ripstop.dev/lint-ignore: dns-udp-only}\n"), 0),
                ("annotation, several", np(UDP, meta="  annotations: {ripstop.dev/lint-ignore: 'no-dns , dns-udp-only'}\n"), 0),
                ("comment above", note + udp, 0),
                ("comment after ---", other + note + udp, 1),
                ("comment above ---", other.rstrip("-\n") + "\n" + note + "---\n" + udp, 1),
                ("comment inside", udp.replace("spec:\n", "spec:\n  " + note), 0),
                ("comment at the end of a line", udp.replace("spec:\n", "spec: " + note), 0),
                ("comment of another rule", note.replace("udp", "tcp") + udp, 1),
                ("comment of another policy", note + udp + other, 1),
                ("comment above another kind", note + ns("shop") + udp, 1),
                ("comment at the end", udp.rstrip("-\n") + "\n" + note, 0),
                ("comment after the last ---", udp + note, 1),
                ("comment at the end of the last line", udp.rstrip("-\n") + "  " + note + "---\n" + other, 1),
                ("a string is no comment", udp.replace("spec:\n", "  annotations: {a: 'x" + note.strip() + " ,'}\nspec:\n"), 1),
                ("list", "apiVersion: v1\nkind: List\nitems:\n" + note + "".join(
                    "- " + t.rstrip("-\n").replace("\n", "\n  ") + "\n" for t in (udp, other)), 1),
        ]:
            _, _, answer = self.lint(unmark(text)[0])
            names = [i["object"]["name"] for i in answer["items"] if i["rule"] == "dns-udp-only"]
            stays = "q" if "name: q\n" in text else "p"
            self.check(f"ignore: {name}", names == [stays] * left and answer["summary"]["suppressed"] == text.count("kind: NetworkPolicy") - left,
                       f"{names} left, not {left}\n{text}\n{json.dumps(answer, indent=1)}")
        code, out, _ = self.call(["lint", "-f", "-"], note + udp)
        self.check("ignored findings leave the exit code", code == 0 and "1 ignored" in out, f"{code} {out}")

    def flags(self):
        bad = np(UDP).replace(MARK, "") + np("podSelector: {}\npolicyTypes: [Igress]", name="q")
        for flags, want, code in [
                ([], {"dns-udp-only", "invalid-field"}, 1),
                (["--severity", "error"], {"invalid-field"}, 1),
                (["--disable", "invalid-field"], {"dns-udp-only"}, 1),
                (["--disable", "invalid-field,dns-udp-only"], set(), 0),
                (["--disable", "invalid-field", "--disable", "dns-udp-only"], set(), 0),
                (["--disable=invalid-field", "--severity=error"], set(), 0)]:
            got, found, _ = self.lint(bad, *flags)
            self.check(f"flags {flags}", got == code and {f[0] for f in found} == want, f"exit {got}: {found}")
        for argv, said in [(["lint"], "no -f"), (["lint", "-f", "x", "--disable", "no-dsn"], "did you mean no-dns?"),
                           (["lint", "-f", "x", "--severity", "fatal"], "is not note|warning|error"),
                           (["lint", "-f", "x", "-o", "dot"], "has no form -o dot"),
                           (["lint", "k8s"], "too many operands"), (["lint", "-f", "examples/three-tier", "--cluster-cidr", "x"], "CIDR")]:
            code, out, err = self.call(argv)
            self.check(f"usage {argv}", code == 2 and said in err and not out, f"exit {code} {out} {err}")
        plain = np(ONLY).replace("  namespace: shop\n", "")
        _, _, answer = self.lint(unmark(plain.replace(ONLY.split("\n", maxsplit=1)[0], "podSelector: {x: z}"))[0], "-n", "ops")
        self.check("-n", answer["items"][0]["object"]["namespace"] == "ops", str(answer))

    def broken(self):
        """What cannot be read is no finding: nothing on stdout, one line that says where."""
        for name, text, code, said in [
                ("bad YAML", "a: [1\nb: 2\n", 6, "stdin:"),
                ("template", np(ONLY, name="'{{ .Release.Name }}'"), 6, "stdin:5:9: NetworkPolicy: \"{{ .Release.Name }}\" is template text"),
                ("bare template", np(ONLY, name="{{ .Release.Name }}"), 6, "stdin:"),
                ("no object", "- 1\n", 6, "stdin:1:1"),
                ("kind in lower case", np(ONLY).replace("NetworkPolicy", "networkpolicy"), 6, "kind is written"),
                ("old version", np(ONLY).replace("networking.k8s.io/v1", "extensions/v1beta1"), 6, "is not the apiVersion"),
                ("invalid pod", pod("shop", "A_b", "app: x"), 6, "Pod"),
                ("a key twice", np(ONLY).replace("spec:\n", "spec:\n  podSelector: {}\n"), 6, "twice")]:
            got, out, err = self.call(["lint", "-f", "-"], text)
            self.check(f"unreadable: {name}", got == code and said in err and not out, f"exit {got} {out} {err}")
        for path, code in (("/nonexistent", 3), (self.tmp.name, 6)):
            got, out, err = self.call(["lint", "-f", path])
            self.check(f"unreadable: {path}", got == code and path in err and not out, f"exit {got} {out} {err}")
        code, out, err = self.call(["lint", "-f", "-"], ns("shop"))
        self.check("no policy at all", code == 0 and "no NetworkPolicy" in err and "0 policies" in out, f"{code} {out} {err}")

    def hostile(self):
        """Nothing of an object steers a terminal, in no form."""
        text = np(ONLY, meta='  "\\e[2J\\u202eevil": 1\n').replace("shop", '"a\\e[31m"')
        for form in ("table", "wide", "json", "yaml", "jsonl", "sarif", "csv", "md"):
            code, out, err = self.call(["lint", "-f", "-", "-o", form], text)
            self.check(f"hostile names: -o {form}", code == 1 and not re.search("[\x00-\x08\x0b-\x1f\x7f\u202e]", out.replace("\r\n", "\n") + err),
                       f"exit {code} {out!r} {err!r}")

    def screens(self):
        for name, (argv, want) in SCREENS.items():
            code, out, err = self.call(argv)
            text = (f"$ ripstop {' '.join(argv)}\n{out}" + "".join(f"2> {x}\n" for x in err.splitlines())).replace("\x1b", "<ESC>")
            path = os.path.join(HERE, "screens", name + ".txt")
            if self.update:
                with open(path, "w", encoding="utf-8") as f:
                    f.write(text)
            good = open(path, encoding="utf-8").read() if os.path.exists(path) else None
            self.check(f"screen {name}", text == good, f"differs:\n{text}")
            self.check(f"screen {name} exit code", code == want, f"{code}, not {want}: {err}")

    def sarif(self):
        """The constraints of the SARIF 2.1.0 schema on what we write, and those of code scanning on top of them."""
        text = unmark(np(UDP) + np(UDP, name="q", head="# ripstop.dev/lint-ignore: dns-udp-only\n"))[0]
        path = os.path.join(self.tmp.name, "a b:ü%.yaml")
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
        code, out, _ = self.call(["lint", "-f", path, "-o", "sarif"])
        log = json.loads(out)
        run = log["runs"][0]
        driver = run["tool"]["driver"]
        self.check("sarif: exit code", code == 1)
        self.check("sarif: log", set(log) == {"$schema", "version", "runs"} and log["version"] == "2.1.0" and len(log["runs"]) == 1)
        self.check("sarif: run", set(run) <= {"tool", "columnKind", "results"} and run["columnKind"] == "unicodeCodePoints")
        self.check("sarif: driver", driver["name"] and re.fullmatch(r"\d+\.\d+\.\d+.*", driver["semanticVersion"]))
        ids = [r["id"] for r in driver["rules"]]
        self.check("sarif: rule ids are unique", len(ids) == len(set(ids)))
        for r in driver["rules"]:
            self.check(f"sarif: rule {r['id']}",
                       r["defaultConfiguration"]["level"] in ("error", "warning", "note") and r["help"]["text"] and r["help"]["markdown"]
                       and r["shortDescription"]["text"] and r["fullDescription"]["text"].endswith("."), json.dumps(r))
        for r in run["results"]:
            place = r["locations"][0]["physicalLocation"]
            self.check("sarif: result", ids[r["ruleIndex"]] == r["ruleId"] and r["level"] in ("error", "warning", "note")
                       and r["message"]["text"] and place["region"]["startLine"] >= 1 and place["region"]["startColumn"] >= 1
                       and set(r) <= {"ruleId", "ruleIndex", "level", "message", "locations", "suppressions"}, json.dumps(r))
            uri = place["artifactLocation"]["uri"]
            self.check("sarif: uri", uri == "file://" + self.tmp.name + "/a%20b%3A%C3%BC%25.yaml", uri)
        found = [r for r in run["results"] if r["ruleId"] == "dns-udp-only"]
        self.check("sarif: suppressed", [r.get("suppressions") for r in found] == [None, [{"kind": "inSource"}]], json.dumps(found))

    def forms(self):
        text = unmark(np(UDP))[0]
        _, found, answer = self.lint(text)
        item = answer["items"][0]
        self.check("json: object", answer["apiVersion"] == "ripstop.dev/v1" and answer["kind"] == "LintResult"
                   and answer["metadata"] == {"source": "files", "files": 1}
                   and answer["summary"] == {"policies": 1, "errors": 0, "warnings": 1, "notes": 0, "suppressed": 0}, json.dumps(answer))
        self.check("json: item", set(item) == {"rule", "severity", "file", "line", "column", "object", "field", "message", "why", "fix"}
                   and item["object"] == {"kind": "NetworkPolicy", "namespace": "shop", "name": "p"}
                   and item["field"] == "spec.egress[0].ports[0]" and item["file"] == "stdin" and len(found) == 1, json.dumps(item))
        text, places = unmark(json.dumps({
            "apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": "p"},
            "spec": {"podSelector": {}, "policyTypes": ["Ingress"], "ingress": [{"from": []}]}}, indent=1).replace('"from', MARK + '"from'))
        _, found, _ = self.lint(text)
        self.check("JSON is read", found == [("empty-peer-list", "warning", places[0])], str(found))

    def files(self):
        """Several files are one world, found in order; a folder's folders only with -R."""
        for name, text in (("b.yaml", np(UDP, name="b")), ("a.yaml", np(UDP, name="a")), ("sub/c.yaml", np(UDP, name="c"))):
            path = os.path.join(self.tmp.name, "many", name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "w", encoding="utf-8") as f:
                f.write(unmark(text)[0])
        folder = os.path.join(self.tmp.name, "many")
        for flags, want in (([], ["a.yaml", "b.yaml"]), (["-R"], ["a.yaml", "b.yaml", "sub/c.yaml"])):
            _, out, _ = self.call(["lint", "-f", folder + "/", "-o", "json", *flags])
            got = [i["file"] for i in json.loads(out)["items"] if i["rule"] == "dns-udp-only"]
            self.check(f"files {flags}", got == [f"{folder}/{w}" for w in want], str(got))

    def corpus(self):
        """No manifest of the tree makes it fail; under a sanitizer build that is a search for memory faults."""
        for path in sorted(glob.glob(os.path.join(ROOT, "tests", "golden", "*", "objects.*"))
                           + glob.glob(os.path.join(ROOT, "tests", "fuzz", "corpus", "*", "*"))
                           + glob.glob(os.path.join(ROOT, "tests", "replay", "*", "*.yaml"))):
            code, out, err = self.call(["lint", "-f", path, "-o", "json"])
            if out:
                self.take(out)
            self.check(f"corpus {os.path.relpath(path, ROOT)}", code in (0, 1, 6) and "Sanitizer" not in err
                       and "runtime error" not in err and (code == 6) == (not out), f"exit {code} {err}")

    def large(self):
        """Lists of a size that nobody writes by hand."""
        peers = "".join(f"  - podSelector: {{matchLabels: {{app: a{i}}}}}\n" for i in range(3000))
        many = "".join(np(f"podSelector: {{matchLabels: {{app: a{i}}}}}\npolicyTypes: [Ingress]\ningress: [{{ports: [{{port: 80}}]}}]",
                          name=f"p{i}") for i in range(1500))
        for name, text in (("peers", np(ONLY + "ingress:\n- from:\n" + peers)), ("policies", many)):
            code, found, _ = self.lint(text)
            self.check(f"large: {name}", code == 0 and not found, f"exit {code}: {found[:3]}")


def main():
    ap = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    ap.add_argument("--build", default=os.path.join(ROOT, "build", "rel"))
    ap.add_argument("--update", action="store_true")
    a = ap.parse_args()
    r = Runner(a.build, a.update)
    for part in (r.rules, r.table_of_rules, r.examples, r.ignores, r.flags, r.broken, r.hostile, r.screens, r.sarif, r.forms,
                 r.files, r.corpus, r.large, r.schema):
        part()
    print(f"{r.passed} passed, {r.failed} failed, {r.skipped} skipped")
    return 1 if r.failed else 0


if __name__ == "__main__":
    sys.exit(main())
