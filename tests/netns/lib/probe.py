# SPDX-License-Identifier: Apache-2.0
"""probe.py - Python's end of tests/support/prober.c: many real flows between namespaces at once."""
import os
import subprocess
from collections import namedtuple

from harness import HarnessError, patience

# src and dst are NetNs objects (dst None: nobody listens); src_addr "*" lets the kernel choose
Flow = namedtuple("Flow", "id kind src src_addr dst dst_addr port")


def _input(flows):
    spaces = {}
    for f in flows:
        for ns in (f.src, f.dst):
            if ns is not None:
                spaces[ns.name] = ns.path
    lines = ["ns %s %s" % kv for kv in sorted(spaces.items())]
    for f in flows:
        lines.append("flow %s %s %s %s %s %s %d" % (f.id, f.kind, f.src.name, f.src_addr,
                                                    f.dst.name if f.dst else "-", f.dst_addr, f.port))
    return "\n".join(lines) + "\n"


def probe(lab, flows, ms=1500):
    """Try every flow once. Returns {id: (fate, why)}, fate is ok, blocked or error.

    ms is how long silence must last to count as blocked; the prober stretches it where machines are slow.
    """
    flows = list(flows)
    p = subprocess.run([lab.program("tests/prober"), "probe", str(ms)], input=_input(flows),
                       stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=patience(60))
    if p.returncode:
        raise HarnessError("prober: " + p.stderr.strip())
    out = {}
    for line in p.stdout.splitlines():
        ident, fate, why = line.split(" ", 2)
        out[ident] = (fate, why)
    if len(out) != len(flows):
        raise HarnessError("prober answered %d of %d flows (double ids?)" % (len(out), len(flows)))
    return out


class _Session:
    def __init__(self, lab, argv, flows):
        self.lab = lab
        self.p = lab.spawn([lab.program("tests/prober")] + argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                           text=True, bufsize=1)
        self._write(_input(flows))

    def _write(self, text):
        try:
            self.p.stdin.write(text)
            self.p.stdin.flush()
        except OSError as e:
            raise HarnessError("prober is gone: %s" % e) from e

    def _line(self):
        line = self.p.stdout.readline()
        if not line:
            raise HarnessError("prober is gone")
        return line.rstrip("\n")

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.lab.end(self.p)


class Hold(_Session):
    """Flows that stay open. Every method returns ok, blocked or error (why in .why)."""

    def __init__(self, lab, flows):
        super().__init__(lab, ["hold"], flows)
        self.why = ""

    def _ask(self, verb, ident, ms):
        self._write("%s %s %d\n" % (verb, ident, ms))
        _, fate, *why = self._line().split(" ", 2)
        self.why = why[0] if why else ""
        return fate

    def open(self, ident, ms=2000):
        return self._ask("open", ident, ms)

    def ping(self, ident, ms=1500):
        return self._ask("ping", ident, ms)

    def push(self, ident, ms=1500):
        return self._ask("push", ident, ms)


Count = namedtuple("Count", "sent received lost unsent first last at")


class Flood(_Session):
    """Numbered packets on every flow at `rate` a second until stop()."""

    def __init__(self, lab, flows, rate, max_s=600):
        super().__init__(lab, ["flood", str(rate), str(int(max_s * 1000))], flows)
        self._write("go\n")
        if self._line() != "ready":
            raise HarnessError("prober did not start")

    def _counts(self):
        out = {}
        while True:
            line = self._line()
            if line == "end":
                return out
            w = line.split(" ")
            at = [] if w[14] == "-" else [float(t) for t in w[14].split(",")]
            out[w[0]] = Count(int(w[2]), int(w[4]), int(w[6]), int(w[8]), float(w[10]), float(w[12]), at)

    def report(self):
        self._write("report\n")
        return self._counts()

    def stop(self):
        self._write("stop\n")
        counts = self._counts()
        self.lab.end(self.p)
        return counts


def families(ips_a, ips_b):
    """Pairs of addresses of one family: [(suffix, a, b)]."""
    out = []
    for suffix, six in (("4", False), ("6", True)):
        a = [x for x in ips_a if (":" in x) == six]
        b = [x for x in ips_b if (":" in x) == six]
        if a and b:
            out.append((suffix, a[0], b[0]))
    return out


def show_counts(counts):
    return "\n".join("  %-28s %s" % (k, " ".join("%s=%s" % p for p in v._asdict().items() if p[1] not in (0, [])))
                     for k, v in counts.items())


assert os.name == "posix"
