#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""`ripstop capture`: every packet of a pod with what became of it, and rules that are gone with the command.

    test_capture.py [--build DIR] [NAME...]        names: parts of tests' names
"""
import argparse
import collections
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import traceback

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
import harness  # noqa: E402
import pcapng  # noqa: E402
from harness import CniError, CtlError, HarnessError, patience  # noqa: E402
from monbed import WORLD, Bed, expect, send, until  # noqa: E402
from probe import Flow, probe  # noqa: E402

TESTS = []
BUILD = None
NO_LIMIT = ("--log-rate", "10000")
OUT_OF_POD, INTO_POD = 2, 1


def test(fn):
    TESTS.append(fn)
    return fn


class Capture:
    """A running one; .end() gives its file."""

    def __init__(self, bed, *args, pod="shop/db-0", stdout=subprocess.PIPE):
        self.bed, self.path = bed, os.path.join(bed.node.dir, "%d.pcapng" % time.monotonic_ns())
        self.argv = bed.node.argv([bed.lab.program("ripstop"), "capture", pod, "--state-dir", bed.node.state, "--socket",
                                   bed.node.socket_path] + ([] if "-O" in args else ["-O", self.path]) + list(args))
        self.p = bed.lab.spawn(self.argv, stdout=stdout, stderr=subprocess.PIPE)
        expect(until(lambda: tables(bed) or self.p.poll() is not None), "no table")

    def wait(self):
        self.out, self.err = self.p.communicate(timeout=patience(30))
        return self.p.returncode

    def end(self, sig=signal.SIGINT):
        time.sleep(0.5)  # what was sent is decided by then
        self.p.send_signal(sig)
        expect(self.wait() == 0, self.p.returncode, self.err)
        return self.file()

    def file(self):
        with open(self.path, "rb") as f:
            return pcapng.File(f.read())


def tables(bed):
    return re.findall(r"table inet (ripstop-capture-\d+)", bed.node.nft("list", "tables").stdout)


def rules(bed):
    return bed.node.nft("list", "table", "inet", tables(bed)[0]).stdout


def flow(bed, src, dst, kind="udp", port=5432, family=4):
    a, b = (src.ip4(), dst.ip4()) if family == 4 else (src.ip6(), dst.ip6())
    return probe(bed.lab, [Flow("f", kind, src, a, dst, b, port)], 1500)["f"][0]


def udp(data):
    return [p for p in pcapng.File(data).packets if p.proto == 17]


def brief(packets):
    return [(p.src, p.dst, p.proto, p.dport, p.flags, p.comment.split(":")[0].split(",")[0]) for p in packets]


@test
def each_packet_has_its_verdict_and_the_policy_that_dropped_it():
    with Bed(BUILD, *NO_LIMIT) as bed:
        capture = Capture(bed)
        expect(flow(bed, bed.api, bed.db) == "ok", "control: the allowed flow")
        sport = send(bed.web, bed.db.ip4(), 5432, 3)
        out = send(bed.db, WORLD[1], 443, 2)
        node = send(bed.db, bed.node.ips[0], 10250, 1)
        f = capture.end()
        got = brief(f.packets)
        db, web, api = bed.db.ip4(), bed.web.ip4(), bed.api.ip4()
        expect(got.count((web, db, 17, 5432, INTO_POD, "dropped")) == 3, got)
        expect(got.count((bed.db.ip6(), WORLD[1], 17, 443, OUT_OF_POD, "dropped")) == 2, got)
        expect(got.count((db, bed.node.ips[0], 17, 10250, OUT_OF_POD, "dropped")) == 1, got)
        expect((api, db, 17, 5432, INTO_POD, "passed") in got, got)
        expect(any(x[:3] == (db, api, 17) and x[4:] == (OUT_OF_POD, "passed") for x in got), "its answer", got)
        expect(not any(x[0] == web and x[5] == "passed" for x in got), got)
        why = next(p.comment for p in f.packets if p.src == web)
        expect(why.startswith("dropped, policy-ingress:  by shop/db-allow-api, shop/default-deny  miss: shop/db-allow-api spec.ingress[0]: "),
               why)
        expect({p.sport for p in f.packets if p.src == web} == {sport}, sport)
        expect({p.sport for p in f.packets if p.dst in (WORLD[1], bed.node.ips[0])} == {out, node}, out, node)
        expect(f.received == len(f.packets) and f.lost == 0, f.received, f.lost)
        expect(f.name == bed.db.host_link(), f.name)
        expect("shop/db-0" in f.about, f.about)
        expect(abs(f.packets[0].time - time.time()) < 60 and [p.time for p in f.packets] == sorted(p.time for p in f.packets), "times")
        expect(os.stat(capture.path).st_mode & 0o777 == 0o600, "mode")
        # A pod's kernel looks for routers and listeners: the guard keeps that to itself.
        dropped = sum(x[5] == "dropped" for x in got)
        quiet = [p for p in f.packets if p.comment.startswith("dropped by Ripstop's guard") and p.dst.startswith("ff02::")]
        expect(dropped == 6, got)
        expect(re.search(r"wrote .*: %d packets, %d dropped\n" % (len(got), dropped + len(quiet)), capture.out.decode()), capture.out)
        expect(not tables(bed), tables(bed))


@test
def counts_equal_the_kernels_under_load():
    with Bed(BUILD, *NO_LIMIT) as bed:
        before = bed.dropped()
        capture = Capture(bed, "--dropped", "-c", "5000")
        for port in range(9, 13):
            bed.pour(bed.web, bed.db.ip4(), port, 300)
            expect(flow(bed, bed.api, bed.db) == "ok", "control")
        f = capture.end()
        expect(bed.dropped() - before == 1200, bed.kernel())
        packets = [p for p in f.packets if p.proto == 17]
        expect(len(packets) == 1200 and f.lost == 0, len(packets), f.lost, capture.out, capture.err)
        expect(all(p.comment.startswith("dropped, policy-ingress") and p.src == bed.web.ip4() for p in packets), packets[0])
        expect(sorted({p.dport for p in packets}) == [9, 10, 11, 12], "ports")


@test
def the_guards_drops_are_seen_and_named():
    with Bed(BUILD, *NO_LIMIT) as bed:
        bed.web.ip("address add 10.9.9.9/32 dev lo")
        capture = Capture(bed, pod="shop/web")
        send(bed.web, bed.api.ip4(), 5432, 2, "10.9.9.9")
        send(bed.web, bed.api.ip4(), 5432, 2)
        f = capture.end()
        got = [(p.src, p.comment.split(":")[0]) for p in f.packets if p.proto == 17]
        expect(got == [("10.9.9.9", "dropped, spoofed")] * 2 + [(bed.web.ip4(), "passed")] * 2, got)


@test
def filters_are_the_kernels():
    with Bed(BUILD, *NO_LIMIT) as bed:
        capture = Capture(bed, "--port", "udp/5432-5433", "--peer", bed.web.ip4(), "--snaplen", "24")
        for port in (5431, 5432, 5433, 5434):
            send(bed.web, bed.db.ip4(), port, 1)
            send(bed.api, bed.db.ip4(), port, 1)
            send(bed.web, bed.db.ip6(), port, 1)
        flow(bed, bed.web, bed.db, "tcp")
        text = rules(bed)
        f = capture.end()
        expect([(p.src, p.dport) for p in f.packets] == [(bed.web.ip4(), 5432), (bed.web.ip4(), 5433)], brief(f.packets))
        expect(all(p.length == 24 and p.full == 29 for p in f.packets) and f.snaplen == 24, f.packets)
        expect(text.count("limit rate 1/hour burst 100000 packets log prefix") == 6 and text.count("meta time <") == 6, text)
        capture = Capture(bed, "--port", "icmp")
        bed.web.run(["ping", "-c1", "-W1", bed.db.ip4()], check=False)
        bed.web.run(["ping", "-6", "-c1", "-W1", bed.db.ip6()], check=False)
        send(bed.web, bed.db.ip4(), 9, 1)
        f = capture.end()
        expect({1, 58} <= {p.proto for p in f.packets} <= {1, 58}, brief(f.packets))


@test
def its_rules_end_with_it_however_it_ends():
    with Bed(BUILD, *NO_LIMIT) as bed:
        for sig in (signal.SIGKILL, signal.SIGTERM, signal.SIGHUP):
            capture = Capture(bed)
            expect(len(tables(bed)) == 1, "control")
            capture.p.send_signal(sig)
            code = capture.wait()
            expect(code == (-signal.SIGKILL if sig == signal.SIGKILL else 0), sig, code, capture.err)
            expect(until(lambda: not tables(bed)), tables(bed))
        # A count, a time.
        capture, before = Capture(bed, "-c", "2"), bed.dropped()
        send(bed.web, bed.db.ip4(), 9, 5)
        expect(capture.wait() == 0 and len(capture.file().packets) == 2, capture.err)
        expect(until(lambda: bed.dropped() == before + 5), "control: no packet is under way any more", bed.kernel())
        capture = Capture(bed, "--duration", "1")
        expect(capture.wait() == 0 and not tables(bed), capture.err, tables(bed))
        got = capture.file().packets
        expect(all(p.proto == 0 for p in got), "only what a pod's kernel says of itself (listener reports)", got)
        expect(flow(bed, bed.api, bed.db) == "ok", "control: the pod lives")


@test
def a_stopped_one_costs_no_more_than_its_bounds():
    with Bed(BUILD, *NO_LIMIT) as bed:
        capture = Capture(bed, "--duration", "2")
        capture.p.send_signal(signal.SIGSTOP)
        send(bed.web, bed.db.ip4(), 9, 10)
        time.sleep(4.5)
        before = bed.dropped()
        send(bed.web, bed.db.ip4(), 9, 10)
        expect(until(lambda: bed.dropped() == before + 10), "control: they came", bed.kernel())
        capture.p.send_signal(signal.SIGCONT)
        expect(capture.wait() == 0, capture.err)
        got = [x for x in brief(capture.file().packets) if x[2] == 17]
        expect(len(got) == 10, "copied after its time", got)


@test
def what_is_lost_is_counted_and_never_guessed():
    with Bed(BUILD, *NO_LIMIT) as bed:
        capture = Capture(bed, "--snaplen", "1500", "-c", "100000")
        s = bed.api.socket(socket.AF_INET, socket.SOCK_DGRAM)
        for i in range(30 * 600):  # now and then the buffer is full between a packet's two copies
            if i % 600 in (0, 550):
                capture.p.send_signal(signal.SIGCONT if i % 600 else signal.SIGSTOP)
            s.sendto(b"%-*d" % (i % 1300, i), (bed.db.ip4(), 5432))
        s.close()
        f = capture.end()
        got = collections.Counter(p.comment.split(":")[0] for p in f.packets if p.dst == bed.db.ip4() and p.proto == 17)
        expect(f.lost > 100 and got["passed"] > 100, "control: some of each", f.lost, got)
        expect(set(got) <= {"passed", "verdict not known"}, "an allowed packet is called dropped", got)
        expect(", %d copies lost" % f.lost in capture.out.decode(), capture.out, f.lost)


@test
def to_a_pipe_it_goes_as_it_comes_and_ends_with_its_reader():
    with Bed(BUILD, *NO_LIMIT) as bed:
        capture = Capture(bed, "-O", "-", "--port", "udp/9")  # nothing more comes that could meet the closed pipe
        send(bed.web, bed.db.ip4(), 9, 2)
        data = b""
        end = time.monotonic() + patience(10)
        os.set_blocking(capture.p.stdout.fileno(), False)
        while time.monotonic() < end:
            data += capture.p.stdout.read() or b""
            try:
                if len(udp(data)) == 2:
                    break
            except (AssertionError, IndexError, KeyError):
                pass
            time.sleep(0.05)
        expect(len(udp(data)) == 2, data)
        capture.p.stdout.close()
        expect(until(lambda: capture.p.poll() is not None), "it goes on without a reader")
        err = capture.p.stderr.read().decode()
        expect(capture.p.returncode == 0 and re.search(r"^\d packets, \d dropped", err), capture.p.returncode, err)
        expect(not tables(bed), tables(bed))


@test
def without_an_agent_it_sees_the_same_and_says_that_no_one_tells_why():
    with Bed(BUILD, *NO_LIMIT) as bed:
        bed.node.kill_agent()
        capture = Capture(bed, "-n", "shop", pod="db-0")
        send(bed.web, bed.db.ip4(), 9, 1)
        f = capture.end()
        expect([p.comment for p in f.packets if p.dport == 9] ==
               ["dropped by Ripstop's verdict of policy; why is not known: no agent answers"], f.packets)


@test
def services_show_the_backend_and_the_real_client():
    with Bed(BUILD, *NO_LIMIT) as bed:
        capture = Capture(bed)  # first: source NAT's hook then comes before our copy
        bed.node.nft("add", "table", "ip", "kp")
        bed.node.run(["nft", "add chain ip kp pre { type nat hook prerouting priority dstnat; }; "
                      "add rule ip kp pre ip daddr 10.96.0.7 udp dport 80 dnat to %s:5432; "
                      "add chain ip kp post { type nat hook postrouting priority srcnat; }; "
                      "add rule ip kp post ip daddr %s masquerade" % (bed.db.ip4(), bed.db.ip4())])
        send(bed.web, "10.96.0.7", 80, 1)
        send(bed.api, "10.96.0.7", 80, 1)
        f = capture.end()
        got = [x for x in brief(f.packets) if x[3] == 5432]
        expect(got == [(bed.web.ip4(), bed.db.ip4(), 17, 5432, INTO_POD, "dropped"),
                       (bed.api.ip4(), bed.db.ip4(), 17, 5432, INTO_POD, "passed")], brief(f.packets))


@test
def wrong_words_and_pods_are_refused_in_one_line():
    with Bed(BUILD, pods=("db",)) as bed:
        def ask(*args, state=bed.node.state):
            return bed.node.run([bed.lab.program("ripstop"), "capture", "--socket", bed.node.socket_path, "--state-dir", state, *args],
                                check=False)

        there = os.path.join(bed.node.dir, "there")
        with open(there, "w", encoding="utf-8") as f:
            f.write("mine")
        for args, code, words in ((("shop/nobody",), 3, "no pod shop/nobody has a link on this node"),
                                  (("db-0", "--port", "http"), 2, "a name is a number only at its pod"),
                                  (("db-0", "--port", "99999"), 2, "--port: "),
                                  (("db-0", "--peer", "10.0.0.300"), 2, "--peer: "),
                                  (("db-0", "-c", "0"), 2, "-c"), (("db-0", "--duration", "2h"), 2, "--duration"),
                                  (("db-0", "--snaplen", "70000"), 2, "--snaplen"),
                                  (("db-0", "-O", there), 4, "File exists"), ((), 2, "POD")):
            r = ask(*args)
            expect(r.returncode == code and words in r.stderr and not r.stdout, args, r.returncode, r.stdout, r.stderr)
            expect(not tables(bed), args)
        expect(open(there, encoding="utf-8").read() == "mine", "overwritten")
        r = ask("db-0", state="/nonexistent")
        expect(r.returncode == 4 and "/nonexistent/endpoints" in r.stderr, r.stderr)
        expect(not os.path.exists("/nonexistent"), "made")
        # A record whose link number another link has by now.
        folder = os.path.join(bed.node.state, "endpoints")
        path = os.path.join(folder, os.listdir(folder)[0])
        with open(path, encoding="utf-8") as f:
            text = f.read()
        index = re.search(r'"hostIfindex":\s*(\d+)', text)
        for number, code in (("1", 3), ("99999", 3), (index.group(1), 0)):
            with open(path, "w", encoding="utf-8") as f:
                f.write(text.replace(index.group(0), '"hostIfindex": ' + number))
            r = ask("db-0", "--duration", "1", "-O", os.path.join(bed.node.dir, "made" + number))
            expect(r.returncode == code, number, r.returncode, r.stderr)
        r = bed.node.run(["setpriv", "--bounding-set=-net_admin", "--inh-caps=-net_admin", bed.lab.program("ripstop"), "capture", "db-0",
                          "--state-dir", bed.node.state, "-O", os.path.join(bed.node.dir, "none")], check=False)
        expect(r.returncode == 4 and "CAP_NET_ADMIN" in r.stderr, r.returncode, r.stderr)
        expect(not os.path.exists(os.path.join(bed.node.dir, "none")), "an empty file is left")


@test
def two_at_once_and_the_agent_takes_no_notice():
    with Bed(BUILD, *NO_LIMIT) as bed:
        before = bed.node.ctl("status").get("conditions")  # an old kernel has some of its own
        one, two = Capture(bed), Capture(bed, pod="shop/web")
        expect(until(lambda: len(tables(bed)) == 2), tables(bed))
        send(bed.web, bed.db.ip4(), 9, 1)
        a, b = one.end(), two.end()
        expect([p.comment[:7] for p in a.packets if p.dport == 9] == ["dropped"], brief(a.packets))
        expect([p.comment[:7] for p in b.packets if p.dport == 9] == ["dropped"], brief(b.packets))
        status = bed.node.ctl("status")
        expect(status["ready"] and status.get("conditions") == before, json.dumps(status.get("conditions")))
        expect(bed.node.cli("verify").returncode == 0, bed.node.cli("verify").stdout)


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
