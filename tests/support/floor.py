# SPDX-License-Identifier: Apache-2.0
"""floor.py - how tests/check runs many programs at once on few processors.

Most programs of the tests wait: for packets that must not come, for clocks, for agents. So each declares the share of
one processor that it uses, in hundredths, and FRONT lets in as many as fit. What only computes (compilers, provers) has
places of its own, in BACK, and a low priority: it takes what the others leave, and they do not notice. Who must be
alone has the whole of FRONT.

A circle is a thread. What it says is printed in the order of the circles, as if one had run after the other.
"""
import contextlib
import contextvars
import itertools
import os
import signal
import subprocess
import sys
import threading
import time
import traceback

ALONE = -1  # the whole floor
HERE = contextvars.ContextVar("circle")  # the circle that this thread works for


class Floor:
    """So many hundredths of processors; who takes longest goes first, so that nothing long is left for the end."""

    def __init__(self):
        self.size = self.free = 0
        self.changed = threading.Condition()
        self.waiting, self.numbers = [], itertools.count()

    def resize(self, size):
        self.size = self.free = size

    @contextlib.contextmanager
    def place(self, share, takes=0):
        """Wait for it, hold it, leave it. takes: seconds, about."""
        share = self.size if share == ALONE else min(share, self.size)
        ticket = (share < self.size, -takes, next(self.numbers), share)
        with self.changed:
            self.waiting.append(ticket)
            self.changed.wait_for(lambda: self.next() == ticket)
            self.waiting.remove(ticket)
            self.free -= share
            self.changed.notify_all()
        try:
            yield
        finally:
            with self.changed:
                self.free += share
                self.changed.notify_all()

    def next(self):
        """The first that fits. None passes one that wants to be alone."""
        waiting = sorted(self.waiting)
        if waiting and not waiting[0][0]:
            waiting = waiting[:1]
        return next((t for t in waiting if t[3] <= self.free), None)


FRONT, BACK = Floor(), Floor()


class NotBuilt(Exception):
    """What a circle needs could not be built."""


class Builds:
    """Which of build/rel and build/san are made. Nothing is started of one that is not."""

    def __init__(self):
        self.changed = threading.Condition()
        self.good = {"rel": True, "san": True}  # None: on the way

    def expect(self):
        self.good = {"rel": None, "san": None}

    def done(self, name, good):
        with self.changed:
            self.good[name] = good
            self.changed.notify_all()

    def need(self, argv):
        """Wait for those that the words of a command name."""
        names = [n for n in self.good if any(w == f"build/{n}" or w.startswith(f"build/{n}/") for w in argv)]
        with self.changed:
            self.changed.wait_for(lambda: False in self.good.values() or all(self.good[n] for n in names))
            if False in self.good.values():
                raise NotBuilt


BUILDS = Builds()


class Circle(threading.Thread):
    """One of the circles, running; count is what its function returned, None if it could not."""

    def __init__(self, name, fn, jobs):
        super().__init__(name=name, daemon=True)
        self.fn, self.jobs = fn, jobs
        self.lock, self.text, self.in_front = threading.Lock(), "", False
        self.count, self.used, self.seconds = None, 0.0, 0.0
        self.fault = None

    def run(self):
        HERE.set(self)
        begun = time.monotonic()
        try:
            self.count = self.fn(self.jobs)
        except NotBuilt:
            pass
        except Exception as e:  # pylint: disable=broad-except
            self.fault = e
            self.say(traceback.format_exc())
        self.seconds = time.monotonic() - begun

    def say(self, text):
        with self.lock:
            self.text += text
            if self.in_front:
                self.flush()

    def flush(self):
        sys.stdout.write(self.text)
        sys.stdout.flush()
        self.text = ""

    def finish(self):
        """Print what it said and says until it ends."""
        with self.lock:
            self.in_front = True
            self.flush()
        self.join()


def say(text):
    HERE.get().say(text.rstrip("\n") + "\n")


def side_by_side(lanes):
    """Run lists of calls side by side, each list in its order: what they return, as one list. They take their places."""
    out, faults = [], []

    def go(lane):
        try:
            for call in lane:
                out.append(call())
        except Exception as e:  # pylint: disable=broad-except
            faults.append(e)

    threads = [threading.Thread(target=contextvars.copy_context().run, args=(go, lane), daemon=True) for lane in lanes]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    if faults:
        raise faults[0]
    return out


def run(argv, timeout, env=None, nice=0):
    """Run a command. Returns (exit code, output, with the command, its seconds and those of processors in front)."""
    start = time.monotonic()
    full = (["nice", "-n", str(nice)] if nice else []) + argv
    p = subprocess.Popen(full, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
                         env=dict(os.environ, **(env or {})), stdin=subprocess.DEVNULL)
    ended, late = threading.Event(), threading.Event()
    guard = threading.Thread(target=stop_late, args=(p.pid, timeout, ended, late))
    guard.start()
    out = p.stdout.read()
    # Not Popen's wait(): with the status comes what the program, and the children that it waited for, used.
    _, status, used = os.wait4(p.pid, 0)
    ended.set()
    guard.join()
    p.stdout.close()
    p.returncode = os.waitstatus_to_exitcode(status)
    if late.is_set():
        out += f"\n{argv[0]}: stopped after {timeout} s\n"
        p.returncode = 124
    busy, lasted = used.ru_utime + used.ru_stime, time.monotonic() - start
    circle = HERE.get()
    with circle.lock:
        circle.used += busy
    return p.returncode, f"$ {' '.join(argv)}  ({lasted:.0f} s, {busy:.0f} of processors)\n{out}"


def stop_late(pid, timeout, ended, late):
    """End a program that lasts too long: politely, and 20 seconds later not."""
    fd = os.pidfd_open(pid)
    for seconds, sig in ((timeout, signal.SIGTERM), (20, signal.SIGKILL)):
        if ended.wait(seconds):
            break
        late.set()
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(fd, sig)
    os.close(fd)
