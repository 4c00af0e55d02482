#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""`explain --kernel`, `verify`, `ipam` and `wait` on nodes with the real agent, plugin, rules and packets.

    test_explain_kernel.py [--build DIR] [NAME...]

Every flow is told three times: by explain from the objects, by the rules that the kernel holds, and by a packet. Then the
rules are broken on purpose, and the command line must see it.
"""
import argparse
import json
import os
import signal
import sys
import time
import traceback

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
import harness  # noqa: E402
from harness import Lab, is6, patience  # noqa: E402
from probe import Flow, probe  # noqa: E402

TESTS = []
OUTSIDE = ["203.0.113.10", "2001:db8::10"]
RANGES = {1: ["10.244.1.0/24", "fd00:10:244:1::/64"], 2: ["10.244.2.0/24", "fd00:10:244:2::/64"]}
NODE_IPS = {1: ["192.0.2.1", "fd00:192::1"], 2: ["192.0.2.2", "fd00:192::2"]}
PODS = {"api": 1, "web": 1, "db": 1, "job": 1, "far": 2}
POLICIES = """apiVersion: v1
kind: Namespace
metadata: {name: shop}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: db-allow-api, namespace: shop}
spec:
  podSelector: {matchLabels: {app: db}}
  ingress:
  - from: [{podSelector: {matchLabels: {app: api}}}, {podSelector: {matchLabels: {app: far}}}]
    ports: [{port: 5432}, {port: 53, protocol: UDP}]
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: job-only-db, namespace: shop}
spec:
  podSelector: {matchLabels: {app: job}}
  policyTypes: [Egress]
  egress:
  - to: [{podSelector: {matchLabels: {app: db}}}]
  - to: [{ipBlock: {cidr: 203.0.113.0/24}}]
    ports: [{port: 80}]
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: far-deny, namespace: shop}
spec: {podSelector: {matchLabels: {app: far}}, policyTypes: [Ingress]}
"""


def test(fn):
    TESTS.append(fn)
    return fn


def expect(truth, *what):
    if not truth:
        raise AssertionError(" ".join(str(w) for w in what))


def addresses(name):
    k = sorted(PODS).index(name)
    return ["10.244.%d.%d" % (PODS[name], 11 + k), "fd00:10:244:%d::%d" % (PODS[name], 11 + k)]


def pod_objects():
    out = ["apiVersion: v1\nkind: Pod\nmetadata: {name: proxy, namespace: shop, labels: {app: proxy}}\nspec: {nodeName: n1, "
           "hostNetwork: true}\nstatus: {phase: Running, podIPs: [%s]}\n" % ", ".join('{ip: "%s"}' % a for a in NODE_IPS[1])]
    for name, node in PODS.items():
        out.append("apiVersion: v1\nkind: Pod\nmetadata: {name: %s, namespace: shop, labels: {app: %s}}\n"
                   "spec: {nodeName: n%d}\nstatus: {phase: Running, podIPs: [%s]}\n"
                   % (name, name, node, ", ".join('{ip: "%s"}' % a for a in addresses(name))))
    return "---\n".join(out)


class Bed:
    """Nodes n1 and n2, pods on both, the world outside."""

    def __init__(self, build, nodes=(1, 2), options=()):
        self.lab = Lab(build)
        self.nodes = {}
        self.lab.world.add(*OUTSIDE)
        for n in nodes:
            node = self.lab.node("n%d" % n, ips=NODE_IPS[n], ranges=RANGES[n])
            node.agent_options = ["--own-table", "off", *options]
            node.write_manifest("policies.yaml", POLICIES)
            node.write_manifest("pods.yaml", pod_objects())
            node.start_agent()
            self.nodes[n] = node
        self.pods = {name: self.lab.pod(name).attach(self.nodes[n], "shop", name, ips=addresses(name))
                     for name, n in PODS.items() if n in self.nodes}

    def ripstop(self, node, *args, before=()):
        """In the node's namespace: the rules are read there."""
        node = self.nodes[node]
        return node.run([*before, self.lab.program("ripstop"), *args, "--socket", node.socket_path], check=False)

    def explain(self, node, src, dst, port, family=4, more=()):
        """(exit code, object)"""
        p = self.ripstop(node, "explain", src, dst, port, "--family", str(family), "--kernel", "-o", "json", *more)
        expect(p.returncode in (0, 1, 7), src, dst, port, "exit", p.returncode, p.stderr)
        return p.returncode, json.loads(p.stdout)

    def verify(self, node=1, *more):
        p = self.ripstop(node, "verify", "-o", "json", *more)
        expect(p.returncode in (0, 1) and not p.stderr, "verify", p.returncode, p.stderr)
        return p.returncode, json.loads(p.stdout)

    def nft(self, *args):
        p = self.nodes[1].nft(*args)
        expect(p.returncode == 0, "nft", args, p.stderr)
        return p.stdout

    def close(self):
        self.lab.close()


# ---- all three say the same -------------------------------------------------------------------------------------------

def flows_of(bed):
    """(id, namespace and address of both ends, names for explain, nodes that judge)"""
    ends = {name: (pod, addresses(name), PODS[name], "shop/" + name) for name, pod in bed.pods.items()}
    ends["node"] = (bed.nodes[1], NODE_IPS[1], None, "node")
    ends["world"] = (bed.lab.world, OUTSIDE, None, None)
    pairs = [("api", "db"), ("web", "db"), ("job", "db"), ("job", "web"), ("world", "db"), ("job", "world"), ("node", "db"),
             ("web", "node"), ("job", "node"), ("db", "world"), ("far", "db"), ("api", "far"), ("far", "web"),
             ("web", "api")]
    for src, dst in pairs:
        for port in ("tcp/5432", "udp/53", "tcp/80", "icmp"):
            for family in (4, 6):
                yield src, dst, port, family, ends[src], ends[dst]


def address(end, family):
    return next(a for a in end[1] if is6(a) == (family == 6))


@test
def kernel_objects_and_packets_agree(build):
    bed = Bed(build)
    try:
        flows, said = [], {}
        for src, dst, port, family, a, b in flows_of(bed):
            ident = "%s>%s:%s@%d" % (src, dst, port, family)
            kind, _, number = port.partition("/")
            flows.append(Flow(ident, kind, a[0], address(a, family), b[0], address(b, family), int(number or 0)))
            allowed, asked = True, 0
            for node in sorted({n for n in (a[2], b[2]) if n}):
                code, o = bed.explain(node, a[3] or address(a, family), b[3] or address(b, family), port, family)
                kernel, = o["kernels"]
                expect(kernel.get("agrees") is True and kernel["node"] == "n%d" % node, ident, kernel)
                expect(kernel["verdict"] == o["verdict"] and code == (o["verdict"] != "allowed"), ident, code, o)
                hooks = [h["hook"] for h in kernel["packets"][0]["hooks"]]
                want = ["prerouting"] * (src != "node") + ["input" if dst == "node" else "postrouting"]
                expect(len(kernel["packets"]) == 3 and hooks == want, ident, hooks, kernel)
                allowed, asked = allowed and o["verdict"] == "allowed", asked + 1
            expect(asked, ident, "no node judges it")
            said[ident] = "ok" if allowed else "blocked"
        fates = probe(bed.lab, flows, 1500)
        bad = ["%s: explain %s, packet %s %s" % (i, said[i], *fates[i]) for i in said if fates[i][0] != said[i]]
        denied = sum(v == "blocked" for v in said.values())
        print("         %d flows, %d denied: objects, kernel and packets agree" % (len(said), denied))
        expect(not bad, "\n".join(bad))
        expect(len(said) // 5 < denied < len(said) * 4 // 5, "verdicts are lopsided:", denied, len(said))
    finally:
        bed.close()


@test
def what_decided_is_named(build):
    bed = Bed(build, nodes=(1,))
    try:
        p = bed.ripstop(1, "explain", "shop/web", "shop/db", "5432", "--kernel")
        expect(p.returncode == 1, p.returncode, p.stderr)
        for words in ("Kernel of n1 agrees: it drops the flow", "postrouting drop by chain deny_in, rule ",
                      "n_deny_in: 0 packets so far", "found grp_in4 { %s : " % addresses("db")[0], "  shop/db\n"):
            expect(words in p.stdout, words, "is not in", p.stdout)
        probe(bed.lab, [Flow("x", "tcp", bed.pods["web"], addresses("web")[0], bed.pods["db"], addresses("db")[0], 5432)], 700)
        _, o = bed.explain(1, "shop/web", "shop/db", "5432")
        step = o["kernels"][0]["packets"][0]["hooks"][-1]
        expect(step["counter"]["name"] == "n_deny_in" and step["counter"]["packets"] > 0, step)
        # Its last drop: of this port and family, and of no other.
        drop = o["kernels"][0]["lastDrop"]
        expect(drop["reason"] == "policy-ingress" and drop["time"].startswith(time.strftime("%Y-", time.gmtime())), drop)
        p = bed.ripstop(1, "explain", "shop/web", "shop/db", "5432", "--kernel")
        expect("     last drop of such a packet: %s, policy-ingress\n" % drop["time"] in p.stdout, p.stdout)
        for other in (("shop/web", "shop/db", "5433"), ("shop/web", "shop/db", "udp/5432"), ("shop/api", "shop/db", "5432"),
                      ("shop/web", "shop/db", "5432", 6)):
            expect("lastDrop" not in bed.explain(1, *other)[1]["kernels"][0], other)
        # The other way round it would have been an answer.
        record = bed.nodes[1].ctl("records", last=1)["items"][0]
        sport = record["l4"]["TCP"]["source_port"]
        expect("lastDrop" in bed.explain(1, "shop/db", "shop/web", "tcp/%d" % sport)[1]["kernels"][0], sport)
        expect("lastDrop" not in bed.explain(1, "shop/db", "shop/web", "tcp/%d" % (sport ^ 1))[1]["kernels"][0], sport)
        # A pod on the node's network sends as the node does, and is reached like it.
        code, o = bed.explain(1, "shop/proxy", "shop/db", "22")
        hooks = o["kernels"][0]["packets"][0]["hooks"]
        expect(code == 0 and o["kernels"][0]["agrees"] and hooks[0]["comment"] == "made by this node", o)
        code, o = bed.explain(1, "shop/job", "shop/proxy", "22")
        expect(code == 1 and o["kernels"][0]["agrees"] and o["kernels"][0]["packets"][0]["hooks"][-1]["hook"] == "input", o)
        # What never meets a rule is not judged by one.
        for src, dst in (("shop/web", "shop/web"), ("9.9.9.9", "8.8.8.8")):
            _, o = bed.explain(1, src, dst, "80")
            expect(o["kernels"][0]["asked"] is False and "agrees" not in o["kernels"][0], o["kernels"])
    finally:
        bed.close()


# ---- broken on purpose ------------------------------------------------------------------------------------------------

def in_sync(bed):
    code, o = bed.verify()
    expect(code == 0 and o["inSync"] and not o["differences"] and o["repair"]["background"] is False, code, o)
    expect(all(x["desired"] == x["kernel"] and x["desired"] for x in o["objects"]), o["objects"])
    return o


def seen(bed, what, *flow):
    """The break is seen by explain, whatever is expected, and by verify; verify alone changes nothing; mended, all is well."""
    for more in ((), ("--expect", "deny"), ("--expect", "allow")):
        code, o = bed.explain(1, *flow, more=more)
        expect(code == 7 and o["kernels"][0]["agrees"] is False, what, "is not seen:", code, o["kernels"])
    p = bed.ripstop(1, "explain", *flow[:3], "--family", str(flow[3] if len(flow) > 3 else 4), "--kernel")
    expect(p.returncode == 7 and "DISAGREES" in p.stdout and "ripstop bundle" in p.stderr, p.stdout, p.stderr)
    ruleset = bed.nodes[1].nft("-s", "list", "ruleset").stdout
    code, o = bed.verify()
    expect(code == 1 and not o["inSync"] and any(what in d["object"] for d in o["differences"]), what, o)
    expect(" (nft)" in o["changedBy"]["who"] and o["changedBy"]["time"], o.get("changedBy"))
    expect(bed.nodes[1].nft("-s", "list", "ruleset").stdout == ruleset, "verify has changed something")
    code, fixed = bed.verify(1, "--repair")
    expect(code == 0 and fixed["inSync"] and fixed["repaired"], fixed)
    expect(fixed["differences"] == o["differences"], "what was mended is not what differed")
    in_sync(bed)
    code, _ = bed.explain(1, *flow)
    expect(code in (0, 1), what, "is not mended:", code)
    return o


@test
def a_break_is_seen_by_explain_and_verify(build):
    bed = Bed(build, nodes=(1,), options=["--repair", "off"])
    try:
        in_sync(bed)
        db4, db6 = addresses("db")
        bed.nft("delete", "element", "inet", "ripstop", "grp_in4", "{ %s }" % db4)
        o = seen(bed, "element grp_in4 " + db4, "shop/api", "shop/db", "5432")
        expect(o["differences"][0]["about"] == "shop/db" and o["differences"][0]["what"] == "missing", o["differences"])
        bed.nft("delete", "element", "inet", "ripstop", "grp_in6", "{ %s }" % db6)
        code, _ = bed.explain(1, "shop/api", "shop/db", "5432", 4)
        expect(code == 0, "the other family is not touched:", code)
        seen(bed, "element grp_in6 " + db6, "shop/api", "shop/db", "5432", 6)
        cell = next(e["key"] for e in bed.explain(1, "shop/api", "shop/db", "5432")[1]["kernels"][0]["packets"][0]["hooks"][-1][
            "found"] if e["set"] == "cells")
        bed.nft("delete", "element", "inet", "ripstop", "cells", "{ %s }" % cell)
        o = seen(bed, "element cells " + cell, "shop/api", "shop/db", "5432")
        about = o["differences"][0]["about"]
        expect(about.startswith("ingress of shop/db from ") and "shop/api" in about, o["differences"])
        bed.nft("insert", "rule", "inet", "ripstop", "known_flow", "accept")
        seen(bed, "chain known_flow: rule handle ", "shop/web", "shop/db", "5432")
        bed.nft("delete", "table", "inet", "ripstop")
        o = seen(bed, "table inet ripstop", "shop/web", "shop/db", "5432")
        expect([x["kernel"] for x in o["objects"]] == [0] * 5, o["objects"])
        # Without a table it is no comfort that what is allowed passes.
        bed.nft("delete", "table", "inet", "ripstop")
        seen(bed, "table inet ripstop", "shop/web", "shop/api", "80")
        # A foreign rule does not hide what is wrong with elements.
        bed.nft("delete", "element", "inet", "ripstop", "self4", "{ %s . %s }" % (db4, db4))
        bed.nft("insert", "rule", "inet", "ripstop", "known_flow", "drop")
        o = seen(bed, "chain known_flow: rule handle ", "shop/api", "shop/db", "5432")
        expect([d["object"] for d in o["differences"][1:]] == ["element self4 %s . %s" % (db4, db4)], o["differences"])
        _, o = bed.verify()
        expect(o["repair"]["times"] == 7 and o["repair"]["mended"] >= 8, o["repair"])
    finally:
        bed.close()


@test
def background_repair_is_told(build):
    bed = Bed(build, nodes=(1,))
    try:
        code, o = bed.verify()
        expect(code == 0 and o["repair"] == {"background": True, "times": 0, "mended": 0}, o)
        bed.nft("delete", "element", "inet", "ripstop", "grp_in4", "{ %s }" % addresses("db")[0])
        end = time.monotonic() + patience(10)
        while time.monotonic() < end and not bed.verify()[1]["repair"]["times"]:
            time.sleep(0.05)
        code, o = bed.verify()
        expect(code == 0 and o["inSync"] and o["repair"]["mended"] == 1, o)
        expect(o["repair"]["last"] == ["element grp_in4 %s: missing" % addresses("db")[0]], o["repair"])
        expect(" (nft)" in o["changedBy"]["who"], o)
        p = bed.ripstop(1, "verify", "--repair")
        expect(p.returncode == 0 and "there was nothing to mend" in p.stdout and "mended since" in p.stdout, p.stdout)
    finally:
        bed.close()


@test
def who_may_not_read_the_kernel_is_told(build):
    bed = Bed(build, nodes=(1,))
    try:
        args = ("explain", "shop/web", "shop/db", "5432", "--kernel")
        p = bed.ripstop(1, *args, before=("setpriv", "--bounding-set", "-net_admin", "--inh-caps", "-net_admin"))
        expect(p.returncode == 4 and not p.stdout and "CAP_NET_ADMIN" in p.stderr, p.returncode, p.stdout, p.stderr)
        p = bed.nodes[1].cli(*args)  # outside the node's namespace
        expect(p.returncode == 4 and not p.stdout and "network namespace" in p.stderr, p.returncode, p.stdout, p.stderr)
        p = bed.nodes[1].cli(*args[:-1])
        expect(p.returncode == 1 and not p.stderr, "without --kernel it works anywhere:", p.returncode, p.stderr)
    finally:
        bed.close()


# ---- ipam ---------------------------------------------------------------------------------------------------------------

def edit(folder, name, **keys):
    path = os.path.join(folder, name)
    with open(path, encoding="utf-8") as f:
        o = json.load(f)
    o.update(keys)
    with open(path, "w", encoding="utf-8") as f:
        json.dump(o, f)


def snapshot(folder):
    out = {}
    for at, _, files in os.walk(folder):
        for name in files:
            st = os.lstat(os.path.join(at, name))
            if name != "node.json":
                out[os.path.join(at, name)] = (st.st_ino, st.st_mtime_ns, st.st_size)
    return out


@test
def ipam_counts_and_finds_leaks(build):
    lab = Lab(build)
    try:
        node = lab.node("n1", ranges=["10.244.1.0/24"], ips=["192.0.2.1"], cluster=["10.244.0.0/16"])
        node.start_agent()
        pods = {name: lab.pod(name).attach(node, "shop", name, labels={"app": name}) for name in ("a", "b", "c")}
        pods["c"].detach()
        gone = pods["c"].ip4()

        def ipam(*more):
            p = node.run([lab.program("ripstop"), "ipam", "-o", "json", "--socket", node.socket_path, *more], check=False)
            expect(p.returncode in (0, 1), p.returncode, p.stderr)
            return p.returncode, json.loads(p.stdout)

        code, o = ipam()
        expect(code == 0 and "check" not in o and o["metadata"]["source"] == "folder", o)
        expect(o["ranges"] == [{"range": "10.244.1.0/24", "total": 254, "held": 2, "resting": 1, "free": 251}], o["ranges"])
        states = {x["address"]: (x["state"], x.get("pod")) for x in o["leases"]}
        expect(states == {pods["a"].ip4(): ("held", "shop/a"), pods["b"].ip4(): ("held", "shop/b"), gone: ("resting", None)},
               states)
        code, o = ipam("--check")
        expect(code == 0 and o["check"]["leaks"] == [] and o["check"]["young"] == 2, "what is young is no leak", o["check"])
        # An ADD that is under way: a young lease, a link, no record yet.
        late = lab.pod("d").attach(node, "shop", "d", labels={"app": "d"})
        path, = [os.path.join(node.state, "endpoints", n) for n in os.listdir(os.path.join(node.state, "endpoints"))
                 if late.container_id in n]
        os.rename(path, os.path.join(node.state, "kept"))
        code, o = ipam("--check")
        expect(code == 0 and o["check"]["leaks"] == [] and o["check"]["young"] == 4, "an ADD is no leak", o["check"])
        os.rename(os.path.join(node.state, "kept"), path)
        late.detach()
        # Make them old, and take a record away: its lease leaks, and so does its link.
        leases, records = (os.path.join(node.state, x) for x in ("leases", "endpoints"))
        for name in os.listdir(leases):
            edit(leases, name, since=1)
        for name in os.listdir(records):
            edit(records, name, created=1)
        code, o = ipam("--check")
        expect(code == 0 and o["check"]["leaks"] == [] and o["check"]["young"] == 0, o["check"])
        lost, = [n for n in os.listdir(records) if pods["a"].container_id in n]
        link = pods["a"].host_link()
        os.unlink(os.path.join(records, lost))
        code, o = ipam("--check")
        leaks = sorted((x["what"], x["object"]) for x in o["check"]["leaks"])
        expect(code == 1 and leaks == [("lease without a record", pods["a"].ip4()), ("pod link without a record", link)], leaks)
        # And a lease: its record's address may be given out again.
        os.unlink(os.path.join(leases, pods["b"].ip4()))
        with open(os.path.join(leases, "10.244.1.200"), "w", encoding="utf-8") as f:
            f.write("{")
        code, o = ipam("--check")
        whats = {x["what"] for x in o["check"]["leaks"]}
        expect(code == 1 and {"record without its lease", "damaged file"} <= whats, whats)
        # Without an agent the folder tells the same, and stays as it is.
        node.kill_agent()
        before = snapshot(node.state)
        code, off = ipam("--check", "--state-dir", node.state)
        expect(code == 1 and off["metadata"]["source"] == "files" and off["ranges"] == o["ranges"], off)
        expect({x["what"] for x in off["check"]["leaks"]} == whats - {"pod link without a record"}, off["check"])
        expect("records of links" in off["check"]["notCompared"], off["check"])
        p = node.run([lab.program("ripstop"), "ipam", "--socket", node.socket_path, "--state-dir", node.state], check=False)
        expect(p.stdout.startswith("no agent lives: read from " + node.state), p.stdout, p.stderr)
        expect(snapshot(node.state) == before, "ipam has changed the state folder")
    finally:
        lab.close()


# ---- wait ---------------------------------------------------------------------------------------------------------------

@test
def wait_returns_when_it_is_in_force(build):
    bed = Bed(build, nodes=(1,), options=["--repair", "off"])
    try:
        node = bed.nodes[1]
        p = bed.ripstop(1, "wait", "policy/shop/db-allow-api")
        expect(p.returncode == 0 and p.stdout == "policy shop/db-allow-api is in force on n1, for 1 pod\n", p.stdout, p.stderr)
        p = bed.ripstop(1, "wait", "pod/shop/db", "-o", "json")
        expect(p.returncode == 0 and json.loads(p.stdout)["enforced"], p.stdout, p.stderr)
        for what in ("policy/shop/none", "pod/shop/none", "pod/shop/far"):
            p = bed.ripstop(1, "wait", what, "--timeout", "2")
            expect(p.returncode == 3 and not p.stdout, what, p.returncode, p.stderr)
        node.apply("new.yaml", POLICIES.split("---")[1].replace("db-allow-api", "db-too"))
        expect(bed.ripstop(1, "wait", "policy/shop/db-too").returncode == 0, "a new policy")
        # What somebody else has broken is not in force, until it is mended.
        bed.nft("delete", "table", "inet", "ripstop")
        p = bed.ripstop(1, "wait", "policy/shop/db-too", "--timeout", "1")
        expect(p.returncode == 124 and not p.stdout and "changed by somebody else" in p.stderr, p.returncode, p.stderr)
        bed.verify(1, "--repair")
        expect(bed.ripstop(1, "wait", "policy/shop/db-too").returncode == 0, "mended")
        node.agent.send_signal(signal.SIGSTOP)
        p = bed.ripstop(1, "wait", "policy/shop/db-too", "--timeout", "1")
        node.agent.send_signal(signal.SIGCONT)
        expect(p.returncode == 124 and not p.stdout, "an agent that does not answer", p.returncode, p.stderr)
    finally:
        bed.close()


def main():
    ap = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    ap.add_argument("--build", default=None)
    ap.add_argument("names", nargs="*")
    args = ap.parse_args()
    harness.start()
    passed = failed = 0
    for fn in TESTS:
        if args.names and not any(n in fn.__name__ for n in args.names):
            continue
        try:
            fn(args.build)
            passed += 1
            print("passed   " + fn.__name__, flush=True)
        except Exception:  # pylint: disable=broad-except
            failed += 1
            traceback.print_exc(file=sys.stdout)
            print("failed   " + fn.__name__, flush=True)
    print("%d passed, %d failed, 0 skipped" % (passed, failed))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
