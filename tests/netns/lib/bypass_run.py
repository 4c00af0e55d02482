# SPDX-License-Identifier: Apache-2.0
"""bypass_run.py - plays the rows of the bypass suite: first under our rules, then without them; and judges."""
import collections
import time

import bypass_flow
import bypass_state
from bypass_bed import Way
from bypass_table import Shape, reason

# Who sent what: number is that of the tokens, frames are kept for the report of a leak.
Sent = collections.namedtuple("Sent", "shape fam way number frames")
NO_EARS = "nobody else may hear it"


class Run:
    def __init__(self, bed, shapes, flows, state):
        self.bed, self.shapes, self.with_flows, self.with_state = bed, shapes, flows, state
        self.attacks, self.controls, self.bares = [], [], []
        self.problems = []  # (kind, family, case, text, sent)
        self.cases = collections.Counter()
        self.flows = []

    def send(self, shape, fam, way):
        c = self.bed.context(way, fam == "6")
        try:
            return Sent(shape, fam, way, c.number, self.bed.send(c, shape.build))
        except OSError as e:
            sent = Sent(shape, fam, way, c.number, [])
            self.problem("BROKEN", sent, "cannot be sent: %s" % e)
            return sent

    def problem(self, kind, sent, text):
        self.problems.append((kind, sent, text))

    # -- under our rules

    def guarded(self):
        for shape in self.shapes:
            for fam in shape.fams:
                self.cases[shape.family] += 1
                done = set()
                for way in shape.ways:
                    self.attacks.append(self.send(shape, fam, way))
                    control = way.control()
                    if control.name not in done:
                        done.add(control.name)
                        self.controls.append(self.send(shape, fam, control))
        if self.with_flows:
            self._into_flows()
        if self.with_state:
            self._tables()
        self.bed.settle()

    def _into_flows(self):
        self.flows = bypass_flow.open_flows(self.bed)
        for name, fam, way, build in bypass_flow.forgeries(self.flows):
            self.cases["flows"] += 1
            self.attacks.append(self.send(Shape("flows", name, build, fam, ids="XD5 F3"), fam, way))
        self._alive("the forgeries of others")
        for name, fam, way, build, isolated in bypass_flow.misbehaviours(self.flows):
            self.cases["flows"] += 1
            sent = self.send(Shape("flows", name, build, fam, ids="XD7"), fam, way)
            (self.attacks if isolated else self.controls).append(sent)
        self._alive("its own end's mistakes")

    def _alive(self, after):
        for flow in self.flows:
            if not flow.works():
                fam = "6" if flow.six else "4"
                sent = Sent(Shape("flows", flow.name(), None), fam, Way(flow.client, flow.server), 0, [])
                self.problem("LEAK", sent, "the connection did not outlive " + after)

    @staticmethod
    def _rest(tables, seconds=15):
        """Until nothing changes by itself any more: the kernel ends its own set-up (DAD, routes) in its own time."""
        end, before, still = time.monotonic() + seconds, tables.all(), 0
        while still < 3 and time.monotonic() < end:
            time.sleep(0.4)
            now = tables.all()
            still = still + 1 if now == before else 0
            before = now

    def _tables(self):
        """One frame after the other, and who knows what of whom is as it was."""
        tables = bypass_state.Tables(self.bed.ends)
        self._rest(tables)
        for sender in ("att", "deny"):
            for fam, name, build in bypass_state.cases():
                self.cases["steering"] += 1
                before = tables.all(sender)
                sent = self.send(Shape("steering", name, build, fam, ids="XD9 XD10 XD18 E_24"), fam, Way(sender,
                                                                                                         "node"))
                self.attacks.append(sent)
                self._moved(sent, before, tables.all(sender))
        before = tables.all()
        self.bed.settle()  # what a kernel does a moment later
        for name, now in tables.all().items():
            if now != before[name]:
                self.problem("LEAK", self.attacks[-1], "some time after all of them %s knows otherwise: %s" %
                             (name, sorted(map(repr, now ^ before[name]))))
        tables.close()

    def _moved(self, sent, before, now):
        for name in before:
            if before[name] != now[name]:
                self.problem("LEAK", sent, "%s knows otherwise: %s" % (name, sorted(map(repr,
                                                                                        before[name] ^ now[name]))))

    # -- without them

    def bare(self):
        self.bed.bare()
        for shape in self.shapes:
            for fam in shape.fams:
                for way in shape.ways:
                    self.bares.append(self.send(shape, fam, way))
        for name, fam, way, build in bypass_flow.forgeries(self.flows):
            self.bares.append(self.send(Shape("flows", name, build, fam), fam, way))
        self.bed.settle()
        if self.with_state:
            self._bare_tables()

    def _bare_tables(self):
        bypass_state.open_wide(self.bed)
        tables = bypass_state.Tables(self.bed.ends)
        for fam, name, build in bypass_state.cases():
            if name in bypass_state.MOVES:
                before = tables.of("node")
                sent = self.send(Shape("steering", name, build, fam), fam, Way("att", "node"))
                end = time.monotonic() + 10
                while tables.of("node") == before:
                    if time.monotonic() > end:
                        self.problem("BROKEN", sent, "without our table: moves nothing")
                        break
                    time.sleep(0.005)
        tables.close()

    # -- judging

    def judge(self):
        for sent in self.attacks:
            self._judge_attack(sent)
        for what, all_sent in (("control", self.controls), ("without our table", self.bares)):
            for sent in all_sent:
                self._judge_control(sent, what)
        for name, lost in self.bed.lost().items():
            sent = Sent(Shape("ears", name, None), "4", Way(name, name), 0, [])
            self.problem("BROKEN", sent, "lost %d frames" % lost)

    def _judge_attack(self, sent):
        where = {n: f for n, f in self.bed.heard.get(sent.number, {}).items() if n != sent.way.sender}
        if "node" in where and set(where["node"]) <= sent.shape.passes:
            del where["node"]
        if where:
            text = ["%s, but heard at %s" % (NO_EARS, ", ".join(where))]
            text += ["    sent by %s: %s" % (by, data.hex()) for by, data in sent.frames[:8]]
            text += ["    heard by %s: %s" % (n, next(iter(f.values())).hex()) for n, f in where.items()]
            self.problem("LEAK", sent, "\n".join(text))

    def _judge_control(self, sent, what):
        heard, shape = self.bed.heard.get(sent.number, {}), sent.shape
        why = reason(shape.refused, sent.fam, sent.way)
        if what == "control":
            why = why or reason(shape.held, sent.fam, sent.way)
        arrived = bool(set(heard) - {sent.way.sender}) if shape.anywhere else sent.way.receiver in heard
        if arrived and why:
            self.problem("BROKEN", sent, "%s: arrives, although: %s" % (what, why))
        elif not arrived and not why:
            self.problem("BROKEN", sent, "%s: does not arrive" % what)
        elif arrived and shape.absent is not None:
            self._judge_sweep(sent, what, set(heard[sent.way.receiver]))

    def _judge_sweep(self, sent, what, parts):
        """All parts of a sweep arrive but those that the row names; without our table all of them."""
        missing = set(range(256)) - parts
        if what == "control":
            keys = [sent.fam] + ([sent.fam + "/pod"] if sent.way.sender != "world" else [])
        else:
            keys = [sent.fam + "/bare"]
        wanted = set().union(*(sent.shape.absent.get(k, ()) for k in keys))
        if missing != wanted:
            self.problem("BROKEN", sent, "%s: of the sweep %s do not arrive, and not %s" %
                         (what, sorted(missing), sorted(wanted)))

    def reasons(self):
        """(family, case, reason) of every control that is not expected to arrive."""
        out = collections.OrderedDict()
        for what, all_sent in (("under our rules", self.controls), ("with or without us", self.bares)):
            for sent in all_sent:
                why = reason(sent.shape.refused, sent.fam, sent.way)
                scope = "with or without us"
                if not why and what == "under our rules":
                    why, scope = reason(sent.shape.held, sent.fam, sent.way), what
                if why:
                    key = (sent.shape.family, "%s v%s" % (sent.shape.name, sent.fam), "%s: %s" % (scope, why))
                    out.setdefault(key, set()).add(sent.way.receiver)
        return out
