#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Two nodes, an agent on each, and the three-tier example spread over them in two ways: the verdict between pods
must not depend on where they run (A16).

    test_nodes.py [--build DIR]
"""
import argparse
import os
import sys
import time
import traceback

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
import harness  # noqa: E402
from harness import CniError, HarnessError, Lab  # noqa: E402
from probe import Flow, families, probe  # noqa: E402
from threetier import EXAMPLE, PODS, manifests, pods_with_addresses, read_expected  # noqa: E402

OUTSIDE = ["203.0.113.10", "2001:db8::10"]
PLACEMENTS = [{"frontend": 1, "api": 2, "database": 1, "dns": 2}, {"frontend": 1, "api": 1, "database": 2, "dns": 1}]


def node_of(lab, n):
    return lab.node("n%d" % n, ips=["192.0.2.%d" % n, "2001:db8:1::%d" % n],
                    ranges=["10.244.%d.0/24" % n, "fd00:10:244:%d::/64" % n])


def play(build, placement):
    """(what differs, as lines; number of flows)"""
    with Lab(build) as lab:
        nodes = {n: node_of(lab, n) for n in (1, 2)}
        lab.world.add(*OUTSIDE)
        ends = {"outside": (lab.world, OUTSIDE)}
        ips = {name: ["10.244.%d.%d" % (placement[name], 11 + k), "fd00:10:244:%d::%d" % (placement[name], 11 + k)]
               for k, (_, name) in enumerate(PODS)}
        for node in nodes.values():
            for path in manifests():
                with open(path, encoding="utf-8") as f:
                    text = f.read()
                if path.endswith("10-pods.yaml"):
                    text = pods_with_addresses(ips)  # what the other node's pods are is known by these
                node.write_manifest(os.path.basename(path), text)
            node.start_agent()
        for namespace, name in PODS:
            pod = lab.pod(name)
            pod.attach(nodes[placement[name]], namespace, name, ips=ips[name])
            ends[name] = (pod, ips[name])
        want, flows = {}, []
        for (port, src, dst), allow in read_expected(os.path.join(EXAMPLE, "expected")).items():
            if allow is None or "node" in (src, dst):
                continue
            kind, _, number = port.partition("/")
            for family, a, b in families(ends[src][1], ends[dst][1]):
                ident = "%s>%s:%s@%s" % (src, dst, port, family)
                want[ident] = "ok" if allow else "blocked"
                flows.append(Flow(ident, kind, ends[src][0], a, ends[dst][0], b, int(number or 0)))
        fates = probe(lab, flows, 2000)
        return ["%s: expected %s, got %s %s" % (i, want[i], *fates[i]) for i in want if fates[i][0] != want[i]], len(want)


def main():
    ap = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    ap.add_argument("--build", default=None)
    args = ap.parse_args()
    harness.start()
    passed = failed = 0
    for placement in PLACEMENTS:
        begin, cells = time.monotonic(), 0
        try:
            bad, cells = play(args.build, placement)
        except (HarnessError, CniError) as e:
            bad = [str(e)]
        except Exception:  # pylint: disable=broad-except
            bad = [traceback.format_exc()]
        passed, failed = passed + (not bad), failed + bool(bad)
        print("%-8s %s  %d flows, %.1f s" % ("failed" if bad else "passed",
                                             " ".join("%s=n%d" % p for p in placement.items()), cells,
                                             time.monotonic() - begin))
        for line in bad[:20]:
            print("         " + line)
    print("%d passed, %d failed, 0 skipped" % (passed, failed))
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
