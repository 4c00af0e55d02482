#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Which dataplane enforces where the eBPF one cannot: never none. Each fact is made real where a kernel lets it be.

    test_fallback.py [--build DIR] [NAME...]

Every agent here is judged by packets: what is allowed passes, what is not does not, and a pod that comes is let in.
"""
import argparse
import contextlib
import errno
import os
import sys
import time
import traceback

os.environ.pop("RIPSTOP_TEST_DATAPLANE", None)  # each agent is told here
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
import bpfcall  # noqa: E402
import harness  # noqa: E402
from badbed import APPS, POLICY, Bed, expect, until  # noqa: E402

TESTS = []
BUILD = None
EVERYWHERE = set()  # of kernels without programs at netfilter hooks too
EMPTY = "mount -t tmpfs none %s"
ONLY_NET_ADMIN = ["setpriv", "--bounding-set", "-all,+net_admin", "--inh-caps", "-all"]
OTHERS = [("prerouting", -311), ("prerouting", -312)]  # of place a and b


def test(fn):
    TESTS.append(fn)
    return fn


def everywhere(fn):
    EVERYWHERE.add(fn)
    return test(fn)


def has_hooks():
    """Whether this kernel takes a program for a netfilter hook at all (6.4)."""
    try:
        os.close(bpfcall.accept_all())
        return True
    except OSError as e:
        if e.errno != errno.EINVAL:
            raise
        return False


class Node(Bed):
    """Pods under nft as everywhere; agents of other kinds follow."""

    def __init__(self, mount=None):
        super().__init__(BUILD, mount=mount)
        try:
            if not self.lab.bpffs:
                self.lab.mount_bpffs()
            self.bpf = self.lab.bpf_dir(self.node)
        except BaseException:
            self.lab.close()
            raise

    def follow(self, asked, *options, wrap=(), **kw):
        """Another agent takes over."""
        self.node.kill_agent()
        plain, self.node.agent_argv = self.node.agent_argv, lambda *a: list(wrap) + plain(*a)
        try:
            self.node.start_agent("--dataplane", asked, "--bpf-dir", self.bpf, *options, **kw)
        finally:
            self.node.agent_argv = plain
        self.pid = self.node.agent.pid

    def held(self):
        """The dataplanes that have rules in force."""
        out = {"nft"} if self.node.nft("list", "table", "inet", "ripstop").returncode == 0 else set()
        return out | ({"ebpf"} if os.path.isdir(self.bpf) and os.listdir(self.bpf) else set())

    def conditions(self, kind):
        return [c["message"] for c in self.status()["conditions"] if c["type"] == kind]

    def enforces(self, name, configured, *words):
        """This one alone is in force, packets agree, a pod is let in, and status says why."""
        expect(until(lambda: self.held() == {name}, 20 * harness.SLOW), "in force:", self.held(), self.node.log_tail())
        d = self.status()["dataplane"]
        fell = configured == "ebpf" and name == "nft"
        expect((d["name"], d["configured"], d["fallback"]) == (name, configured, fell), d)
        expect("beside" not in d, d)
        said = self.conditions("DataplaneFallback")
        expect(bool(said) == fell, said)
        for word in words:
            expect(word in d["why"], "no %r in" % word, d["why"])
            expect(not fell or word in said[0], "no %r in" % word, said)
        screen = self.node.cli("status").stdout
        expect("%s (%s)" % (name, "fallback" if fell else "auto" if configured == "auto" else "as configured") in screen, screen)
        self.proof()
        pod = self.fresh()
        pod.attach(self.node, "shop", pod.short, labels={"app": APPS["web"]})
        pod.detach()


def places(bed):
    """Names of the sets that are pinned."""
    return sorted(os.listdir(bed.bpf))


def pins_in(folder):
    return sorted(os.path.join(at, name) for at, _, names in os.walk(folder) for name in names)


def refused(reasons, mount=None, prepare=None, **agent):
    """ebpf and auto, with this wrong on the node: nft enforces."""
    with Node(mount) as bed:
        with prepare(bed) if prepare else contextlib.nullcontext():
            for asked in ("ebpf", "auto"):
                bed.follow(asked, **agent)
                bed.enforces("nft", asked, *reasons)


@everywhere
def this_kernel():
    """As it is, with all rights: ebpf from 6.4 on, before that nft and why."""
    if has_hooks():
        with Node() as bed:
            bed.follow("ebpf")
            bed.enforces("ebpf", "ebpf", "as configured")
    else:
        refused(["kernel 6.4"])


@test
def auto_takes_ebpf():
    with Node() as bed:
        bed.follow("auto")
        bed.enforces("ebpf", "auto", "load and attach")
        bed.follow("nft")
        bed.enforces("nft", "nft", "as configured")


@test
def no_bpffs():
    with Node(mount=EMPTY % "/sys/fs/bpf") as bed:
        bed.bpf = "/sys/fs/bpf/ripstop"
        bed.held = lambda: {"nft"}
        bed.follow("ebpf")
        bed.enforces("nft", "ebpf", "is on no bpffs", "mount -t bpf")


@contextlib.contextmanager
def strangers_folder(bed):
    os.mkdir(bed.bpf)
    os.chown(bed.bpf, 65534, 65534)
    yield


@contextlib.contextmanager
def open_folder(bed):
    os.mkdir(bed.bpf)
    os.chmod(bed.bpf, 0o777)
    yield


@test
def folder_of_a_stranger():
    refused(["is not a folder of ours alone"], prepare=strangers_folder)


@test
def folder_that_all_may_write():
    refused(["is not a folder of ours alone"], prepare=open_folder)


@test
def bpffs_read_only():
    def remount(bed):
        harness.run(["mount", "-o", "remount,ro", bed.lab.bpffs])
        return contextlib.nullcontext()
    refused(["cannot be written"], prepare=remount)


@test
def pins_of_another_node():
    with Node() as bed, contextlib.ExitStack() as stack:
        bed.follow("ebpf")
        bed.enforces("ebpf", "ebpf")
        other = stack.enter_context(Node())
        folder, other.bpf = bed.bpf, bed.bpf
        other.held = lambda: {"nft"}
        before = pins_in(folder)
        other.follow("ebpf")
        other.enforces("nft", "ebpf", "of another network namespace")
        expect(pins_in(folder) == before and before, "another node's pins were touched")
        bed.proof()


@test
def pins_of_another_layout():
    """Left by an agent of another version: they judge until the new ones do."""
    with Node() as bed:
        bed.follow("ebpf")
        bed.node.kill_agent()
        os.rename(bed.bpf + "/" + places(bed)[0], bed.bpf + "/v99a")
        bed.proof()
        bed.node.agent = None
        bed.node.start_agent("--dataplane", "ebpf", "--bpf-dir", bed.bpf)
        bed.pid = bed.node.agent.pid
        expect(until(lambda: places(bed) != ["v99a"] and len(places(bed)) == 1, 20 * harness.SLOW), places(bed))
        expect(places(bed)[0].endswith("b"), places(bed))
        bed.enforces("ebpf", "ebpf", "as configured")


@test
def foreign_programs_at_both_places():
    refused(["stands at priority", "shares its priority"], prepare=lambda bed: bpfcall.foreign_programs(bed.node, OTHERS))


@test
def foreign_chains_at_both_places():
    def chains(bed):
        bed.node.sh("nft add table inet other; " + "; ".join(
            "nft add chain inet other c%d '{ type filter hook prerouting priority %d; }'" % (-p, p) for _, p in OTHERS))
        return contextlib.nullcontext()
    refused(["stands at priority -312"], prepare=chains)


@test
def foreign_program_at_one_place():
    """The other place is free, and a condition says that there is none for the next version."""
    with Node() as bed, bpfcall.foreign_programs(bed.node, OTHERS[:1]):
        bed.follow("ebpf")
        bed.enforces("ebpf", "ebpf")
        expect([p[-1] for p in places(bed)] == ["b"], places(bed))
        bed.follow("ebpf")
        bed.enforces("ebpf", "ebpf")
        expect([t for t in bed.conditions("Dataplane") if "priority -311" in t], bed.status()["conditions"])


@test
def first_commit_too_large():
    """What the probe cannot know: then the agent that runs takes the other one."""
    with Node() as bed:
        for asked in ("ebpf", "auto"):
            bed.follow(asked, "--bpf-entries", "2")
            bed.enforces("nft", asked, "rs_")
            expect("commit failed" in bed.log(), bed.node.log_tail())


@test
def first_commit_too_large_on_an_open_node():
    """Nobody's rules are there, but pods: they are closed before anything else, by the first one, which can do that much."""
    with Node() as bed:
        bed.node.kill_agent()
        bed.node.sh("nft delete table inet ripstop")
        bed.node.start_agent("--dataplane", "ebpf", "--bpf-dir", bed.bpf, "--bpf-entries", "2")
        bed.pid = bed.node.agent.pid
        expect("pods are closed until" in bed.log(), bed.node.log_tail())
        bed.enforces("nft", "ebpf", "rs_")


@test
def later_commit_too_large():
    """What is in force stays, with a condition."""
    with Node() as bed:
        bed.follow("ebpf", "--bpf-entries", "24")
        bed.enforces("ebpf", "ebpf")
        blocks = "".join("    - from: [{ipBlock: {cidr: 203.0.113.%d/32}}]\n" % i for i in range(64))
        bed.node.write_manifest("many.yaml", POLICY.replace("name: db,", "name: many,").split("    - from")[0] + blocks)
        expect(until(lambda: bed.conditions("CommitFailed"), 10 * harness.SLOW), bed.status())
        expect("rs_" in bed.conditions("CommitFailed")[0], bed.conditions("CommitFailed"))
        expect(bed.held() == {"ebpf"} and bed.status()["dataplane"]["name"] == "ebpf", bed.status()["dataplane"])
        bed.proof()
        bed.node.write_manifest("many.yaml", None)
        expect(until(lambda: not bed.conditions("CommitFailed"), 40 * harness.SLOW), bed.status())
        bed.enforces("ebpf", "ebpf")


@test
def no_btf():
    refused(["/sys/kernel/btf"], mount=EMPTY % "/sys/kernel/btf")


@test
def no_capabilities():
    refused(["CAP_BPF"], wrap=ONLY_NET_ADMIN)


@test
def kernel_without_the_program_type():
    """As 6.1: it refuses to load."""
    refused(["kernel 6.4"], wrap=[sys.executable, bpfcall.__file__, str(bpfcall.PROG_LOAD), str(errno.EINVAL)])


@test
def kernel_without_the_link_type():
    """As one that is built without CONFIG_NETFILTER_BPF_LINK."""
    refused(["attach a program", "kernel 6.4"],
            wrap=[sys.executable, bpfcall.__file__, str(bpfcall.LINK_CREATE), str(errno.EOPNOTSUPP)])


@test
def ebpf_was_in_force():
    """An agent that lost its capabilities: nft takes over, and what judged before goes only then."""
    with Node() as bed:
        bed.follow("ebpf")
        bed.enforces("ebpf", "ebpf")
        bed.follow("ebpf", wrap=ONLY_NET_ADMIN)
        bed.enforces("nft", "ebpf", "CAP_BPF")


@test
def others_stay_until_ours_are_in_force():
    with Node() as bed:
        bed.node.kill_agent()
        bed.node.write_manifest("broken.yaml", "kind: [")
        bed.node.start_agent("--dataplane", "ebpf", "--bpf-dir", bed.bpf, wait=False)
        expect(until(lambda: bed.ask("status"), 10 * harness.SLOW), bed.node.log_tail())
        expect(bed.status()["dataplane"]["beside"] == "nft", bed.status()["dataplane"])
        expect("judge too" in bed.conditions("OtherDataplane")[0], bed.status()["conditions"])
        expect("rules of nft judge too" in bed.node.cli("status").stdout, bed.node.cli("status").stdout)
        bed.proof()
        bed.node.write_manifest("broken.yaml", None)
        bed.node.wait_ready()
        bed.enforces("ebpf", "ebpf")
        expect(not bed.conditions("OtherDataplane"), bed.status()["conditions"])


@test
def programs_whose_pins_are_out_of_sight():
    """An agent of nft without the host's bpffs: it says so; one with it removes them; so does uninstall."""
    with Node() as bed:
        bed.follow("ebpf")
        bed.enforces("ebpf", "ebpf")
        seen, bed.bpf = bed.bpf, os.path.join(bed.lab.dir, "nothing")
        bed.follow("nft")
        expect(until(lambda: [t for t in bed.conditions("OtherDataplane") if "manifests/ebpf" in t], 10 * harness.SLOW),
               bed.status()["conditions"])
        bed.proof()
        bed.node.kill_agent()
        argv = bed.node.agent_argv("--bpf-dir", bed.bpf)
        p = bed.node.run(argv[:1] + ["uninstall", "--force"] + argv[1:], check=False)
        expect(p.returncode == 1 and "eBPF programs judge" in p.stderr, p.stdout, p.stderr)
        bed.bpf = seen
        bed.node.start_agent("--bpf-dir", bed.bpf)
        bed.pid = bed.node.agent.pid
        bed.enforces("nft", "nft", "as configured")


@everywhere
def nft_makes_no_call_of_bpf():
    """Where a filter makes it the end of a process, as in a unit of systemd's that does not allow it."""
    with Node() as bed:
        bed.follow("nft", wrap=ONLY_NET_ADMIN + [sys.executable, bpfcall.__file__, "0", str(bpfcall.KILLED)])
        bed.enforces("nft", "nft", "as configured")
        bed.alive()


@test
def uninstall_needs_no_right_of_bpf():
    """As the DaemonSet of manifests/uninstall/ does it: NET_ADMIN alone, and the seccomp profile of runtimes refuses bpf()."""
    with Node() as bed:
        bed.follow("ebpf")
        bed.enforces("ebpf", "ebpf")
        bed.node.kill_agent()
        argv = bed.node.agent_argv("--dataplane", "ebpf", "--bpf-dir", bed.bpf)
        obj_get = [sys.executable, bpfcall.__file__, str(bpfcall.OBJ_GET), str(errno.EPERM)]
        p = bed.node.run(ONLY_NET_ADMIN + obj_get + argv[:1] + ["uninstall", "--force"] + argv[1:], check=False)
        expect(p.returncode == 0 and "removed: rules" in p.stdout, p.stdout, p.stderr)
        expect(not bed.held() and "ripstop" not in bed.node.sh("nft list tables"), bed.held(), bed.node.sh("nft list tables"))


def main():
    global BUILD
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--build", default=None)
    ap.add_argument("names", nargs="*")
    args = ap.parse_args()
    harness.start()
    BUILD = args.build
    unknown = set(args.names) - {fn.__name__ for fn in TESTS}
    if unknown:
        ap.error("no such test: " + ", ".join(sorted(unknown)))
    passed = failed = skipped = 0
    for fn in TESTS:
        if args.names and fn.__name__ not in args.names:
            continue
        if fn not in EVERYWHERE and not has_hooks():
            skipped += 1
            print("skipped  %s: this kernel has no programs at netfilter hooks" % fn.__name__)
            continue
        begin, result = time.monotonic(), "passed"
        try:
            fn()
            passed += 1
        except Exception:  # pylint: disable=broad-except
            result = "failed"
            failed += 1
            traceback.print_exc(file=sys.stdout)
        print("%-8s %s (%.1f s)" % (result, fn.__name__, time.monotonic() - begin), flush=True)
    print("%d passed, %d failed, %d skipped" % (passed, failed, skipped))
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
