#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The second oracle: verdicts of NetworkPolicy v1 by plain reading, in another language than the first.

    oracle2.py          one case (prove.h) a line on stdin, one line on stdout:
                        {"verdicts": [true, ...], "hits": [["A1", "B3"], ...]}, one entry a flow; or {"error": "..."}
    oracle2.py --ids    the ids that "hits" can hold, one a line, with what counts as a hit

Written from the NetworkPolicy API's text and the rules A to E of its semantics, knowing neither the compiler nor the
oracle in C: what is wrong in both of them must not be wrong here for the same reason.

    oracle2_read.py     objects, with their faults
    oracle2_rules.py    selectors, peers, ports
    oracle2_judge.py    the world, halves, flows
    oracle2_ids.py      the ids and what counts as a hit

These rules of A to D cannot be exercised by one case, which is a state without a past and flows without a path:
    A17 D11 D12 D13     a change: a pod that starts, a label that changes (the random histories do these)
    B20 B21 B22         addresses rewritten on the way: a flow names its real ends (the Service tests do these)
    C6 in part          source ports, Service ports: a flow has the server's port only; a hit is a number that decided
    C24 C25 C26         ICMP errors, neighbour discovery, multicast: no flows between two ends
    C28 C29 C30         fragments and headers, TCP flags, secondary SCTP addresses: below what a case says
"""
import json
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from oracle2_ids import IDS, names  # noqa: E402
from oracle2_judge import World, judge  # noqa: E402


def answer(line):
    try:
        case = json.loads(line)
        world = World(case)
        done = [judge(world, flow) for flow in case["flows"]]
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError) as e:
        return {"error": f"{type(e).__name__}: {e}"}
    return {"verdicts": [allowed for allowed, _ in done], "hits": [names(ids) for _, ids in done]}


def main():
    if sys.argv[1:] == ["--ids"]:
        for name, text in IDS.items():
            print(name, text)
        return 0
    if sys.argv[1:]:
        print("usage: oracle2.py [--ids]", file=sys.stderr)
        return 2
    for line in sys.stdin.buffer:
        if line.strip():
            sys.stdout.write(json.dumps(answer(line), separators=(",", ":")) + "\n")
            sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
