# SPDX-License-Identifier: Apache-2.0
"""golden.py - reads the golden cases (tests/golden/README.md): objects, flows, world."""
import ipaddress
import json
import os
import subprocess
from collections import namedtuple

from harness import HarnessError, patience

GoldenFlow = namedtuple("GoldenFlow", "line allow src dst proto port family")
GoldenPod = namedtuple("GoldenPod", "namespace name ips local")
State = namedtuple("State", "objects_path flows_path pods flows")

DEFAULT_WORLD = """pod-range 10.244.0.0/16
pod-range fd00:10:244::/48
node-range 10.244.1.0/24
node-range fd00:10:244:1::/64
node 192.0.2.1 fd00:192::1
host outside 192.0.2.10 fd00:192::10
host outside2 192.0.2.20 fd00:192::20
"""


def fields(text):
    """[(line number, [field])] without comments and empty lines."""
    out = []
    for n, line in enumerate(text.splitlines(), 1):
        words = line.split("#")[0].split()
        if words:
            out.append((n, words))
    return out


class CaseWorld:
    """The keywords of `world`; one that the file does not use keeps its defaults."""

    def __init__(self, text=""):
        lines = [w for _, w in fields(text)]
        used = {w[0] for w in lines}
        lines += [w for _, w in fields(DEFAULT_WORLD) if w[0] not in used]
        self.pod_ranges = [w[1] for w in lines if w[0] == "pod-range"]
        self.node_ranges = [w[1] for w in lines if w[0] == "node-range"]
        self.node_ips = [a for w in lines if w[0] == "node" for a in w[1:]]
        self.hosts = {w[1]: w[2:] for w in lines if w[0] == "host"}
        self.closed = [w[1] for w in lines if w[0] == "closed"]
        self.complete = ["complete"] in lines
        self.node_name = next((w[1] for w in lines if w[0] == "node-name"), "node")

    def is_local(self, ip):
        a = ipaddress.ip_address(ip)
        return any(a.version == ipaddress.ip_network(r, strict=False).version and
                   a in ipaddress.ip_network(r, strict=False) for r in self.node_ranges)


def parse_flows(text, where):
    out = []
    for n, w in fields(text):
        if len(w) not in (4, 5) or w[0] not in ("allow", "deny"):
            raise HarnessError("%s:%d: not a flow" % (where, n))
        proto, _, port = w[3].partition("/")
        if proto not in ("tcp", "udp", "sctp", "icmp", "ip"):
            raise HarnessError("%s:%d: protocol '%s'" % (where, n, w[3]))
        family = w[4][1:] if len(w) == 5 else ""
        out.append(GoldenFlow(n, w[0] == "allow", w[1], w[2], proto, int(port or 0), family))
    return out


def load_objects(lab, path):
    """Every document of a YAML file as plain Python values."""
    with open(path, "rb") as f:
        p = subprocess.run([lab.program("tests/yaml2json")], stdin=f, stdout=subprocess.PIPE,
                           stderr=subprocess.PIPE, text=True, timeout=patience(30))
    if p.returncode:
        raise HarnessError("%s: %s" % (path, p.stderr.strip()))
    docs = []
    for line in p.stdout.splitlines():
        d = json.loads(line)
        docs += (d.get("items") or []) if d and str(d.get("kind")).endswith("List") else [d]
    return [d for d in docs if d]


def pods_of(objects, world):
    out = []
    for o in objects:
        if o.get("kind") != "Pod":
            continue
        status, meta = o.get("status") or {}, o["metadata"]
        ips = [i["ip"] for i in status.get("podIPs") or []] or [i for i in [status.get("podIP")] if i]
        if not ips or (o.get("spec") or {}).get("hostNetwork"):
            continue
        out.append(GoldenPod(meta.get("namespace", "default"), meta["name"], ips, world.is_local(ips[0])))
    return out


def _read(path):
    with open(path, encoding="utf-8") as f:
        return f.read()


class Case:
    def __init__(self, lab, folder):
        self.folder = folder
        self.name = os.path.basename(folder.rstrip("/"))
        path = os.path.join(folder, "world")
        self.world = CaseWorld(_read(path) if os.path.exists(path) else "")
        self.states = []
        if os.path.exists(os.path.join(folder, "objects.yaml")):
            self.states.append(self._state(lab, ""))
        else:
            n = 1
            while os.path.exists(os.path.join(folder, "objects.%d.yaml" % n)):
                self.states.append(self._state(lab, ".%d" % n))
                n += 1
        if not self.states:
            raise HarnessError("%s has no objects" % folder)

    def _state(self, lab, number):
        objects = os.path.join(self.folder, "objects%s.yaml" % number)
        flows = os.path.join(self.folder, "flows" + number)
        return State(objects, flows, pods_of(load_objects(lab, objects), self.world),
                     parse_flows(_read(flows), flows))


def is_lenient(folder):
    """Objects with faults, which no folder takes: not for an agent that reads one (the README says so)."""
    path = os.path.join(folder, "world")
    words = [w for _, w in fields(_read(path))] if os.path.exists(path) else []
    return ["lenient"] in words and ["complete"] not in words


def case_folders(root, names=()):
    found = sorted(d for d in os.listdir(root)
                   if any(os.path.exists(os.path.join(root, d, f)) for f in ("objects.yaml", "objects.1.yaml"))
                   and not is_lenient(os.path.join(root, d)))
    unknown = [n for n in names if n not in found]
    if unknown:
        raise HarnessError("no such golden case: " + ", ".join(unknown))
    return [os.path.join(root, d) for d in found if not names or d in names]
