#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Rules of docs/semantics.md that need a real node and that no other program shows: translations, errors, multicast,
other interfaces, tunnels, restarts, foreign tables. Every test has a control that shows the opposite.

    test_semantics.py [--build DIR] [NAME...]        names: parts of tests' names
"""
import argparse
import os
import re
import subprocess
import sys
import time
import traceback

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
import harness  # noqa: E402
import sem_errors  # noqa: E402,F401
import sem_host  # noqa: E402,F401
import sem_life  # noqa: E402,F401
import sem_traffic  # noqa: E402,F401
from harness import CniError, CtlError, HarnessError  # noqa: E402
from sem_bed import TESTS, Bed  # noqa: E402

LANES = 3
COUNT = re.compile(r"^(\d+) passed, (\d+) failed, 0 skipped\n", re.M)


def play(bed, fn):
    try:
        fn(bed)
        return ""
    except (AssertionError, HarnessError, CniError, CtlError) as e:
        return "%s: %s" % (type(e).__name__, e)
    except Exception:  # pylint: disable=broad-except
        return traceback.format_exc()


def run_here(build, names):
    passed = failed = 0
    with Bed(build) as bed:
        for fn in TESTS:
            if not any(n in fn.__name__ for n in names):
                continue
            begin = time.monotonic()
            why = play(bed, fn)
            passed, failed = passed + (not why), failed + bool(why)
            print("%-8s %s (%.1f s)" % ("failed" if why else "passed", fn.__name__, time.monotonic() - begin))
            if why:
                print("         " + why.replace("\n", "\n         "))
                print("         agent: " + bed.node.log_tail(5).replace("\n", "\n         "))
            sys.stdout.flush()
            clear(bed)
    return passed, failed


def clear(bed):
    """What a test may have left."""
    for node in bed.nodes.values():
        if not node.agent:
            node.start_agent(timeout=30)
    for pod in bed.pods.values():
        pod.detach()
        pod.delete()
    bed.pods.clear()


def run_beside(build):
    """All of them, some processes with a bed each: they mostly wait for packets that must not come."""
    lanes = [TESTS[i::LANES] for i in range(LANES)]
    argv = [sys.executable, os.path.abspath(__file__)] + (["--build", build] if build else [])
    lanes = [subprocess.Popen(argv + [fn.__name__ for fn in lane], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True, preexec_fn=harness.end_with_parent) for lane in lanes]
    passed = failed = 0
    for p in lanes:
        out, _ = p.communicate()
        count = COUNT.search(out)
        print(COUNT.sub("", out).rstrip("\n"))
        passed, failed = passed + int(count[1] if count else 0), failed + int(count[2] if count else 1)
    if passed + failed < len(TESTS):
        print("only %d of %d ran" % (passed + failed, len(TESTS)))
        failed += 1
    return passed, failed


def main():
    ap = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    ap.add_argument("--build", default=None)
    ap.add_argument("name", nargs="*")
    args = ap.parse_args()
    harness.start()
    passed, failed = run_here(args.build, args.name) if args.name else run_beside(args.build)
    print("%d passed, %d failed, 0 skipped" % (passed, failed))
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
