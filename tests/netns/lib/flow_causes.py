# SPDX-License-Identifier: Apache-2.0
"""flow_causes.py - everything that can tighten a policy, under one set of established flows."""
import copy
import time

from flowbed import HIGH, FlowBed, base_objects, meta, pods_of, policy
from harness import SLOW, patience
from streams import Streams

RATE = 40 / SLOW  # packets a second, flow and direction
WATCH = 0.4 * SLOW  # seconds of packets that must not pass


def changed(key, edit):
    """The base object, edited."""
    o = copy.deepcopy(base_objects()[key])
    edit(o)
    return {key: o}


def relabelled(key, **labels):
    """None takes a label away."""
    def edit(o):
        for k, v in labels.items():
            o["metadata"]["labels"].pop(k, None)
            if v is not None:
                o["metadata"]["labels"][k] = v
    return changed(key, edit)


def finished(key, phase):
    return changed(key, lambda o: o.setdefault("status", {}).update(phase=phase))


def reborn(o):
    """Another object of the same name."""
    o["metadata"].update(uid="r-2", labels={"app": "other"})


NOBODY = [{"from": [pods_of({"role": "nobody"})]}]


def causes():
    """(name with ids, groups that it cuts, what changes)"""
    to_high = [{"to": [pods_of({"app": "b"}, {})], "ports": [{"protocol": "TCP", "port": 9}]}]
    return [
        ("F7 policy changed to another peer", "V", changed("allow", lambda o: o["spec"].update(ingress=NOBODY))),
        ("F7 policy changed to fewer ports", "V",
         changed("allow", lambda o: o["spec"]["ingress"][0].update(ports=HIGH))),
        ("F13 policy deleted, an isolating one stays", "V", {"allow": None}),
        ("F12 policy swapped for another in one step", "V",
         {"allow": None, "instead": policy("instead", "t", {"app": "b"}, ingress=NOBODY)}),
        ("F25 a policy of the same name succeeds it", "V",
         {"allow": dict(policy("allow", "t", {"app": "s2"}, ingress=NOBODY),
                        metadata=meta("allow", "t", None, "p-2"))}),
        ("A10 first policy of a pod, ingress", "S",
         {"first": policy("first", "t", {"app": "s"}, ingress=[{"from": [pods_of({"app": "a"}, {})], "ports": HIGH}])}),
        ("A15 first policy of a pod, egress", "C", {"first": policy("first", "t", {"app": "c"}, egress=to_high)}),
        ("F7 egress policy changed, its block gone", "W",
         changed("out", lambda o: o["spec"].update(egress=o["spec"]["egress"][:1]))),
        ("D11 subject relabelled", "V", relabelled("pod-b", open="no")),
        ("D13 subject's label removed", "V", relabelled("pod-b", open=None)),
        ("D11 peer relabelled", "V", relabelled("pod-a", role="server")),
        ("D13 peer's label removed", "V", relabelled("pod-a", role=None)),
        ("D12 namespace relabelled", "V", relabelled("ns-u", team="green")),
        ("F24 namespace of the same name succeeds it", "V",
         {"ns-u": dict(base_objects()["ns-u"], metadata=meta("u", None, {"team": "blue"}, "u-2"))}),
        ("D11 remote peer relabelled", "R", relabelled("pod-r", app="x")),
        ("F4 peer finished as Succeeded", "VK", finished("pod-a", "Succeeded")),
        ("F4 remote peer finished as Failed", "R", finished("pod-r", "Failed")),
        ("F22 remote peer deleted", "R", {"pod-r": None}),
        ("F6 address reused by a successor of the same name", "R", changed("pod-r", reborn)),
        ("F6 address reused by a pod of another name", "R",
         {"pod-r": None, "pod-q": dict(base_objects()["pod-r"], metadata=meta("q", "t", {"app": "q"}, "q-1"))}),
    ]


def ids_of(flows, groups):
    return {f.id for f in flows if f.id.split(":")[0] in groups}


class Round:
    """One cause: which marks were given, and what TCP had sent again before and after."""

    def __init__(self, live, flows, cause):
        self.name, groups = cause[:2]
        self.victims = ids_of(flows, groups)
        self.before = again(live.report())
        self.first = live.mark()
        self.healed = 0
        self.overrun = backlog_drops()

    def check(self, live, counts, res):
        """counts: of the end. Others lost nothing; the victims lost nothing any more once healed."""
        lost = []
        res.begin(self.name)
        for (ident, way), w in counts.items():
            others = ident not in self.victims
            spans = range(self.first if others else self.healed, self.healed + 1)
            gone = sum(w.holes.get(i, 0) for i in spans)
            if gone:
                lost.append("%s %s %s %d" % ("unrelated" if others else "F9 after the change back", ident, way, gone))
        res.expect(not lost, "lost packets: %s (and %d of all flows fell off the processors' queues)" %
                   (", ".join(lost[:6]), backlog_drops() - self.overrun))


def backlog_drops():
    """Packets that this machine dropped because a processor did not come to them (net.core.netdev_max_backlog)."""
    with open("/proc/net/softnet_stat", encoding="ascii") as f:
        return sum(int(line.split()[1], 16) for line in f)


def again(counts):
    return {k: w.again for k, w in counts.items()}


def sent_twice(live, r):
    """Which unrelated flows lost a packet, by TCP's own count of what it had to send again.

    On a busy machine a timer fires although nothing was lost; the other end then says that it had the packet
    already, and the prober takes it off. That word may still be on its way, so a loss is what it does not come for.
    """
    end = time.monotonic() + patience(3)
    while True:
        now = again(live.report())
        twice = ["%s %s" % k for k in now if k[0] not in r.victims and now[k] > r.before[k]]
        if not twice or time.monotonic() > end:
            return twice
        time.sleep(0.2)


def cut_and_heal(bed, live, flows, cause, res):
    r = Round(live, flows, cause)
    res.begin(r.name)
    bed.apply(cause[2])
    live.mark()
    time.sleep(WATCH)
    counts = live.report()
    mine = {k: w for k, w in counts.items() if k[0] in r.victims}
    passed = ["%s %s %d of %d" % (*k, w.since, w.after) for k, w in sorted(mine.items()) if w.since]
    res.expect(not passed, "passed after the change: %s" % ", ".join(passed[:6]))
    res.expect(min(w.after for w in mine.values()) > 0, "control: not every flow tried to send")
    bed.reset()
    r.healed = live.mark()
    dead = live.wait_flowing(r.victims)
    res.expect(not dead, "F9: does not heal: %s" % " ".join(dead[:6]))
    return r, sum(w.after for w in mine.values()), sent_twice(live, r)


def test_causes(build, res):
    with FlowBed(build) as bed:
        flows, rounds, refused = bed.all_flows(), [], 0
        with Streams(bed.lab, flows, RATE) as live:
            live.open()
            for cause in causes():
                for attempt in (1, 2):
                    r, n, twice = cut_and_heal(bed, live, flows, cause, res)
                    rounds.append(r)
                    refused += n
                    if not twice:
                        break
                    # A machine that stands still for a moment makes timers fire; a cause of ours does it each time.
                    # A packet that is lost once shows in the datagrams of the same ends, at the same rate, all the same.
                    res.note("%s: the unrelated had to send again: %s" % (cause[0], " ".join(twice[:6])))
                    res.expect(attempt == 1, "the unrelated had to send again, twice in two: %s" % " ".join(twice[:6]))
            counts = live.stop()
        for r in rounds:
            r.check(live, counts, res)
        res.note("%d causes on %d flows (SCTP: %s), %d packets in all, %d sent after a cut" %
                 (len(rounds), len(flows), live.sctp, sum(w.sent for w in counts.values()), refused))
