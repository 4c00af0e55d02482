#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The chosen part of the netns circle (tests/kernels/programs) on Debian's kernels, in the emulator.

    check_kernels.py [--build DIR] [--kernel 6.1|6.12]... [--only WORD]... [--minutes N]

--only runs the programs whose line holds that word, and leaves build/results alone. Ends with `N passed, N failed, N skipped`, summed over
the kernels; exit status 1 when anything failed or a kernel did not run.
"""
import argparse
import fcntl
import glob
import importlib.machinery
import importlib.util
import os
import platform
import re
import resource
import shutil
import signal
import sys
import time

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
import debkernel  # noqa: E402
import emulator  # noqa: E402

ROOT = os.path.dirname(os.path.dirname(HERE))
CACHE = os.path.join(ROOT, "build", "cache", "kernels")
# How much longer than on the host a test waits for what should come; see tests/netns/lib/harness.py.
SLOW = "3"
# The emulator now and then breaks a kernel that patches its own code while it boots (an int3 that it forgot).
BOOTS = 3
BROKEN_KERNEL = re.compile(r"\] (BUG: |WARNING: CPU|Oops: |general protection fault|Kernel panic)")


def tests_check():
    """tests/check as a module: it knows what a test's line looks like."""
    loader = importlib.machinery.SourceFileLoader("tests_check", os.path.join(ROOT, "tests", "check"))
    spec = importlib.util.spec_from_loader("tests_check", loader)
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


CHECK = tests_check()


class Program:
    """One line of `programs`, and what became of it."""

    def __init__(self, number, seconds, how, command):
        self.command, self.seconds, self.how = command, int(seconds), how
        self.base = os.path.basename(command.split()[0]).removesuffix(".py")
        self.name = "%d.%s" % (number, self.base)
        self.lines, self.status, self.took = [], None, 0

    def count(self):
        """Its last line says; a program without one, or with a bad status, has failed."""
        text = "\n".join(self.lines)
        found = CHECK.COUNT.findall(text)
        c = CHECK.Count(*map(int, found[-1])) if found else CHECK.Count(bad=1)
        if self.status != 0 and not c.bad:
            c.bad += 1
        if not c.ok and not c.bad and not c.skip:
            c.bad += 1
        return c

    def outcomes(self):
        """(passed|failed|skipped, name) of every test that it named."""
        for cmocka, ours, name in CHECK.ONE_TEST.findall("\n".join(self.lines)):
            word = cmocka or ours
            yield CHECK.WORD.get(word, word), name


def load(series, only):
    out = []
    with open(os.path.join(HERE, "programs"), encoding="utf-8") as f:
        for number, line in enumerate(f, 1):
            text, _, reason = line.partition(" # ")
            words = text.split(None, 3)
            if not words or words[0].startswith("#"):
                continue
            if len(words) != 4 or not reason.strip() or words[0] not in ("all", *debkernel.META) or \
                    words[2] not in ("alone", "beside") or not words[1].isdigit():
                sys.exit("tests/kernels/programs:%d: not KERNELS SECONDS alone|beside COMMAND # WHY" % number)
            if words[0] in ("all", series) and (not only or any(w in line for w in only)):
                out.append(Program(number, words[1], words[2], words[3].strip()))
    return out


def snapshot(build, folder):
    """What the guest runs is a copy: the tree may be edited and built meanwhile."""
    shutil.rmtree(folder, ignore_errors=True)
    for sub in ("tests", "tools"):
        shutil.copytree(os.path.join(ROOT, sub), os.path.join(folder, sub),
                        ignore=shutil.ignore_patterns("__pycache__", "corpus", "unit"))
    there = os.path.join(folder, "build")
    shutil.copytree(os.path.join(build, "tests"), os.path.join(there, "tests"),
                    ignore=shutil.ignore_patterns("unit", "fuzz"))
    for path in glob.glob(os.path.join(build, "ripstop*")):
        shutil.copy2(path, there)
    return there


def take(programs, line):
    """One line of the guest's: remember it, and show it."""
    m = re.match(r"(\d+\.[\w.-]+)([|>])(.*)$", line)
    p = programs.get(m.group(1)) if m else None
    if not p:
        print(line, flush=True)
    elif m.group(2) == "|":
        p.lines.append(m.group(3))
        print("%-16s %s" % (p.base, m.group(3)), flush=True)
    else:
        status, took = m.group(3).split()
        p.status, p.took = int(status), int(took)


def write_results(series, programs):
    folder = os.path.join(ROOT, "build", "results")
    os.makedirs(folder, exist_ok=True)
    lines = {"%s kernels-%s %s %s" % (word, series, p.base, name) for p in programs for word, name in p.outcomes()}
    with open(os.path.join(folder, "kernels-%s.txt" % series), "w", encoding="utf-8") as f:
        f.write("".join(line + "\n" for line in sorted(lines)))


def conclude(guest, programs, minutes, console):
    """The sum of a kernel, with what went wrong around the programs themselves."""
    total = CHECK.Count()
    for p in programs:
        c = p.count()
        total.add(c)
        state = "" if p.status is not None else "  (did not end)"
        print("  %-60s %s  (%d s)%s" % (p.command[:60], c, p.took, state))
    if guest.timed_out:
        print("the time limit of %g minutes ended this kernel" % minutes)
    if guest.status != 0:
        print("the guest did not come to its end; its kernel's last words:\n" + guest.console_tail())
        total.bad += not total.bad
    with open(console, encoding="utf-8", errors="replace") as f:
        broken = [line.strip() for line in f if BROKEN_KERNEL.search(line)]
    for line in broken[:5]:
        print("the kernel complained: " + line)
    total.bad += bool(broken)
    return total


def cpu_minutes():
    """What ended emulators have used: of a shared machine it says more than the clock."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (used.ru_utime + used.ru_stime) / 60


def run_kernel(series, args):
    tree = debkernel.get(series, CACHE)
    begin, used = time.monotonic(), cpu_minutes()
    release, version = debkernel.unpacked(tree)
    print("==== kernel %s (Debian's linux %s), emulated, waits times %s" % (release, version, SLOW), flush=True)
    programs = load(series, args.only)
    if not programs:
        sys.exit("no program of tests/kernels/programs has " + " or ".join(args.only))
    folder = os.path.join(ROOT, "build", "kernels", series)
    os.makedirs(os.path.dirname(folder), exist_ok=True)
    lock = open(folder + ".lock", "w", encoding="ascii")  # held until this process ends
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        raise debkernel.NoKernel("another run on it is under way in this tree") from None
    args.locks.append(lock)
    build = snapshot(args.build, folder)
    plan, console = os.path.join(folder, "plan"), os.path.join(folder, "console")
    with open(plan, "w", encoding="utf-8") as f:
        for p in programs:
            f.write("%s %d %s %s\n" % (p.name, p.seconds, p.how, p.command.replace("{build}", build)))
    command = "echo running $(uname -r); exec python3 -B tests/kernels/guest.py %s %s" % (build, plan)
    for boot in range(BOOTS):
        with emulator.Guest(tree, folder, command, {"RIPSTOP_TEST_SLOW": SLOW, "PYTHONUNBUFFERED": "1"},
                            seconds=args.minutes * 60, console=console) as guest:
            by_name, said = {p.name: p for p in programs}, False
            for line in guest.lines():
                take(by_name, line)
                said = True
        if said or guest.timed_out or boot + 1 == BOOTS:
            break
        print("the guest died before it ran anything, and is started again; its kernel's last words:\n" + guest.console_tail(3),
              flush=True)
    total = conclude(guest, programs, args.minutes, console)
    if not args.only:
        write_results(series, programs)
    print("kernel %s: %s  (%.1f min, %.1f of a processor)" %
          (release, total, (time.monotonic() - begin) / 60, cpu_minutes() - used), flush=True)
    return total


def missing():
    if platform.machine() != "x86_64":
        return "the guests run this machine's programs on amd64 kernels; this is " + platform.machine()
    if os.geteuid() != 0:
        return "not root"
    for tool in ("qemu-system-x86_64", "busybox", "depmod", "dpkg-deb", "apt-get"):
        if not shutil.which(tool):
            return "no %s (make check-kernels installs it where apt can)" % tool
    return ""


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--build", default=os.path.join(ROOT, "build", "rel"))
    ap.add_argument("--kernel", action="append", default=[], choices=list(debkernel.META))
    ap.add_argument("--only", action="append", default=[])
    ap.add_argument("--minutes", type=float, default=30, help="limit for each kernel")
    args = ap.parse_args()
    args.build, args.locks = os.path.abspath(args.build), []
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    why, total, ran = missing(), CHECK.Count(), True
    for series in args.kernel or debkernel.META:
        try:
            if why:
                raise debkernel.NoKernel(why)
            total.add(run_kernel(series, args))
        except debkernel.NoKernel as e:
            print("kernel %s cannot run here: %s" % (series, e), flush=True)
            total.skip, ran = total.skip + 1, False
    print(total)
    return 0 if ran and total.ok and not total.bad else 1


if __name__ == "__main__":
    sys.exit(main())
