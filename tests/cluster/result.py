# SPDX-License-Identifier: Apache-2.0
"""result.py - what a suite hands back: one line a case, counted, and how much time is left."""
import contextlib
import time
import traceback


class Skip(Exception):
    """Raised inside Result.case(): this case cannot run here; the text says why."""


class Result:
    """Cases of one run. A name is said once; a failure and a skip say why."""

    def __init__(self, minutes, say=print):
        self.minutes = minutes
        self.restart()
        self.lines, self.say_line, self.suite = [], say, ""

    def restart(self):
        """The time begins now; returns how many seconds it is."""
        self.deadline = time.monotonic() + self.minutes * 60
        return self.minutes * 60

    def say(self, text):
        """Something to read that is no case: a figure, what begins now."""
        self.say_line(text)

    def left(self):
        """Seconds of the whole run's time that are left; never below 0."""
        return max(0.0, self.deadline - time.monotonic())

    def _note(self, word, name, why=""):
        why = " ".join(str(why).split())
        self.lines.append((word, "%s/%s" % (self.suite, name) if self.suite else name, why))
        self.say_line("%-7s %s%s" % (word, self.lines[-1][1], ": " + why[:1500] if why else ""))

    def passed(self, name):
        self._note("passed", name)

    def failed(self, name, why):
        self._note("failed", name, why or "no reason given")

    def skipped(self, name, why):
        self._note("skipped", name, why or "no reason given")

    def check(self, name, ok, why=""):
        """passed() where ok is true, else failed(); returns ok."""
        if ok:
            self.passed(name)
        else:
            self.failed(name, why)
        return bool(ok)

    @contextlib.contextmanager
    def case(self, name):
        """One case: it passes where its block ends, fails where it raises, is skipped where it raises Skip."""
        try:
            yield self
        except Skip as e:
            self.skipped(name, e)
        except Exception as e:  # a broken case must not end the suite
            where = traceback.extract_tb(e.__traceback__)[-1]
            self.failed(name, "%s: %s (%s:%d)" % (type(e).__name__, e, where.filename.rpartition("/")[2], where.lineno))
        else:
            self.passed(name)

    def count(self, word):
        return sum(1 for line in self.lines if line[0] == word)

    def __str__(self):
        return "%d passed, %d failed, %d skipped" % tuple(self.count(w) for w in ("passed", "failed", "skipped"))
