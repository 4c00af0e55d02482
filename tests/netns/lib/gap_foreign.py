# SPDX-License-Identifier: Apache-2.0
"""gap_foreign.py - somebody else takes our rules away under forbidden and allowed packets: until when?"""
import os
import statistics
import time

from flowbed import ADDRESS, FlowBed
from harness import CtlError, HarnessError
from streams import Streams

ROUNDS = int(os.environ.get("RS_GAP_ROUNDS", "30"))
RATE = 1000
QUIET = 0.12  # seconds without a forbidden packet: it is over

# what opens the node, what only takes an answer away (and so closes), each as arguments of nft
OPENING = [("flush ruleset", ["flush", "ruleset"]), ("delete table", ["delete", "table", "inet", "ripstop"]),
           ("flush chain known_flow", ["flush", "chain", "inet", "ripstop", "known_flow"])]
CLOSING = ("delete one element", ["delete", "element", "inet", "ripstop", "grp_in4", "{ %s }" % ADDRESS["b"][4]])


def gap_flows(bed):
    """X: s to b, which nothing allows. Y: c to b, which is allowed."""
    return bed.flows("X", "s", "b", 5000, ("udp",)) + bed.flows("Y", "c", "b", 5100, ("udp", "tcp"))


def in_force(bed):
    """The agent finds nothing to mend, and the kernel has the table."""
    try:
        good = bed.node.ctl("status")["dataplane"].get("inSync", False)
    except (OSError, CtlError):
        return False
    element = "{ %s }" % ADDRESS["b"][4]
    return good and not bed.node.nft("get", "element", "inet", "ripstop", "grp_in4", element).returncode and \
        not bed.node.nft("list", "chain", "inet", "ripstop", "known_flow").returncode


class Gap:
    def __init__(self):
        self.ms, self.packets, self.none = [], [], 0

    def add(self, ways):
        """ways: of the forbidden flows since the change."""
        n = sum(w.since for w in ways)
        if not n:
            self.none += 1
            return
        first, last = min(w.first for w in ways if w.since), max(w.last for w in ways)
        self.ms.append(last - first)
        self.packets.append(n)

    def __str__(self):
        total = len(self.ms) + self.none
        if not self.ms:
            return "%d rounds, no forbidden packet in any" % total
        return "%d rounds, from the first forbidden packet to the last: median %.1f ms, most %.1f ms; %d packets, at " \
               "most %d in a round; none in %d rounds" % (total, statistics.median(self.ms), max(self.ms),
                                                          sum(self.packets), max(self.packets), self.none)


def one_round(bed, live, argv, res, name):
    """Marks before and after, and what the forbidden flows got through."""
    first = live.mark()
    p = bed.node.nft(*argv)
    if p.returncode:
        raise HarnessError("nft %s: %s" % (" ".join(argv), p.stderr.strip()))
    end, over = time.monotonic() + 20, False
    while not over and time.monotonic() < end:
        time.sleep(QUIET)
        ways = [w for (i, way), w in live.report().items() if i[0] == "X" and way == "up"]
        over = in_force(bed) and max(w.last for w in ways) < (time.monotonic() - QUIET) * 1e3
    res.expect(over, "%s: not restored in 20 s" % name)
    return (first, live.mark()), ways


def lost_between(counts, spans):
    """Allowed packets that never came, sent between these marks (TCP sends again)."""
    return sum(n for (i, _), w in counts.items() if i[0] == "Y" and "udp" in i
               for at, n in w.holes.items() if any(a <= at < b for a, b in spans))


def settled(bed, live, res):
    """Before and after: nothing forbidden passes, everything allowed does."""
    live.mark()
    dead = live.wait_flowing({i for i in live.flows if i[0] == "Y"})
    res.expect(not dead, "control: allowed flows stand still: %s" % dead)
    got = {k: w.since for k, w in live.report().items() if k[0][0] == "X" and w.since}
    res.expect(not got, "forbidden packets pass, with the rules in force: %s" % got)


def test_foreign(build, res):
    """F28, XA: without an owner the table can be taken away; the agent hears of it and brings it back."""
    with FlowBed(build, "--own-table", "off") as bed:
        gaps, spans = {}, {}
        with Streams(bed.lab, gap_flows(bed), RATE) as live:
            time.sleep(0.3)
            settled(bed, live, res)
            for name, argv in OPENING + [CLOSING]:
                res.begin("F28 " + name)
                gaps[name], spans[name] = Gap(), []
                for _ in range((ROUNDS + len(OPENING) - 1) // len(OPENING) if name != CLOSING[0] else 4):
                    marks, ways = one_round(bed, live, argv, res, name)
                    gaps[name].add(ways)
                    spans[name].append(marks)
                settled(bed, live, res)
            counts = live.stop()
        for name, _ in OPENING:
            res.begin("F28 " + name)
            res.note("%s: %s" % (name, gaps[name]))
            lost = lost_between(counts, spans[name])
            res.expect(not lost, "%s: %d allowed packets were lost" % (name, lost))
        res.begin(res.first)
        opened = sum(len(gaps[name].ms) for name, _ in OPENING)
        res.expect(opened > 0, "control: no change let a forbidden packet through: the bed does not see gaps")
        res.begin("F28 " + CLOSING[0])
        res.expect(not gaps[CLOSING[0]].ms, "%s: forbidden packets passed: %s" % (CLOSING[0], gaps[CLOSING[0]]))
        res.note("%s: %s; %d allowed packets lost (it closes, save for flows that are cached)" %
                 (CLOSING[0], gaps[CLOSING[0]], lost_between(counts, spans[CLOSING[0]])))


def test_owned(build, res):
    """The same where the table has an owner: nobody else can."""
    with FlowBed(build, "--own-table", "on") as bed:
        if "owner" not in bed.node.nft("list", "table", "inet", "ripstop").stdout.split("chain")[0]:
            res.note("this kernel gives a table no owner; the window is that of `foreign`")
            res.expect("own" in str(bed.node.ctl("status")), "and a condition says so")
            return
        gap, refused, rounds = Gap(), 0, 0
        with Streams(bed.lab, gap_flows(bed), RATE) as live:
            time.sleep(0.3)
            settled(bed, live, res)
            before = bed.stamp()
            for name, argv in OPENING + [CLOSING]:
                for _ in range(ROUNDS // len(OPENING)):
                    live.mark()
                    refused += bed.node.nft(*argv).returncode != 0
                    time.sleep(0.05)
                    gap.add([w for (i, _), w in live.report().items() if i[0] == "X"])
                    rounds += 1
            settled(bed, live, res)
            counts = live.stop()
        res.expect(not gap.ms, "forbidden packets passed: %s" % gap)
        res.expect(bed.stamp() == before, "the table was made anew")
        lost = sum(sum(w.holes.values()) for (i, _), w in counts.items() if i[0] == "Y")
        res.expect(not lost, "%d allowed packets were lost" % lost)
        res.expect(refused >= rounds // 2, "control: only %d of %d changes were refused aloud" % (refused, rounds))
        res.note("owned: %d attempts, %d refused aloud, the others (flush ruleset) pass it by; %d forbidden packets "
                 "sent, %d passed" % (rounds, refused, sum(w.sent for (i, _), w in counts.items() if i[0] == "X"),
                                sum(gap.packets)))
