#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Packets made to slip past the rules (XD1 to XD20, C23 to C30, E_20, E_24, E_25, E_30), each with its controls.

    test_bypass.py [--build DIR] [--only FAMILY[,FAMILY]] [--list] [--brief]

An isolated pod lets none of them through, in or out; lib/bypass_table.py says what the controls are and
lib/bypass_bed.py who plays. A case is a shape of packets in one family of addresses (a sweep over 256 numbers is one),
or one forgery into one flow, or one frame of one sender that would steer others. --brief leaves out the rows whose
control the kernel refuses.
"""
import argparse
import collections
import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
import bypass_forged  # noqa: E402
import bypass_frag  # noqa: E402
import bypass_headers  # noqa: E402
import bypass_malformed  # noqa: E402
import harness  # noqa: E402
from bypass_bed import Bed  # noqa: E402
from bypass_run import Run  # noqa: E402

LEAST = 300
SHAPES = {
    "fragments": bypass_frag.shapes, "options": bypass_headers.ipv4_options,
    "extensions": bypass_headers.extension_headers, "protocols": bypass_headers.protocols,
    "malformed": bypass_malformed.malformed, "flags": bypass_malformed.flags, "icmp": bypass_malformed.icmp_shapes,
    "forged": bypass_forged.forged_sources, "frames": bypass_forged.frames, "side": bypass_forged.sides,
}
FAMILIES = list(SHAPES) + ["flows", "steering"]


def case_of(sent):
    return "%s v%s" % (sent.shape.name, sent.fam)


def say_ids(run, bad):
    """A line for every id of a rule or a class of failures: its cases, whatever their family."""
    cases, families = collections.defaultdict(set), collections.defaultdict(dict)
    for sent in run.attacks:
        for ident in (i for i in sent.shape.ids.split() if i[0] != "F"):  # F: the numbers of test_attacks.py
            cases[ident].add((sent.shape.family, case_of(sent)))
            families[ident][sent.shape.family] = True
    for ident, all_cases in sorted(cases.items()):
        wrong = [c for c in all_cases if c[1] in bad.get(c[0], ())]
        print("%-8s %s crafted %s  %d cases" % ("failed" if wrong else "passed", ident, ", ".join(families[ident]),
                                                len(all_cases)))


def report(run, families, brief, seconds):
    bad = collections.defaultdict(set)
    for kind, sent, text in run.problems:
        bad[sent.shape.family].add(case_of(sent))
        print("%-6s %s | %s | %s | %s | %s" % (kind, sent.shape.family, case_of(sent), sent.way.name, sent.shape.ids,
                                               text))
    if not brief:
        for (family, case, why), receivers in run.reasons().items():
            print("       %-10s %s: no control to %s, %s" % (family, case, " ".join(sorted(receivers)), why))
    for family in families + sorted(set(bad) - set(families)):
        print("%-10s %4d cases, %d failed" % (family, run.cases[family], len(bad[family])))
    say_ids(run, bad)
    if run.bed.vxlan_mac is None:
        print("this kernel has no VXLAN: \"%s\" was not played" % bypass_headers.TUNNEL_IN)
    failed, cases = sum(map(len, bad.values())), sum(run.cases.values())
    whole = families == FAMILIES
    if whole and cases < LEAST:
        print("BROKEN %d cases, %d are wanted" % (cases, LEAST))
        failed += 1
    print("%d cases, %d attacks, %d controls, %d controls without our table, %.1f s" %
          (cases, len(run.attacks), len(run.controls), len(run.bares), seconds))
    print("%d passed, %d failed, 0 skipped" % (cases - failed, failed))
    return 1 if failed or not cases else 0


def main():
    ap = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    ap.add_argument("--build", default=None)
    ap.add_argument("--only", default="")
    ap.add_argument("--list", action="store_true")
    ap.add_argument("--brief", action="store_true")
    args = ap.parse_args()
    if args.list:
        print("\n".join(FAMILIES))
        return 0
    families = [f for f in FAMILIES if not args.only or f in args.only.split(",")]
    if args.only and set(args.only.split(",")) - set(FAMILIES):
        ap.error("families are " + ", ".join(FAMILIES))
    harness.start()
    begin = time.monotonic()
    shapes = [shape for name in families if name in SHAPES for shape in SHAPES[name]()]
    with Bed(args.build) as bed:
        run = Run(bed, shapes, "flows" in families, "steering" in families)
        bed.settle()
        run.guarded()
        run.bare()
        run.judge()
        for flow in run.flows:
            flow.conn.close()
        return report(run, families, args.brief, time.monotonic() - begin)


if __name__ == "__main__":
    sys.exit(main())
