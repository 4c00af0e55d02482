# SPDX-License-Identifier: Apache-2.0
"""monbed.py - one node with pods that may reach a database and pods that may not, and an account of what was dropped."""
import json
import os
import re
import socket
import sys
import time

import bpfpins
import harness
from harness import Lab, ROOT, is6, patience

sys.path.insert(0, os.path.join(ROOT, "tests", "support"))
from jsonschema_lite import Schemas  # noqa: E402

WORLD = ["203.0.113.10", "2001:db8::10"]
SCHEMAS = Schemas(os.path.join(ROOT, "docs", "schema"))
QUIET = "n_quiet"  # a pod's kernel talking to itself: never was traffic
OBJECTS = """apiVersion: v1
kind: Namespace
metadata: {name: shop}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: default-deny, namespace: shop}
spec: {podSelector: {matchLabels: {app: db}}, policyTypes: [Ingress, Egress]}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: db-allow-api, namespace: shop}
spec:
  podSelector: {matchLabels: {app: db}}
  ingress:
  - from: [{podSelector: {matchLabels: {app: api}}}]
    ports: [{port: 5432}, {protocol: UDP, port: 5432}]
"""


def expect(holds, *what):
    if not holds:
        raise AssertionError(" ".join(str(w) for w in what))


def until(fn, seconds=10):
    end = time.monotonic() + patience(seconds)
    while True:
        got = fn()
        if got or time.monotonic() > end:
            return got
        time.sleep(0.05)


def send(ns, dst, port, times=1, source=None):
    """Datagrams from one socket; returns its port."""
    s = ns.socket(socket.AF_INET6 if is6(dst) else socket.AF_INET, socket.SOCK_DGRAM)
    if source:
        s.bind((source, 0))
    for i in range(times):
        try:
            s.sendto(b"%d" % i, (dst, port))
        except OSError:
            pass  # an error that an earlier one met
    number = s.getsockname()[1]
    s.close()
    return number


class Bed:
    """web and api call db-0; all three are pods of the node."""

    def __init__(self, build, *options, pods=("web", "api", "db")):
        self.lab = Lab(build)
        try:
            self.lab.world.add(*WORLD)
            self.node = self.lab.node()
            self.node.write_manifest("objects.yaml", OBJECTS)
            self.node.agent_options = list(options)
            self.node.start_agent()
            for app in pods:
                setattr(self, app, self.pod(app))
            time.sleep(0.1)  # the first packet of a fresh link may be lost in its own queue
        except BaseException:
            self.lab.close()
            raise

    def pod(self, app, name=None, ips=None):
        pod = self.lab.pod(name or app)
        return pod.attach(self.node, "shop", name or {"db": "db-0"}.get(app, app), ips=ips, labels={"app": app})

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.lab.close()

    # -- what the agent says

    def records(self, **question):
        """All of them; each obeys its schema."""
        items, start = [], 0
        while True:
            got = self.node.ctl("records", **dict(question, **({"from": start} if start else {})))
            items += got["items"]
            start = got["next"]
            if not got["more"]:
                break
        for r in items:
            errors = SCHEMAS.errors("flow-record.json", r)
            expect(not errors, errors, r)
        return items

    def counts(self):
        return self.node.ctl("records", last=1)["counts"]

    def pour(self, ns, dst, port, times):
        """Datagrams, never more at once than the agent's socket holds."""
        for at in range(0, times, 200):
            want = self.counts()["dropped"] + min(200, times - at)
            send(ns, dst, port, min(200, times - at))
            expect(until(lambda w=want: self.counts()["dropped"] == w), "dropped", self.counts(), "wanted", want)

    # -- what the kernel says

    def kernel(self):
        """{counter: packets}, by nft or from the maps, by what knows nothing of us."""
        if harness.PLANE.bpffs:
            return bpfpins.drops(self.lab.bpf_dir(self.node))
        text = self.node.nft("list", "counters", "table", "inet", "ripstop").stdout
        return {n: int(p) for n, p in re.findall(r"counter (\w+) \{\s*packets (\d+)", text)}

    def dropped(self):
        """Packets that the kernel dropped by our rules."""
        return sum(n for name, n in self.kernel().items() if name not in (QUIET, "n_logged"))

    def adds_up(self, before=0):
        """Records, suppressed and lost make up what the kernel dropped since `before`. Their counts."""
        def even():
            c = self.counts()
            total = self.dropped() - before
            return c if c["records"] + c["suppressed"] + c["lost"] == total == c["dropped"] else None

        got = until(even, 5)
        expect(got, "the account does not add up:", self.counts(), self.kernel(), "before", before)
        return got


def brief(record):
    """(reason, source, destination, destination port) for comparing."""
    l4 = record.get("l4", {})
    port = next(iter(l4.values())).get("destination_port") if l4 else None
    return record["reason"], record["IP"]["source"], record["IP"]["destination"], port


def lines(text):
    return [json.loads(line) for line in text.splitlines()]
