#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The attacks F1 to F10 on one node, each with a control that shows the attack traffic to be real.

    test_attacks.py [--build DIR] [ID...]        ids: F1 ... F10
"""
import argparse
import os
import sys
import time
import traceback

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
import harness  # noqa: E402
from attackbed import Bed  # noqa: E402
from attacks_door import f8, f9, f10  # noqa: E402
from attacks_flow import f1, f2, f3, f4  # noqa: E402
from attacks_sctp import f4_sctp  # noqa: E402
from attacks_state import f5, f6, f7  # noqa: E402
from harness import HarnessError  # noqa: E402


class Result:
    """What a test found: leaks are what got through, broken are controls that did not hold."""

    def __init__(self):
        self.leaks, self.broken, self.notes = [], [], []

    def attack(self, name, through):
        if through:
            self.leaks.append("%s: %s" % (name, " ".join(map(str, through)) if isinstance(through, list) else "got through"))

    def control(self, name, holds):
        if not holds:
            self.broken.append(name)

    def note(self, text):
        self.notes.append(text)


ATTACKS = [("F1", "a flow from before a pod had the address", f1), ("F2", "packets without a flow", f2),
           ("F3", "forged ICMP errors", f3), ("F4", "TCP picked up in mid-stream", f4),
           ("F4s", "SCTP picked up by a heartbeat", f4_sctp),
           ("F5", "a missing element", f5), ("F6", "numbers reused in a batch", f6),
           ("F7", "stamps that outlive the table", f7), ("F8", "the hooks: Services and local origin", f8),
           ("F9", "forged identities", f9), ("F10", "what the guard lets through", f10)]


def play(build, fn):
    res = Result()
    try:
        with Bed(build) as bed:
            try:
                fn(bed, res)
            except Exception:
                res.note("agent log:\n" + bed.node.log_tail())
                raise
    except Exception as e:  # pylint: disable=broad-except
        res.broken.append("%s: %s" % (type(e).__name__, e))
        if not isinstance(e, (HarnessError, harness.CniError)):
            res.note(traceback.format_exc())
    return res


def main():
    ap = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    ap.add_argument("--build", default=None)
    ap.add_argument("id", nargs="*")
    args = ap.parse_args()
    harness.start()
    passed = failed = 0
    for ident, what, fn in ATTACKS:
        if args.id and ident not in args.id:
            continue
        begin = time.monotonic()
        res = play(args.build, fn)
        good = not res.leaks and not res.broken
        passed, failed = passed + good, failed + (not good)
        print("%-8s %-4s %-42s %5.1f s" % ("passed" if good else "failed", ident, what, time.monotonic() - begin))
        for word, lines in (("LEAK", res.leaks), ("control broken", res.broken), ("note", res.notes)):
            for line in lines:
                print("         %s: %s" % (word, line))
        sys.stdout.flush()
    print("%d passed, %d failed, 0 skipped" % (passed, failed))
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
