# SPDX-License-Identifier: Apache-2.0
"""flow_wrap.py - established flows while the stamps of the verdict cache wrap round.

A stamp has 16 bits and one that a flow holds is not given out. So the test lets foreign flows hold all but a few: the
space is small then, the count passes its end, and where nothing is free the agent has to sweep. An agent reads what
is held when it starts; each lap begins with a new one.
"""
import socket as I
import struct
import time

from flowbed import ADDRESS, FlowBed
from harness import PLANE, SLOW, HarnessError
from probe import Flow, Hold
from streams import Streams

LAST = 0xFFFF
# The end of the space and its beginning. An odd number of them: each revoke takes two, and so meets them all.
FREE = {LAST - 2, LAST - 1, LAST, 1, 2}
LAPS, REVOKES = 3, 3


def attr(kind, data):
    return struct.pack("=HH", 4 + len(data), kind) + data + b"\0" * (-len(data) % 4)


def tuple_of(kind, src, dst, sport, dport):
    ip = attr(0x8001, attr(1, I.inet_aton(src)) + attr(2, I.inet_aton(dst)))
    return attr(kind, ip + attr(0x8002, attr(1, b"\x11") + attr(2, sport) + attr(3, dport)))


def flow_messages():
    """A function of a stamp: ctnetlink's words for a UDP flow of strangers, made or changed, that holds it."""
    port, mark, a, b = b"@1", b"@mrk", "198.51.100.1", "198.51.100.2"
    body = struct.pack("=BBH", I.AF_INET, 0, 0)
    body += tuple_of(0x8001, a, b, port, b"\0\x09") + tuple_of(0x8002, b, a, b"\0\x09", port)
    body += attr(7, struct.pack(">I", 3600)) + attr(8, mark)  # timeout, mark
    # IPCTNL_MSG_CT_NEW of NFNL_SUBSYS_CTNETLINK; REQUEST|CREATE
    whole = struct.pack("=IHHII", 16 + len(body), 1 << 8, 0x401, 0, 0) + body
    return lambda stamp: whole.replace(port, struct.pack(">H", stamp)).replace(mark, struct.pack(">HH", stamp, 0))


def occupy(ns, free):
    """Every stamp but these is held by a flow."""
    with ns.inside():
        s = I.socket(I.AF_NETLINK, I.SOCK_RAW, 12)  # NETLINK_NETFILTER
    message = flow_messages()
    with s:
        s.settimeout(0.05)
        for first in range(1, LAST + 1, 256):
            s.send(b"".join(message(n) for n in range(first, min(first + 256, LAST + 1)) if n not in free))
        try:
            kind, _, _, _, error = struct.unpack_from("=HHIIi", s.recv(4096), 4)
        except OSError:
            return
        raise HarnessError("cannot make flows: message %d, error %d" % (kind, error))


class Lap:
    """A new agent in a small space, and a few revokes."""

    def __init__(self, n, bed, live, hold, victims):
        self.n, self.bed, self.live, self.hold, self.victims = n, bed, live, hold, victims
        self.stamps, self.leaked, self.wrong, self.spans = [], [], [], []

    def begin(self):
        now = self.bed.stamp() >> 16
        self.bed.node.kill_agent()
        occupy(self.bed.node, FREE | {now})
        self.bed.node.start_agent()

    def revoke(self, k, silent):
        where = "lap %d revoke %d" % (self.n, k)
        before = self.live.mark()
        self.stamps.append(self.bed.stamp() >> 16)
        self.bed.apply({"allow": None})
        self.live.mark()
        self.stamps.append(self.bed.stamp() >> 16)
        self.wrong += ["%s: control: no new stamp" % where] if self.stamps[-1] == self.stamps[-2] else []
        self.leaked += ["%s: %s, silent since revoke %s" % (where, f.id, f.id[1:].split("-")[0]) for f in silent
                        if self.hold.ping(f.id, int(80 * SLOW)) == "ok"]
        time.sleep(0.15 * SLOW)
        self.leaked += ["%s: %s %s %d" % (where, *c, w.since) for c, w in self.live.report().items()
                        if c[0] in self.victims and w.since]
        self.bed.reset()
        self.spans.append((before, self.live.mark()))
        dead = self.live.wait_flowing(self.victims)
        self.wrong += ["F9: %s does not heal: %s" % (where, dead[:4])] if dead else []


def silent_flows(bed):
    """{(revoke before which it is opened, revoke in which it is tried)}, every pair."""
    out, port, total = {}, 6000, LAPS * REVOKES
    for born in range(total):
        for tried in range(born, total):
            f = 4 if port % 2 else 6
            out[born, tried] = Flow("h%d-%d" % (born, tried), "udp", bed.pods["a"], ADDRESS["a"][f], bed.pods["b"],
                                    ADDRESS["b"][f], port)
            port += 1
    return out


def test_wrap(build, res):
    """F7: real flows, talking ones and silent ones, held open over several wraps with revokes in between."""
    if not PLANE.stamps:
        res.skip("dataplane %s has no stamps that could wrap round: every packet is judged" % PLANE.name)
        return
    with FlowBed(build) as bed:
        flows, held = [f for f in bed.all_flows() if f.id[0] in "VC" or "K:a>b:udp" in f.id], silent_flows(bed)
        victims = {f.id for f in flows if f.id.startswith("V:")}
        laps, broken = [], []
        with Streams(bed.lab, flows, 40 / SLOW) as live, Hold(bed.lab, held.values()) as hold:
            live.open()
            for n in range(LAPS):
                laps.append(Lap(n, bed, live, hold, victims))
                laps[-1].begin()
                for k in range(REVOKES):
                    at = n * REVOKES + k
                    broken += [f.id for (born, _), f in held.items() if born == at and hold.open(f.id) != "ok"]
                    laps[-1].revoke(k, [f for (_, tried), f in held.items() if tried == at])
            broken += [f.id for (born, _), f in held.items() if born > 2 * REVOKES and hold.ping(f.id) != "ok"]
            counts = live.stop()
        spans = [s for lap in laps for s in lap.spans]
        lost = ["%s %s %s" % (*c, w.holes or w.again) for c, w in counts.items()
                if c[0] not in victims and (w.holes or w.again)]
        lost += ["%s %s" % c for c, w in counts.items() if c[0] in victims and any(h in w.holes for _, h in spans)]
        leaked, wrong = sum((lap.leaked for lap in laps), []), sum((lap.wrong for lap in laps), broken)
        res.expect(not wrong, "; ".join(wrong[:6]))
        res.expect(not leaked, "revoked flows live again: " + "; ".join(leaked[:8]))
        res.expect(not lost, "allowed packets were lost: " + "; ".join(lost[:6]))
        stamps = [s for lap in laps for s in lap.stamps]
        wraps = sum(b < a for a, b in zip(stamps, stamps[1:]))
        res.expect(wraps >= 2, "control: the stamps did not wrap twice: %s" % stamps)
        res.note("%d revokes, stamps %s: %d wraps; %d flows that talk, %d silent ones, %d packets" %
                 (LAPS * REVOKES, " ".join(map(str, stamps)), wraps, len(flows), len(held),
                  sum(w.sent for w in counts.values())))
