#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""oracle2.py against every golden case, whose verdicts people wrote, and its ids against small cases of their own.

    tests/prove/test_oracle2.py [--build build/rel] [CASE...]

A golden case is one node's view: objects and world become a case of prove.h, with that node as its only one.
"""
import argparse
import glob
import ipaddress
import json
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

from oracle2_cases import CASES, FAULTS  # noqa: E402
from oracle2_ids import IDS  # noqa: E402

GOLDEN = os.path.join(HERE, "..", "golden")
PROTOCOLS = {"tcp": 6, "udp": 17, "sctp": 132}
DEFAULTS = {"pod-range": [["10.244.0.0/16"], ["fd00:10:244::/48"]],
            "node-range": [["10.244.1.0/24"], ["fd00:10:244:1::/64"]],
            "node": [["192.0.2.1", "fd00:192::1"]],
            "host": [["outside", "192.0.2.10", "fd00:192::10"], ["outside2", "192.0.2.20", "fd00:192::20"]]}


class Oracle:
    def __init__(self, program="oracle2.py"):
        self.child = subprocess.Popen([sys.executable, os.path.join(HERE, program)], stdin=subprocess.PIPE,
                                      stdout=subprocess.PIPE, text=True)

    def ask(self, case):
        self.child.stdin.write(json.dumps(case) + "\n")
        self.child.stdin.flush()
        return json.loads(self.child.stdout.readline())

    def close(self):
        self.child.stdin.close()
        self.child.wait(timeout=60)


def fields(path):
    with open(path, encoding="utf-8") as f:
        for line in f:
            words = line.split("#")[0].split()
            if words:
                yield words


def read_world(folder):
    said = {}
    path = os.path.join(folder, "world")
    for word, *rest in fields(path) if os.path.exists(path) else ():
        said.setdefault(word, []).append(rest)
    w = {**DEFAULTS, **said}
    name = w.get("node-name", [["node"]])[0][0]
    return {"lenient": "lenient" in w, "complete": "complete" in w, "podRanges": [r[0] for r in w["pod-range"]],
            "nodes": [{"name": name, "ranges": [r[0] for r in w["node-range"]], "addresses": w["node"][0]}],
            "hosts": [{"name": h[0], "addresses": h[1:]} for h in w["host"]]}


def read_objects(build, path):
    with open(path, "rb") as f:
        out = subprocess.run([f"{build}/tests/yaml2json"], stdin=f, capture_output=True, check=True, text=True)
    return [o for o in map(json.loads, out.stdout.splitlines()) if o]


def addresses_of(pod):
    status = pod.get("status") or {}
    return [i["ip"] for i in status.get("podIPs") or []]


def node_ranges(objects):
    """Node -> whether addresses count on it."""
    def counts(cidrs):
        nets = [ipaddress.ip_network(c) for c in cidrs]
        return lambda addrs: not nets or all(any(ipaddress.ip_address(a) in n for n in nets) for a in addrs)
    return {o["metadata"]["name"]: counts(o["spec"].get("podCIDRs") or []) for o in objects if o["kind"] == "Node"}


class Golden:
    """One folder: its states one after the other. A local pod that is gone from the objects stays, as it was last."""

    def __init__(self, build, folder):
        self.build, self.folder, self.world, self.locals = build, folder, read_world(folder), {}

    def states(self):
        if os.path.exists(f"{self.folder}/objects.yaml"):
            yield "objects.yaml", "flows"
        n = 1
        while os.path.exists(f"{self.folder}/objects.{n}.yaml"):
            yield f"objects.{n}.yaml", f"flows.{n}"
            n += 1

    def cases(self):
        for objects, flows in self.states():
            yield flows, *self._case(read_objects(self.build, f"{self.folder}/{objects}"), f"{self.folder}/{flows}")

    def _case(self, objects, flows):
        pods = {f"{o['metadata'].get('namespace', 'default')}/{o['metadata']['name']}": o
                for o in objects if o["kind"] == "Pod"}
        left = [name for name in self.locals if name not in pods]
        objects += [self.locals[name] for name in left]
        self.locals.update({n: p for n, p in pods.items() if self._local(p)})
        pods = {**self.locals, **pods}
        world = json.loads(json.dumps(self.world))
        world["left"] = left if world["complete"] else []
        self._nobodies(world, pods, node_ranges(objects) if world["complete"] else None)
        case, expected = {"objects": objects, "world": world, "flows": []}, []
        for words in fields(flows):
            for flow in self._flows(world, pods, words[1:]):
                case["flows"].append(flow)
                expected.append((words[0] == "allow", " ".join(words[1:]), flow["family"]))
        return case, expected

    def _local(self, pod):
        # The ranges of golden cases end on whole groups of digits.
        starts = [r["ranges"] for r in self.world["nodes"]][0]
        starts = [s.split("/")[0].removesuffix("0").removesuffix("::") for s in starts]
        if pod["spec"].get("nodeName", self.world["nodes"][0]["name"]) != self.world["nodes"][0]["name"]:
            return False
        return any(a.startswith(s) for a in addresses_of(pod) for s in starts) and not pod["spec"].get("hostNetwork")

    @staticmethod
    def _nobodies(world, pods, known):
        """Addresses of finished pods, and of pods that claim what is not theirs: plain hosts in a case."""
        for name, pod in pods.items():
            counts = (known or {}).get(pod["spec"].get("nodeName"), lambda _: False)
            if pod["status"].get("phase") in ("Succeeded", "Failed") or pod["metadata"]["name"] == "liar" or \
                    known is not None and not counts(addresses_of(pod)):
                world["hosts"].append({"name": name, "addresses": addresses_of(pod)})

    def _flows(self, world, pods, words):
        hosts = {h["name"]: h["addresses"] for h in world["hosts"]}
        ends, both = [], {4, 6}
        for word in words[:2]:
            if word == "node":
                ends.append({"node": world["nodes"][0]["name"]})
                addrs = world["nodes"][0]["addresses"]
            elif word in hosts:
                ends.append({"host": word})
                addrs = hosts[word]
            else:
                ends.append({"pod": word})
                addrs = addresses_of(pods[word])
            both &= {6 if ":" in a else 4 for a in addrs}
        if len(words) > 3:
            both &= {int(words[3][1:])}
        name, _, number = words[2].partition("/")
        for family in sorted(both):
            proto = {4: 1, 6: 58}[family] if name == "icmp" else int(number) if name == "ip" else PROTOCOLS[name]
            yield {"src": ends[0], "dst": ends[1], "proto": proto, "port": int(number) if name in PROTOCOLS else 0,
                   "family": family}


def check_golden(oracle, build, only):
    """(flows judged, faults)."""
    judged, faults = 0, []
    for folder in sorted(glob.glob(f"{GOLDEN}/*/")):
        name = os.path.basename(folder.rstrip("/"))
        if only and name not in only:
            continue
        for state, case, expected in Golden(build, folder.rstrip("/")).cases():
            got = oracle.ask(case)
            if "error" in got or len(got["verdicts"]) != len(expected) or not expected:
                faults.append(f"{name} {state}: {got}")
                continue
            for verdict, (allow, text, family) in zip(got["verdicts"], expected):
                judged += 1
                if verdict != allow:
                    faults.append(f"{name} {state}: {text} @{family}: {'allow' if verdict else 'deny'}")
    return judged, faults


def check_ids(oracle):
    """(cases judged, faults): for every id a case with the hit and one without."""
    faults = [f"{i}: no case of its own" for i in IDS if i not in CASES]
    faults += [f"{i}: no such id" for i in CASES if i not in IDS]
    judged = len(faults)
    for name, pair in CASES.items():
        for wanted, (verdict, case) in zip((True, False), pair):
            judged += 1
            got = oracle.ask(case)
            if got.get("verdicts") != [verdict]:
                faults.append(f"{name} {'with' if wanted else 'without'} the hit: {got}, not {verdict}")
            elif (name in got["hits"][0]) != wanted:
                faults.append(f"{name}: {'no hit' if wanted else 'a hit'}: {got}")
    return judged, faults


def check_faults(oracle):
    faults = []
    for what, (verdict, case) in FAULTS:
        got = oracle.ask(case)
        if got.get("verdicts") != [verdict]:
            faults.append(f"{what}: {got}, not {verdict}")
    broken = oracle.ask({"world": {}})
    if "error" not in broken:
        faults.append(f"half a case was judged: {broken}")
    return len(FAULTS) + 1, faults


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--build", default="build/rel")
    ap.add_argument("only", nargs="*")
    args = ap.parse_args()
    oracle = Oracle()
    judged, faults = check_golden(oracle, args.build, set(args.only))
    if not args.only:
        for more, bad in (check_ids(oracle), check_faults(oracle)):
            judged, faults = judged + more, faults + bad
    oracle.close()
    for f in faults:
        print(f)
    print(f"{judged - len(faults)} passed, {len(faults)} failed, 0 skipped")
    return 1 if faults or not judged else 0


if __name__ == "__main__":
    sys.exit(main())
