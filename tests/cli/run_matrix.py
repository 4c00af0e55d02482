#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""`ripstop matrix -f`: screens, forms, wrong input, and its cells against an independent reading of the API.

    tests/cli/run_matrix.py [--build DIR] [--update]

Screens lie in tests/cli/screens/matrix-*.txt; --update writes them anew. The random worlds come from the generator of
`make prove`; every pair of their pods, and the world outside, is judged by oracle2.py at each port where an answer may
change. The last line is the count.
"""
import argparse
import itertools
import json
import os
import re
import subprocess
import sys
import tempfile
import xml.dom.minidom

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.join(HERE, "..", "..")
sys.path.insert(0, os.path.join(HERE, "..", "prove"))
from oracle2_judge import World, judge  # noqa: E402
import gen_world  # noqa: E402

EXAMPLE = "-f examples/three-tier"
SCREENS = {  # name: (arguments, exit code)
    "matrix": (EXAMPLE, 0),
    "matrix-wide": (f"{EXAMPLE} -o wide", 0),
    "matrix-port": (f"{EXAMPLE} --port tcp/8080", 0),
    "matrix-range": (f"{EXAMPLE} --port 8080-9000", 0),
    "matrix-ns": (f"{EXAMPLE} --by ns -o wide", 0),
    "matrix-n": (f"{EXAMPLE} -n production", 0),
    "matrix-color": (f"{EXAMPLE} --color always --port icmp", 0),
    "matrix-json": (f"{EXAMPLE} -o json", 0),
    "matrix-ns-json": (f"{EXAMPLE} -o json --by ns", 0),
    "matrix-dot": (f"{EXAMPLE} -o dot", 0),
    "matrix-kinds": ("-f tests/cli/worlds/kinds.yaml", 0),
    "matrix-alike": ("-f tests/cli/worlds/alike.yaml --by pod -o json", 0),
    "matrix-named": ("-f tests/cli/worlds/kinds.yaml --port http", 0),
}
WRONG = [  # arguments, exit code, words of the error
    ("-f /nonexistent", None, "/nonexistent"),
    (f"{EXAMPLE} --by team", 2, "workload|ns"),
    (f"{EXAMPLE} --port x/1", 2, "--port"),
    (f"{EXAMPLE} --port 70000", 2, "--port"),
    (f"{EXAMPLE} -o junit", 2, "junit"),
    (f"{EXAMPLE} -n nowhere", 3, "nowhere"),
    (f"{EXAMPLE} extra", 2, "operands"),
]
HOSTILE = ("\x1b[2J\u202e<", "script ><img src=x onerror=alert(1)>&\"'")  # a folder in a folder: "</script>"
STEERING = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]")
PROTOS = {"tcp": 6, "udp": 17, "sctp": 132}


def opens(text, proto, port):
    """Whether "tcp/80,90-99 udp" holds a port."""
    if text == "any":
        return True
    for word in text.split() if text else ():
        name, _, ports = word.partition("/")
        if PROTOS.get(name) != proto:
            continue
        for r in ports.split(",") if ports else ["0-65535"]:
            lo, _, hi = r.partition("-")
            if int(lo) <= port <= int(hi or lo):
                return True
    return False


class Cells:
    """The object of kind Matrix, by the texts of two ends."""

    def __init__(self, o):
        self.row = {e["text"]: item["row"] for item in o["items"] for e in item["endpoints"]}
        self.ends = {e["text"]: e for item in o["items"] for e in item["endpoints"]}
        self.cells = {(item["row"], row): to for item in o["items"] for to in item["to"] for row in to["rows"]}

    def get(self, a, b):
        return self.cells.get((self.row[a], self.row[b]), {"reach": "none", "ports": ""})


class Runner:
    def __init__(self, build, update):
        self.build, self.update = build, update
        self.program = os.path.join(build, "ripstop")
        self.passed = self.failed = self.skipped = 0
        self.dir = tempfile.mkdtemp(prefix="ripstop-matrix-")

    def check(self, name, ok, why=""):
        self.passed += bool(ok)
        self.failed += not ok
        print(f"{'passed' if ok else 'FAILED'}: {name}" + ("" if ok else f": {why}"))

    def call(self, argv):
        env = {k: v for k, v in os.environ.items() if k.endswith("SAN_OPTIONS")}
        p = subprocess.run([self.program, "matrix", *argv], stdin=subprocess.DEVNULL, capture_output=True, cwd=ROOT,
                           env=dict(env, LC_ALL="C.UTF-8", TERM="dumb"), timeout=120, check=False)
        return p.returncode, p.stdout.decode(), p.stderr.decode(errors="replace")

    def json(self, *argv):
        code, out, err = self.call([*argv, "-o", "json"])
        if code:
            raise RuntimeError(f"matrix {argv}: exit {code}: {err}")
        return json.loads(out)

    def screens(self):
        for name, (line, want) in SCREENS.items():
            code, out, err = self.call(line.split())
            text = f"$ ripstop matrix {line}\n{out}" + "".join(f"2> {x}\n" for x in err.splitlines())
            text = text.replace("\x1b", "<ESC>")
            path = os.path.join(HERE, "screens", name + ".txt")
            if self.update:
                with open(path, "w", encoding="utf-8") as f:
                    f.write(text)
            good = open(path, encoding="utf-8").read() if os.path.exists(path) else None
            self.check(f"screen {name}", text == good and code == want, f"exit {code}, differs:\n{text}")

    def wrong(self):
        for line, want, said in WRONG:
            code, out, err = self.call(line.split())
            self.check(f"wrong {line!r}", (code == want if want else code >= 2) and not out and said in err
                       and err.startswith("ripstop: "), f"exit {code}, {out!r}, {err!r}")
        path = self.write("empty.yaml", "# nothing\n")
        code, out, err = self.call(["-f", path])
        self.check("no pod at all", code == 3 and not out and "no pod" in err, f"exit {code}, {out!r}, {err!r}")
        path = self.write("bad.yaml", "kind: [\n")
        code, out, err = self.call(["-f", path])
        self.check("bad YAML", code == 6 and not out and "bad.yaml:" in err, f"exit {code}, {out!r}, {err!r}")

    def write(self, name, text):
        path = os.path.join(self.dir, name)
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
        return path

    # ---- against the plain reading ----------------------------------------------------------------

    def worlds(self):
        prove = os.path.join("build/rel", "tests/prove/prove")
        cases = os.path.join(self.dir, "cases.jsonl")
        if not os.access(os.path.join(ROOT, prove), os.X_OK):
            self.check("random worlds", False, f"{prove} is not there: make tests-build")
            return
        subprocess.run([prove, "--export-packets", cases, "--packets", "2000", "--seed", "11"], cwd=ROOT, check=True,
                       stdout=subprocess.DEVNULL)
        flows = worlds = 0
        bad = []
        with open(cases, encoding="utf-8") as f:
            for n, line in enumerate(f):
                count, wrong = self.one_world(n, json.loads(line))
                flows, worlds, bad = flows + count, worlds + 1, bad + wrong
        self.check(f"cells of {worlds} random worlds are what oracle2 says", worlds >= 20 and flows > 10000 and not bad,
                   f"{flows} flows, {len(bad)} differ: {bad[:3]}")
        print(f"  {flows} flows")

    def one_world(self, n, case):
        path = self.write(f"case{n}.json", json.dumps({"apiVersion": "v1", "kind": "List", "items": case["objects"]}))
        args = ["-f", path, "--by", "pod", "--cluster-cidr", ",".join(case["world"]["podRanges"])]
        count, bad = 0, []
        for family in (4, 6):
            if not any((":" in r) == (family == 6) for r in case["world"]["podRanges"]):
                continue
            cells = Cells(self.json(*args, "--family", str(family)))
            case["world"]["hosts"] = [{"name": "world", "addresses": [cells.ends["world"]["ip"]]}]
            world = World(case)
            ends = [a for a in cells.row if a == "world" or self.has(case, a, family)]
            for a, b in itertools.permutations(ends, 2):
                got = cells.get(a, b)
                for proto, port in self.probes(case, family):
                    flow = {"src": end(a), "dst": end(b), "proto": proto, "port": port, "family": family}
                    count += 1
                    if judge(world, flow)[0] != opens(got.get("ports"), proto, port):
                        bad.append((n, family, a, b, proto, port, got))
        return count, bad

    @staticmethod
    def has(case, text, family):
        """Whether the pod has an address of its own; where it has none, matrix gives it one."""
        return any((":" in ip["ip"]) == (family == 6) for o in case["objects"] for ip in
                   (o.get("status") or {}).get("podIPs") or () if o["kind"] == "Pod" and
                   f"{o['metadata']['namespace']}/{o['metadata']['name']}" == text)

    @staticmethod
    def probes(case, family):
        ports = set()
        for o in case["objects"]:
            for c in (o.get("spec") or {}).get("containers") or () if o["kind"] == "Pod" else ():
                ports |= {p["containerPort"] for p in c.get("ports") or ()}
            for rules in ("ingress", "egress"):
                for r in (o.get("spec") or {}).get(rules) or () if o["kind"] == "NetworkPolicy" else ():
                    for p in r.get("ports") or ():
                        ports |= {x for x in (p.get("port"), p.get("endPort")) if isinstance(x, int)}
        near = {p + d for p in ports for d in (-1, 0, 1) if 1 <= p + d <= 65535}
        return [(1 if family == 4 else 58, 0)] + [(proto, p) for p in sorted(near) for proto in PROTOS.values()]

    # ---- the model ---------------------------------------------------------------------------------

    def counts(self):
        """Cells of --by ns and of --by workload are what those of --by pod add up to."""
        path = os.path.join(self.dir, "world.yaml")
        gen_world.write(30, 120, path)
        pods, names = Cells(self.json("-f", path, "--by", "pod")), Cells(self.json("-f", path, "--by", "ns"))
        sums = {}
        for a, b in itertools.product(pods.row, repeat=2):
            if a == b:
                continue
            key = tuple(x if x == "world" else x.split("/")[0] for x in (a, b))
            sums.setdefault(key, {"all": 0, "some": 0, "none": 0})[pods.get(a, b)["reach"]] += 1
        bad = [(k, v, names.get(*k)) for k, v in sums.items() if names.get(*k).get("pairs", {"all": 0, "some": 0}) !=
               (v if v["all"] + v["some"] else {"all": 0, "some": 0})]
        self.check("--by ns counts the pairs of --by pod", len(sums) == 15 and not bad, f"{len(sums)} cells, {bad[:3]}")
        asked = Cells(self.json("-f", path, "--by", "pod", "--port", "tcp/8081"))
        bad = [(a, b) for a, b in itertools.permutations(pods.row, 2)
               if (asked.get(a, b)["reach"] == "all") != opens(pods.get(a, b)["ports"], 6, 8081)]
        self.check("--port answers what the ports of --by pod say", not bad, f"{bad[:3]}")
        rows = {}
        for a in pods.row:
            rows.setdefault(pods.row[a], []).append(a)
        folded = [v for v in rows.values() if len(v) > 1]
        alike = all(pods.get(x, z) == pods.get(v[0], z) and pods.get(z, x) == pods.get(z, v[0])
                    for v in folded for x in v for z in pods.row)
        kinds = {tuple(sorted((z, json.dumps(pods.get(v[0], z)["reach"]), json.dumps(pods.get(z, v[0])["reach"]),
                               pods.get(v[0], z).get("ports"), pods.get(z, v[0]).get("ports")) for z in pods.row))
                 for v in rows.values()}
        self.check("rows of equal reach are one", folded and alike and len(kinds) == len(rows),
                   f"{len(folded)} folded, {len(kinds)} kinds of {len(rows)} rows")

    def forms(self):
        path = os.path.join(self.dir, "world.yaml")
        for size in ([], ["--by", "pod"], ["--by", "ns", "--port", "tcp/8081"]):
            code, out, _ = self.call(["-f", path, "-o", "svg", *size])
            doc = xml.dom.minidom.parseString(out)
            self.check(f"svg {size} is XML", code == 0 and doc.documentElement.tagName == "svg")
            code, out, _ = self.call(["-f", path, "-o", "html", *size])
            page = re.search(r'<script type="application/json" id="data">\n(.*?)\n</script>', out, re.S)
            self.check(f"html {size} has its data", code == 0 and page and json.loads(page.group(1))["version"] == 1)
        code, out, _ = self.call(["-f", path, "-o", "dot"])
        self.check("dot", code == 0 and out.startswith("digraph") and out.count("{") == out.count("}"))

    def hostile(self):
        folder = os.path.join(self.dir, *HOSTILE)
        os.makedirs(folder)
        for name in sorted(os.listdir(os.path.join(ROOT, "examples/three-tier"))):
            if name.endswith(".yaml"):
                with open(os.path.join(ROOT, "examples/three-tier", name), encoding="utf-8") as f:
                    text = f.read()
                with open(os.path.join(folder, name), "w", encoding="utf-8") as f:
                    f.write(text)
        for form in ("table", "wide", "json", "dot", "svg", "html"):
            code, out, err = self.call(["-f", folder, "-o", form])
            text = out.replace("\n", "").replace("\t", "")
            self.check(f"hostile path, {form}", code == 0 and not STEERING.search(text + err.replace("\n", "")), repr(out[:400]))
            if form in ("svg", "html"):
                self.check(f"hostile path, {form}: no element of its own", "<img" not in out and out.count("</script") ==
                           (0 if form == "svg" else 2), repr(out[:400]))


def end(text):
    return {"host": "world"} if text == "world" else {"pod": text}


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--build", default="build/rel")
    ap.add_argument("--update", action="store_true")
    args = ap.parse_args()
    r = Runner(os.path.abspath(args.build), args.update)
    if not os.access(r.program, os.X_OK):
        print(f"{r.program} is not there: make it first\n0 passed, 1 failed, 0 skipped")
        return 1
    try:
        for part in (r.screens, r.wrong, r.worlds, r.counts, r.forms, r.hostile):
            part()
    finally:
        subprocess.run(["rm", "-rf", r.dir], check=False)
    print(f"{r.passed} passed, {r.failed} failed, {r.skipped} skipped")
    return 1 if r.failed else 0


if __name__ == "__main__":
    sys.exit(main())
