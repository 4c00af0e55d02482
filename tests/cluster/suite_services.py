# SPDX-License-Identifier: Apache-2.0
"""suite_services.py - Granular Checks and Services of the upstream suite: pods and nodes reach pods and Services.

Everything of these groups runs but for what the file `skips` names, with its reason: `CASE | REASON`, one a line.
"""
import os

import clusterdns
import upstream

CLUSTERS = [{"nodes": 3}]   # one case wants three
MINUTES = 30
GROUPS = r"^\[sig-network\] (Networking Granular Checks: (Pods|Services)|Services) "
SKIPS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "skips")


def read_skips(path=SKIPS):
    """{case: reason} of a file of skips; a line that is neither that nor a comment raises ValueError."""
    out = {}
    with open(path, encoding="utf-8") as f:
        for number, line in enumerate(f, 1):
            if not line.strip() or line.startswith("#"):
                continue
            name, bar, reason = line.partition(" | ")
            name = upstream.plain(name)
            if not bar or not reason.strip() or name in out:
                raise ValueError("%s:%d: no case with a reason, or a second one" % (os.path.basename(path), number))
            out[name] = reason.strip()
    return out


def share_out(cases, skips, sctp):
    """([case to run], [(case, reason)], [names in `skips` that the suite does not have])."""
    asked, left = [], []
    for case in cases:
        name = upstream.plain(case.name)
        if name in skips:
            left.append((case, skips[name]))
        elif upstream.needs_sctp(name) and not sctp:
            left.append((case, upstream.NO_SCTP))
        else:
            asked.append(case)
    have = {upstream.plain(case.name) for case in cases}
    return asked, left, sorted(set(skips) - have)


def run(cluster, result):
    folder = os.path.join(cluster.dir, "services")
    cases = upstream.listed(cluster.programs, GROUPS, folder)
    asked, left, stale = share_out(cases, read_skips(), upstream.sctp_sockets())
    result.check("every line of tests/cluster/skips is a case of these groups", not stale,
                 "not in the suite: %s" % stale)
    for case, reason in left:
        result.skipped(upstream.plain(case.name), reason)
    result.say("services: %d of %d cases in %d processes, log in %s" %
               (len(asked), len(cases), upstream.PROCESSES, folder))
    with clusterdns.serving(cluster):
        ran, ails = upstream.run(cluster, [case.name for case in asked], folder,
                                 min(result.left(), MINUTES * 60), result.say)
    for case in asked:
        upstream.judge(result, upstream.plain(case.name), ran.get(case.name), ails)
