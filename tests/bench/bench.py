#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Measure, and hold each figure against its bar.

    tests/bench/bench.py [--build DIR] [--out DIR] [--write-baseline] [NAME...]

NAME is one of cni, packets, control, memory, source, explain; without one all run. The report is written to
build/bench: report.txt, report.json, report.html. The last lines are one a bar, then "N held, N missed"; exit code 1 when
a bar is missed or it cannot run. docs/bench.md says what each figure means.
"""
import argparse
import datetime
import json
import os
import subprocess
import sys
import time

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, HERE)
import barfile  # noqa: E402
import benchpage  # noqa: E402
import benchrun  # noqa: E402
import benchtext  # noqa: E402

# What a bench runs, and the seconds that each program may take. All of it ends within 25 minutes.
PROGRAMS = {
    "cni": [("bench_cni", 420)],
    "packets": [("bench_packets", 450)],
    "bpf": [("bench_bpf", 60)],
    "control": [("bench_control", 170), ("bench_events.py", 150)],
    "memory": [("bench_memory.py", 200)],
    "source": [("bench_source", 40)],
    "explain": [("bench_explain.py", 60)],
}
BUSY = 0.3  # load average that disturbs figures


# ---- the machine -----------------------------------------------------------------------------------------


def first_line(path, default=""):
    try:
        with open(path, encoding="utf-8", errors="replace") as f:
            return f.readline().strip() or default
    except OSError:
        return default


def after_colon(path, key):
    try:
        with open(path, encoding="utf-8", errors="replace") as f:
            return next((line.split(":", 1)[1].strip() for line in f if line.startswith(key)), "")
    except OSError:
        return ""


def git(*argv):
    p = subprocess.run(["git", "-C", ROOT, *argv], capture_output=True, text=True, check=False)
    return p.stdout.strip() if p.returncode == 0 else ""


def machine():
    memory = after_colon("/proc/meminfo", "MemTotal").split()
    commit = git("rev-parse", "--short=12", "HEAD") or "unknown"
    return {
        "cpu": after_colon("/proc/cpuinfo", "model name") or os.uname().machine,
        "processors": os.cpu_count(),
        "memoryGB": round(int(memory[0]) * 1024 / 1e9, 1) if memory else 0,
        "kernel": "%s %s" % (os.uname().sysname, os.uname().release),
        "governor": first_line("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "not told by this machine"),
        "commit": commit + (" with changes" if git("status", "--porcelain", "--untracked-files=no") else ""),
        "begun": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        "loadBefore": round(os.getloadavg()[0], 2),
    }


# ---- the programs ----------------------------------------------------------------------------------------


def argv_of(name, build, seconds):
    path = os.path.join(HERE, name) if name.endswith(".py") else os.path.join(build, "tests", "bench", name)
    return ([sys.executable] if name.endswith(".py") else []) + [path, "--build", build, "--seconds", str(seconds)]


class Progress:
    """One line that is written again and again on a terminal; elsewhere a line a program."""

    def __init__(self, name, seconds):
        self.name, self.seconds, self.next = name, seconds, 0
        self.tty = sys.stderr.isatty()
        if not self.tty:
            print("%s: some %d s" % (name, seconds), file=sys.stderr, flush=True)

    def __call__(self, child):
        if self.tty and time.monotonic() >= self.next:
            self.next = time.monotonic() + 1
            print("\r%s: %d of some %d s, %d lines\x1b[K" % (self.name, child.age(), self.seconds, child.lines), end="",
                  file=sys.stderr, flush=True)

    def end(self, run):
        _, _, seconds, code = run.programs[-1]
        print("%s%s: %d s, exit code %d" % ("\r\x1b[K" if self.tty else "", self.name, seconds, code), file=sys.stderr,
              flush=True)


def measure(names, build, out, programs):
    run = benchrun.Run()
    for bench in names:
        for name, seconds in programs[bench]:
            progress = Progress(name, seconds)
            benchrun.program(run, bench, name, argv_of(name, build, seconds), seconds, os.path.join(out, name + ".log"), progress)
            progress.end(run)
    return run


# ---- the baseline ----------------------------------------------------------------------------------------


def read_baseline(path):
    try:
        with open(path, encoding="utf-8") as f:
            return json.load(f)
    except FileNotFoundError:
        return {"machine": {}, "bars": {}}


def write_baseline(path, old, info, outcomes):
    """Figures of this run take the place of earlier ones; those of benches that did not run stay."""
    bars = dict(old["bars"])
    for o in outcomes:
        if o.figure:
            bars[o.bar.name] = {"value": round(o.figure.value, 4), "low": round(o.figure.low, 4), "high": round(o.figure.high, 4),
                                "unit": o.bar.unit}
    with open(path, "w", encoding="utf-8") as f:
        json.dump({"machine": info, "bars": dict(sorted(bars.items()))}, f, indent=1)
        f.write("\n")


# ---- all of it -------------------------------------------------------------------------------------------


def arguments():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--build", default="build/rel")
    ap.add_argument("--out", default="build/bench")
    ap.add_argument("--write-baseline", action="store_true")
    ap.add_argument("name", nargs="*")
    args = ap.parse_args()
    unknown = [n for n in args.name if n not in PROGRAMS]
    if unknown:
        ap.error("no bench is called %s; there are %s" % (", ".join(unknown), ", ".join(PROGRAMS)))
    return args


def main():
    args = arguments()
    if os.geteuid():
        sys.exit("bench: this needs root: it makes network namespaces")
    os.chdir(ROOT)
    os.makedirs(args.out, exist_ok=True)
    bars = barfile.read("tests/bench/bars")
    baseline = read_baseline("tests/bench/baseline.json")
    names = [n for n in PROGRAMS if n in args.name or not args.name]
    info, begun = machine(), time.monotonic()
    if info["loadBefore"] > BUSY:
        print("bench: load average %.2f: other work disturbs the figures" % info["loadBefore"], file=sys.stderr)
    run = measure(names, os.path.abspath(args.build), args.out, PROGRAMS)
    info["seconds"] = round(time.monotonic() - begun)
    outcomes = barfile.judge(bars, names, run, baseline["bars"])
    report = benchtext.report(info, run, outcomes, baseline)
    benchtext.write(args.out, report)
    benchpage.write(os.path.join(args.out, "report.html"), report)
    if args.write_baseline:
        write_baseline("tests/bench/baseline.json", baseline, info, outcomes)
    print(benchtext.ending(report, args.out))
    return 1 if any(o.verdict == "missed" for o in outcomes) else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except barfile.BadBars as e:
        sys.exit("bench: %s" % e)
    except KeyboardInterrupt:
        sys.exit("bench: interrupted")
