#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A bad wire changes no verdict: packets lost, sent twice and out of order, for kernels that have netem.

    test_netem.py [--build DIR]
"""
import argparse
import os
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
import harness  # noqa: E402
from attackbed import Bed  # noqa: E402
from probe import Flow, Hold, probe  # noqa: E402

WIRES = {"a_wire_that_reorders": "delay 20ms 10ms reorder 30% 50%", "a_wire_that_duplicates": "duplicate 50%",
         "a_wire_that_loses": "loss 15%", "a_wire_that_does_all_of_it": "delay 15ms 10ms loss 8% duplicate 20% reorder 25% 50%"}


def flows_of(bed):
    """(allowed, denied): many small ones, both families."""
    allowed, denied = [], []
    for n in range(12):
        for family in (0, 1):
            for kind in ("tcp", "udp"):
                tag = "%s%d@%d" % (kind, n, family)
                b, c, d = (getattr(bed, x).ips[family] for x in "bcd")
                allowed.append(Flow("a>b " + tag, kind, bed.a, "*", bed.b, b, 8080))
                allowed.append(Flow("f>d " + tag, kind, bed.f, "*", bed.d, d, 8080))
                denied.append(Flow("d>b " + tag, kind, bed.d, "*", bed.b, b, 8080))
                denied.append(Flow("a>c " + tag, kind, bed.a, "*", bed.c, c, 8080))
    unspaced = [f._replace(id=f.id.replace(" ", ":")) for f in allowed + denied]
    return unspaced[:len(allowed)], unspaced[len(allowed):]


def play(bed, wire):
    """What is wrong, as lines."""
    lines, ends = [], [(p, "eth0") for p in bed.pods.values()]
    for ns, device in ends:
        ns.run(["tc", "qdisc", "replace", "dev", device, "root", "netem"] + wire.split())
    allowed, denied = flows_of(bed)
    # The kernel repeats a lost SYN after 1 and 3 s, and the prober a datagram four times.
    fates = probe(bed.lab, allowed + denied, 3000)
    lines += ["%s is %s %s" % (f.id, *fates[f.id]) for f in denied if fates[f.id][0] != "blocked"]
    ok = sum(fates[f.id][0] == "ok" for f in allowed)
    tcp = [f for f in allowed if f.kind == "tcp"]
    lines += ["%s is %s %s" % (f.id, *fates[f.id]) for f in tcp if fates[f.id][0] != "ok"]
    if ok < len(allowed) * 0.9:
        lines.append("only %d of %d allowed flows work" % (ok, len(allowed)))
    with Hold(bed.lab, [Flow("held", "tcp", bed.a, "*", bed.b, bed.b.ip4(), 8080)]) as hold:
        if hold.open("held", 9000) != "ok" or hold.ping("held", 9000) != "ok":
            lines.append("an allowed connection does not work: " + hold.why)
        bed.revoke_a()
        # Copies and late packets of the flow are still on the wire: none may be let through either.
        if hold.ping("held", 2500) == "ok" or hold.push("held", 1500) == "ok":
            lines.append("a revoked connection lives")
        bed.allow_a()
        if hold.push("held", 15000) != "ok":
            lines.append("allowed again, it does not heal: " + hold.why)
    return lines


def possible(bed):
    p = bed.f.run(["tc", "qdisc", "replace", "dev", "eth0", "root", "netem", "loss", "1%"], check=False)
    return "" if p.returncode == 0 else "this kernel has no netem: " + p.stderr.strip()


def main():
    ap = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    ap.add_argument("--build", default=None)
    args = ap.parse_args()
    harness.start()
    count = {"passed": 0, "failed": 0, "skipped": 0}
    with Bed(args.build) as bed:
        missing = possible(bed)
        for name, wire in WIRES.items():
            begin = time.monotonic()
            lines = [] if missing else play(bed, wire)
            word = "skipped" if missing else "failed" if lines else "passed"
            count[word] += 1
            print("%-8s %s (%.1f s) %s" % (word, name, time.monotonic() - begin, missing or wire))
            for line in lines[:20]:
                print("         " + line)
            sys.stdout.flush()
    print("%(passed)d passed, %(failed)d failed, %(skipped)d skipped" % count)
    return 1 if count["failed"] else 0


if __name__ == "__main__":
    sys.exit(main())
