#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Somebody else is at the eBPF dataplane's pins, links and maps under forbidden and allowed packets: until when?

    test_bpf_gap.py [--build DIR] [NAME...]        names: pins, links, elements

The gap is measured and printed, never judged: it is the machine's, and the interval at which the agent looks.
RS_GAP_ROUNDS (2) of links and of elements.
"""
import contextlib
import glob
import os
import socket
import struct
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
import bpfpins  # noqa: E402
import harness  # noqa: E402
from flow_main import main  # noqa: E402
from flowbed import ADDRESS, FlowBed  # noqa: E402
from gap_foreign import Gap, gap_flows, settled  # noqa: E402
from harness import HarnessError, patience  # noqa: E402
from streams import Streams  # noqa: E402

RATE = 200
ROUNDS = int(os.environ.get("RS_GAP_ROUNDS", "2"))
QUIET = 0.3
NOTICED = "the kernel's rules were changed by somebody else"


def wait(fn, what, seconds=30):
    end = time.monotonic() + patience(seconds)
    while not fn():
        if time.monotonic() > end:
            raise HarnessError(what)
        time.sleep(0.02)


def pins(bed):
    return bpfpins.folder(bed.lab.bpf_dir(bed.node))


def told(bed, word):
    """How often the agent's log names an object that was changed."""
    with open(bed.node.log_path, encoding="utf-8") as f:
        return sum(NOTICED in line and word in line for line in f)


def forbidden(live):
    return [w for (i, way), w in live.report().items() if i[0] == "X" and way == "up"]


def play(bed, live, res, damage, word, opens):
    """One damage: what the forbidden flows got through, and that the agent said what it found."""
    before, begun = told(bed, word), time.monotonic()
    live.mark()
    damage(bed)
    if opens:
        wait(lambda: any(w.since for w in forbidden(live)), "control: %s let nothing through" % word)
    wait(lambda: told(bed, word) > before, "nothing in the log about %s" % word)
    noticed = time.monotonic() - begun
    wait(lambda: max([w.last for w in forbidden(live) if w.since] or [0]) < (time.monotonic() - QUIET) * 1e3,
         "forbidden packets pass on after %s" % word)
    ways = forbidden(live)
    settled(bed, live, res)
    return ways, noticed


def run(build, res, damage, word, opens, rounds):
    with FlowBed(build) as bed:
        gap, noticed = Gap(), []
        with Streams(bed.lab, gap_flows(bed), RATE) as live:
            time.sleep(0.3)
            settled(bed, live, res)
            for _ in range(rounds):
                ways, after = play(bed, live, res, damage, word, opens)
                gap.add(ways)
                noticed.append(after)
            live.stop()
        if not opens:
            res.expect(not gap.ms, "forbidden packets passed: %s" % gap)
        res.note("%s: noticed after %s s; %s" % (word, ", ".join("%.2f" % s for s in noticed), gap))


def take_pins(bed):
    """The agent hears of the first and may be making all of them anew: whichever are there."""
    taken = 0
    for path in [pins(bed) + "/rs_cells"] + glob.glob(pins(bed) + "/link_*"):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
            taken += 1
    if not taken:
        raise HarnessError("no pin was there")


def detach(bed):
    for path in glob.glob(pins(bed) + "/link_forwarded?"):
        with bpfpins.Pin(path) as p:
            p.detach()


def key_of(address):
    family = 6 if ":" in address else 4
    raw = socket.inet_pton(socket.AF_INET6 if family == 6 else socket.AF_INET, address)
    return struct.pack("=I", family) + raw.ljust(16, b"\0")


def promote(bed):
    """Whom nobody lets in becomes one of those whom b lets in: the class of c, in both slots."""
    with bpfpins.Pin(pins(bed) + "/rs_ends") as ends:
        for family in (4, 6):
            c = struct.unpack("=QQ8I", ends.look_up(key_of(ADDRESS["c"][family]), 48))
            s = list(struct.unpack("=QQ8I", ends.look_up(key_of(ADDRESS["s"][family]), 48)))
            at = 2 if c[0] > c[1] else 6
            for slot in (2, 6):
                s[slot] |= 1
                s[slot + 1] = c[at + 1]
            ends.update(key_of(ADDRESS["s"][family]), struct.pack("=QQ8I", *s))


def test_pins(build, res):
    """Their removal is heard of at once, and opens nothing."""
    run(build, res, take_pins, "pin ", False, 3)


def test_links(build, res):
    """Of programs that were detached nobody tells."""
    run(build, res, detach, "program at hook", True, ROUNDS)


def test_elements(build, res):
    """And of an element that was changed."""
    run(build, res, promote, "rs_ends", True, ROUNDS)


TESTS = [("pins", "pins that are taken away are put back, and nothing passes", test_pins),
         ("links", "programs that are detached are noticed and attached again", test_links),
         ("elements", "an element that is changed is noticed and mended", test_elements)]

if __name__ == "__main__":
    harness.PLANE = harness.planes.PLANES["ebpf"]
    sys.exit(main(TESTS, __doc__))
