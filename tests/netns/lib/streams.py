# SPDX-License-Identifier: Apache-2.0
"""streams.py - Python's end of the prober's mode stream: established flows, each packet numbered, both ways."""
import time
from collections import namedtuple

from harness import SLOW, HarnessError
from probe import _Session

# of one flow and one way; since and after count what was sent after the last mark(); holes, after stop(): {marks given
# before: packets that never came}
Way = namedtuple("Way", "open sent received unsent again since after first last holes")


class Streams(_Session):
    def __init__(self, lab, flows, rate):
        super().__init__(lab, ["stream", str(rate)], flows)
        self.flows = [f.id for f in flows]
        self._write("go\n")
        word = self._line().split(" ")
        if word[0] != "ready":
            raise HarnessError("prober did not start")
        self.sctp = word[1]  # raw or socket
        self.marks = 0

    def open(self, seconds=20):
        """Wait until every flow works in both directions."""
        self._write("open %d\n" % (seconds * SLOW * 1000))
        _, n, _, total = self._line().split(" ")
        if n != total:
            shut = sorted({i for (i, _), w in self.report().items() if not w.received})
            raise HarnessError("%s of %s flows work: not %s" % (n, total, " ".join(shut)))

    def mark(self):
        self._write("mark\n")
        if self._line() != "marked":
            raise HarnessError("prober does not mark")
        self.marks += 1
        return self.marks  # what is sent from now on has this number of marks

    def _counts(self):
        out = {}
        while True:
            line = self._line()
            if line == "end":
                return out
            w = line.split(" ")
            out[w[0], w[1]] = Way(w[3] == "1", *(int(w[i]) for i in (5, 7, 9, 11, 13, 15)), float(w[17]), float(w[19]),
                                  {} if w[21] == "-" else {int(i): int(n) for i, n in
                                                           (h.split(":") for h in w[21].split(","))})

    def report(self):
        self._write("report\n")
        return self._counts()

    def stop(self):
        self._write("stop\n")
        counts = self._counts()
        self.lab.end(self.p)
        return counts

    def wait_flowing(self, wanted, seconds=30):
        """Wait until every flow of these ids has got a packet through since the mark; what has not, as a list."""
        end = time.monotonic() + seconds * SLOW
        while True:
            dead = ["%s %s" % k for k, w in self.report().items() if k[0] in wanted and not w.since]
            if not dead or time.monotonic() > end:
                return dead
            time.sleep(0.05)
