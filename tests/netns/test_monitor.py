#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Drop records: each dropped packet has one, or is counted as suppressed or lost; no allowed packet has one; names are
of the moment; files and forms; `ripstop monitor`.

    test_monitor.py [--build DIR] [NAME...]        names: parts of tests' names
"""
import argparse
import collections
import ipaddress
import json
import os
import re
import signal
import socket
import sys
import time
import traceback

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
import harness  # noqa: E402
from harness import CniError, CtlError, HarnessError, patience  # noqa: E402
from monbed import SCHEMAS, WORLD, Bed, brief, expect, lines, send, until  # noqa: E402
from probe import Flow, Hold, probe  # noqa: E402

TESTS = []
BUILD = None
EBPF = harness.PLANE.bpffs
NO_LIMIT = ("--log-rate", "10000")


def test(fn):
    TESTS.append(fn)
    return fn


def only_nft(fn):
    """What it is about, only that dataplane has."""
    return fn if EBPF else test(fn)


# ---- the account ----------------------------------------------------------------------------------

@test
def every_dropped_packet_has_a_record_and_no_allowed_one_has():
    with Bed(BUILD, *NO_LIMIT) as bed:
        before = bed.dropped()
        ok = probe(bed.lab, [Flow("t%d" % i, kind, bed.api, a, bed.db, b, 5432)
                             for i, (kind, a, b) in enumerate((k, x, y) for k in ("tcp", "udp") for x, y in
                                                              zip(bed.api.ips, bed.db.ips))], 2000)
        expect(all(f[0] == "ok" for f in ok.values()), "control: the allowed flows", ok)
        expect(bed.records() == [], "records of allowed packets", bed.records())
        want = collections.Counter()
        for src, dst, port, times, reason in (
                (bed.web.ip4(), bed.db.ip4(), 5432, 40, "policy-ingress"), (bed.web.ip6(), bed.db.ip6(), 53, 25, "policy-ingress"),
                (bed.db.ip4(), WORLD[0], 443, 17, "policy-egress"), (bed.db.ip6(), WORLD[1], 443, 9, "policy-egress"),
                (bed.db.ip4(), bed.node.ips[0], 10250, 5, "policy-egress"), (bed.db.ip4(), bed.web.ip4(), 80, 3, "policy-egress")):
            send(bed.web if src in bed.web.ips else bed.db, dst, port, times)
            want[(reason, src, dst, port)] += times
        bed.web.ip("address add 10.9.9.9/32 dev lo")
        send(bed.web, bed.db.ip4(), 5432, 7, "10.9.9.9")
        want[("spoofed", "10.9.9.9", bed.db.ip4(), 5432)] = 7
        counts = bed.adds_up(before)
        got = collections.Counter(map(brief, bed.records()))
        expect(got == want, "records", sorted(got.items()), "wanted", sorted(want.items()))
        expect(counts["records"] == sum(want.values()) and not counts["suppressed"] and not counts["lost"], counts)
        ids = [r["id"] for r in bed.records()]
        expect(ids == list(range(1, len(ids) + 1)), ids)
        # Allowed traffic after the drops makes none either.
        probe(bed.lab, [Flow("again", "udp", bed.api, bed.api.ip4(), bed.db, bed.db.ip4(), 5432)], 1500)
        expect(len(bed.records()) == len(ids), "an allowed packet made a record")


@test
def a_flood_is_suppressed_and_the_others_are_heard():
    with Bed(BUILD) as bed:
        before = bed.dropped()
        other = bed.pod("db", "db-1")
        send(bed.web, bed.db.ip4(), 9, 3000)
        send(other, WORLD[0], 443, 4)
        counts = bed.adds_up(before)
        expect(counts["dropped"] == 3004 and counts["suppressed"] > 2900, counts)
        records = bed.records()
        expect(sum(r["reason"] == "policy-egress" for r in records) == 4, "the other pod's records", counts)
        time.sleep(1.2)
        send(bed.web, bed.db.ip4(), 9, 1)
        bed.adds_up(before)
        told = sum(r["suppressed_since_last"] for r in bed.records())
        expect(told == bed.counts()["suppressed"], "told by the records", told, bed.counts())


@test
def records_that_do_not_fit_are_counted_as_lost():
    with Bed(BUILD, *NO_LIMIT) as bed:
        before = bed.dropped()
        send(bed.web, bed.db.ip4(), 9, 10)
        bed.node.agent.send_signal(signal.SIGSTOP)
        for port in range(3):
            send(bed.web, bed.db.ip4(), 100 + port, 2000)
            send(bed.db, WORLD[0], 100 + port, 2000)
        bed.node.agent.send_signal(signal.SIGCONT)
        counts = bed.adds_up(before)
        expect(counts["lost"] > 100 and counts["records"] > 100, "control: some of each", counts)
        time.sleep(1.1)  # the limit is one of a second
        send(bed.web, bed.db.ip4(), 9, 10)
        again = bed.adds_up(before)
        expect(again["lost"] == counts["lost"] and again["records"] == counts["records"] + 10, counts, again)


@only_nft
def counters_that_begin_anew_keep_the_account():
    with Bed(BUILD, "--own-table", "off") as bed:
        before = bed.dropped()
        send(bed.web, bed.db.ip4(), 9, 5)
        send(bed.web, bed.db.ip4(), 9, 200)
        first = bed.adds_up(before)
        bed.node.nft("delete", "table", "inet", "ripstop")
        expect(until(lambda: bed.kernel().get("n_deny_in") == 0), "control: the counters", bed.kernel())
        send(bed.db, WORLD[0], 9, 5)
        got = until(lambda: bed.counts()["dropped"] == first["dropped"] + 5 and bed.counts())
        expect(got and got["records"] + got["suppressed"] + got["lost"] == got["dropped"], first, bed.counts())


@only_nft
def another_listener_of_the_group_is_told_and_outwaited():
    with Bed(BUILD, pods=()) as bed:
        bed.node.kill_agent(signal.SIGTERM)
        with bed.node.inside():
            s = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 12)
        s.bind((0, 0))
        bind = bytes.fromhex("20000000" "0104" "0500" "01000000" "00000000" "0000" "0029" "0500010001000000")
        s.send(bytes([len(bind)]) + bind[1:])
        bed.node.start_agent()
        status = bed.node.ctl("status")
        expect(any(c["type"] == "DropRecords" for c in status["conditions"]), status["conditions"])
        p = bed.node.cli("monitor")
        expect(p.returncode == 4 and not p.stdout and "NFLOG group 41" in p.stderr, p)
        s.close()
        expect(until(lambda: bed.node.cli("monitor").returncode == 0, 25), bed.node.cli("monitor"))
        expect(until(lambda: not bed.node.ctl("status")["conditions"]), bed.node.ctl("status")["conditions"])


@test
def these_privileges_are_enough():
    with Bed(BUILD, pods=()) as bed:
        bed.node.kill_agent(signal.SIGTERM)
        plain = bed.node.agent_argv
        bed.node.agent_argv = lambda *a: ["setpriv", "--bounding-set", "-all,+net_admin" + (",+bpf,+perfmon" if EBPF else ""), "--inh-caps", "-all"] + plain(*a)
        bed.node.start_agent()
        bed.web, bed.db = bed.pod("web"), bed.pod("db")
        time.sleep(0.1)
        before = bed.dropped()
        send(bed.web, bed.db.ip4(), 9, 3)
        expect(bed.adds_up(before)["records"] == 3, bed.counts())


# ---- what a record says ---------------------------------------------------------------------------

@test
def it_says_who_by_which_policies_and_which_rule_was_nearest():
    with Bed(BUILD) as bed:
        port = send(bed.web, bed.db.ip4(), 5432)
        r = until(bed.records)[0]
        expect(r["source"] == {"namespace": "shop", "pod_name": "web", "labels": ["app=web"]}, r)
        expect(r["destination"]["pod_name"] == "db-0" and r["traffic_direction"] == "INGRESS", r)
        expect(r["l4"] == {"UDP": {"source_port": port, "destination_port": 5432}}, r)
        expect([p["name"] for p in r["ingress_denied_by"]] == ["db-allow-api", "default-deny"], r)
        expect(r["nearest"]["policy"] == "shop/db-allow-api" and r["nearest"]["path"] == "spec.ingress[0]" and
               r["nearest"]["peers"] == "podSelector app=api does NOT match: the pod has app=web", r)
        send(bed.db, WORLD[1], 443)
        r = until(lambda: [x for x in bed.records() if x["reason"] == "policy-egress"])[0]
        expect(r["destination"] == {"labels": ["reserved:world"]} and "nearest" not in r, r)
        expect([p["name"] for p in r["egress_denied_by"]] == ["default-deny"], r)
        send(bed.db, bed.node.ips[0], 443)
        r = until(lambda: [x for x in bed.records() if x["IP"]["destination"] == bed.node.ips[0]])[0]
        expect(r["destination"] == {"labels": ["reserved:host"]}, r)
        s = bed.web.socket(socket.AF_INET, socket.SOCK_STREAM)
        s.setblocking(False)
        s.connect_ex((bed.db.ip4(), 22))
        r = until(lambda: [x for x in bed.records() if "TCP" in x["l4"]])[0]
        expect(r["l4"]["TCP"]["flags"] == {"SYN": True} and r["l4"]["TCP"]["destination_port"] == 22, r)
        bed.web.run(["ping", "-c1", "-W1", bed.db.ip6()], check=False)
        r = until(lambda: [x for x in bed.records() if "ICMPv6" in x["l4"]])[0]
        expect(r["l4"] == {"ICMPv6": {"type": 128, "code": 0}}, r)


@test
def a_forged_source_is_named_by_its_link():
    with Bed(BUILD) as bed:
        bed.web.ip("address add %s/32 dev lo" % bed.api.ip4())
        send(bed.web, bed.db.ip4(), 5432, 1, bed.api.ip4())
        r = until(bed.records)[0]
        expect(r["reason"] == "spoofed" and r["IP"]["source"] == bed.api.ip4(), r)
        expect(r["source"]["pod_name"] == "web" and r["severity"] == "warning", "the sender, not the victim", r)


@test
def names_are_of_the_moment_of_the_drop():
    with Bed(BUILD, pods=("db",)) as bed:
        old = bed.pod("web", "old", ips=["10.244.1.77"])
        expect(until(lambda: bed.records() or not send(old, bed.db.ip4(), 9)), "no record")
        old.detach()
        old.delete()
        new = bed.pod("api", "new", ips=["10.244.1.77"])
        # The first packet of a fresh link may be lost in its own queue.
        names = until(lambda: send(new, bed.db.ip4(), 9) and len(bed.records()) > 1 and
                      [r["source"]["pod_name"] for r in bed.records()])
        expect(names and names[0] == "old" and names[-1] == "new" and set(names) == {"old", "new"}, names, bed.kernel())


@test
def an_answer_that_is_cut_is_told_as_one():
    with Bed(BUILD, *NO_LIMIT) as bed:
        flow = Flow("f", "tcp", bed.web, bed.web.ip4(), bed.api, bed.api.ip4(), 7000)
        with Hold(bed.lab, [flow]) as hold:
            expect(hold.open("f") == "ok" and hold.ping("f") == "ok", "control", hold.why)
            bed.node.apply("more.yaml", "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\n"
                           "metadata: {name: shut, namespace: shop}\n"
                           "spec: {podSelector: {matchLabels: {app: api}}, policyTypes: [Ingress]}\n")
            hold.push("f", 1500)
            hold.ping("f", 500)
        records = until(bed.records)
        mine = [r for r in records if r["l4"].get("TCP", {}).get("destination_port") == 7000]
        back = [r for r in records if r["l4"].get("TCP", {}).get("source_port") == 7000]
        expect(mine and back, "control: packets both ways", records)
        expect(all(r["traffic_direction"] == "INGRESS" and [p["name"] for p in r["ingress_denied_by"]] == ["shut"]
                   for r in mine + back), records)
        expect(all(r["is_reply"] for r in back) and not any(r["is_reply"] for r in mine), records)
        expect(back[0]["source"]["pod_name"] == "api" and back[0]["destination"]["pod_name"] == "web", back[0])


# ---- the command line -----------------------------------------------------------------------------

ROW = re.compile(r"^\d\d:\d\d:\d\d\.\d{3}  (DENY .*)$")


def rows(text):
    """Lines without time and source ports; the footer as it is, without its moment."""
    out = []
    for line in text.splitlines():
        m = ROW.match(line)
        out.append(re.sub(r":\d{5}( ->)", r":PORT\1", m.group(1)) if m else re.sub(r"since \S+", "since T", line))
    return out


@test
def the_screen():
    with Bed(BUILD) as bed:
        send(bed.web, bed.db.ip4(), 5432)
        until(lambda: len(bed.records()) == 1)
        send(bed.db, WORLD[1], 443)
        until(lambda: len(bed.records()) == 2)
        bed.web.ip("address add 10.9.9.9/32 dev lo")
        send(bed.web, bed.db.ip4(), 5432, 1, "10.9.9.9")
        until(lambda: len(bed.records()) == 3)
        p = bed.node.cli("monitor")
        want = ["DENY ingress  shop/web:PORT -> shop/db-0:5432                       udp       "
                "by shop/db-allow-api (+1)  miss: podSelector app=api",
                "DENY egress   shop/db-0:PORT -> [2001:db8::10]:443                  udp       by shop/default-deny",
                "DENY egress   shop/web:PORT -> shop/db-0:5432                       udp       "
                "spoofed: the source address is not of the link that it came from",
                "-- 0 suppressed by the log limit (10/s and pod), 0 lost, since T --"]
        squeeze = [re.sub("  +", "  ", w) for w in want]
        expect([re.sub("  +", "  ", x) for x in rows(p.stdout)] == squeeze and p.returncode == 0 and not p.stderr, p.stdout, p.stderr)
        wide = bed.node.cli("monitor", "-o", "wide", "--last", "3").stdout
        expect("by shop/db-allow-api, shop/default-deny" in wide and
               "miss: shop/db-allow-api spec.ingress[0]: udp/5432 matches; podSelector app=api does NOT match: the pod has "
               "app=web" in wide and "shop/web:" in wide and "(10.9.9.9)" in wide, wide)


@test
def filters_and_errors():
    with Bed(BUILD) as bed:
        send(bed.web, bed.db.ip4(), 5432, 3)
        send(bed.db, WORLD[0], 443, 2)
        expect(until(lambda: len(bed.records()) == 5), bed.records())
        cli = bed.node.cli
        for args, n in ((["--last", "2"], 2), (["--last", "0"], 0), (["shop/web"], 3), (["web", "-n", "shop"], 3), (["-n", "shop"], 5),
                        (["-n", "other"], 0), (["--reason", "policy-egress"], 2), (["--direction", "ingress"], 3),
                        (["--since", "1h", "--dropped"], 5), (["--verdict", "DROPPED"], 5), (["--since", "5m", "--last", "1"], 1)):
            p = cli("monitor", "-o", "jsonl", *args)
            expect(p.returncode == 0 and len(lines(p.stdout)) == n, args, n, p)
        for args, code, word in ((["nobody"], 3, "no pod"), (["--reason", "x"], 2, "no reason"), (["--verdict", "allowed"], 2, "dropped"),
                                 (["--last", "x"], 2, "--last"), (["--since", "0s"], 2, "--since"), (["--since", "5x"], 2, "--since"),
                                 (["--follow", "-o", "json"], 2, "--follow"), (["a/b/c"], 2, "no pod"),
                                 (["a", "b"], 2, "too many"), (["\x1b[2J"], 3, "\\x1b"), (["--direction", "up"], 2, "ingress|egress")):
            p = cli("monitor", *args)
            expect(p.returncode == code and not p.stdout and word in p.stderr and "\x1b" not in p.stderr, args, p)
        expect("nothing" not in cli("monitor", "-n", "other").stdout, cli("monitor", "-n", "other"))


@test
def forms_obey_their_schemas():
    with Bed(BUILD) as bed:
        send(bed.web, bed.db.ip4(), 5432, 2)
        send(bed.db, WORLD[0], 443, 1)
        bed.web.ip("address add 10.9.9.9/32 dev lo")
        send(bed.web, bed.db.ip4(), 5432, 1, "10.9.9.9")
        bed.web.run(["ping", "-c1", "-W1", bed.db.ip4()], check=False)
        expect(until(lambda: len(bed.records()) == 5), bed.records())
        got = lines(bed.node.cli("monitor", "-o", "jsonl").stdout)
        expect(got == bed.records(), "the records themselves", got)
        for line in lines(bed.node.cli("monitor", "-o", "hubble").stdout):
            errors = SCHEMAS.errors("hubble-flow.json", line)
            expect(not errors, errors, line)
        o = json.loads(bed.node.cli("monitor", "-o", "json").stdout)
        expect(o["items"] == got and o["counts"]["records"] == 5, o)
        expect(not SCHEMAS.errors("flow-records.json", o), SCHEMAS.errors("flow-records.json", o))
        for r in got:
            ipaddress.ip_address(r["IP"]["source"])
        broken = dict(got[0], verdict="FORWARDED", extra=1)
        expect(len(SCHEMAS.errors("flow-record.json", broken)) == 2, "control: the schema", broken)


@test
def follow_shows_more_and_ends_cleanly_at_ctrl_c():
    with Bed(BUILD) as bed:
        send(bed.web, bed.db.ip4(), 5432, 1)
        expect(until(lambda: len(bed.records()) == 1), "no record")
        out = os.path.join(bed.node.dir, "out")
        with open(out, "wb") as f:
            p = bed.lab.spawn([bed.lab.program("ripstop"), "monitor", "--follow", "--socket", bed.node.socket_path], stdout=f, stderr=f)
        read = lambda: open(out, encoding="utf-8").read()  # noqa: E731
        expect(until(lambda: read().count("DENY") == 1), "the first", read())
        send(bed.db, WORLD[0], 443, 50)
        expect(until(lambda: "DENY egress" in read()), "the later ones", read())
        expect(until(lambda: bed.counts()["suppressed"] > 30), bed.counts())
        time.sleep(0.7)
        p.send_signal(signal.SIGINT)
        expect(p.wait(patience(10)) == 0, p.returncode, read())
        last = read().splitlines()[-1]
        expect(re.fullmatch(r"-- [34]\d suppressed by the log limit \(10/s and pod\), 0 lost, while this followed --", last), last)


@test
def a_follower_outlives_more_records_than_one_answer_holds():
    with Bed(BUILD, *NO_LIMIT) as bed:
        bed.pour(bed.web, bed.db.ip4(), 9, 1500)
        expect(until(lambda: bed.counts()["records"] == 1500), bed.counts())
        first = bed.node.ctl("records")
        expect(first["more"] and len(json.dumps(first)) < 1 << 20, "control: more than one page", len(first["items"]))
        ids = [r["id"] for r in lines(bed.node.cli("monitor", "-o", "jsonl", "--since", "1h").stdout)]
        expect(ids == list(range(1, 1501)), ids[:3], len(ids))
        o = json.loads(bed.node.cli("monitor", "-o", "json", "--since", "1h").stdout)
        expect([r["id"] for r in o["items"]] == ids, len(o["items"]))


# ---- counts in other answers ----------------------------------------------------------------------

@test
def pods_rules_status_and_metrics_count_drops():
    with Bed(BUILD, "--metrics-address", "127.0.0.1:9412", "--metrics-per-policy") as bed:
        send(bed.web, bed.db.ip4(), 9, 4)
        send(bed.db, WORLD[0], 443, 2)
        bed.web.ip("address add 10.9.9.9/32 dev lo")
        send(bed.web, bed.db.ip4(), 9, 3, "10.9.9.9")
        expect(until(lambda: bed.counts()["records"] == 9), bed.counts())
        pods = {p["name"]: p for p in bed.node.ctl("pods", all=True)["items"]}
        got = {n: (p["ingress"]["dropRecords"], p["egress"]["dropRecords"]) for n, p in pods.items()}
        expect(got == {"web": (0, 3), "api": (0, 0), "db-0": (4, 2)}, got)
        expect("lastDrop" in pods["db-0"]["ingress"] and "lastDrop" not in pods["api"]["egress"], pods["db-0"])
        rules = bed.node.ctl("rules", pod="shop/db-0")
        expect((rules["ingress"]["dropRecords"], rules["egress"]["dropRecords"]) == (4, 2), rules)
        expect(bed.node.ctl("rules", pod="shop/web")["egress"]["dropRecords"] == 0, "a forgery is no policy's")
        status = bed.node.ctl("status")
        expect(status["recentDrops"] == {"seconds": 300, "packets": 9, "topPolicy": "shop/db-allow-api", "topRecords": 4}, status)
        expect(status["dropRecords"]["records"] == 9, status)
        text = bed.node.cli("status").stdout
        expect("9 in the last 5 min (top: shop/db-allow-api 4)   records 9, suppressed 0, lost 0" in text, text)
        row = [line.split() for line in bed.node.cli("pods").stdout.splitlines() if "db-0" in line][0]
        expect("4" in row and "2" in row, row)
        page = bed.node.run(["python3", "-c", "import urllib.request as u; print(u.urlopen('http://127.0.0.1:9412/metrics').read().decode())"]).stdout
        for line in ('ripstop_drop_records_total{result="emitted"} 9', 'ripstop_drop_records_total{result="suppressed"} 0',
                     'ripstop_drop_records_total{result="lost"} 0',
                     'ripstop_policy_drop_records_total{policy_namespace="shop",policy="default-deny",direction="ingress"} 4',
                     'ripstop_policy_drop_records_total{policy_namespace="shop",policy="default-deny",direction="egress"} 2',
                     'ripstop_policy_drop_records_total{policy_namespace="shop",policy="db-allow-api",direction="ingress"} 4'):
            expect(line in page.splitlines(), line, [x for x in page.splitlines() if "drop_records" in x])
        for unit in ("packets", "bytes"):
            line = 'ripstop_rule_%s_total{policy_namespace="shop",policy="db-allow-api",direction="ingress",rule="0"} 0' % unit
            expect((line in page.splitlines()) == EBPF, line, [x for x in page.splitlines() if "ripstop_rule" in x])


@test
def judgements_tell_a_rule_that_never_matched():
    with Bed(BUILD) as bed:
        bed.node.apply("more.yaml", "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\n"
                       "metadata: {name: db-more, namespace: shop}\nspec:\n  podSelector: {matchLabels: {app: db}}\n"
                       "  ingress:\n  - {from: [{podSelector: {matchLabels: {app: batch}}}], ports: [{port: 5432}]}\n"
                       "  - {from: [{ipBlock: {cidr: 203.0.113.0/24}}]}\n")
        bed.pod("batch")

        def judged():
            return {(r["source"], r["index"]): r.get("judged") for r in bed.node.ctl("rules", pod="shop/db-0")["ingress"]["rules"]}

        expect(judged() == {("shop/db-allow-api", 0): 0, ("shop/db-more", 0): 0, ("shop/db-more", 1): 0}, "at first", judged())
        ok = probe(bed.lab, [Flow("f%d" % i, "tcp", bed.api, bed.api.ip4(), bed.db, bed.db.ip4(), 5432) for i in range(3)], 2000)
        expect(all(f[0] == "ok" for f in ok.values()), "control", ok)
        got = judged()
        passed = [(r.get("packets"), r.get("bytes")) for r in bed.node.ctl("rules", pod="shop/db-0")["ingress"]["rules"]]
        if EBPF:
            expect(passed[0][0] >= 15 and passed[0][1] >= 52 * passed[0][0] and passed[1:] == [(0, 0)] * 2, passed)
        else:
            expect(passed == [(None, None)] * 3, passed)
        expect(got[("shop/db-allow-api", 0)] >= 3 and got[("shop/db-more", 0)] == got[("shop/db-more", 1)] == 0, got)
        table = bed.node.cli("rules", "shop/db-0", "-o", "wide").stdout
        counted = r"%d +%d\b" % passed[0] if EBPF else "- +-"
        expect(re.search(r"shop/db-allow-api +ingress\[0\] +\S+ +%d +%s" % (got[("shop/db-allow-api", 0)], counted), table), table)


# ---- the drop log ---------------------------------------------------------------------------------

@test
def the_drop_log_is_turned_over_and_loses_nothing():
    with Bed(BUILD, *NO_LIMIT, pods=()) as bed:
        path = os.path.join(bed.node.dir, "drops.jsonl")
        bed.node.kill_agent(signal.SIGTERM)
        bed.node.start_agent("--drop-log", path, "--drop-log-size", "1", "--drop-log-files", "2")
        bed.web, bed.db = bed.pod("web"), bed.pod("db")
        time.sleep(0.1)
        bed.pour(bed.web, bed.db.ip4(), 9, 3600)
        total = bed.counts()["records"]
        expect(total == 3600, bed.counts())
        names = sorted(n for n in os.listdir(bed.node.dir) if n.startswith("drops"))
        expect(names == ["drops.jsonl", "drops.jsonl.1", "drops.jsonl.2"], names)
        ids = []
        for name in reversed(names):
            st = os.stat(os.path.join(bed.node.dir, name))
            expect(st.st_size <= 1 << 20 and st.st_mode & 0o777 == 0o600, name, st)
            with open(os.path.join(bed.node.dir, name), encoding="utf-8") as f:
                for r in lines(f.read()):
                    ids.append(r["id"])
                    errors = SCHEMAS.errors("flow-record.json", r)
                    expect(not errors, errors, r)
        expect(ids == list(range(ids[0], total + 1)) and len(ids) > 1500, ids[:2], ids[-1], len(ids))


@test
def a_drop_log_that_cannot_be_opened_is_refused():
    with Bed(BUILD, pods=()) as bed:
        bed.node.kill_agent(signal.SIGTERM)
        try:
            bed.node.start_agent("--drop-log", "/nonexistent/drops")
        except HarnessError as e:
            expect("drop log /nonexistent/drops: No such file" in str(e), e)
            return
        raise AssertionError("started")


def play(fn):
    try:
        fn()
        return ""
    except (AssertionError, HarnessError, CniError, CtlError) as e:
        return "%s: %s" % (type(e).__name__, e)
    except Exception:  # pylint: disable=broad-except
        return traceback.format_exc()


def main():
    global BUILD  # pylint: disable=global-statement
    ap = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    ap.add_argument("--build", default=None)
    ap.add_argument("names", nargs="*")
    args = ap.parse_args()
    BUILD = args.build
    harness.start()
    passed = failed = 0
    for fn in TESTS:
        if args.names and not any(n in fn.__name__ for n in args.names):
            continue
        begin = time.monotonic()
        why = play(fn)
        passed, failed = passed + (not why), failed + bool(why)
        print("%-8s %s (%.1f s)" % ("failed" if why else "passed", fn.__name__, time.monotonic() - begin))
        if why:
            print("         " + why[:4000].replace("\n", "\n         "))
        sys.stdout.flush()
    print("%d passed, %d failed, 0 skipped" % (passed, failed))
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
