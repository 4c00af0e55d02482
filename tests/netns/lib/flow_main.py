# SPDX-License-Identifier: Apache-2.0
"""flow_main.py - runs named tests of the form fn(build, result) and counts what they checked."""
import argparse
import sys
import time
import traceback

import harness
from harness import CniError, CtlError, HarnessError


class Result:
    """Named cases and what is wrong with each; notes are printed whatever comes out."""

    def __init__(self, name):
        self.cases, self.notes, self.skipped = {}, [], ""
        self.begin(name)
        self.first = name

    def begin(self, name):
        """What is expected from here on belongs to this case; it may be taken up again."""
        self.wrong = self.cases.setdefault(name, [])

    def expect(self, holds, text):
        if not holds:
            self.wrong.append(text)

    def skip(self, why):
        """There is nothing to test here."""
        self.skipped = why

    def note(self, text):
        self.notes.append(text)


def play(build, name, fn):
    res = Result(name)
    try:
        fn(build, res)
    except Exception as e:  # pylint: disable=broad-except
        res.begin(name)
        res.expect(False, "%s: %s" % (type(e).__name__, e))
        if not isinstance(e, (HarnessError, CniError, CtlError)):
            res.expect(False, traceback.format_exc())
    return res


def main(tests, doc):
    """tests: (key, name of its case as a whole, function)."""
    ap = argparse.ArgumentParser(description=doc.splitlines()[0])
    ap.add_argument("--build", default=None)
    ap.add_argument("key", nargs="*")
    args = ap.parse_args()
    harness.start()
    passed = failed = skipped = 0
    for key, name, fn in tests:
        if args.key and key not in args.key:
            continue
        begin = time.monotonic()
        res = play(args.build, name, fn)
        if res.skipped:
            skipped += 1
            print("skipped  %s\n         %s" % (name, res.skipped), flush=True)
            continue
        for case, wrong in res.cases.items():
            passed, failed = passed + (not wrong), failed + bool(wrong)
            print("%-8s %s" % ("failed" if wrong else "passed", case))
            for line in wrong[:8]:
                print("         WRONG %s" % line)
        print("%-8s %.1f s" % (key, time.monotonic() - begin))
        for line in res.notes:
            print("         " + line)
        sys.stdout.flush()
    print("%d passed, %d failed, %d skipped" % (passed, failed, skipped))
    return 1 if failed or not passed + skipped else 0
