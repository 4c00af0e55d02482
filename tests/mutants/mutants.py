#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Break the compiler and the ruleset builder on purpose, one patch at a time, and see that the tests notice.

    tests/mutants/mutants.py [--only WORD] [--cases N] [--seed S] [NAME...]

Each patch of this folder is a mistake that some implementation of NetworkPolicy has shipped; its head names the rules of
docs/semantics.md that it breaks. In a copy of the tree it is applied, built and judged by
    golden   the hand-written verdicts of tests/golden (not the recorded texts: those notice any change at all)
    prove    the differential test: oracles, IR and the rules, or the eBPF programs in the kernel, on random worlds
    kernel   of mistakes in the eBPF dataplane only: its packets, and its maps between two states
At least one must fail for it. A patch that no longer applies, or does not build, fails the run.
"""
import argparse
import glob
import os
import re
import shutil
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
WORK = os.path.join(ROOT, "build", "mutants")
SRC, OUT = os.path.join(WORK, "src"), os.path.join(WORK, "out")
PARTS = ["Makefile", "VERSION", "include", "lib", "bpf", "agent", "cli", "plugin", "tests", "tools"]
TARGETS = ["tests/golden/golden_runner", "tests/prove/prove", "tests/netns/ebpf_kernel", "tests/netns/ebpf_maps",
           "tests/unit/dataplane/test_bpf_plan"]


def call(argv, seconds=900):
    p = subprocess.run(argv, cwd=SRC, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
                       timeout=seconds, stdin=subprocess.DEVNULL, check=False)
    return p.returncode, p.stdout


def copy_tree():
    """The files of the working tree as they are; what was built for the last mutant is kept where it is the same."""
    os.makedirs(SRC, exist_ok=True)
    for part in PARTS:
        source, copy = os.path.join(ROOT, part), os.path.join(SRC, part)
        if os.path.isdir(source):
            shutil.rmtree(copy, ignore_errors=True)
            shutil.copytree(source, copy, ignore=shutil.ignore_patterns("__pycache__"))  # keeps times
        else:
            shutil.copy2(source, copy)
    # What an earlier run built of a file while it was broken is newer than the file.
    for patch in glob.glob(os.path.join(HERE, "*.patch")):
        with open(patch, encoding="utf-8") as f:
            for name in re.findall(r"^\+\+\+ b/(\S+)", f.read(), re.M):
                if os.path.exists(os.path.join(SRC, name)):
                    os.utime(os.path.join(SRC, name))


def build():
    return call(["make", "--no-print-directory", f"-j{os.cpu_count() or 1}", f"BUILD={OUT}"] +
                [f"{OUT}/{t}" for t in TARGETS])


def kernel():
    said = ""
    for argv in ([f"{OUT}/tests/unit/dataplane/test_bpf_plan"],
                 [f"{OUT}/tests/netns/ebpf_kernel", "packets", "hard", "sources", "unseen", "lists"],
                 [f"{OUT}/tests/netns/ebpf_maps"]):
        rc, out = call(argv)
        seen = re.findall(r"^FAIL .*|^.*FAILED .*", out, re.M)
        said = seen[0] if seen else (out.strip().splitlines() or ["no word"])[-1]
        if rc:
            return "kernel", True, said
    return "kernel", False, said


def judges(args, ebpf):
    """Yields (name, whether it noticed, a line that says what it saw)."""
    rc, out = call([f"{OUT}/tests/golden/golden_runner", "--flows-only", "tests/golden"])
    seen = re.findall(r"^FAIL .*", out, re.M)
    yield "golden", rc != 0, seen[0] if seen else out.strip().splitlines()[-1]
    rc, out = call([f"{OUT}/tests/prove/prove", "--cases", str(args.cases), "--seed", str(args.seed), "--first"] +
                   (["--readers", "oracle,ir,ebpf"] if ebpf else ["--oracle2", "tests/prove/oracle2.py"]))
    seen = re.findall(r"^.*mismatch.*", out, re.M | re.I)
    yield "prove", rc != 0, seen[0] if seen else (out.strip().splitlines() or ["no word"])[-1]
    if ebpf:
        yield kernel()


def one(patch, args):
    """What became of one mutant: None when it was caught, else why not."""
    with open(patch, encoding="utf-8") as f:
        head = f.read().split("\n\n")[0]
    ids = re.search(r"^Ids: (.*)", head).group(1)
    rc, out = call(["git", "apply", "--whitespace=nowarn", patch])
    if rc:
        return ids, "does not apply any more: " + out.strip().splitlines()[0]
    try:
        rc, out = build()
        if rc:
            return ids, "does not build: " + (re.findall(r".*error.*", out) or [out])[0]
        notices = []
        for name, noticed, line in judges(args, "bpf" in os.path.basename(patch)):
            print(f"         {name:7} {'noticed' if noticed else 'blind  '}  {line[:150]}", flush=True)
            notices.append(noticed)
        return ids, None if any(notices) else "nobody noticed"
    finally:
        call(["git", "apply", "-R", "--whitespace=nowarn", patch])


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--cases", type=int, default=20000)
    ap.add_argument("--seed", type=int, default=1)
    ap.add_argument("names", nargs="*")
    args = ap.parse_args()
    patches = [p for p in sorted(glob.glob(os.path.join(HERE, "*.patch")))
               if not args.names or os.path.basename(p)[:-6] in args.names]
    if not patches:
        ap.error("no such mutant")
    copy_tree()
    rc, out = build()
    good = [noticed for ebpf in (False, True) for _, noticed, _ in judges(args, ebpf)] if not rc else []
    if rc or any(good):
        print(out[-2000:] if rc else "the tree fails without any mutant: mend that first")
        print("0 passed, 1 failed, 0 skipped")
        return 1
    passed, failed = 0, 0
    for patch in patches:
        name, start = os.path.basename(patch)[:-6], time.monotonic()
        ids, why = one(patch, args)
        word = "failed" if why else "passed"
        print(f"{word:8} {name:40} {ids:16} {time.monotonic() - start:4.0f} s{'  ' + why if why else ''}", flush=True)
        passed, failed = passed + (not why), failed + bool(why)
    print(f"{passed} passed, {failed} failed, 0 skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
