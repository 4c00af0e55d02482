# SPDX-License-Identifier: Apache-2.0
"""benchrun.py - start a bench program, take its JSON Lines, end it when it takes far too long."""
import json
import math
import os
import selectors
import signal
import subprocess
import time
from collections import namedtuple

TOO_LONG = 1.5        # of its share of seconds, and a little more
GRACE = 30            # seconds; also from SIGTERM to SIGKILL
MAX_LINE = 1 << 20
TAIL = 5              # lines of stderr that tell why it failed

Series = namedtuple("Series", "unit samples")


class Run:
    """What all programs of one run told."""

    def __init__(self):
        self.series, self.notes, self.skips = {}, [], []
        self.failures = []   # (bench, why)
        self.programs = []   # (bench, program, seconds, exit code)

    def take(self, line):
        """One line. Raises ValueError with what is wrong with it."""
        o = json.loads(line)
        if not isinstance(o, dict):
            raise ValueError("not an object")
        if isinstance(o.get("note"), str):
            self.notes.append(o["note"])
        elif isinstance(o.get("skip"), str):
            self.skips.append((o["skip"], str(o.get("why", "skipped"))))
        else:
            self.sample(o)

    def sample(self, o):
        name, value, unit, round_ = o.get("series"), o.get("value"), o.get("unit"), o.get("round")
        if not isinstance(name, str) or not name or not isinstance(unit, str):
            raise ValueError("neither a sample nor a note nor a skip")
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
            raise ValueError("%s: the value is no number" % name)
        if round_ is not None and (isinstance(round_, bool) or not isinstance(round_, int)):
            raise ValueError("%s: the round is no number" % name)
        series = self.series.setdefault(name, Series(unit, []))
        if series.unit != unit:
            raise ValueError("%s: in %s before, in %s now" % (name, series.unit, unit))
        series.samples.append((round_, float(value)))


def tail(path):
    try:
        with open(path, encoding="utf-8", errors="replace") as f:
            lines = [line.strip() for line in f if line.strip()]
    except OSError:
        return ""
    return " / ".join(lines[-TAIL:])


class Child:
    """One program while it runs."""

    def __init__(self, run, argv, log, seconds, progress):
        self.run, self.seconds, self.progress = run, seconds, progress
        self.begun, self.lines, self.rest, self.wrong, self.ended = time.monotonic(), 0, b"", [], ""
        with open(log, "wb") as err:
            self.p = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=err, start_new_session=True)

    def age(self):
        return time.monotonic() - self.begun

    def feed(self, data):
        *lines, self.rest = (self.rest + data).split(b"\n")
        if len(self.rest) > MAX_LINE:
            self.wrong.append("a line longer than %d bytes" % MAX_LINE)
            self.rest = b""
        for line in lines:
            self.line(line)

    def line(self, line):
        if not line.strip():
            return
        self.lines += 1
        try:
            self.run.take(line.decode())
        except ValueError as e:
            self.wrong.append("line %d: %s" % (self.lines, e))

    def limit(self):
        """End it by its pid, first kindly. Its own processes end with it: that is its business."""
        late = self.age() - (self.seconds * TOO_LONG + GRACE)
        if late > 0 and not self.ended:
            self.ended = "it was ended after %d s; its share is %d s" % (self.age(), self.seconds)
            self.p.send_signal(signal.SIGTERM)
        elif late > GRACE and self.p.poll() is None:
            self.p.kill()

    def read_all(self):
        with selectors.DefaultSelector() as sel:
            sel.register(self.p.stdout, selectors.EVENT_READ)
            while True:
                if sel.select(1):
                    data = os.read(self.p.stdout.fileno(), 1 << 16)
                    if not data:
                        break
                    self.feed(data)
                elif self.p.poll() is not None:
                    break  # a child of its own holds the pipe
                self.limit()
                self.progress(self)
        if self.rest:
            self.line(self.rest)
        self.p.stdout.close()

    def wait(self):
        while self.p.poll() is None:
            self.limit()
            time.sleep(0.05)
        return self.p.returncode


def program(run, bench, name, argv, seconds, log, progress=lambda child: None):
    """Run one program to its end; what went wrong is in run.failures."""
    try:
        child = Child(run, argv, log, seconds, progress)
    except OSError as e:
        run.failures.append((bench, "%s: %s" % (name, e.strerror)))
        run.programs.append((bench, name, 0, 127))
        return
    try:
        child.read_all()
        code = child.wait()
    except BaseException:
        child.p.send_signal(signal.SIGTERM)
        try:
            child.p.wait(GRACE)
        except subprocess.TimeoutExpired:
            child.p.kill()
            child.p.wait()
        raise
    run.programs.append((bench, name, child.age(), code))
    why = []
    if child.ended:
        why.append(child.ended)
    elif code:
        how = "was ended by signal %d" % -code if code < 0 else "ended with code %d" % code
        why.append(how + (": " + tail(log) if tail(log) else ""))
    why += ["%d lines are not as they should be, the first: %s" % (len(child.wrong), child.wrong[0])] if child.wrong else []
    if not child.lines:
        why.append("told nothing")
    if why:
        run.failures.append((bench, "%s %s" % (name, "; ".join(why))))
