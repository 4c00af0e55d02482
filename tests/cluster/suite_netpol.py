# SPDX-License-Identifier: Apache-2.0
"""suite_netpol.py - the whole Netpol group of Kubernetes' end-to-end suite: E01 to E48 and the two cases of its API.

No case is taken out for our sake. Those that open SCTP sockets are skipped where the kernel has none.
"""
import os

import upstream

CLUSTERS = [{"nodes": 3}]   # as suite_services: one cluster serves both
MINUTES = 40                # the rest of the run's time belongs to others
GROUP = r"^\[sig-network\] Netpol( |$)"
# docs/semantics.md counts them so: the cases of network_policy.go in its order, and of network_policy_api.go.
FILES = {"network_policy.go": ("E%02d", 48), "network_policy_api.go": ("API%d", 2)}


def numbered(cases):
    """[(name with its id, case)]; the cases are in the order of the sources."""
    seen, out = dict.fromkeys(FILES, 0), []
    for case in cases:
        form = FILES.get(case.place[0], ("%d?", 0))[0]
        seen[case.place[0]] = seen.get(case.place[0], 0) + 1
        out.append((form % seen[case.place[0]] + " " + case.name, case))
    return out, seen


def run(cluster, result):
    folder = os.path.join(cluster.dir, "netpol")
    cases, seen = numbered(upstream.listed(cluster.programs, GROUP, folder))
    result.check("the group has %d cases, and %d of the API" % tuple(many for _, many in FILES.values()),
                 seen == {name: many for name, (_, many) in FILES.items()}, "it has %s" % seen)
    sctp = upstream.sctp_sockets()
    asked = []
    for shown, case in cases:
        if upstream.needs_sctp(case.name) and not sctp:
            result.skipped(shown, upstream.NO_SCTP)
        else:
            asked.append((shown, case))
    result.say("netpol: %d cases in %d processes, log in %s" % (len(asked), upstream.PROCESSES, folder))
    ran, ails = upstream.run(cluster, [case.name for _, case in asked], folder,
                             min(result.left(), MINUTES * 60), result.say)
    for shown, case in asked:
        upstream.judge(result, shown, ran.get(case.name), ails)
