#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Ripstop on a real Kubernetes cluster: control plane and nodes on this machine, in namespaces of their own.

    check_cluster.py [--suite smoke|netpol|faults|all] [--dataplane nft|ebpf|auto] [--build DIR] [--only MODULE] [--minutes N] [--keep]

A suite is one or some modules suite_NAME.py with run(cluster, result), and, where the default will not do,

    CLUSTERS = [{"dual": True}, ...]   arguments of bed.Cluster; run() is called once with each
    FRESH = True                       wants a cluster that no other module has used
    INSTALL = False                    wants it without Ripstop

Ends with `N passed, N failed, N skipped`; exit status 1 when anything failed or nothing passed. --keep leaves the last
cluster running; `python3 tests/cluster/bed.py down --name check` takes it away.
"""
import argparse
import contextlib
import fcntl
import importlib
import os
import signal
import sys
import time

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
import bed  # noqa: E402
import bedlib  # noqa: E402
import programs  # noqa: E402
from result import Result  # noqa: E402

SUITES = {"smoke": ("suite_smoke",), "netpol": ("suite_netpol", "suite_services"),
          "faults": ("suite_upgrade", "suite_storm", "suite_faults", "suite_users")}
NAME = "check"


class TimeUp(BaseException):
    """The run's time is over; no case may swallow this."""


class Stopped(BaseException):
    """Somebody ended the run by a signal."""


def time_up(*_):
    raise TimeUp()


def stopped(number, _):
    raise Stopped(signal.Signals(number).name)


class Beds:
    """At most one cluster at a time; modules that want the same one share it."""

    def __init__(self, build, say, keep, dataplane):
        self.build, self.say, self.keep, self.dataplane = build, say, keep, dataplane
        self.cluster, self.kind = None, None

    def get(self, wanted, install, fresh):
        kind = (sorted(wanted.items(), key=str), install)
        if self.cluster and (fresh or kind != self.kind):
            self.drop()
        if not self.cluster:
            began = time.monotonic()
            self.cluster, self.kind = bed.Cluster(NAME, build=self.build, dataplane=self.dataplane, **wanted), kind
            self.cluster.up()
            self.say("cluster: %s, %d nodes, %s, kube-proxy %s, up in %d s" % (
                self.cluster.programs.version, len(self.cluster.nodes), "dual stack" if self.cluster.dual else "IPv4",
                self.cluster.proxy, time.monotonic() - began))
            if install:
                began = time.monotonic()
                self.say("installed %s in %d s" % (self.cluster.install(), time.monotonic() - began))
        return self.cluster

    def drop(self):
        cluster, self.cluster = self.cluster, None
        if cluster:
            cluster.down()


def run_module(name, beds, result):
    module = importlib.import_module(name)
    result.suite = name.removeprefix("suite_")
    for wanted in getattr(module, "CLUSTERS", [{}]):
        began = time.monotonic()
        result.say("==== %s %s" % (result.suite, " ".join("%s=%s" % kv for kv in sorted(wanted.items()))))
        try:
            cluster = beds.get(wanted, getattr(module, "INSTALL", True), getattr(module, "FRESH", False))
        except bedlib.BedError as e:
            result.failed("a cluster for it", e)
            beds.drop()
            continue
        failed = result.count("failed")
        try:
            module.run(cluster, result)
        except Exception as e:  # what a suite did not expect must not take the others along
            result.failed("the suite comes to its end", "%s: %s" % (type(e).__name__, e))
        if result.count("failed") > failed:
            result.say("read more in %s" % cluster.dump(result.suite + "-end"))
        result.say("%s: %d s" % (result.suite, time.monotonic() - began))


def run_all(modules, beds, result):
    """True when it came to its end; the cluster is taken away however it ended."""
    whole = False
    try:
        programs.ensure()
        signal.setitimer(signal.ITIMER_REAL, result.restart())
        for name in modules:
            run_module(name, beds, result)
        whole = True
    except programs.NoPrograms as e:
        result.failed("Kubernetes to run against", e)
    except TimeUp:
        result.failed("the run ends in its time", "not within %d minutes" % result.minutes)
    except (Stopped, KeyboardInterrupt) as e:
        result.failed("the run comes to its end", "stopped by %s" % (e or "SIGINT"))
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)  # taking away is not to be cut short
        if not (beds.keep and beds.cluster):
            beds.drop()
            bed.take_down(NAME, keep_logs=True)
    return whole


def modules_of(suite, only):
    wanted = [m for s, names in SUITES.items() if suite in (s, "all") for m in names]
    there = [m for m in wanted if os.path.exists(os.path.join(HERE, m + ".py"))]
    if suite != "all" and there != wanted:
        sys.exit("check_cluster: not in this tree: " + " ".join(sorted(set(wanted) - set(there))))
    return [m for m in there if not only or m.removeprefix("suite_") == only]


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--build", default=os.path.join(bedlib.ROOT, "build", "rel"))
    ap.add_argument("--suite", default="all", choices=[*SUITES, "all"])
    ap.add_argument("--dataplane", default="nft", choices=("nft", "ebpf", "auto"), help="what the agents are installed with")
    ap.add_argument("--only", default="", help="one module of the suite: netpol, services, ...")
    ap.add_argument("--minutes", type=float, default=75, help="limit for all, after the programs are there")
    ap.add_argument("--keep", action="store_true")
    args = ap.parse_args()
    signal.signal(signal.SIGALRM, time_up)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, stopped)
    os.makedirs(bed.RUNS, exist_ok=True)
    with open(os.path.join(bed.RUNS, "check.lock"), "w", encoding="ascii") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            sys.exit("check_cluster: another run is under way in this tree")
        result = Result(args.minutes, say=lambda text: print(text, flush=True))
        beds = Beds(args.build, result.say, args.keep, args.dataplane)
        whole = run_all(modules_of(args.suite, args.only), beds, result)
    for word in ("failed", "skipped"):
        for line in [line for line in result.lines if line[0] == word]:
            print("%-7s %s: %s" % line)
    write_results(args, result)
    print(result)
    return 0 if whole and result.count("passed") and not result.count("failed") else 1


def write_results(args, result):
    """build/results/cluster-SUITE.txt, for tools/check-semantics."""
    if args.only:
        return
    folder = os.path.join(bedlib.ROOT, "build", "results")
    with contextlib.suppress(OSError):
        os.makedirs(folder, exist_ok=True)
        lines = sorted("%s cluster suite_%s\n" % (word, name.replace("/", " ", 1)) for word, name, _ in result.lines)
        which = args.suite + ("" if args.dataplane == "nft" else "-" + args.dataplane)
        bedlib.write(os.path.join(folder, "cluster-%s.txt" % which), "".join(lines))


if __name__ == "__main__":
    sys.exit(main())
