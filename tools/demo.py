#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""make demo: a node, four pods and the three-tier example, with real packets.

    demo.py [--build DIR] [--count]

Exit code 0 when every packet, every `ripstop explain` and the oracle agree with examples/three-tier/expected,
and an open connection is cut when its policy is tightened. Everything is made in network namespaces
of its own and taken away again.
"""
import argparse
import json
import os
import re
import subprocess
import sys
import time
from collections import namedtuple

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(ROOT, "tests", "netns", "lib"))
import harness  # noqa: E402
from harness import CniError, HarnessError, Lab  # noqa: E402
from probe import Flow, Hold, families, probe  # noqa: E402
from threetier import EXAMPLE, PODS, manifests, pods_with_addresses, read_expected  # noqa: E402

OUTSIDE = ["203.0.113.10", "2001:db8::10"]
COLOURS = {"green": "32", "red": "31", "bold": "1", "dim": "2"} if sys.stdout.isatty() else {}

Cell = namedtuple("Cell", "ident src dst port family allow src_ip dst_ip")


def paint(colour, text):
    return "\033[%sm%s\033[0m" % (COLOURS[colour], text) if colour in COLOURS else text


def say(text=""):
    print(text, flush=True)


def step(number, text):
    say("\n" + paint("bold", "%d. %s" % (number, text)))


class Demo:
    def __init__(self, lab):
        self.lab = lab
        self.node = lab.node("worker", ips=["192.0.2.1", "2001:db8:1::1"],
                             ranges=["10.244.1.0/24", "fd00:10:244:1::/64"],
                             cluster=["10.244.0.0/16", "fd00:10:244::/48"])
        lab.world.add(*OUTSIDE)
        self.ends = {"node": (self.node, self.node.ips), "outside": (lab.world, OUTSIDE)}
        self.names = {"node": "node", "outside": "outside"}
        self.expected = read_expected(os.path.join(EXAMPLE, "expected"))

    def load(self, path):
        with open(path, encoding="utf-8") as f:
            self.node.write_manifest(os.path.basename(path), f.read())

    def start(self):
        for path in manifests():
            self.load(path)
        self.node.start_agent()

    def attach(self):
        for namespace, name in PODS:
            pod = self.lab.pod(name)
            begin = time.monotonic()
            pod.attach(self.node, namespace, name)
            self.ends[name] = (pod, pod.ips)
            self.names[name] = "%s/%s" % (namespace, name)
            say("   %-22s %-32s %3.0f ms" % (self.names[name], " ".join(pod.ips), (time.monotonic() - begin) * 1e3))

    def cells(self):
        out = []
        for (port, src, dst), allow in self.expected.items():
            if allow is None:
                continue
            for family, a, b in families(self.ends[src][1], self.ends[dst][1]):
                ident = "%s>%s:%s@%s" % (src, dst, port, family)
                out.append(Cell(ident, src, dst, port, family, allow, a, b))
        return out

    def send(self, cells):
        flows = []
        for c in cells:
            kind, _, port = c.port.partition("/")
            flows.append(Flow(c.ident, kind, self.ends[c.src][0], c.src_ip, self.ends[c.dst][0], c.dst_ip,
                              int(port or 0)))
        return probe(self.lab, flows, 2000)

    def explain(self, c):
        """(verdict, reason) of `ripstop explain`."""
        ends = [self.names[e] if "/" in self.names[e] else ip for e, ip in ((c.src, c.src_ip), (c.dst, c.dst_ip))]
        p = self.node.cli("explain", ends[0], ends[1], c.port, "--family", c.family, "-o", "json")
        if p.returncode not in (0, 1):
            return "no answer", (p.stderr or p.stdout).strip()
        r = json.loads(p.stdout)
        return r["verdict"], reason(r)


def reason(r):
    if r["verdict"] == "allowed":
        return ""
    half = r["ingress"] if r.get("deniedAt", "").startswith("ingress") else r["egress"]
    text = "%s: %s" % (r.get("deniedAt", "?"), half.get("reason", "?"))
    miss = half.get("miss")
    if miss:
        wrong = [miss[k] for k in ("ports", "peers") if miss.get(k) and not miss[k].endswith(" matches")]
        text += "; nearest: %s (%s)" % (miss.get("rule", "?"), "; ".join(wrong))
    return text


def table(cells, fates):
    """Rows are sources, columns destinations; a cell lists the ports that got through."""
    names = ["frontend", "api", "database", "dns", "node", "outside"]
    grid = {}
    for c in cells:
        good = fates[c.ident][0] == ("ok" if c.allow else "blocked")
        if fates[c.ident][0] == "ok" or not good:
            grid.setdefault((c.src, c.dst), {}).setdefault(c.port, []).append(good)

    def text(src, dst):
        if src == dst and src not in ("node", "outside"):
            return "itself"
        if (src in ("node", "outside")) and (dst in ("node", "outside")):
            return "."
        ports = grid.get((src, dst), {})
        return " ".join(p + ("" if all(g) else "!") for p, g in ports.items()) or "-"

    def shorten(t):
        return "everything" if len(t.split()) == 6 and "!" not in t else t

    rows = [[src] + [shorten(text(src, dst)) for dst in names] for src in names]
    rows.insert(0, ["from \\ to"] + names)
    widths = [max(len(r[i]) for r in rows) + 2 for i in range(len(names) + 1)]
    for n, r in enumerate(rows):
        line = "   " + "".join(w.ljust(width) for w, width in zip(r, widths))
        say(paint("bold", line.rstrip()) if n == 0 else line.rstrip())


def denials(cells, why):
    """For each pair of ends: which ports did not pass, why, and what came nearest for the first of them."""
    groups = {}
    for c in cells:
        if not c.allow:
            head, _, near = why[c.ident].partition("; nearest: ")
            ports = groups.setdefault((c.src, c.dst, generic(head, c)), {})
            ports.setdefault(c.port, generic(near, c) if c.port == "icmp" else near)
    order = ["frontend", "api", "database", "dns", "node", "outside"]
    for (src, dst, text), ports in sorted(groups.items(), key=lambda g: (order.index(g[0][0]), order.index(g[0][1]))):
        say("   %s -> %s  %s" % (src, dst, " ".join(ports) if len(ports) < 6 else "everything"))
        say(paint("dim", "      " + text))
        port, near = next(iter(ports.items()))
        if near:
            say(paint("dim", "      nearest for %s: %s" % (port, near)))


def generic(text, c):
    """The reason without what only names this flow's port or family."""
    for ip in (c.src_ip, c.dst_ip):
        text = text.replace(ip, "this end")
    return re.sub(r"\b(tcp/\d+|udp/\d+|sctp/\d+|icmpv6|icmp) (to|from) ", r"that \2 ", text).replace("icmpv6", "icmp")


def differences(cells, fates, verdicts, oracle):
    out = []
    for c in cells:
        want = ("ok", "allowed") if c.allow else ("blocked", "denied")
        seen = (fates[c.ident][0], verdicts[c.ident])
        told = oracle.get(c.ident, c.allow)
        if seen != want or told != c.allow:
            out.append("%s: expected %s, packet %s %s, explain %s, oracle %s" %
                       (c.ident, "allowed" if c.allow else "denied", seen[0], fates[c.ident][1], seen[1],
                        "allowed" if told else "denied"))
    return out


def ask_oracle(demo, cells):
    """Hand the example to golden_runner as a golden case of its own: its oracle knows nothing of our compiler.

    Returns ({ident: allow}, note).
    """
    runner = demo.lab.program("tests/golden/golden_runner")
    if not os.access(runner, os.X_OK):
        raise HarnessError("the oracle cannot be asked: %s is not built" % runner)
    folder = os.path.join(demo.lab.dir, "golden", "three-tier")
    os.makedirs(folder)
    with open(os.path.join(folder, "objects.yaml"), "w", encoding="utf-8") as f:
        for path in manifests():
            if not path.endswith("10-pods.yaml"):
                with open(path, encoding="utf-8") as part:
                    f.write(part.read() + "---\n")
        f.write(pods_with_addresses({name: demo.ends[name][1] for _, name in PODS}))
    with open(os.path.join(folder, "world"), "w", encoding="utf-8") as f:
        f.write("node %s\nhost outside %s\n" % (" ".join(demo.node.ips), " ".join(OUTSIDE)))
    with open(os.path.join(folder, "flows"), "w", encoding="utf-8") as f:
        for c in cells:
            f.write("%s %s %s %s @%s\n" % ("allow" if c.allow else "deny", demo.names[c.src], demo.names[c.dst],
                                           c.port, c.family))
    p = subprocess.run([runner, "--update", os.path.dirname(folder)], stdout=subprocess.PIPE,
                       stderr=subprocess.STDOUT, text=True, timeout=60)
    p = subprocess.run([runner, os.path.dirname(folder)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                       text=True, timeout=60)
    if p.returncode:
        return {c.ident: not c.allow for c in cells}, "the oracle disagrees:\n" + p.stdout
    return {}, "the oracle (a second reading of the API text) agrees with all of them"


def tighten(demo):
    """Cut an open connection by an edit of one file. Returns True when it went as it should."""
    (api, api_ips), (db, db_ips) = demo.ends["api"], demo.ends["database"]
    flow = Flow("held", "tcp", api, api_ips[0], db, db_ips[0], 5432)
    with Hold(demo.lab, [flow]) as hold:
        opened, alive = hold.open("held"), hold.ping("held")
        say("   api -> database tcp/5432: connection %s, query answered: %s" % (opened, alive))
        demo.load(os.path.join(EXAMPLE, "tighter", "32-database.yaml"))
        demo.node.sync()
        say("   examples/three-tier/tighter/32-database.yaml is in force: the api may no longer reach the database")
        query, answer = hold.ping("held", 1200), hold.push("held", 800)
        say("   the same connection: query %s, data from the database %s" % (query, answer))
        demo.load(os.path.join(EXAMPLE, "32-database.yaml"))
        demo.node.sync()
        # TCP itself sends the lost bytes again once it is let through
        healed = hold.ping("held", 8000)
        say("   the first policy is back: query %s" % healed)
    good = (opened, alive, query, answer, healed) == ("ok", "ok", "blocked", "blocked", "ok")
    say("   " + (paint("green", "cut, and healed") if good else paint("red", "NOT as it should be")))
    return good


def play(lab):
    say("Ripstop demo: everything happens in network namespaces of its own; nothing of this machine is touched.")
    demo = Demo(lab)
    step(1, "A node with the agent, and the objects of examples/three-tier")
    demo.start()
    status = demo.node.ctl("status")
    say("   agent ready, dataplane %s, %s policies" % (status.get("dataplane", {}).get("name", "?"),
                                                       status.get("objects", {}).get("policies", "?")))
    step(2, "Four pods, attached by the CNI plugin as a container runtime would")
    demo.attach()
    step(3, "Real TCP, UDP and ICMP packets between all of them, the node and a host outside, IPv4 and IPv6")
    cells = demo.cells()
    fates = demo.send(cells)
    table(cells, fates)
    say("   (the ports that got through; - nothing did; ! not as expected; . no pod is an end)")
    step(4, "Why the others did not, as `ripstop explain` tells it")
    verdicts, why = {}, {}
    for c in cells:
        verdicts[c.ident], why[c.ident] = demo.explain(c)
    denials(cells, why)
    step(5, "Expected against observed")
    oracle, note = ask_oracle(demo, cells)
    bad = differences(cells, fates, verdicts, oracle)
    allowed = sum(c.allow for c in cells)
    say("   %d cells: %d allowed, %d denied, written by hand in examples/three-tier/expected" %
        (len(cells), allowed, len(cells) - allowed))
    for line in bad[:40]:
        say(paint("red", "   DIFFERS  " + line))
    say("   " + note)
    if not bad:
        say(paint("green", "   expected == observed == explained in every cell"))
    step(6, "Tighten a policy while a connection is open")
    good = tighten(demo)
    return 0 if good and not bad else 1


def run_demo(build):
    begin = time.monotonic()
    try:
        with Lab(build) as lab:
            rc = play(lab)
    except KeyboardInterrupt:
        harness.close_all()
        say("\ninterrupted; everything is taken away")
        return 130
    except (HarnessError, CniError) as e:
        say(paint("red", "demo: %s" % e))
        return 2
    say("\n%s (%.0f s; namespaces and processes are gone)" %
        (paint("green", "demo passed") if rc == 0 else paint("red", "demo FAILED"), time.monotonic() - begin))
    return rc


def main():
    harness.start()
    ap = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    ap.add_argument("--build", default=None)
    ap.add_argument("--count", action="store_true", help="end with the line that tests/check adds up")
    args = ap.parse_args()
    rc = run_demo(args.build)
    if args.count:
        say("%d passed, %d failed, 0 skipped" % (rc == 0, rc != 0))
    return rc


if __name__ == "__main__":
    sys.exit(main())
