#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""`ripstop explain`, `matrix` and `diff` offline on W(1k, 10k), beyond reading the files.

    bench_explain.py --build DIR --seconds N

Reading alone is `ripstop pods -f FILE -n NAMESPACE` of one namespace with 100 pods: it reads and checks all of the file, and
judges nothing. What a verb takes beyond that is its time less the median of the round's readings (of two files for `diff`).
Series in ms: explain.read, explain.explain, explain.matrix, explain.diff, and each of the three with .beyond.
"""
import os
import subprocess
import sys
import tempfile
import time

from benchbed import SIZES, arguments, Say
from barstats import median
from worldw import World, write

MIN_ROUNDS, MAX_ROUNDS = 5, 41
CHANGED = 10  # policies of the other folder that have other ports


class Bench:
    def __init__(self, args, folder):
        self.program = os.path.join(args.build, "ripstop")
        self.world = World(*SIZES["10k"])
        self.old, self.new = (os.path.join(folder, name) for name in ("old.yaml", "new.yaml"))
        write(self.world.objects(), self.old)
        write(self.changed(), self.new)
        self.verbs = {
            "explain": (["explain", "-f", self.old, *self.pair(), "8080"], (0, 1), 1),
            "matrix": (["matrix", "-f", self.old, "--by", "ns"], (0,), 1),
            "diff": (["diff", "-f", self.new, "--against", self.old], (1,), 2),
        }

    def changed(self):
        step = self.world.policies // CHANGED
        for o in self.world.objects():
            name = o["metadata"]["name"]
            if o["kind"] == "NetworkPolicy" and int(name.split("-")[1]) % step == 0:
                o = self.world.policy(int(name.split("-")[1]), 1)
            yield o

    def pair(self):
        """A pod that policies isolate and one that they do not let in: the nearest miss is looked for."""
        subject = next(i for i in range(self.world.pods) if self.world.app(i) == 0)
        return ["%s/pod-%d" % (self.world.ns(i), i) for i in (subject + 3, subject)]

    def run(self, argv, codes):
        begin = time.monotonic()
        p = subprocess.run([self.program, *argv], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False,
                           env={"PATH": os.environ["PATH"]})
        ms = (time.monotonic() - begin) * 1e3
        if p.returncode not in codes:
            sys.exit("ripstop %s: exit %d: %s" % (argv[0], p.returncode, p.stderr.decode(errors="replace")))
        return ms

    def read(self):
        return self.run(["pods", "-f", self.old, "-n", self.world.ns(0)], (0,))


def main():
    args, say = arguments(__doc__), Say()
    with tempfile.TemporaryDirectory(prefix="rsb-explain-") as folder:
        bench = Bench(args, folder)
        say.note("explain: W(%d, %d) in one file of %.1f MB, read in both folders of diff; %s" % (
            *SIZES["10k"], os.path.getsize(bench.old) / 1e6, "matrix is --by ns, diff by workload, which here is every pod"))
        longest = 0
        for r in range(MAX_ROUNDS):
            begin = time.monotonic()
            if r >= MIN_ROUNDS and begin + longest > args.end:
                break
            reads, took = [], {}
            for name, (argv, codes, _) in bench.verbs.items():
                reads.append(bench.read())
                took[name] = bench.run(argv, codes)
                say.value("explain.read", reads[-1], "ms", r)
                say.value("explain." + name, took[name], "ms", r)
            for name, (_, _, files) in bench.verbs.items():
                say.value("explain.%s.beyond" % name, took[name] - files * median(reads), "ms", r)
            longest = max(longest, time.monotonic() - begin)
    return 0


if __name__ == "__main__":
    sys.exit(main())
