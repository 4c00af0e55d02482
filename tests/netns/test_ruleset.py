#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The interpreter of nft rules (lib/ruleset) against the kernel: hand-written tables, random ones, refusals.

    test_ruleset.py [--build DIR] [--tables N] [--seed N] [--only WORD]

Every packet is judged three times: by what the case says, by the interpreter, and by the kernel, on whose link it
appears or not.
"""
import argparse
import os
import random
import subprocess
import sys
import time
import traceback

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
from rulecases import CASES, REFUSED, UNSAID  # noqa: E402
from rulegen import Gen  # noqa: E402
from rulelab import Flows, LabError, RuleLab, judge, must, nft, sh  # noqa: E402

PROTOS = {"udp": 17, "tcp": 6, "icmp": 1, "icmp6": 58, "sctp": 132, "gre": 47}
PACKETS = 30


class Skip(Exception):
    """Cannot be shown here; says why."""


def clear():
    sh("nft", "delete", "table", "inet", "x")


def packet(text, number):
    """"udp 10.0.0.1 10.0.0.9 53 mark=4" as a dictionary."""
    proto, src, dst, last, *more = text.split()
    p = {"proto": PROTOS[proto], "src": src, "dst": dst, "ttl": 64, "mark": 0}
    if proto in ("icmp", "icmp6"):
        p.update(type=int(last), code=0, ident=number & 0xffff)
    elif proto != "gre":
        p.update(dport=int(last), sport=1000)
    if proto == "tcp":
        p.update(flags=2, sport=3000 + number % 60000)
    for word in more:
        key, value = word.split("=")
        p[key] = int(value, 0)
    return p


def differs(lab, walker, flows, p, want=None):
    """What disagrees about this packet; nothing when all say the same."""
    kernel, walk, said = judge(lab, walker, flows, p)
    if kernel == walk and want in (None, kernel):
        return ""
    words = ["drops", "passes"]
    return "%s: the kernel %s, the interpreter %s (%s %s %s)%s" % (
        p, words[kernel], words[walk], said["by"], said["chain"], said["handle"],
        "" if want is None else ", the case wants: " + words[want])


# ---- parts ----------------------------------------------------------------------------------------------------------

def one_case(lab, flows, body, packets):
    clear()
    why = nft("table inet x {\n%s\n}" % body)
    if why:
        raise LabError("nft refuses the case: " + why)
    with lab.walker("x") as walker:
        if not walker.ok():
            raise LabError(walker.first)
        bad = [differs(lab, walker, flows, packet(text[1:], lab.number), text[0] == "+") for text in packets]
    return [b for b in bad if b]


def refused(lab, word, body):
    clear()
    why = nft("table inet x {\n%s\n}" % body)
    if why:
        raise Skip("not loadable here: " + why.splitlines()[0])
    with lab.walker("x") as walker:
        if walker.ok() or word not in walker.first or "understood" not in walker.first:
            return ["is not refused by name: " + walker.first]
    return []


def unsaid(lab, word, body):
    clear()
    why = nft("table inet x {\n%s\n}" % body)
    if why:
        raise LabError("nft refuses the case: " + why)
    with lab.walker("x") as walker:
        if not walker.ok():
            return [walker.first]
        try:
            said = walker.ask(hook="output", src="10.0.0.1", dst="10.0.0.9", proto=6, dport=1, sport=1)
        except LabError as e:
            return [] if word in str(e) else ["another error: %s" % e]
    return ["guesses: %s" % said]


def random_table(lab, flows, seed, number):
    """(differences, packets, drops) of one random table."""
    rng = random.Random("%d/%d" % (seed, number))
    gen = Gen(rng)
    for _ in range(40):
        clear()
        text = gen.table()
        if not nft(text):
            break
    else:
        raise LabError("nft refuses every table: " + nft(text))
    drops, before = 0, []
    with lab.walker("x") as walker:
        if not walker.ok():
            return ["%s\n%s" % (walker.first, text)], 0, 0
        for _ in range(PACKETS):
            p = gen.packet(lab.number, before)
            before.append(p)
            bad = differs(lab, walker, flows, p)
            if bad:
                return ["table %d/%d:\n%s%s" % (seed, number, text, bad)], len(before), drops
            drops += walker.last == "drop"
    return [], len(before), drops


def random_tables(lab, seed, n):
    flows, packets, drops, start = Flows(), 0, 0, time.monotonic()
    for i in range(n):
        bad, sent, dropped = random_table(lab, flows, seed, i)
        packets, drops = packets + sent, drops + dropped
        if bad:
            return bad
    print("         %d random tables, %d packets, %d dropped, %.1f s" % (n, packets, drops, time.monotonic() - start))
    # A test in which everything passes, or nothing does, would show little.
    return [] if packets // 5 < drops < packets * 4 // 5 else ["verdicts are lopsided: %d of %d dropped" % (drops, packets)]


def big_table(lab):
    """100,000 elements in a map and an interval set, and each is found."""
    clear()
    n = 50000
    elements = ", ".join("10.%d.%d.%d : %d" % (i >> 16, i >> 8 & 255, i & 255, i) for i in range(n))
    spans = ", ".join("11.%d.%d.%d" % (i >> 15, i >> 7 & 255, i << 1 & 255) for i in range(n))
    why = nft("table inet x { map m { type ipv4_addr : mark; elements = { %s } }\nset s { type ipv4_addr; flags interval; "
              "elements = { %s } }\nchain o { type filter hook output priority 0; policy drop; "
              "meta mark set ip daddr map @m; ip daddr @s accept; meta mark 40000 accept; }; }" % (elements, spans))
    if why:
        raise LabError("nft refuses the case: " + why[:300])
    with lab.walker("x") as walker:
        print("         " + walker.first.replace("\t", ", "))
        if "\t%d elements" % (2 * n) not in walker.first:
            return ["counts other elements: " + walker.first]
        texts = ["+udp 10.9.0.1 10.0.156.64 1", "-udp 10.9.0.1 10.0.156.65 1", "+udp 10.9.0.1 11.0.0.2 1",
                 "-udp 10.9.0.1 11.0.0.3 1", "+udp 10.9.0.1 11.1.134.158 1"]
        bad = [differs(lab, walker, Flows(), packet(t[1:], lab.number), t[0] == "+") for t in texts]
    return [b for b in bad if b]


SWAP = "delete element inet x %s { 10.0.0.1 }\nadd element inet x %s { 10.0.0.1 }\n"


def while_it_changes(lab):
    """One element is always in exactly one of two sets: a reading that mixes two generations finds none or two."""
    clear()
    fill = ", ".join("10.5.%d.%d" % (i >> 8, i & 255) for i in range(1500))
    must("nft", "-f", "-", text="table inet x { set a { type ipv4_addr; elements = { 10.0.0.1 } }\nset f { type ipv4_addr; "
         "elements = { %s } }\nset b { type ipv4_addr; }; }" % fill)
    writer = subprocess.Popen(["sh", "-c", "while :; do printf '%s' | nft -f - || exit 1; printf '%s' | nft -f - || exit 1; done"
                               % (SWAP % ("a", "b"), SWAP % ("b", "a"))])
    good, late, bad = 0, 0, []
    try:
        while good < 60 and late < 600 and not bad:
            with lab.walker("x") as walker:
                if "1501 elements" in walker.first:
                    good += 1
                elif "changed" in walker.first:
                    late += 1
                else:
                    bad.append(walker.first)
        if writer.poll() is not None:
            raise LabError("the writer ended")
    finally:
        writer.terminate()
        writer.wait()
    print("         %d readings of one generation, %d gave up" % (good, late))
    return bad or ([] if good else ["no reading came to an end"])


def no_table(lab):
    clear()
    with lab.walker("x") as walker:
        return [] if "No such file" in walker.first else [walker.first]


# ---- all ------------------------------------------------------------------------------------------------------------

def parts(lab, args):
    flows = Flows()
    for name, body, packets in CASES:
        yield name, lambda b=body, p=packets: one_case(lab, flows, b, p)
    for word, body in REFUSED:
        yield "refused by name: %s (%s)" % (word, body.split(";")[-2].split("}")[0].strip()), lambda w=word, b=body: refused(lab, w, b)
    for word, body in UNSAID:
        yield "not said by the packet: " + body.split(";")[-2].strip(), lambda w=word, b=body: unsaid(lab, w, b)
    yield "no such table", lambda: no_table(lab)
    yield "random tables, random packets", lambda: random_tables(lab, args.seed, args.tables)
    yield "100,000 elements", lambda: big_table(lab)
    yield "a table that changes under the reading", lambda: while_it_changes(lab)


def main():
    ap = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    ap.add_argument("--build", default="build/rel")
    ap.add_argument("--tables", type=int, default=200)
    ap.add_argument("--seed", type=int, default=1)
    ap.add_argument("--only", default="")
    args = ap.parse_args()
    lab = RuleLab(os.path.abspath(args.build))
    count = {"passed": 0, "failed": 0, "skipped": 0}
    for name, fn in parts(lab, args):
        if args.only not in name:
            continue
        word, lines = "passed", []
        try:
            lines = fn()
            word = "failed" if lines else "passed"
        except Skip as e:
            word, lines = "skipped", [str(e)]
        except LabError as e:
            word, lines = "failed", [str(e)]
        except Exception:  # pylint: disable=broad-except
            word, lines = "failed", [traceback.format_exc()]
        count[word] += 1
        print("%-8s %s" % (word, name.replace(":", ",")))
        for line in lines:
            print("         " + line)
        sys.stdout.flush()
    print("%(passed)d passed, %(failed)d failed, %(skipped)d skipped" % count)
    return 1 if count["failed"] or not count["passed"] else 0


if __name__ == "__main__":
    sys.exit(main())
