#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every JSON object that goes out obeys the schema of its kind in docs/schema/: golden screens, answers of the stand-in agent,
what the command line makes of files, what a real agent answers (root).

    tests/cli/run_schema.py [--build DIR]

The last line is the count.
"""
import argparse
import copy
import glob
import itertools
import json
import os
import re
import subprocess
import sys
import tarfile
import tempfile

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.abspath(os.path.join(HERE, "..", ".."))
FOLDER = os.path.join(ROOT, "docs", "schema")
sys.path.insert(0, os.path.join(HERE, "..", "support"))
from jsonschema_lite import SchemaError, Schemas  # noqa: E402
from real_agent import RealAgent, possible  # noqa: E402

NOT_KINDS = {"common.json"}


def objects(text):
    """The JSON objects of a text, one after another, whatever stands between and behind them."""
    decoder, at = json.JSONDecoder(), 0
    while True:
        at = text.find("{", at)
        if at < 0 or (at and text[at - 1] != "\n"):
            return
        value, at = decoder.raw_decode(text, at)
        yield value


class Check:
    def __init__(self, build):
        self.build = os.path.abspath(build)
        self.ripstop = os.path.join(self.build, "ripstop")
        self.passed = self.failed = self.skipped = 0
        self.schemas = Schemas(FOLDER)
        self.kinds = {}
        for name in sorted(os.listdir(FOLDER)):
            if name.endswith(".json"):
                kind = self.schemas.file(name).get("properties", {}).get("kind", {}).get("const")
                if kind:
                    self.kinds[kind] = name

    def check(self, name, holds, detail=""):
        if holds:
            self.passed += 1
        else:
            self.failed += 1
            print(f"FAIL {name}: {detail[:1500]}", flush=True)

    def faults(self, o):
        """Of an object of any kind; a List's items are objects too."""
        kind = o.get("kind")
        if not isinstance(kind, str) or kind not in self.kinds:
            return [f"kind {kind} has no schema in docs/schema"]
        try:
            faults = self.schemas.errors(self.kinds[kind], o)
        except SchemaError as e:
            return [f"the schema itself: {e}"]
        for item in o.get("items", []) if kind == "List" else []:
            faults += self.faults(item)
        return faults

    def obeys(self, name, o):
        faults = self.faults(o)
        self.check(name, not faults, "\n".join(faults[:5]))

    # ---- the parts

    def walk(self, name, node, at=""):
        """Every keyword is known, every $ref leads somewhere, every object is closed."""
        if isinstance(node, dict):
            if "$ref" in node:
                self.schemas._target(node["$ref"], name)
            if node.get("type") == "object" and "properties" in node and "additionalProperties" not in node:
                raise SchemaError(f"{at}: not closed")
            missing = set(node.get("required", [])) - set(node.get("properties", {})) if "properties" in node else set()
            if missing and isinstance(node.get("required"), list):
                raise SchemaError(f"{at}: required, but no property: {missing}")
            for key, value in node.items():
                self.walk(name, value, f"{at}/{key}")
        elif isinstance(node, list):
            for i, value in enumerate(node):
                self.walk(name, value, f"{at}/{i}")

    def themselves(self):
        for name in sorted(n for n in os.listdir(FOLDER) if n.endswith(".json")):
            try:
                s = self.schemas.file(name)
                self.walk(name, s)
                fault = "" if s["$schema"].endswith("/2020-12/schema") and s["$id"].endswith("/v1/" + name) and s["title"] else "head"
            except (SchemaError, KeyError, ValueError) as e:
                fault = repr(e)
            self.check(f"schema {name}", not fault, fault)
        with open(os.path.join(ROOT, "docs", "json.md"), encoding="utf-8") as f:
            told = set(re.findall(r"^## ([A-Z]\w+)", f.read(), re.M))
        self.check("docs/json.md and docs/schema tell of the same kinds", told == set(self.kinds), f"{told ^ set(self.kinds)}")

    def screens(self):
        """The golden screens whose command says -o json or -o jsonl."""
        n = 0
        for path in sorted(glob.glob(os.path.join(HERE, "screens", "*.txt"))):
            with open(path, encoding="utf-8") as f:
                command, _, text = f.read().partition("\n")
            if not re.search(r"(-o |--output[= ])json( |$)", command):
                continue
            text = "".join(x + "\n" for x in text.split("\n") if not x.startswith(("2> ", "kubectl ", "$ ")))
            found = list(objects("\n" + text))
            n += len(found)
            self.check(f"screen {os.path.basename(path)} holds an object", found or not text.strip(), text)
            for o in found:
                self.obeys(f"screen {os.path.basename(path)}", o)
        self.check("there are screens of JSON", n >= 3, str(n))

    def answers(self):
        with open(os.path.join(HERE, "answers.json"), encoding="utf-8") as f:
            table = json.load(f)
        for op, answer in table.items():
            for one in answer if isinstance(answer, list) else [answer]:
                o = one.get("result")
                if o and o.get("verdict") != "maybe":  # the one that the command line refuses
                    self.obeys(f"answers.json {op}", o)

    def strict(self):
        """A schema that lets anything through would make all of this green."""
        with open(os.path.join(HERE, "answers.json"), encoding="utf-8") as f:
            table = json.load(f)
        for op, answer in table.items():
            o = (answer[0] if isinstance(answer, list) else answer)["result"]
            for path, member in list(self.members(o)):
                for what, change in (("unknown member", {"zork": 1}), ("wrong type", None)):
                    broken = copy.deepcopy(o)
                    at = broken
                    for key in path[:-1]:
                        at = at[key]
                    if change is None:
                        at[path[-1]] = [[]] if not isinstance(member, list) else {"a": 1}
                    elif isinstance(member, dict) and path[-1] not in ("labels",):
                        at[path[-1]] = dict(member, **change)
                    else:
                        continue
                    self.check(f"{op} {path}: {what} is noticed", self.faults(broken))

    def members(self, o, path=()):
        for key, value in o.items() if isinstance(o, dict) else enumerate(o):
            yield path + (key,), value
            if isinstance(value, (dict, list)):
                yield from self.members(value, path + (key,))

    def call(self, argv, *more, before=()):
        p = subprocess.run([*before, self.ripstop, *argv, *more, "-o", "json"], capture_output=True, timeout=60, check=False, cwd=ROOT)
        return json.loads(p.stdout) if p.stdout else None

    def ask_all(self, name, *more, ports=("5432", "udp/53", "icmp")):
        """Every verb about a world, and explain about every pair of its pods."""
        pods = self.call(["pods"], *more)
        if not pods:
            self.check(f"{name}: pods", False)
            return
        self.obeys(f"{name}: pods", pods)
        self.obeys(f"{name}: policies", self.call(["policies"], *more))
        names = [f"{p['namespace']}/{p['name']}" for p in pods["items"]][:6]
        for pod in names:
            self.obeys(f"{name}: rules {pod}", self.call(["rules", pod], *more))
        ends = names + ["world", "node", "10.9.9.9"]
        for src, dst in itertools.product(ends, names[:4] + ["world"]):
            if src != dst:
                for port in ports:
                    o = self.call(["explain", src, dst, port], *more)
                    if o:
                        self.obeys(f"{name}: explain {src} {dst} {port}", o)

    def matrices(self, name, *more):
        for by in ("workload", "pod", "ns"):
            for port in ([], ["--port", "tcp/80"]):
                o = self.call(["matrix", "--by", by, *port], *more)
                self.check(f"{name}: matrix by {by} {port} has rows", o and o["items"], str(o))
                self.obeys(f"{name}: matrix by {by} {port}", o or {})

    def files(self):
        self.ask_all("three-tier", "-f", "examples/three-tier")
        self.matrices("three-tier", "-f", "examples/three-tier")
        offline = os.path.join("tests", "cli", "offline")
        for world in sorted(os.listdir(os.path.join(ROOT, offline))):
            self.ask_all(f"offline/{world}", "-R", "-f", os.path.join(offline, world), ports=("80", "tcp/1-65535"))
        o = self.call(["explain", "-f", f"{offline}/cluster.json", "-n", "shop", "api-7-ccccc", "svc/web", "80"])
        self.check("a Service is explained", o and o.get("backends"), str(o))
        self.obeys("explain svc/web", o or {})

    def agent(self):
        why = possible()
        if why:
            print(f"skipped: a real agent's answers: {why}")
            self.skipped += 1
            return
        with RealAgent(self.build, os.path.join(ROOT, "examples", "three-tier")) as agent:
            agent.attach("production", "api", "app:api")
            agent.attach("production", "stray", "app:stray")
            for verb in ("status", "version"):
                self.obeys(f"real agent: {verb}", self.call([verb], "--socket", agent.socket))
            for argv in (["ipam"], ["ipam", "--check"], ["verify"], ["wait", "pod/production/api"]):
                o = self.call(argv, "--socket", agent.socket)
                if o:  # a privilege may be missing
                    self.obeys(f"real agent: {' '.join(argv)}", o)
            self.ask_all("real agent", "--socket", agent.socket)
            self.matrices("real agent", "--socket", agent.socket)
            self.obeys("real agent: top", self.call(["top", "--interval", "100ms"], "--socket", agent.socket) or {})
            self.obeys("doctor", self.call(["doctor"], "--socket", agent.socket) or {})
            for kind in ("Namespace", "Pod", "NetworkPolicy", "Node"):
                for more in ({}, {"max": 1}):
                    o = agent.ask({"op": "objects", "of": kind, **more}).get("result") or {}
                    self.obeys(f"real agent: objects of {kind} {more}", o)
                    self.check(f"real agent: objects of {kind} {more} are that", all(x["kind"] == kind for x in o.get("items", [])), str(o))
            self.bundle(agent.socket)

    def kernel(self):
        """What only an agent with rules in the kernel says: explain --kernel, judgements, drop records."""
        why = possible()
        agent = None
        try:
            agent = None if why else RealAgent(self.build, os.path.join(ROOT, "examples", "three-tier"), dataplane="nft")
        except RuntimeError as e:
            why = str(e)[-200:]
        if not agent:
            print(f"skipped: an agent with nft: {why}")
            self.skipped += 1
            return
        with agent:
            before = agent.enter(agent.node)
            for name in ("api", "database"):
                agent.attach("production", name, f"app:{name}")
            more = ("--socket", agent.socket)
            for src, dst, port in (("production/api", "production/database", "5432"), ("production/database", "production/api", "80"),
                                   ("node", "production/api", "udp/53"), ("production/api", "10.9.9.9", "icmp"), ("10.9.9.9", "10.9.9.8", "80")):
                o = self.call(["explain", src, dst, port, "--kernel"], *more, before=before)
                self.check(f"nft: explain {src} {dst} {port} asked the kernel", o and o.get("kernels"), str(o))
                self.obeys(f"nft: explain {src} {dst} {port}", o or {})
            for argv in (["status"], ["pods"], ["rules", "production/database"], ["monitor"], ["verify"], ["top", "--by", "pod"], ["top", "--by", "policy"]):
                o = self.call(argv, *more, before=before)
                if argv[0] in ("monitor", "top") and not o:
                    continue  # NFLOG is taken by somebody else
                self.obeys(f"nft: {' '.join(argv)}", o or {})

    def bundle(self, socket):
        """The manifest of an archive."""
        with tempfile.TemporaryDirectory(prefix="rs-schema-") as folder:
            path = os.path.join(folder, "b.tar.gz")
            p = subprocess.run([self.ripstop, "bundle", "-O", path, "--socket", socket], capture_output=True, timeout=60, check=False)
            if not os.path.exists(path):
                self.check("a bundle is made", False, str(p))
                return
            with tarfile.open(path) as t:
                found = [json.load(t.extractfile(m)) for m in t if os.path.basename(m.name) == "MANIFEST.json"]
            self.check("a bundle has a manifest", len(found) == 1, str(found))
            for o in found:
                self.obeys("MANIFEST.json", o)

    def forms_of_tops(self):
        """What a node without traffic does not show, and what must not go through."""
        head = {"apiVersion": "ripstop.dev/v1", "kind": "Top", "metadata": {"source": "agent", "node": "n1"}}
        reason = {"reason": "spoofed", "packets": 3, "perSecond": 0.5}
        pod = {"namespace": "shop", "name": "db-0", "ingress": 2, "egress": 1, "records": 3, "lastDrop": "2026-11-22T00:31:07.412345Z"}
        policy = {"namespace": "shop", "name": "deny", "direction": "egress", "records": 3, "perSecond": 1.0}
        for by, item in (("reason", reason), ("pod", pod), ("policy", policy)):
            self.obeys(f"top by {by}", {**head, "by": by, "items": [item]})
            for key in set(item) - {"perSecond", "lastDrop"}:
                less = {k: v for k, v in item.items() if k != key}
                self.check(f"top by {by} without {key} is noticed", self.faults({**head, "by": by, "items": [less]}))


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--build", default="build/rel")
    args = ap.parse_args()
    r = Check(args.build)
    for part in (r.themselves, r.screens, r.answers, r.strict, r.forms_of_tops, r.files, r.agent, r.kernel):
        part()
    print(f"{r.passed} passed, {r.failed} failed, {r.skipped} skipped")
    return 1 if r.failed else 0


if __name__ == "__main__":
    sys.exit(main())
