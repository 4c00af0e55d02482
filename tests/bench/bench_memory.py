#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Memory of the agent at three sizes of world W, its start, what it costs when nothing happens; size and memory of the plugin.

    bench_memory.py --build DIR --seconds N

One real agent a size, side by side, each with 250 pods (100 at the smallest) that the real plugin attached, its objects from an
API server over TLS. Series, SIZE one of 100, 10k, 100k:
    memory.start.SIZE       s from the start of the agent, on an empty node, until it is in sync
    memory.private.SIZE     MB, Anonymous of smaps_rollup after 60 s of quiet; MB are 10^6 bytes everywhere
    memory.rss.SIZE         MB, Rss of smaps_rollup, the libraries that it maps included
    memory.idle.SIZE        % of a core over these 60 s, one audit of the whole table included
    memory.adopt.SIZE       s from the start of an agent that finds its pods and its table, until it is in sync
    memory.plugin.size, memory.plugin.rss.version, memory.plugin.rss.add   MB; size as installed, rss the peak of one call
"""
import json
import os
import shutil
import subprocess
import sys
import time

from benchbed import SIZES, WorldBed, begin
from harness import HarnessError

QUIET = 60
SETTLE = 5
ADDS = 5


# ---- the agent ------------------------------------------------------------------------------------------


def rollup(pid):
    out = {}
    with open("/proc/%d/smaps_rollup" % pid, encoding="ascii") as f:
        for line in f.readlines()[1:]:
            key, kib, *_ = line.split()
            out[key.rstrip(":")] = int(kib) * 1024 / 1e6
    return out


def cpu_ns(pid):
    total = 0
    for task in os.listdir("/proc/%d/task" % pid):
        with open("/proc/%d/task/%s/schedstat" % (pid, task), encoding="ascii") as f:
            total += int(f.read().split()[0])
    return total


def prepare(bed, say):
    say.value("memory.start." + bed.size, bed.start(), "s")
    bed.attach(range(bed.n_local))
    bed.check(say, bed.n_local)


def quiet(beds, say):
    time.sleep(SETTLE)
    before, begun = [cpu_ns(b.node.pid()) for b in beds], time.monotonic()
    time.sleep(QUIET)
    seconds = time.monotonic() - begun
    for bed, was in zip(beds, before):
        use = cpu_ns(bed.node.pid()) - was
        memory = rollup(bed.node.pid())
        say.value("memory.idle." + bed.size, use / 1e7 / seconds, "%")
        say.value("memory.private." + bed.size, memory["Anonymous"], "MB")
        say.value("memory.rss." + bed.size, memory["Rss"], "MB")


def adopt(bed, say):
    was = bed.node.ctl("status")
    bed.node.kill_agent()
    say.value("memory.adopt." + bed.size, bed.start(), "s")
    now = bed.check(say, bed.n_local)
    if now["metadata"]["generation"] != was["metadata"]["generation"]:
        say.note("memory.adopt.%s: generation %s after %s, so something was committed anew" % (
            bed.size, now["metadata"]["generation"], was["metadata"]["generation"]))


# ---- the plugin -----------------------------------------------------------------------------------------


def plugin_size(args, bed, say):
    path = os.path.join(bed.lab.dir, "ripstop-cni")
    if shutil.which("strip"):
        subprocess.run(["strip", "-s", "-o", path, os.path.join(args.build, "ripstop-cni")], check=True)
        say.value("memory.plugin.size", os.path.getsize(path) / 1e6, "MB")
    else:
        say.skip("memory.plugin.size", "no strip here, and the plugin is installed without its symbols")


def peak(args, bed, command, conf, **env):
    """MB at most of one call of the plugin."""
    out = os.path.join(bed.lab.dir, "peak")
    argv = [os.path.join(args.build, "tests", "bench", "peakrss"), out, os.path.join(args.build, "ripstop-cni")]
    p = subprocess.run(bed.node.argv(argv), input=json.dumps(conf), capture_output=True, text=True, check=False, timeout=60,
                       env={"PATH": os.environ["PATH"], "CNI_COMMAND": command, "CNI_PATH": "/nonexistent", **env})
    if p.returncode:
        raise HarnessError("%s under peakrss: %s %s" % (command, p.stdout, p.stderr))
    with open(out, encoding="ascii") as f:
        return int(f.read()) * 1024 / 1e6


def plugin(args, bed, say):
    plugin_size(args, bed, say)
    pod, i = bed.pods[0], 0
    ids = {"CNI_CONTAINERID": pod.container_id, "CNI_IFNAME": "eth0", "CNI_NETNS": pod.path, "CNI_ARGS": pod.args}
    for n in range(ADDS):
        say.value("memory.plugin.rss.version", peak(args, bed, "VERSION", {"cniVersion": "1.0.0"}), "MB", n)
        bed.detach([i])
        say.value("memory.plugin.rss.add", peak(args, bed, "ADD", bed.node.cni_conf(), **ids), "MB", n)


def main():
    args, say = begin(__doc__)
    beds = []
    try:
        for size in SIZES:
            beds.append(WorldBed(args.build, size))
            prepare(beds[-1], say)
        quiet(beds, say)
        plugin(args, beds[0], say)
        for bed in beds:
            adopt(bed, say)
    finally:
        for bed in beds:
            bed.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
