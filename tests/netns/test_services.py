#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Services as kube-proxy makes them, on two nodes with an agent each: whatever is rewritten on the way, a policy is
judged on the real client and the real backend.

    test_services.py [--build DIR] [--modes iptables,nftables,ipvs] [--brief]

Without --modes: those whose parts this kernel has; what is left out is said. --brief: fewer pods and calls, for
emulated machines.
"""
import argparse
import itertools
import os
import sys
import time
import traceback

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
import harness  # noqa: E402
import kubeproxy  # noqa: E402
import svcbed  # noqa: E402
from dial import Call, Line, Listeners, ask, dial, sctp_sockets  # noqa: E402
from harness import CniError, CtlError, HarnessError  # noqa: E402
from wire import flush_conntrack  # noqa: E402



class Tally:
    def __init__(self):
        self.passed = self.failed = 0

    def say(self, name, bad, what):
        self.passed, self.failed = self.passed + (not bad), self.failed + bool(bad)
        print("%-8s %s  %s" % ("failed" if bad else "passed", name, what), flush=True)
        for line in bad[:12]:
            print("         " + line)
        if len(bad) > 12:
            print("         and %d more" % (len(bad) - 12))


class Plan:
    """Calls to make together, each with what is expected, by the name of the test they belong to."""

    def __init__(self, bed, mode=""):
        self.bed, self.mode, self.calls, self.tests, self.heard = bed, mode, [], {}, {}
        self.vips = bed.vips

    def add(self, test, client, six, proto, to, fate, who=(), masked=None, heard=False):
        """heard: whether what is not answered may have reached a backend."""
        src, address = self.bed.client(client, six)
        c = Call("%s@%s" % (client, "6" if six else "4"), src, address, proto, to[0], to[1],
                 fate in ("ok", "refused"))
        self.calls.append(c)
        self.tests.setdefault(test, []).append((c, fate, who, masked, heard))
        return c

    def run(self, servers):
        seconds = dial(servers, self.calls)
        again = [c for c in self.calls if c.hopes and c.fate == "blocked"]
        if again:  # a busy machine: once more, alone
            dial(servers, again)
        self.heard = servers.heard
        return seconds

    def faults(self, test):
        bad = []
        for c, fate, who, masked, heard in self.tests[test]:
            held = c.fate == "held back" and fate != "ok" and c.src_addr is None
            none = fate == "unanswered" and c.fate in ("blocked", "refused")
            if c.fate != fate and not held and not none:
                bad.append("%s: expected %s, got %s %s %s" % (c, fate, c.fate, c.who, c.seen))
            elif fate in ("blocked", "unanswered") and not heard and c.token in self.heard:
                bad.append("%s: reached %s, only its answer was lost" % (c, self.heard[c.token]))
            elif fate == "ok" and who and c.who not in who:
                bad.append("%s: answered by %s, not by %s" % (c, c.who, who))
            elif fate == "ok" and masked is not None and c.seen not in self.sources(masked, c):
                bad.append("%s: its backend saw %s" % (c, c.seen))
        return bad

    def sources(self, masked, c):
        """What a backend may see. IPVS keeps the Services' addresses on a link of the node's, and masquerading over
        IPv6 takes whichever address there is most like the backend's."""
        if not masked:
            return [c.src_addr]
        own = self.vips if self.mode == "ipvs" and ":" in c.dst else []
        return svcbed.NODE_IPS[masked] + own


def each_family(bed):
    return [(six, proto) for six in (False, True) for proto in bed.protos]


def plan_matrix(bed, plan, kinds, mode):
    for kind, test in kinds.items():
        for (client, column), backend in itertools.product(bed.clients(), bed.backends):
            want = svcbed.expect(kind, client, column, backend, mode)
            if want is None:
                continue
            for six, proto in each_family(bed):
                if not bed.brief or proto != "sctp" or client in svcbed.BRIEF_SCTP:
                    plan.add(test, client, six, proto, bed.target(kind, backend, six), want.fate, (backend,),
                             want.masked if column != 3 else None, want.heard)


def plan_hairpin(bed, plan):
    for six, proto in each_family(bed):
        for name in bed.backends:
            for kind in ("cluster", "np1", "lb", "ext", "direct"):
                plan.add("E_2 E_3 a pod reaches itself through its own Service", name, six, proto,
                         bed.target(kind, name, six), "ok", (name,))
        if "twin1" not in bed.pods:
            continue
        test = "E_4 its own Service's other replica is judged"
        plan.add(test, "twin1", six, proto, (bed.vip(51, six), 80), "blocked")
        plan.add(test, "twin2", six, proto, (bed.vip(51, six), 80), "ok", ("twin2",))


def plan_host(bed, plan):
    """hostNetwork backends: the destination is a node's address, whatever labels the pod has."""
    for six in (False, True):
        for proto in ("tcp", "udp"):
            for n in (1, 2):
                for c in [c + str(k) for c in bed.inside for k in (1, 2)]:
                    place = "the same node" if c[-1] == str(n) else "another node"
                    ids = "E_18 B22 B23" if c[-1] == str(n) else "E_17 B22 B23"
                    fate = "ok" if svcbed.may_leave(c, "n%d" % n) else "blocked"
                    if fate == "blocked" and proto == "udp" and place == "the same node" and harness.PLANE.refuses:
                        fate = "unanswered"
                    plan.add("%s hostNetwork backend on %s" % (ids, place), c, six, proto, (bed.vip(n, six), 443),
                             fate, ("host%d" % n,))
                for c in ("n1", "n2"):
                    plan.add("E_14 a node's own process and a hostNetwork backend", c, six, proto,
                             (bed.vip(n, six), 443), "ok", ("host%d" % n,))


def plan_rest(bed, plan, mode):
    for six, proto in each_family(bed):
        for c in [c for c in ("friend1", "egsel2", "egdeny1", "egdeny2", "deny", "n1") if c in bed.pods or c == "n1"]:
            plan.add("E_6 a Service without endpoints is refused, not dropped", c, six, proto, (bed.vip(60, six), 80),
                     "refused")
        for c in [c for c in ("egsvc1", "egsvc2") if c in bed.pods]:
            for b in bed.backends:
                plan.add("B21 the Service range in an ipBlock allows nothing", c, six, proto,
                         bed.target("cluster", b, six), "blocked")
    for proto in ("tcp", "udp"):
        for n in (1, 2):
            for c in [c + str(n) for c in bed.inside] + (["egdns"] if n == 1 and "egdns" in bed.pods else []):
                ok = c[:-1] in ("friend", "foe") or c == "egdns"
                plan.add("E_21 B30 node-local DNS on a link-local address", c, False, proto, (svcbed.DNS_LOCAL, 53),
                         "ok" if ok else "blocked", ("dns%d" % n,))
    if mode == "iptables":
        for proto in bed.protos:
            for b in bed.backends:
                k = svcbed.BACKENDS.index(b)
                plan.add("E_27 NodePort on localhost", "n1", False, proto, ("127.0.0.1", 30100 + k), "ok", (b,))
                plan.add("E_27 NodePort on localhost", "n2", False, proto, ("127.0.0.1", 30100 + k),
                         "ok" if svcbed.may_enter(b, "n2") else "blocked", (b,))


def try_twins(bed, servers):
    """twin1 to its own Service of two: whoever answers is itself, for the other one is closed.

    A denied flow is forgotten, so each retry is a new choice: how many are denied in the end says nothing.
    """
    bad = []
    for six, proto in each_family(bed):
        src, address = bed.client("twin1", six)
        calls = [Call("twin1", src, address, proto, bed.vip(50, six), 80, False) for _ in range(24)]
        dial(servers, calls)
        who = sorted({c.who or c.fate for c in calls})
        if "twin1" not in who or set(who) - {"blocked", "twin1"}:
            bad.append("%s %s: %s" % (proto, bed.vip(50, six), who))
    return bad


def try_sticky(bed, servers):
    """Session affinity: one client, one backend; and both are in use by somebody."""
    bad, rows = [], []
    for (six, proto), client in itertools.product(each_family(bed), ("friend1", "friend2", "foe1", "foe2")):
        src, address = bed.client(client, six)
        rows.append([Call(client, src, address, proto, bed.vip(52, six), 80, True) for _ in range(7)])
    dial(servers, [row[0] for row in rows])
    dial(servers, [c for row in rows for c in row[1:]])
    for row in rows:
        who = {c.who or c.fate for c in row}
        if len(who) != 1 or row[0].fate != "ok":
            bad.append("%s: answered by %s" % (row[0], who))
    used = {c.who for row in rows for c in row}
    return bad + ([] if used == {"open", "cut"} else ["never used: %s" % ({"open", "cut"} - used)])


CUT_WAYS = (("friend1", "cluster"), ("friend2", "cluster"), ("good", "np1"), ("good", "np2"), ("friend2", "np2"),
            ("good", "npl1"), ("good", "lb"), ("friend1", "ext"), ("n2", "cluster"))


def try_cut(bed, servers):
    """Flows through a Service end with the policy that forbids them, and come back with the one that allows."""
    bad, lines = [], {}
    for six, proto in each_family(bed):
        for client, kind in CUT_WAYS:
            for backend in ("cut", "open"):
                src, address = bed.client(client, six)
                call = Call(client, src, address, proto, *bed.target(kind, backend, six), True)
                lines[(client, kind, backend, proto, six)] = Line(servers, call)
    cut = {k: line for k, line in lines.items() if k[2] == "cut"}
    spared = {k: line for k, line in lines.items() if k[2] == "open"}
    try:
        bad += ["%s: not open" % (k,) for k in set(lines) - ask(servers, lines, 12)]
        for node in bed.nodes.values():
            node.apply("tight.yaml", svcbed.versioned(svcbed.TIGHT), 60)
        bad += ["%s: still answered" % (k,) for k in ask(servers, cut, 1.0, all_of_them=False)]
        bad += ["%s: lost, though nothing was said about it" % (k,) for k in set(spared) - ask(servers, spared, 12)]
        for node in bed.nodes.values():
            node.apply("tight.yaml", None, 60)
        bad += ["%s: not healed" % (k,) for k in set(cut) - ask(servers, cut, 30)]
    finally:
        for line in lines.values():
            line.close()
    return bad, len(cut)


def explained(bed):
    """What explain says about the real pairs, at each end's node, against the table."""
    bad, asked = [], 0
    for client, column in bed.clients():
        if column == 2:  # an address outside
            names = [(svcbed.of_family(svcbed.OUTSIDE[client], six), six, client) for six in (False, True)]
        elif column < 2:
            names = [("shop/" + client, six, client) for six in (False, True)]
        else:
            names = [("node", False, "local")] if column == 3 else []
        for (src, six, who), backend in itertools.product(names, bed.backends):
            enter, leave = svcbed.may_enter(backend, who), column > 1 or svcbed.may_leave(client, backend)
            # the backend's node judges what it knows: its own client's egress too, another node's client's not
            wants = {1: enter and (leave or column == 1)}
            if column == 1:
                wants[2] = leave
            for n, want in wants.items():
                r = bed.nodes[n].ctl("explain", src=src, dst="shop/" + backend, port="tcp/%d" % svcbed.TARGET,
                                     family=6 if six else 4)
                asked += 1
                if (r.get("verdict") == "allowed") != want:
                    bad.append("n%d: %s -> %s: %s, expected %s: %s" % (n, src, backend, r.get("verdict"), want, r))
    return bad, asked


MARKER = """table inet marker {
 chain on_pre { type filter hook prerouting priority -310; jump noise; }
 chain on_fwd { type filter hook forward priority -5; jump noise; }
 chain on_in { type filter hook input priority -5; jump noise; }
 chain on_out { type filter hook output priority -310; jump noise; }
 chain on_post { type filter hook postrouting priority 95; jump noise; }
 chain noise { %s }
}
"""


def mark_noise():
    """A foreign table that flips bits of the packet mark at random in every hook, but those that mean masquerade."""
    bits = [1 << b for b in range(32) if b not in (13, 14)]
    return MARKER % " ".join("numgen random mod 2 == 0 meta mark set meta mark xor 0x%08x;" % b for b in bits)


def try_marks(bed, servers, mode, test):
    """The ways that lead through both nodes, under random packet marks."""
    for node in bed.nodes.values():
        node.run(["nft", "-f", "-"], input=mark_noise())
    try:
        plan = Plan(bed, mode)
        plan_matrix(bed, plan, {"cluster": test, "np1": test, "np2": test}, mode)
        plan_hairpin(bed, plan)
        plan.run(servers)
        return [line for t in plan.tests for line in plan.faults(t)], len(plan.calls)
    finally:
        for node in bed.nodes.values():
            node.nft("delete", "table", "inet", "marker")


def try_bare(bed, servers, judged):
    """IPVS_PATHS and the sources in IPv6 are the kernel's: the same with our table gone. No agent runs after this."""
    for node in bed.nodes.values():
        node.kill_agent()
        node.take_rules_away()
        flush_conntrack(node)
    seen = {str(c): c.seen for c in judged.calls if c.fate == "ok"}
    plan, test = Plan(bed, "ipvs"), "bare"
    for kind, paths in svcbed.IPVS_PATHS.items():
        for (client, column), backend in itertools.product(bed.clients(), ("open", "sel")):
            if paths[column] != svcbed.PATHS[kind][column]:
                for six, proto in each_family(bed):
                    plan.add(test, client, six, proto, bed.target(kind, backend, six), "unanswered", heard=True)
    for six, proto in each_family(bed):
        plan.add(test, "foe2", six, proto, bed.target("direct", "sel", six), "ok", ("sel",))  # denied until now
        plan.add(test, "friend1", six, proto, bed.target("np1", "open", six), "ok", ("open",), 1)
    plan.run(servers)
    bad = ["%s: its backend saw %s before, now %s" % (c, seen[str(c)], c.seen) for c in plan.calls
           if c.fate == "ok" and seen.get(str(c), c.seen) != c.seen]
    return plan.faults(test) + bad, len(plan.calls)


def play(bed, servers, mode, tally):
    proxies = [kubeproxy.KubeProxy(mode, node, bed.services(), svcbed.CLUSTER) for node in bed.nodes.values()]
    try:
        for p in proxies:
            p.install()
        plan = Plan(bed, mode)
        plan_matrix(bed, plan, svcbed.MATRIX_IDS, mode)
        plan_hairpin(bed, plan)
        plan_host(bed, plan)
        plan_rest(bed, plan, mode)
        seconds = plan.run(servers)
        print("%s: %d calls in %.1f s" % (mode, len(plan.calls), seconds), flush=True)
        for test, rows in plan.tests.items():
            ok = sum(row[1] == "ok" for row in rows)
            tally.say("%s %s" % (mode, test), plan.faults(test), "%d calls, %d of them allowed" % (len(rows), ok))
        if mode == "ipvs":
            tally.say("E_12 IPVS delivers locally and sends out again", [f for t in plan.tests for f in plan.faults(t)],
                      "%d calls" % len(plan.calls))
        if "twin1" in bed.pods:
            tally.say("%s E_3 E_4 a Service of two replicas from one of them" % mode, try_twins(bed, servers), "")
        tally.say("%s session affinity" % mode, try_sticky(bed, servers), "")
        test = "XD14 a foreign table sets random bits of the packet mark"
        bad, calls = try_marks(bed, servers, mode, test)
        tally.say("%s %s" % (mode, test), bad, "%d calls" % calls)
        bad, flows = try_cut(bed, servers)
        tally.say("%s F7 F10 a tightened policy cuts flows through Services" % mode, bad, "%d flows" % flows)
        if mode == "ipvs":
            bad, calls = try_bare(bed, servers, plan)
            tally.say("ipvs what it does not serve, it does not serve without our table either", bad,
                      "%d calls" % calls)
    finally:
        for p in proxies:
            p.remove()
        for node in bed.nodes.values():
            flush_conntrack(node)


TRIES = {
    "iptables": "iptables-nft -t nat -A OUTPUT -m addrtype --dst-type LOCAL -m statistic --mode random "
                "--probability 0.5 -m mark --mark 0x4000/0x4000 -j MARK --xor-mark 0x4000",
    "nftables": "nft 'add table ip t; add map ip t m { type ipv4_addr . inet_proto . inet_service : verdict ; }'",
    "ipvs": "ip link add kube-ipvs0 type dummy && ipvsadm -A -t 192.0.2.9:80 -s rr && ipset create s hash:ip,port",
}


def unable(mode):
    """Why this kernel cannot do a mode, in one line; None when it can."""
    p = harness.run(["unshare", "--net", "sh", "-c", TRIES[mode]], check=False)
    return (p.stderr or p.stdout or "?").strip().splitlines()[-1] if p.returncode else None


def chosen(words):
    """The modes to play, in words: given ones all, else those that can be. ipvs comes last: its agents end with it."""
    if words:
        return sorted(words.split(","), key="ipvs".__eq__)
    out = []
    for mode in kubeproxy.MODES:
        why = unable(mode)
        if why:
            print("left out: %s: %s" % (mode, why))
        else:
            out.append(mode)
    return out


def main():
    ap = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    ap.add_argument("--build", default=None)
    ap.add_argument("--modes", default="")
    ap.add_argument("--brief", action="store_true")
    args = ap.parse_args()
    harness.start()
    modes = chosen(args.modes)
    tally = Tally()
    begin = time.monotonic()
    no_sctp = sctp_sockets()
    protos = ["tcp", "udp"] + ([] if no_sctp else ["sctp"])
    print("left out: sctp: " + no_sctp if no_sctp else "with SCTP")
    with svcbed.Bed(args.build, protos, args.brief) as bed, Listeners() as servers:
        bed.listen(servers)
        print("bed: %d pods, %.1f s" % (len(bed.pods), time.monotonic() - begin))
        bad, asked = explained(bed)
        tally.say("explain agrees about the real pairs", bad, "%d asked" % asked)
        for mode in modes:
            try:
                play(bed, servers, mode, tally)
            except (HarnessError, CniError, CtlError) as e:
                tally.say(mode, [str(e)], "")
            except Exception:  # pylint: disable=broad-except
                tally.say(mode, [traceback.format_exc()], "")
    print("%d passed, %d failed, 0 skipped" % (tally.passed, tally.failed))
    return 1 if tally.failed or not tally.passed else 0


if __name__ == "__main__":
    sys.exit(main())
