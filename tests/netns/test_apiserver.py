#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The real agent and the real plugin with an API server as the source: over TLS, with real packets, and with a server
that lies, lags, refuses and goes away. Every test has a bed of its own.

    test_apiserver.py [--build DIR] [NAME...]        names: parts of tests' names
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
import api_events  # noqa: E402,F401
import api_going  # noqa: E402,F401
import api_join  # noqa: E402,F401
import api_objects  # noqa: E402,F401
import api_outage  # noqa: E402,F401
import api_refused  # noqa: E402,F401
from apibed import TESTS, ApiBed  # noqa: E402
from harness import Lab  # noqa: E402

LANES = 3
COUNT = re.compile(r"^(\d+) passed, (\d+) failed, 0 skipped\n", re.M)


def play(build, fn, how):
    """Why it failed, or nothing."""
    with Lab(build) as lab:
        bed = None
        try:
            bed = ApiBed(lab, **how)
            fn(bed)
            bed.nothing_else_was_written()
            return ""
        except Exception as e:  # pylint: disable=broad-except
            nodes = bed.nodes.values() if bed else ()
            logs = "".join("\n---- agent of %s\n%s" % (n.short, n.log_tail(12)) for n in nodes)
            return (str(e) if isinstance(e, AssertionError) else traceback.format_exc()) + logs
        finally:
            if bed:
                bed.close()


def run_here(build, names):
    passed = failed = 0
    for fn, how in TESTS:
        if not any(n in fn.__name__ for n in names):
            continue
        begin = time.monotonic()
        why = play(build, fn, how)
        passed, failed = passed + (not why), failed + bool(why)
        print("%-8s %s (%.1f s)" % ("failed" if why else "passed", fn.__name__, time.monotonic() - begin))
        if why:
            print("         " + why.replace("\n", "\n         "))
        sys.stdout.flush()
    return passed, failed


def run_beside(build):
    """All of them, in some processes: they mostly wait."""
    argv = [sys.executable, os.path.abspath(__file__)] + (["--build", build] if build else [])
    lanes = [subprocess.Popen(argv + [fn.__name__ for fn, _ in TESTS[i::LANES]], stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, preexec_fn=harness.end_with_parent)
             for i in range(LANES)]
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
