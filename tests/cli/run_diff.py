#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The real `ripstop diff`, `simulate` and `test` over folders of manifests: screens, exact answers against a plain
reading of the policies in Python and against `ripstop explain`, wrong inputs, JUnit XML, hostile names.

    tests/cli/run_diff.py [--build DIR] [--update] [--only PART,...]

Screens lie in tests/cli/screens/whatif-NAME.txt: the command, then what it prints. --update writes them anew; look at
the difference before you keep it. The last line is the count.
"""
import argparse
import csv
import io
import ipaddress
import json
import os
import random
import re
import subprocess
import sys
import tempfile
import xml.etree.ElementTree

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "support"))
from fake_kubectl import FakeKubectl  # noqa: E402

DATA = os.path.join(HERE, "whatif")
STEERING = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]")

SCREENS = {  # name: (arguments, exit code)
    "diff": ("diff -f new --against old", 1),
    "diff-wide": ("diff -f new --against old -o wide", 1),
    "diff-traffic": ("diff -f new --against old --traffic flows.jsonl", 1),
    "diff-ns": ("diff -f new --against old --by ns", 1),
    "diff-of-namespace": ("diff -f new --against old -n ops", 1),
    "diff-color": ("diff -f new --against old --color always", 1),
    "diff-json": ("diff -f new --against old --traffic flows.jsonl -o json", 1),
    "diff-csv": ("diff -f new --against old -o csv", 1),
    "diff-md": ("diff -f new --against old -o md --traffic flows.jsonl", 1),
    "diff-same": ("diff -f old --against old", 0),
    "diff-more": ("diff -f closed --against old", 1),
    "diff-moved": ("diff -f moved --against old", 1),
    "simulate": ("simulate -f new", 0),
    "simulate-json": ("simulate -f new -o json", 0),
    "simulate-csv": ("simulate -f old -o csv", 0),
    "simulate-traffic": ("simulate -f new --traffic flows.jsonl", 1),
    "simulate-traffic-json": ("simulate -f old --traffic flows.jsonl -o json", 1),
    "simulate-traffic-jsonl": ("simulate -f old --traffic flows.jsonl -o jsonl", 1),
    "test": ("test -f tests.yaml", 1),
    "test-wide": ("test -f tests.yaml -o wide", 1),
    "test-json": ("test -f tests.yaml -o json", 1),
    "test-junit": ("test -f tests.yaml -o junit", 1),
    "test-pass": ("test -f pass.yaml -f new", 0),
}

TEST = "apiVersion: ripstop.dev/v1\nkind: NetworkPolicyTest\n"
ONE = TEST + "tests: [{from: shop/api, to: shop/db, port: 5432, expect: allow}]\n"

WRONG = [  # name, files, arguments, exit code, what stderr says
    ("diff without files", {}, "diff", 2, "-f FILE"),
    ("diff against nothing", {"a/x.yaml": "kind: Secret\napiVersion: v1\n"}, "diff -f a --against nowhere", 3, "nowhere"),
    ("diff of nothing", {}, "diff -f nowhere --against live", 4, "agent"),
    ("diff against live, no agent", {"a/x.yaml": ""}, "diff -f a --socket none.sock", 4, "none.sock"),
    ("diff of bad YAML", {"a/x.yaml": "a: [", "b/x.yaml": ""}, "diff -f a --against b", 6, "a/x.yaml:"),
    ("diff against bad YAML", {"a/x.yaml": "", "b/x.yaml": "kind: Pod\n  x: y: z\n"}, "diff -f a --against b", 6,
     "b/x.yaml:2:"),
    ("diff of a template", {"a/x.yaml": "kind: {{ .Values.kind }}\n", "b/x.yaml": ""}, "diff -f a --against b", 6,
     "a/x.yaml:1"),
    ("diff of no namespace", {"a/x.yaml": "", "b/x.yaml": ""}, "diff -f a --against b -n shop", 3, "no namespace shop"),
    ("no such --by", {}, "diff -f a --against b --by cluster", 2, "pod|workload|ns"),
    ("no such form", {}, "diff -f a --against b -o dot", 2, "no form"),
    ("--against means nothing to simulate", {}, "simulate -f a --against b", 2, "means nothing"),
    ("no traffic", {"a/x.yaml": ""}, "diff -f a --against a --traffic none.jsonl", 3, "none.jsonl"),
    ("traffic that is none", {"a/x.yaml": "", "t": '{"l4":{}}\n\nnonsense\n'}, "diff -f a --against a --traffic t", 6,
     "t:3"),
    ("traffic that is a list", {"a/x.yaml": "", "t": "[]\n"}, "simulate -f a --traffic t", 6, "t:1"),
    ("traffic with a long line", {"a/x.yaml": "", "t": "x" * 300000}, "simulate -f a --traffic t", 6, "longer than"),
    ("traffic deep", {"a/x.yaml": "", "t": '{"a":' * 100 + "1" + "}" * 100}, "simulate -f a --traffic t", 6, "t:1"),
    ("both from stdin", {}, "diff -f - --against b --traffic -", 2, "both read standard input"),
    ("simulate without files", {}, "simulate --socket none.sock", 4, "none.sock"),
    ("test without files", {}, "test", 2, "file of assertions"),
    ("test of nothing", {}, "test -f nowhere.yaml", 3, "nowhere.yaml"),
    ("test without a test", {"x.yaml": "apiVersion: v1\nkind: Namespace\nmetadata: {name: a}\n"}, "test -f x.yaml", 6,
     "no NetworkPolicyTest"),
    ("test, no agent", {"t.yaml": ONE}, "test -f t.yaml --socket none.sock", 4, "none.sock"),
    ("test of bad YAML", {"t.yaml": ONE + "  x: [\n"}, "test -f t.yaml", 6, "t.yaml:"),
    ("test of another version", {"t.yaml": ONE.replace("/v1", "/v9")}, "test -f t.yaml", 6, "t.yaml:1:13"),
    ("test with an unknown field", {"t.yaml": TEST + "tests:\n- {form: a, to: b, port: 1, expect: deny}\n"},
     "test -f t.yaml", 6, 't.yaml:4:4: unknown field "form"'),
    ("test without to", {"t.yaml": TEST + "tests:\n- {from: a, port: 1, expect: deny}\n"}, "test -f t.yaml", 6,
     't.yaml:4:3: no "to"'),
    ("test with another verdict", {"t.yaml": TEST + "tests:\n- {from: a, to: b, port: 1, expect: denied}\n"},
     "test -f t.yaml", 6, "allow or deny, not denied"),
    ("test with a bad port", {"t.yaml": TEST + "tests:\n- {from: world, to: world, port: 70000, expect: deny}\n",
                              "a/x.yaml": ""}, "test -f t.yaml -f a", 6, 't.yaml:4:3: "70000" is no port'),
    ("test with a bad operand", {"t.yaml": TEST + "tests:\n- {from: a/b/c/d, to: world, port: 7, expect: deny}\n",
                                 "a/x.yaml": ""}, "test -f t.yaml -f a", 6, "t.yaml:4:3:"),
    ("test that is no list", {"t.yaml": TEST + "tests: {}\n"}, "test -f t.yaml", 6, '"tests" is a list'),
    ("test without tests", {"t.yaml": TEST}, "test -f t.yaml", 6, 'no "tests"'),
    ("test that is a word", {"t.yaml": TEST + "tests: [hello]\n"}, "test -f t.yaml", 6, "a test is a map"),
    ("test whose manifests are not there", {"t.yaml": ONE + "manifests: [gone]\n"}, "test -f t.yaml", 3, "gone"),
]


# ---- a plain reading of policies, for random worlds

PORTS = [("tcp", 79), ("tcp", 80), ("tcp", 81), ("tcp", 85), ("tcp", 90), ("tcp", 91), ("tcp", 8080), ("tcp", 8081),
         ("udp", 53), ("udp", 80), ("sctp", 80), ("icmp", 0)]
OUTSIDE = ["198.18.7.7", "100.64.1.1", "100.64.2.2", "100.65.0.1", "9.9.9.9"]


def selects(sel, labels):
    if any(labels.get(k) != v for k, v in (sel.get("matchLabels") or {}).items()):
        return False
    for e in sel.get("matchExpressions") or []:
        has, value = e["key"] in labels, labels.get(e["key"])
        if e["operator"] == "In" and value not in e["values"]:
            return False
        if e["operator"] == "NotIn" and has and value in e["values"]:
            return False
        if e["operator"] == "Exists" and not has:
            return False
        if e["operator"] == "DoesNotExist" and has:
            return False
    return True


def peer_matches(world, pol, peer, other):
    if "ipBlock" in peer:
        addr = ipaddress.ip_address(other["ip"])
        return addr in ipaddress.ip_network(peer["ipBlock"]["cidr"]) and not any(
            addr in ipaddress.ip_network(x) for x in peer["ipBlock"].get("except", []))
    if "labels" not in other:
        return False
    if "namespaceSelector" in peer:
        if not selects(peer["namespaceSelector"], world["ns"][other["ns"]]):
            return False
    elif other["ns"] != pol["metadata"]["namespace"]:
        return False
    return selects(peer.get("podSelector", {}), other["labels"])


def port_matches(port, server, proto, number):
    if port.get("protocol", "TCP").lower() != proto:
        return False
    want = port.get("port")
    if want is None:
        return True
    if isinstance(want, str):
        return server.get("named", {}).get((want, proto)) == number
    return want <= number <= port.get("endPort", want)


def half_open(world, pod, other, server, direction, proto, number):
    isolated = False
    for pol in world["policies"]:
        spec = pol["spec"]
        if pol["metadata"]["namespace"] != pod["ns"] or not selects(spec.get("podSelector", {}), pod["labels"]):
            continue
        types = spec.get("policyTypes") or ["Ingress"] + (["Egress"] if spec.get("egress") else [])
        if direction not in types:
            continue
        isolated = True
        for rule in spec.get(direction.lower()) or []:
            peers = rule.get("from" if direction == "Ingress" else "to")
            if peers and not any(peer_matches(world, pol, p, other) for p in peers):
                continue
            if not rule.get("ports") or any(port_matches(p, server, proto, number) for p in rule["ports"]):
                return True
    return not isolated


def is_open(world, client, server, proto, number):
    if "labels" in client and not half_open(world, client, server, server, "Egress", proto, number):
        return False
    return "labels" not in server or half_open(world, server, client, server, "Ingress", proto, number)


def reads(text, proto, number):
    """Whether a text of ports ("tcp/80,85-90 udp/53") holds a port."""
    if text in ("any", "none"):
        return text == "any"
    for word in text.split(" "):
        name, _, ranges = word.partition("/")
        if name != proto:
            continue
        if not ranges:
            return True
        for r in ranges.split(","):
            lo, _, hi = r.partition("-")
            if int(lo) <= number <= int(hi or lo):
                return True
    return False


class Dice:
    """Random worlds: a few pods in two namespaces, and policies that share their labels."""

    def __init__(self, seed):
        self.r = random.Random(seed)

    def labels(self):
        return {"app": self.r.choice("abc"), **({"tier": self.r.choice("xy")} if self.r.random() < .6 else {})}

    def selector(self):
        kind = self.r.random()
        if kind < .15:
            return {}
        if kind < .6:
            return {"matchLabels": {"app": self.r.choice("abc")}}
        if kind < .8:
            return {"matchExpressions": [{"key": "tier", "operator": self.r.choice(["Exists", "DoesNotExist"])}]}
        return {"matchExpressions": [{"key": "app", "operator": self.r.choice(["In", "NotIn"]),
                                      "values": self.r.sample("abc", 2)}]}

    def peer(self):
        kind = self.r.random()
        if kind < .3:
            return {"ipBlock": self.r.choice([
                {"cidr": "100.64.0.0/10", "except": ["100.64.2.0/24"]}, {"cidr": "0.0.0.0/0"},
                {"cidr": "100.64.0.0/16"}, {"cidr": "10.1.0.0/29"},
                {"cidr": "0.0.0.0/0", "except": ["100.64.0.0/15", "10.0.0.0/8"]}])}
        peer = {}
        if self.r.random() < .5:
            peer["namespaceSelector"] = self.r.choice([{}, {"matchLabels": {"team": "red"}},
                                                       {"matchLabels": {"kubernetes.io/metadata.name": "ns1"}}])
        if not peer or self.r.random() < .7:
            peer["podSelector"] = self.selector()
        return peer

    def port(self):
        return self.r.choice([{"port": 80}, {"port": 80, "endPort": 90}, {"port": "http"}, {"protocol": "UDP", "port": 53},
                              {"protocol": "UDP"}, {"protocol": "SCTP", "port": 80}, {"port": 8081}, {"port": 85, "endPort": 91}])

    def rules(self, key):
        out = []
        for _ in range(self.r.randrange(3)):
            rule = {}
            if self.r.random() < .8:
                rule[key] = [self.peer() for _ in range(self.r.randrange(1, 3))]
            if self.r.random() < .8:
                rule["ports"] = [self.port() for _ in range(self.r.randrange(1, 3))]
            out.append(rule)
        return out

    def policy(self, i):
        spec = {"podSelector": self.selector(),
                "policyTypes": self.r.choice([["Ingress"], ["Egress"], ["Ingress", "Egress"]])}
        if "Ingress" in spec["policyTypes"]:
            spec["ingress"] = self.rules("from")
        if "Egress" in spec["policyTypes"]:
            spec["egress"] = self.rules("to")
        return {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
                "metadata": {"name": f"p{i}", "namespace": f"ns{self.r.randrange(2)}"}, "spec": spec}

    def pods(self):
        out = []
        for i in range(self.r.randrange(3, 8)):
            out.append({"ns": f"ns{i % 2}", "name": f"w{i // 2}-{i}", "labels": self.labels(), "ip": f"10.1.0.{i + 2}",
                        "owner": f"w{i // 2}" if self.r.random() < .6 else None,
                        "named": {("http", "tcp"): 8080 + i % 2} if self.r.random() < .7 else {}})
        return out

    def change(self, world):
        """Another world with the same pods: policies edited, dropped, added; labels changed."""
        new = json.loads(json.dumps({"policies": world["policies"], "ns": world["ns"]}))
        new["pods"] = [dict(p) for p in world["pods"]]
        new["policies"] = [self.policy(i) if self.r.random() < .3 else p for i, p in enumerate(new["policies"])
                           if self.r.random() > .15]
        names = set()
        new["policies"] = [p for p in new["policies"]
                           if (k := (p["metadata"]["namespace"], p["metadata"]["name"])) not in names and not names.add(k)]
        if self.r.random() < .5:
            new["policies"].append(self.policy(100))
        for p in new["pods"]:
            if self.r.random() < .15:
                p["labels"] = self.labels()
        return new

    def world(self):
        ns = {f"ns{i}": {"kubernetes.io/metadata.name": f"ns{i}", **({"team": "red"} if self.r.random() < .5 else {})}
              for i in range(2)}
        return {"ns": ns, "pods": self.pods(), "policies": [self.policy(i) for i in range(self.r.randrange(5))]}


def manifests(world):
    docs = [{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": n, "labels": ls}} for n, ls in world["ns"].items()]
    for p in world["pods"]:
        meta = {"name": p["name"], "namespace": p["ns"], "labels": p["labels"]}
        if p["owner"]:
            meta["ownerReferences"] = [{"apiVersion": "apps/v1", "kind": "StatefulSet", "name": p["owner"], "uid": "u",
                                        "controller": True}]
        ports = [{"name": n, "protocol": proto.upper(), "containerPort": v} for (n, proto), v in p["named"].items()]
        docs.append({"apiVersion": "v1", "kind": "Pod", "metadata": meta,
                     "spec": {"containers": [{"name": "c", "image": "i", "ports": ports}]},
                     "status": {"podIP": p["ip"], "podIPs": [{"ip": p["ip"]}]}})
    return "".join("---\n" + json.dumps(d) + "\n" for d in docs + world["policies"])


def subject(p, by):
    if by == "ns":
        return "ns/" + p["ns"]
    return p["ns"] + "/" + (p["owner"] if by == "workload" and p["owner"] else p["name"])


def groups(world, by):
    out = {}
    for p in world["pods"]:
        out.setdefault(subject(p, by), []).append(p)
    return out


def pairs_of(world, by, from_, to):
    """Client and server of every pair of pods that a pair of subjects stands for."""
    both = groups(world, by)
    if from_ != to:
        return [(c, s) for c in both[from_] for s in both[to]]
    if len(both[to]) == 1:  # the only pod of a workload stands for another one too
        return [(both[to][0], both[to][0])] if by == "workload" and both[to][0]["owner"] else []
    same = [(c, s) for c in both[to] for s in both[to] if c is not s]
    return same


class Runner:
    def __init__(self, build, update):
        self.program = os.path.abspath(os.path.join(build, "ripstop"))
        self.update = update
        self.passed = self.failed = self.skipped = 0
        self.tmp = tempfile.TemporaryDirectory(prefix="rs-whatif-")

    def check(self, name, holds, detail=""):
        if holds:
            self.passed += 1
        else:
            self.failed += 1
            print(f"FAIL {name}: {str(detail)[:1500]}", flush=True)

    def call(self, argv, cwd=DATA, stdin=None, timeout=120, program="ripstop", path=""):
        full = {"PATH": path + ":" + os.environ["PATH"], "LC_ALL": "C.UTF-8", "TERM": "xterm"}
        full.update({k: v for k, v in os.environ.items() if k.endswith("SAN_OPTIONS")})
        p = subprocess.run([os.path.join(os.path.dirname(self.program), program)] + argv, capture_output=True, env=full, timeout=timeout, cwd=cwd,
                           input=stdin.encode() if stdin is not None else b"", check=False)
        return p.returncode, p.stdout.decode("utf-8", "replace"), p.stderr.decode("utf-8", "replace")

    def folder(self, name, files):
        root = os.path.join(self.tmp.name, name)
        for path, text in files.items():
            full = os.path.join(root, path)
            os.makedirs(os.path.dirname(full), exist_ok=True)
            with open(full, "w", encoding="utf-8") as f:
                f.write(text)
        os.makedirs(root, exist_ok=True)
        return root

    # ---- the parts

    def screens(self):
        for name, (line, want) in SCREENS.items():
            code, out, err = self.call(line.split())
            text = f"$ ripstop {line}\n{out}" + "".join(f"2> {x}\n" for x in err.splitlines())
            text = text.replace("\x1b", "<ESC>").replace("\r\n", "<CR>\n")
            path = os.path.join(HERE, "screens", f"whatif-{name}.txt")
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

    def wrong(self):
        for i, (name, files, line, want, said) in enumerate(WRONG):
            code, out, err = self.call(line.split(), cwd=self.folder(f"wrong{i}", files))
            self.check(f"wrong: {name}", code == want and said in err and not out and err.startswith("ripstop: "),
                       f"exit {code}, stdout {out!r}, stderr {err!r}")

    def expect_text(self, world, by, from_, to, text, name):
        """Is the text of a side what the plain reading says, at every sample port?"""
        some = re.match(r"(.*?) \((?:some pods|all pods: (.*))\)$", text)
        any_text = some.group(1) if some else text
        all_text = (some.group(2) or "none") if some else text
        pods = pairs_of(world, by, from_, to) if not isinstance(to, dict) and not isinstance(from_, dict) else (
            [(c, to) for c in groups(world, by)[from_]] if isinstance(to, dict)
            else [(from_, s) for s in groups(world, by)[to]])
        for proto, number in PORTS:
            verdicts = [is_open(world, c, s, proto, number) for c, s in pods]
            if any(verdicts) != reads(any_text, proto, number) or all(verdicts) != reads(all_text, proto, number):
                self.check(name, False, f"{proto}/{number} {from_} -> {to}: {verdicts}, printed {text!r}")
                return
        self.check(name, True)

    def ends_of(self, world, item):
        """The ends of an item: names, or an outside with a sample address in its ranges."""
        out = []
        for end in (item["from"], item["to"]):
            if end["kind"] != "Outside":
                out.append(end["text"])
                continue
            found = [a for a in OUTSIDE if any(
                ipaddress.ip_address(r["first"]) <= ipaddress.ip_address(a) <= ipaddress.ip_address(r["last"])
                for r in end["ranges"])]
            out.append({"ip": found[0]} if found else None)
        return out

    def one_world(self, seed, by):
        dice = Dice(seed)
        old = dice.world()
        new = dice.change(old)
        root = self.folder(f"world{seed}", {"old/w.yaml": manifests(old), "new/w.yaml": manifests(new)})
        code, out, err = self.call(["diff", "-f", "new", "--against", "old", "--by", by, "-o", "json", "--all",
                                    "--cluster-cidr", "10.1.0.0/16"], cwd=root)
        if code not in (0, 1):
            self.check(f"world {seed} by {by}", False, err)
            return
        d = json.loads(out)
        seen = set()
        for item in d["items"]:
            ends = self.ends_of(old, item)
            if None in ends:
                continue
            name = f"world {seed} by {by}: {item['from']['text']} -> {item['to']['text']} {item['change']}"
            seen.add((item["from"]["text"], item["to"]["text"]))
            self.expect_text(old, by, *ends, item["before"], name + " before")
            self.expect_text(new, by, *ends, item["after"], name + " after")
            self.check(name + " is said", item.get("why") and item.get("policy"), item)
        self.unlisted(old, new, by, seen, seed)
        if seed % 6 == 0:
            self.of_namespace(root, d, by, f"world {seed} by {by}")
        s = d["summary"]
        self.check(f"world {seed} by {by}: counts", code == (1 if d["items"] else 0) and d["complete"] and
                   len(d["items"]) == s["lost"] + s["gained"] + s["changed"], s)

    def of_namespace(self, root, whole, by, name):
        """-n leaves the pairs of one namespace, and changes nothing of them."""
        for ns in ("ns0", "ns1"):
            code, out, err = self.call(["diff", "-f", "new", "--against", "old", "--by", by, "-o", "json", "--all", "-n", ns,
                                        "--cluster-cidr", "10.1.0.0/16"], cwd=root)
            d = json.loads(out) if code in (0, 1) else {"items": None}
            want = [i for i in whole["items"] if ns in (i["from"].get("namespace"), i["to"].get("namespace"))]
            self.check(f"{name}: -n {ns}", d["items"] == want and d["namespace"] == ns and code == (1 if want else 0) and
                       d["summary"]["unchanged"] <= whole["summary"]["unchanged"], f"{code} {err} {d['items']} {want}")

    def unlisted(self, old, new, by, seen, seed):
        """No pair of pods that differs is missing."""
        names = groups(old, by)
        for from_ in names:
            for to in names:
                if (from_, to) in seen:
                    continue
                before, after = pairs_of(old, by, from_, to), pairs_of(new, by, from_, to)
                for proto, number in PORTS:
                    b = [is_open(old, c, s, proto, number) for c, s in before]
                    a = [is_open(new, c, s, proto, number) for c, s in after]
                    if (any(a), all(a)) != (any(b), all(b)):
                        self.check(f"world {seed} by {by}: {from_} -> {to} is missing", False, f"{proto}/{number}")
        self.check(f"world {seed} by {by}: nothing is missing", True)

    def worlds(self):
        for seed in range(60):
            self.one_world(seed, ("pod", "workload", "ns")[seed % 3])

    def explained(self):
        """simulate and diff say what explain says, pair by pair."""
        pods = ["shop/web", "shop/api", "shop/db", "ops/prom"]
        for side in ("old", "new"):
            code, out, _ = self.call(["simulate", "-f", side, "-o", "json"])
            table = {}
            for item in json.loads(out)["items"]:
                for f in item["from"]:
                    for t in item["to"]:
                        table[f["text"], t["text"]] = item["ports"]
            for f in pods:
                for t in pods:
                    for proto, number in (("tcp", 5432), ("tcp", 6432), ("tcp", 8080), ("tcp", 9187), ("udp", 53)):
                        if f == t:
                            continue
                        code, _, err = self.call(["explain", "-f", side, f, t, f"{proto}/{number}"])
                        self.check(f"explain {side} {f} {t} {proto}/{number}",
                                   code == (0 if reads(table.get((f, t), "none"), proto, number) else 1), err)

    def forms(self):
        code, out, _ = self.call(["diff", "-f", "new", "--against", "old", "-o", "csv"])
        rows = list(csv.DictReader(io.StringIO(out)))
        code, out, _ = self.call(["diff", "-f", "new", "--against", "old", "-o", "jsonl"])
        items = [json.loads(x) for x in out.splitlines()]
        self.check("csv and jsonl are one answer", [(r["CHANGE"], r["FROM"], r["TO"], r["BEFORE"], r["AFTER"]) for r in rows] ==
                   [(i["change"], i["from"]["text"], i["to"]["text"], i["before"], i["after"]) for i in items], rows)
        code, few, _ = self.call(["diff", "-f", "closed", "--against", "old"])
        code, all_, _ = self.call(["diff", "-f", "closed", "--against", "old", "--all"])
        more = re.search(r"\.\.\. (\d+) more \(--all\)", few)
        self.check("--all", more and "more" not in all_ and
                   len(re.findall("^ -", all_, re.M)) == 20 + int(more.group(1)), few)
        code, out, err = self.call(["diff", "-f", "-", "--against", "old"], stdin=open(
            os.path.join(DATA, "new", "pol.yaml"), encoding="utf-8").read())
        self.check("from stdin", code == 1 and "VANISHED" in out and "holds no pods" in err, out + err)
        code, out, err = self.call(["simulate", "-f", "tests.yaml", "-f", "new"])
        self.check("a test is skipped by other verbs", code == 0 and "1 NetworkPolicyTest" in err, err)

    def junit(self):
        code, out, _ = self.call(["test", "-f", "tests.yaml", "-o", "junit"])
        top = xml.etree.ElementTree.fromstring(out)
        cases = top.findall("./testsuite/testcase")
        bad = top.findall("./testsuite/testcase/failure")
        self.check("junit", code == 1 and top.tag == "testsuites" and int(top.get("tests")) == len(cases) and
                   int(top.get("failures")) == len(bad) > 0 and all(c.get("line").isdigit() for c in cases), out)
        code, out, _ = self.call(["test", "-f", "pass.yaml", "-f", "new", "-o", "junit"])
        top = xml.etree.ElementTree.fromstring(out)
        self.check("junit of what passes", code == 0 and top.get("failures") == "0" and
                   not top.findall(".//failure"), out)

    def hostile(self):
        """No name and no text of a file reaches the terminal as it is."""
        nasty = "db\\u001b[2J\\u001b]0;x\\u0007\\u202e\\u009b31m<&\\\">A"
        test = TEST + f'tests:\n- {{name: "{nasty}", from: "{nasty}", to: shop/db, port: 1, expect: deny}}\n'
        test2 = TEST + f'tests:\n- {{name: "{nasty}", from: shop/db, to: "x{nasty}", port: 1, expect: deny}}\n'
        flow = ('{"l4":{"TCP":{"destination_port":1}},"source":{"namespace":"a","pod_name":"' + nasty +
                '"},"IP":{"destination":"9.9.9.9"}}\n')
        root = self.folder("hostile", {"t.yaml": test, "t2.yaml": test2, f"m\x1b[2J/{'x'}.yaml": open(
            os.path.join(DATA, "new", "pol.yaml"), encoding="utf-8").read(), "flows": flow, "bad": nasty,
            "m2/x.yaml": open(os.path.join(DATA, "new", "app.yaml"), encoding="utf-8").read()})
        for line in (["test", "-f", "t.yaml", "-f", "m2"], ["test", "-f", "t2.yaml", "-f", "m2"],
                     ["test", "-f", "t2.yaml", "-f", "m2", "-o", "junit"], ["test", "-f", "t2.yaml", "-f", "m2", "-o", "json"],
                     ["diff", "-f", "m\x1b[2J", "--against", "m2"], ["diff", "-f", "m\x1b[2J", "--against", "m2", "-o", "json"],
                     ["diff", "-f", "m2", "--against", "m\x1b[2J", "-o", "md"], ["simulate", "-f", "m\x1b[2J"],
                     ["simulate", "-f", "m2", "--traffic", "flows"], ["simulate", "-f", "m2", "--traffic", "bad"],
                     ["diff", "-f", "m2", "--against", "\x1b[2J"], ["test", "-f", "\x1b[2J"]):
            code, out, err = self.call(line, cwd=root)
            bad = STEERING.search(out.replace("\r\n", "\n") + err)
            self.check(f"hostile {line}", not bad and (out or err), f"{code} {bad} {out!r} {err!r}")
            if "junit" in line and code < 2:
                found = xml.etree.ElementTree.fromstring(out).find(".//testcase").get("name")
                self.check("hostile name in junit", "<&\">A" in found, found)

    def families(self):
        """Two families, of which a policy lets one through."""
        def dual(name, i):
            return ("---\napiVersion: v1\nkind: Pod\nmetadata: {name: %s, namespace: shop, labels: {app: %s}}\nspec: {containers: [{name: c, image: i}]}\n"
                    "status: {podIP: 10.244.0.%d, podIPs: [{ip: 10.244.0.%d}, {ip: \"fd00:10:244::%d\"}]}\n") % (name, name, i, i, i)

        pods = "apiVersion: v1\nkind: Namespace\nmetadata: {name: shop}\n" + dual("web", 4) + dual("api", 5)
        pol = ("---\napiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: six, namespace: shop}\n"
               "spec: {podSelector: {matchLabels: {app: web}}, ingress: [{from: [{ipBlock: {cidr: \"fd00:10:244::/56\"}}]}]}\n")
        test = TEST + "".join(f"{'tests:' if e == 'allow' else ''}\n- {{from: shop/api, to: shop/web, port: 80, expect: {e}}}" for e in ("allow", "deny"))
        root = self.folder("families", {"a/x.yaml": pods, "b/x.yaml": pods + pol, "t.yaml": test})
        _, out, err = self.call(["diff", "-f", "b", "--against", "a", "-o", "json"], cwd=root)
        got = {(i["from"]["text"], i["to"]["text"]): (i["change"], i["before"], i["after"]) for i in json.loads(out)["items"]}
        self.check("one family is lost", got.get(("shop/api", "shop/web")) == ("changed", "IPv4 any; IPv6 any", "IPv4 none; IPv6 any") and
                   got.get(("world", "shop/web")) == ("lost", "any", "none"), f"{got} {err}")
        code, out, _ = self.call(["test", "-f", "t.yaml", "-f", "b", "-o", "jsonl"], cwd=root)
        results = [json.loads(x) for x in out.splitlines()]
        self.check("an assertion is about every family", code == 1 and [r["result"] for r in results] == ["fail", "fail"] and
                   all("1 of 2 pairs" in r["reason"] for r in results), out)

    def addresses(self):
        """A workload without an address has the same one on both sides, whoever comes before it."""
        def workload(name):
            return ("---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {name: %s, namespace: shop}\nspec: {template: {metadata: {labels: {app: %s}},"
                    " spec: {containers: [{name: c, image: i}]}}}\n") % (name, name)

        pol = ("---\napiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: one, namespace: shop}\n"
               "spec: {podSelector: {matchLabels: {app: c}}, ingress: [{from: [{ipBlock: {cidr: 10.244.0.1/32}}]}]}\n")
        ns = "apiVersion: v1\nkind: Namespace\nmetadata: {name: shop}\n"
        root = self.folder("addresses", {"a/x.yaml": ns + workload("b") + workload("c") + pol,
                                         "b/x.yaml": ns + workload("a") + workload("b") + workload("c") + pol})
        code, out, err = self.call(["diff", "-f", "b", "--against", "a", "-o", "json"], cwd=root)
        d = json.loads(out)
        self.check("addresses stay", code == 1 and d["items"] == [] and [a["text"] for a in d["appeared"]] == ["shop/a"], out + err)

    def services(self):
        """A Service is its backends, at their own ports."""
        svc = "apiVersion: v1\nkind: Service\nmetadata: {name: db, namespace: shop}\nspec: {selector: {app: db}, ports: [{port: 80, targetPort: 5432}]}\n"
        test = TEST + ("metadata: {namespace: shop}\ntests:\n- {from: api, to: svc/db, port: 80, expect: allow}\n- {from: web, to: svc/db, port: 80, expect: deny}\n"
                       "- {from: api, to: svc/db, port: 81, expect: deny}\n- {from: svc/db, to: api, port: 81, expect: deny}\n"
                       "- {from: api, to: db, port: http, expect: deny}\n- {from: api, to: world, port: http, expect: allow}\n- {from: api, to: node, port: 1, expect: allow}\n")
        root = self.folder("services", {"s.yaml": svc, "t.yaml": test})
        code, out, err = self.call(["test", "-f", "t.yaml", "-f", "s.yaml", "-f", os.path.join(DATA, "new"), "-o", "jsonl"], cwd=root)
        got = [(r["result"], r["reason"]) for r in map(json.loads, out.splitlines())]
        self.check("Services", code == 1 and [g[0] for g in got] == ["ok", "ok"] + ["fail"] * 5 and "tcp/5432" in got[0][1] and "no port 81" in got[2][1] and
                   "begins no connection" in got[3][1] and "no port named http" in got[4][1] and "only pods have named ports" in got[5][1] and
                   "which node" in got[6][1], out + err)

    # ---- a folder over what is live, told by a stand-in kubectl

    def cluster(self):
        def live_pod(ns, name, ip, labels, owner):
            return {"apiVersion": "v1", "kind": "Pod", "metadata": {"namespace": ns, "name": name, "labels": labels, "ownerReferences": [
                {"apiVersion": "apps/v1", "kind": owner[0], "name": owner[1], "uid": "u", "controller": True}] if owner else []},
                    "spec": {"nodeName": "n1", "containers": [{"name": "c", "ports": []}]},
                    "status": {"phase": "Running", "podIP": ip, "podIPs": [{"ip": ip}]}}

        def policy(name, ns, app, peers, port):
            return {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"namespace": ns, "name": name},
                    "spec": {"podSelector": {"matchLabels": {"app": app}}, "ingress": [{"from": peers, "ports": [{"port": port}]}]}}

        replica = ("ReplicaSet", "web-5d9")
        return {
            "namespaces": [{"apiVersion": "v1", "kind": "Namespace", "metadata": {
                "name": n, "labels": {"kubernetes.io/metadata.name": n, "team": n}}} for n in ("shop", "ops")],
            "pods": [live_pod("shop", "web-5d9-a", "10.7.0.4", {"app": "web", "pod-template-hash": "5d9"}, replica),
                     live_pod("shop", "web-5d9-b", "10.7.0.5", {"app": "web", "pod-template-hash": "5d9"}, replica),
                     live_pod("shop", "api-7c-x", "10.7.0.6", {"app": "api", "pod-template-hash": "7c"}, ("ReplicaSet", "api-7c")),
                     live_pod("shop", "db-0", "10.7.0.7", {"app": "db"}, ("StatefulSet", "db")),
                     live_pod("ops", "prom", "10.7.0.9", {"app": "prometheus"}, None)],
            "networkpolicies.networking.k8s.io": [
                policy("db-allow-api", "shop", "db", [{"podSelector": {"matchLabels": {"app": "api"}}}], 5432),
                policy("db-allow-ops", "shop", "db", [{"namespaceSelector": {"matchLabels": {"team": "ops"}}}], 9187),
                policy("web-from-prom", "shop", "web", [{"ipBlock": {"cidr": "10.7.0.9/32"}}], 80)],
            "nodes": [{"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n1"}, "spec": {"podCIDRs": ["10.7.0.0/24"]},
                       "status": {"addresses": [{"type": "InternalIP", "address": "192.168.7.1"}]}}],
            "services": [], "endpointslices.discovery.k8s.io": []}

    def over_live(self, name, files, *argv):
        """The pairs that a folder over the live cluster changes: {(from, to): (change, before, after)}."""
        code, out, err = self.call(["diff", "-f", self.folder("live-" + name, files), "-o", "json", *argv], program="kubectl-ripstop",
                                   path=self.tmp.name + "/bin")
        if not out:
            self.check("live: " + name, False, f"{code} {err}")
            return {}, {}
        d = json.loads(out)
        self.check(f"live: {name}: code and source", code == (1 if d["items"] or d["appeared"] or d["vanished"] else 0) and
                   d["metadata"]["source"] == "kubectl" and not d["vanished"], out)
        return {(i["from"]["text"], i["to"]["text"]): (i["change"], i["before"], i["after"]) for i in d["items"]}, d

    def live(self):
        code, out, err = self.call(["diff", "-f", "new", "--against", "live", "--socket", "/nonexistent/x.sock"])
        self.check("live without an agent", code == 4 and not out and "hint" in err, err)
        FakeKubectl(self.tmp.name + "/bin", self.program).write(objects=self.cluster())
        deployment = ("apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: %s, namespace: shop}\nspec: {template: {metadata: {labels: "
                      "{app: %s}}, spec: {containers: [{name: c, image: i}]}}}\n")
        got, _ = self.over_live("nothing", {"x.yaml": ""})
        self.check("live: nothing changes nothing", got == {}, got)
        got, _ = self.over_live("policy", {"x.yaml": "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: db-allow-api, "
                                           "namespace: shop}\nspec: {podSelector: {matchLabels: {app: db}}, ingress: [{from: [{podSelector: "
                                           "{matchLabels: {app: web}}}], ports: [{port: 5432}]}]}\n"})
        self.check("live: a policy takes the place of its namesake, the others stay", got == {
            ("shop/api", "shop/db"): ("lost", "tcp/5432", "none"), ("shop/web", "shop/db"): ("gained", "none", "tcp/5432")}, got)
        got, d = self.over_live("labels", {"x.yaml": deployment % ("web", "api")})
        self.check("live: pods get the labels of their new template", got == {
            ("shop/web", "shop/db"): ("gained", "none", "tcp/5432"), ("ops/prom", "shop/web"): ("changed", "tcp/80", "any"),
            ("shop/api", "shop/web"): ("gained", "none", "any"), ("shop/db", "shop/web"): ("gained", "none", "any"),
            ("shop/web", "shop/web"): ("gained", "none", "any"), ("world", "shop/web"): ("gained", "none", "any")} and not d["appeared"], got)
        got, d = self.over_live("new", {"x.yaml": deployment % ("cache", "api")})
        self.check("live: a new workload appears", got == {} and [a["text"] for a in d["appeared"]] == ["shop/cache"], d)
        got, d = self.over_live("pod", {"x.yaml": "apiVersion: v1\nkind: Pod\nmetadata: {name: prom, namespace: ops, labels: {app: other}}\n"
                                                  "spec: {containers: [{name: c, image: i}]}\n"})
        self.check("live: a pod keeps its address", got == {} and not d["appeared"], got)
        got, d = self.over_live("namespace", {"x.yaml": "apiVersion: v1\nkind: Namespace\nmetadata: {name: ops, labels: {team: none}}\n"})
        self.check("live: a namespace's labels", got == {("ops/prom", "shop/db"): ("lost", "tcp/9187", "none")}, got)
        got, d = self.over_live("pods", {"x.yaml": deployment % ("api", "web")}, "--by", "pod")
        self.check("live: by pod", ("shop/api-7c-x", "shop/db-0") in got and not d["appeared"], got)
        code, out, err = self.call(["test", "-f", "live.yaml"], program="kubectl-ripstop", path=self.tmp.name + "/bin")
        self.check("live: test", code == 0 and "2 ok" in out, out + err)
        code, out, err = self.call(["simulate"], program="kubectl-ripstop", path=self.tmp.name + "/bin")
        self.check("live: simulate", code == 0 and "shop/db-allow-ops ingress[0]" in out, out + err)


PARTS = ("screens", "wrong", "worlds", "explained", "forms", "junit", "hostile", "families", "addresses", "services", "live")


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--build", default="build/rel")
    ap.add_argument("--update", action="store_true")
    ap.add_argument("--only", default=",".join(PARTS))
    args = ap.parse_args()
    r = Runner(args.build, args.update)
    for part in args.only.split(","):
        getattr(r, part)()
    print(f"{r.passed} passed, {r.failed} failed, {r.skipped} skipped")
    return 1 if r.failed or not r.passed else 0


if __name__ == "__main__":
    sys.exit(main())
