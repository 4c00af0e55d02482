#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""`ripstop monitor` against a stand-in agent: forms against docs/schema, hostile and odd records, answers that go in
circles, an agent that starts again under --follow.

    tests/cli/run_monitor.py [--build DIR]

The last line is the count.
"""
import argparse
import copy
import json
import os
import signal
import subprocess
import sys
import time

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
sys.path.insert(0, os.path.join(HERE, "..", "support"))
from jsonschema_lite import Schemas  # noqa: E402
from run import HOSTILE, STEERING, Runner  # noqa: E402

ODD = [None, True, -1, 0, 1e300, "x", "", [], {}, [None, 1, {}], {"a": None}, 9223372036854775807]


def answer(**members):
    return {"result": dict({"kind": "FlowRecords", "items": [], "next": 173, "more": False, "ratePerPod": 10,
                            "counts": {"since": "2026-11-19T20:29:42Z", "dropped": 0, "records": 0, "suppressed": 0,
                                       "lost": 0}}, **members)}


class Monitor(Runner):
    def items(self):
        return self.answers["records"][-1]["result"]["items"]

    def schemas(self):
        schemas = Schemas(os.path.join(HERE, "..", "..", "docs", "schema"))
        agent = self.agent()
        _, text, _ = self.call(["monitor", "-o", "jsonl"])
        got = [json.loads(line) for line in text.splitlines()]
        self.check("the records themselves", got == self.items(), text)
        for o in got:
            errors = schemas.errors("flow-record.json", o)
            self.check("record %d obeys its schema" % o["id"], not errors, str(errors))
        _, text, _ = self.call(["monitor", "-o", "hubble"])
        for line in text.splitlines():
            errors = schemas.errors("hubble-flow.json", json.loads(line))
            self.check("hubble obeys its schema", not errors, str(errors))
        self.check("three lines", len(text.splitlines()) == 3, text)
        _, text, _ = self.call(["monitor", "-o", "json"])
        o = json.loads(text)
        self.check("one object", o["items"] == self.items() and "more" not in o, text)
        errors = schemas.errors("flow-records.json", o)
        self.check("the object obeys its schema", not errors, str(errors))
        agent.stop()

    def hostile(self):
        def infect(v):
            if isinstance(v, dict):
                return {k: infect(x) for k, x in v.items()}
            if isinstance(v, list):
                return [infect(x) for x in v]
            return HOSTILE if isinstance(v, str) else v

        items = infect(self.items())
        items[0]["l4"] = {HOSTILE: {"source_port": 1, "destination_port": 2, "flags": {HOSTILE: True}}}
        agent = self.agent(records=answer(items=items, counts={"since": HOSTILE, "suppressed": 1, "lost": 1}))
        for form in ("table", "wide", "jsonl", "hubble", "json", "yaml"):
            code, out, err = self.call(["monitor", "-o", form])
            self.check("hostile %s" % form, code == 0 and out and not STEERING.search(out + err), repr(out + err))
            if form == "jsonl":
                self.check("jsonl is unchanged", [json.loads(x) for x in out.splitlines()] == items, out)
        agent.stop()

    def odd(self):
        bad = []
        for key in ("items", "more", "counts", "ratePerPod", "metadata", "oldest"):
            for value in ODD:
                bad += self.no_crash(answer(**{key: value}), (key, value), codes=(0, 4))
        record = self.items()[0]
        for key in record:
            for value in ODD:
                bad += self.no_crash(answer(items=[dict(record, **{key: value})]), (key, value))
        for value in ODD:
            deep = copy.deepcopy(record)
            deep["l4"]["TCP"] = value
            deep["nearest"]["peers"] = deep["ingress_denied_by"][0]["name"] = deep["IP"]["source"] = value
            bad += self.no_crash(answer(items=[deep, value]), ("deep", value))
        self.check("odd records", not bad, str(bad[:3]))

    def no_crash(self, given, what, codes=(0,)):
        agent = self.agent(records=given)
        bad = []
        for form in ("table", "wide", "hubble"):
            code, _, err = self.call(["monitor", "-o", form])
            if code not in codes:
                bad.append((what, form, code, err[-300:]))
        agent.stop()
        return bad

    def circles(self):
        """An answer that says "more" and does not go on ends with an error, never in a loop."""
        for what, given in (("the same again", answer(more=True, items=self.items())), ("no next", answer(more=True, next=None)),
                            ("negative", answer(next=-5)), ("text", answer(next="x")), ("none", answer(next=0))):
            for form in ("table", "json"):
                agent = self.agent(records=given)
                code, _, err = self.call(["monitor", "-o", form], timeout=20)
                self.check("%s, %s" % (what, form), code == 4 and "do not go on" in err, "%d %s" % (code, err))
                agent.stop()

    def none(self):
        agent = self.agent()
        for form in ("table", "json", "jsonl"):
            code, out, err = self.call(["monitor", "shop/none", "-o", form])
            self.check("no records, %s" % form, code == 4 and not out and "dataplane null makes no drop records" in err, err)
        agent.stop()

    def restart(self):
        """Ids begin anew with an agent; a follower goes on with its first record."""
        old, new = self.items()[:1], [dict(self.items()[1], id=1)]
        agent = self.agent(records=[{"match": {"from": 171}, **answer(next=2)},
                                    {"match": {"from": 1}, **answer(items=new, next=2)},
                                    {"match": {"from": 2}, **answer(next=2)},
                                    {"match": {}, **answer(items=old, next=171)}])
        with subprocess.Popen([self.program, "monitor", "--follow", "-o", "jsonl", "--socket", self.socket], text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={"PATH": os.environ["PATH"]}) as p:
            got = [json.loads(p.stdout.readline())["id"] for _ in range(2)]
            time.sleep(0.2)
            p.send_signal(signal.SIGTERM)
            rest, err = p.communicate(timeout=20)
        self.check("a follower outlives its agent", got == [170, 1] and not rest and p.returncode == 0, "%s %s %s" % (got, rest, err))
        agent.stop()


def main():
    ap = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    ap.add_argument("--build", default="build/rel")
    r = Monitor(ap.parse_args().build, False)
    for part in (r.schemas, r.hostile, r.odd, r.circles, r.none, r.restart):
        part()
    print(f"{r.passed} passed, {r.failed} failed, {r.skipped} skipped")
    return 1 if r.failed else 0


if __name__ == "__main__":
    sys.exit(main())
