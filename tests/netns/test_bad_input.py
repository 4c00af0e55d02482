#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Everything wrong on purpose, with the real plugin and the real agent on one node.

    tests/netns/test_bad_input.py [--build DIR] [--show] [NAME...]

Each bad input ends in a clear error with the right CNI code; nothing is changed, lost or left behind, the agent lives
on, and the policies in force stay in force, shown by packets. --show prints every message.
"""
import argparse
import contextlib
import json
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
import traceback

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
import harness  # noqa: E402
from badbed import APPS, MESSAGES, POLICY, Bed, expect, refuse_nfnetlink, until  # noqa: E402

TESTS = []
BUILD = None


class Skip(Exception):
    pass


def test(fn):
    TESTS.append(fn)
    return fn


# ---- what a runtime may hand to the plugin ----------------------------------------------------------------

@test
def stdin_of_the_plugin():
    with Bed(BUILD) as bed:
        pod = bed.fresh()
        good = json.dumps(bed.conf()).encode()
        rows = {"nothing": b"", "blanks": b" \n", "half an object": good[:-9], "an array": b"[]", "null": b"null",
                "two objects": good + good, "bytes": os.urandom(4096), "a NUL": good[:-1] + b"\0}",
                "bad UTF-8": good.replace(b"ripstop", b"rip\xffstop", 1), "a deep object": b'{"a":' * 200 + b"1" + b"}" * 200,
                "50 MB of brackets": b"[" * (50 << 20), "50 MB of objects": b'{"a":' * (10 << 20), "2 MB of text":
                b'{"a":"' + b"x" * (2 << 20) + b'"}', "a version that is a number": good.replace(b'"1.0.0"', b"1")}
        for what, stdin in rows.items():
            bed.refused(6, cid="c1", netns=pod.path, stdin=stdin, what=what, same=what in ("nothing", "50 MB of objects"))
        for version in ("0.1.0", "0.3.0", "1.2.0", "x", None):
            bed.refused(1, version or "cniVersion", cid="c1", netns=pod.path, conf=bed.conf(cniVersion=version), same=False)
        bed.refused(7, "prevResult", cid="c1", netns=pod.path, conf=bed.conf(prevResult={"ips": []}))
        bed.proof()


@test
def environment_of_the_plugin():
    with Bed(BUILD) as bed:
        pod = bed.fresh().path
        before = bed.snap()
        rows = [(4, "CNI_CONTAINERID", dict(cid=None)), (4, "CNI_CONTAINERID", dict(cid="../../etc/passwd")),
                (4, "CNI_CONTAINERID", dict(cid="-x")), (4, "CNI_CONTAINERID", dict(cid="x" * 300)),
                (4, "CNI_CONTAINERID", dict(cid="a\x1b[31m")),
                (4, "CNI_IFNAME", dict(ifname="a" * 16)), (4, "CNI_IFNAME", dict(ifname="a/b")),
                (4, "CNI_IFNAME", dict(ifname="..")), (4, "CNI_IFNAME", dict(ifname="a:b")),
                (4, "CNI_IFNAME", dict(ifname="a b")), (4, "CNI_IFNAME", dict(ifname=None)),
                (4, "CNI_NETNS", dict(netns=None)), (4, "CNI_NETNS", dict(netns="")),
                (4, "CNI_NETNS", dict(netns="run/netns/x")), (4, "CNI_NETNS", dict(netns="/" + "x" * 5000)),
                (8, "/run/netns/rsh-no-such", dict(netns="/run/netns/rsh-no-such")), (8, "", dict(netns="/etc/passwd")),
                (8, "", dict(netns="/proc/self/ns/mnt")), (8, "", dict(netns="/tmp")), (8, "", dict(netns="/dev/zero")),
                (8, bed.node.path, dict(netns=bed.node.path)), (8, "", dict(netns="/proc/self/ns/net")),
                (4, "CNI_ARGS", dict(args="novalue")), (4, "K8S_POD_NAME", dict(args="K8S_POD_NAME=../x")),
                (4, "RIPSTOP_LABELS", dict(args="RIPSTOP_LABELS=app")),
                (4, "RIPSTOP_LABELS", dict(args="RIPSTOP_LABELS=a:b,a:c")), (4, "CNI_COMMAND", dict(verb="add")),
                (4, "CNI_COMMAND", dict(verb="")), (4, "CNI_PATH", dict(env={"CNI_PATH": ""}))]
        for code, word, change in rows:
            call = dict(dict(cid="c1", netns=pod), **change)
            bed.refused(code, word, same=False, what=change, **call)
        bed.unchanged(before, "rows")
        bed.proof()


@test
def configuration_of_the_network():
    with Bed(BUILD) as bed:
        pod = bed.fresh().path
        before = bed.snap()
        r4, r6 = bed.node.ranges
        rows = [("10.244", dict(ipam={"ranges": ["10.244.1.0/24", "10.244.1.128/25"]})),
                ("192.0.2.1", dict(ipam={"ranges": ["192.0.2.0/24"]})), ("2001:db8:1::1", dict(ipam={"ranges": [r4, "2001:db8:1::/64"]})),
                ("ranges[1]", dict(ipam={"ranges": [r4, "10.1.0.0/33"]})), ("ranges", dict(ipam={"ranges": r6})),
                ("", dict(ipam={"ranges": ["127.0.0.0/8"]})), ("", dict(ipam={"ranges": ["fd00::/32"]})),
                ("ipam", dict(ipam={"type": "../../bin/sh"})), ("nosuch", dict(ipam={"type": "nosuch"})),
                ("mtu", dict(mtu=70000)), ("mtu", dict(mtu="1500")), ("stateDir", dict(stateDir="state")),
                ("socket", dict(socket="/" + "s" * 200)), ("timeoutSeconds", dict(timeoutSeconds=0)),
                ("name", dict(name="../x")), ("labels", dict(args={"cni": {"labels": [{"key": "-", "value": "x"}]}}))]
        for word, change in rows:
            bed.refused(7, word, cid="c1", netns=pod, conf=bed.conf(**change), what=change, same=False)
        bed.unchanged(before, "rows")
        bed.proof()


@test
def names_that_collide():
    with Bed(BUILD) as bed:
        pod = bed.fresh()
        pod.sh("ip link add eth0 type veth peer name other0")
        bed.refused(4, "eth0", cid="c1", netns=pod.path, what="eth0 is there")
        pod = bed.fresh()
        bed.added("c2", pod)
        host = [i[0] for i in bed.snap()["links"] if i[0].startswith("rs")][-1]
        bed.deleted("c2", pod.path)
        bed.node.sh("ip link add %s type veth peer name other0" % host)
        bed.refused(4, host, cid="c2", netns=pod.path, what="the host link's name is somebody else's")
        bed.deleted("c2", pod.path)
        expect(host in bed.node.sh("ip link show " + host), "DEL took somebody else's link")
        bed.proof()


@test
def a_second_add_of_the_same_container():
    with Bed(BUILD) as bed:
        web = bed.pods["web"]
        bed.refused(4, "eth0", cid=web.container_id, netns=web.path, args=web.args, what="ADD again")
        bed.refused(105, cid=web.container_id, netns=bed.fresh().path, args=web.args, what="ADD again, another netns")
        bed.proof()
        before, pods, answers = bed.snap(), [bed.fresh() for _ in range(3)], []

        def one(pod):
            answers.append(bed.call("ADD", "c1", pod.path))
        threads = [threading.Thread(target=one, args=(p,)) for p in pods * 2]  # six at once, three namespaces
        for th in threads:
            th.start()
        for th in threads:
            th.join()
        expect(sorted(a.rc for a in answers) == [0, 1, 1, 1, 1, 1], answers)
        expect({a.code for a in answers if a.rc} <= {4, 105}, answers)
        bed.deleted("c1")
        bed.unchanged(before, "six ADDs of one container at once, and its DEL")
        for pod in pods:
            expect("eth0" not in pod.sh("ip -o link"), "an eth0 stays in", pod.name)
        bed.proof()


@test
def a_pool_without_addresses():
    with Bed(BUILD) as bed:
        conf = bed.conf(ipam={"ranges": ["10.244.9.0/30"], "restSeconds": 60})
        for i in range(2):
            bed.added("c%d" % i, bed.fresh(), conf=conf)
        bed.refused(100, "10.244.9.0/30", cid="c2", netns=bed.fresh().path, conf=conf, what="exhausted")
        bed.deleted("c0", conf=conf)
        a = bed.refused(11, cid="c2", netns=bed.fresh().path, conf=conf, what="resting")
        expect(re.search(r"\d+ s", a.json["msg"] + a.json.get("details", "")), "not said when", a)
        bed.proof()


@test
def del_of_what_never_was_and_without_netns():
    with Bed(BUILD) as bed:
        before = bed.snap()
        for kw in (dict(netns="/run/netns/rsh-no-such"), dict(netns=""), dict(), dict(netns=bed.node.path, ifname="up0"),
                   dict(netns=bed.pods["web"].path), dict(args="broken"), dict(conf=bed.conf(mtu="x", prevResult=1))):
            bed.deleted("never", **kw)
        bed.unchanged(before, "DEL")
        bed.added("c1", bed.fresh())
        bed.deleted("c1")
        bed.unchanged(before, "DEL without a netns")
        pod = bed.fresh()
        bed.added("c2", pod)
        pod.delete()
        bed.deleted("c2", pod.path)
        bed.unchanged(before, "DEL after the netns is gone")
        bed.proof()


# ---- manifests --------------------------------------------------------------------------------------------

BAD = POLICY.replace("name: db,", "name: bad,")
MANIFESTS = [  # what, the text, line of the fault, a word of the message
    ("a CIDR", BAD.replace("podSelector: {matchLabels: {app: web}}", 'ipBlock: {cidr: 10.0.0.0/33}'), 8, "10.0.0.0/33"),
    ("an except outside", BAD.replace("podSelector: {matchLabels: {app: web}}",
                                      'ipBlock: {cidr: 10.0.0.0/8, except: [11.0.0.0/16]}'), 8, "11.0.0.0/16"),
    ("a port", BAD.replace("protocol: TCP, port: 8080", "protocol: TCP, port: 70000"), 9, "70000"),
    ("a port range", BAD.replace("protocol: TCP, port: 8080", "port: 90, endPort: 80"), 9, "endPort"),
    ("a port name", BAD.replace("protocol: TCP, port: 8080", "port: Not_A_Name"), 9, "Not_A_Name"),
    ("a protocol", BAD.replace("protocol: UDP", "protocol: ICMP"), 9, "ICMP"),
    ("a selector's operator", BAD.replace("matchLabels: {app: db}", "matchExpressions: [{key: a, operator: Is, values: [b]}]"), 5, "Is"),
    ("a selector without values", BAD.replace("matchLabels: {app: db}", "matchExpressions: [{key: a, operator: In}]"), 5, "values"),
    ("a label key", BAD.replace("app: db", '"a b": c'), 5, "a b"),
    ("a selector of another type", BAD.replace("{matchLabels: {app: db}}", "[]"), 5, "podSelector"),
    ("a policy type", BAD.replace("[Ingress]", "[Inward]"), 6, "Inward"),
    ("an empty peer", BAD.replace("{podSelector: {matchLabels: {app: web}}}", "{}"), 8, ""),
    ("a tab", BAD.replace("  policyTypes", "\tpolicyTypes"), 6, ""),
    ("no name", BAD.replace("name: bad, ", ""), 3, "name"),
    ("a misspelt key", BAD.replace("podSelector: {matchLabels: {app: web}}", "podSelectors: {matchLabels: {app: web}}"), 8, "podSelectors"),
    ("twice the same key", BAD + "  policyTypes: [Egress]\n", 10, "policyTypes"),
    ("the same policy twice", POLICY.replace("policyTypes: [Ingress]", "policyTypes: [Egress]"), 1, "shop/db"),
    ("an API version", BAD.replace("networking.k8s.io/v1", "networking.k8s.io/v2"), 1, "networking.k8s.io/v2"),
    ("an unclosed brace", BAD + "  x: {a: b\n", 0, "not YAML"),
    ("control characters", BAD.replace("name: bad", 'name: "b\\e[31mad"'), 3, ""),
    ("an anchor that is nowhere", BAD + "  x: *nowhere\n", 10, "nowhere"),
]


def refused_manifest(bed, what, line, word, name="bad.yaml", seconds=8):
    """The folder is bad now: said in status, in the log, by the command line; and nothing changes."""
    error = until(lambda: bed.status()["source"].get("error"), seconds)
    expect(error, "taken without an error:", what, bed.status(), bed.log()[-500:])
    MESSAGES.append((what, error))
    place = "%s:%d:" % (name, line) if line else name
    expect(place in error and (not line or re.search(re.escape(place) + r"\d+", error)), "no", place, "in", error)
    expect(word in error, "no %r in" % word, error)
    s = bed.status()
    expect(s["ready"] and any(c["type"] == "SourceError" for c in s["conditions"]), s)
    expect(until(lambda: place in bed.log(), 2), "not in the log", bed.log()[-800:])
    p = bed.node.cli("status")
    expect(p.returncode == 0 and place in p.stdout and re.fullmatch("[\n -~]*", p.stdout), p)


def good_again(bed):
    expect(until(lambda: not bed.status()["source"].get("error"), 8), bed.status())


@test
def manifests_with_a_fault():
    with Bed(BUILD) as bed:
        before = bed.snap()
        for i, (what, text, line, word) in enumerate(MANIFESTS):
            bed.node.write_manifest("bad.yaml", text)
            refused_manifest(bed, what, line, word)
            bed.unchanged(before, what)
            if i % 5 == 0:
                bed.proof()
                bed.still_adds()
            bed.node.write_manifest("bad.yaml", None)
            good_again(bed)
        bed.unchanged(before, "all of them")
        bed.proof()


def bomb():
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += ["a%d: &a%d [%s]" % (i, i, ", ".join(["*a%d" % (i - 1)] * 10)) for i in range(1, 12)]
    return "\n".join(lines) + "\n"


@test
def manifests_that_are_too_much():
    with Bed(BUILD) as bed:
        before, rss = bed.snap(), bed.rss()
        rows = [("alias bomb", "bad.yaml", lambda: bomb()), ("50 MB of nested JSON", "bad.json", lambda: '{"a":' * (10 << 20)),
                ("50 MB of brackets", "bad.yaml", lambda: "[" * (50 << 20)), ("bytes", "bad.yaml", lambda: os.urandom(5000)),
                ("deep YAML", "bad.yaml", lambda: "\n".join(" " * i + "a:" for i in range(3000))),
                ("JSON that ends", "bad.json", lambda: '{"apiVersion": "v1"'),
                ("an alias of itself", "bad.yaml", lambda: "&a [*a]\n"),
                ("many documents", "bad.yaml", lambda: "---\n{}\n" * 200000)]
        for what, name, text in rows:
            data = text()
            with open(os.path.join(bed.node.manifests, name), "wb") as f:
                f.write(data if isinstance(data, bytes) else data.encode())
            start = time.monotonic()
            refused_manifest(bed, what, 0, "", name, 20)
            expect(time.monotonic() - start < 10, what, "took", time.monotonic() - start)
            bed.unchanged(before, what)
            bed.still_adds()
            os.unlink(os.path.join(bed.node.manifests, name))
            good_again(bed)
        with open(bed.lab.program("ripstop-agent"), "rb") as f:
            sanitized = b"__asan_init" in f.read()  # which keeps what is freed
        expect(sanitized or bed.rss() < rss + (48 << 20), "memory", rss, bed.rss())
        bed.proof()


@test
def folder_of_manifests_that_goes_wrong():
    with Bed(BUILD) as bed:
        before, folder = bed.snap(), bed.node.manifests

        def wrong(what, do, undo):
            do()
            error = until(lambda: bed.status()["source"].get("error"), 8)
            expect(error and folder in error, what, "is not noticed", bed.status())
            MESSAGES.append((what, error))
            bed.unchanged(before, what)
            bed.proof()
            bed.still_adds()
            undo()
            good_again(bed)
            bed.unchanged(before, what + ", undone")
        away = folder + ".away"

        def file_instead():
            os.rename(folder, away)
            with open(folder, "w", encoding="utf-8"):
                pass

        def back():
            if os.path.lexists(folder):
                os.unlink(folder)
            os.rename(away, folder)
        wrong("the folder is removed", lambda: os.rename(folder, away), back)
        wrong("a file in its place", file_instead, back)
        wrong("a link to nowhere in its place", lambda: (os.rename(folder, away), os.symlink("/nowhere", folder)), back)
        bad = os.path.join(folder, "x.yaml")
        wrong("a link to nowhere in it", lambda: os.symlink("/nowhere/x.yaml", bad), lambda: os.unlink(bad))
        wrong("a loop in it", lambda: os.symlink("x.yaml", bad), lambda: os.unlink(bad))
        wrong("a folder named x.yaml", lambda: os.mkdir(bad), lambda: os.rmdir(bad))
        wrong("a FIFO", lambda: os.mkfifo(bad), lambda: os.unlink(bad))
        wrong("an endless file", lambda: os.symlink("/dev/zero", bad), lambda: os.unlink(bad))
        wrong("a file that cannot be read", lambda: os.symlink("/proc/self/mem", bad), lambda: os.unlink(bad))
        # Other names are none of ours.
        for name in ("README", "x.yaml~", ".x.yaml.swp"):
            with open(os.path.join(folder, name), "w", encoding="utf-8") as f:
                f.write("no: [yaml")
        bed.node.sync()
        bed.proof()


@test
def folder_that_may_not_be_read():
    """With the rights of the systemd unit: NET_ADMIN and nothing else, so root may not read everything."""
    with Bed(BUILD, agent=False) as bed:
        plain = bed.node.agent_argv
        bed.node.agent_argv = lambda *a: ["setpriv", "--bounding-set", "-all,+net_admin", "--inh-caps", "-all"] + plain(*a)
        bed.node.start_agent()
        bed.pid = bed.node.agent.pid
        for name in APPS:
            bed.pods[name] = bed.lab.pod(name)
            bed.pods[name].attach(bed.node, "shop", name, labels={"app": APPS[name]})
        before = bed.snap()
        path = os.path.join(bed.node.manifests, "db.yaml")
        for what, target, mode in (("a file", path, 0o600), ("the folder", bed.node.manifests, 0o755)):
            os.chmod(target, 0)
            bed.node.write_manifest("other.yaml", POLICY.replace("name: db,", "name: other,"))
            error = until(lambda: bed.status()["source"].get("error"), 8)
            expect(error and "ermission" in error and target in error, what, bed.status())
            MESSAGES.append((what + " may not be read", error))
            bed.unchanged(before, what)
            bed.proof()
            bed.still_adds()
            os.unlink(os.path.join(bed.node.manifests, "other.yaml"))
            os.chmod(target, mode)
            good_again(bed)
        bed.unchanged(before, "readable again")


@test
def folder_swapped_by_symlink():
    with Bed(BUILD) as bed:
        folder = bed.node.manifests
        bad = BAD.replace("10", "x").replace("port: 8080", "port: 0")
        for name, text in (("..good", POLICY), ("..bad", bad)):
            os.mkdir(os.path.join(folder, name))
            with open(os.path.join(folder, name, "db.yaml"), "w", encoding="utf-8") as f:
                f.write(text)

        def point(to):
            os.symlink(to, os.path.join(folder, "..tmp"))
            os.rename(os.path.join(folder, "..tmp"), os.path.join(folder, "..data"))
        point("..good")
        os.symlink("..data/db.yaml", os.path.join(folder, "db.tmp"))
        os.rename(os.path.join(folder, "db.tmp"), os.path.join(folder, "db.yaml"))
        bed.node.sync()
        before = bed.snap()
        point("..bad")
        refused_manifest(bed, "swap to a bad version", 9, "port", "db.yaml")
        bed.unchanged(before, "swap to a bad version")
        bed.proof()
        point("..good")
        good_again(bed)
        bed.unchanged(before, "swapped back")
        point("..gone")
        error = until(lambda: bed.status()["source"].get("error"), 8)
        expect(error, "a swap to nowhere is not noticed")
        MESSAGES.append(("swap to nowhere", error))
        bed.unchanged(before, "swap to nowhere")
        bed.proof()


@test
def folder_missing_or_bad_at_the_first_start():
    with Bed(BUILD, agent=False) as bed:
        folder = bed.node.manifests
        shutil.rmtree(folder)
        bed.node.start_agent(wait=False)
        bed.pid = bed.node.agent.pid
        expect(until(lambda: bed.ask("status")), bed.log())

        def not_ready(what, word):
            expect(until(lambda: word in bed.status()["source"].get("error", ""), 8), what, bed.status())
            MESSAGES.append((what, bed.status()["notReadyReason"]))
            p = bed.node.cli("status")
            expect(p.returncode == 1 and word in p.stdout and "NOT READY" in p.stdout, p)
            a = bed.refused(11, word, cid="c1", netns=pod.path, what=what)
            expect(a.seconds < 2, "ADD waits although it is known to be bad", a.seconds)
            bed.refused(50, verb="STATUS", conf=bed.conf(cniVersion="1.1.0"), what="STATUS, " + what)
        pod = bed.fresh()
        not_ready("missing at start", folder)
        os.mkdir(folder)
        bed.node.write_manifest("bad.yaml", BAD.replace("8080", "0"))
        not_ready("bad at start", "bad.yaml:9:")
        bed.node.write_manifest("bad.yaml", None)
        bed.node.wait_ready()  # an empty folder is a folder
        expect(any("no policy is in force" in w for w in bed.status()["warnings"]), bed.status())
        bed.added("c1", pod)
        bed.alive()


# ---- the control socket ------------------------------------------------------------------------------------

def frame(data):
    return struct.pack(">I", len(data)) + data


def say(bed, data, half_close=True):
    """Send bytes and return what comes back until the agent closes (or 2 s are over)."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as s:
        s.settimeout(2)
        s.connect(bed.node.socket_path)
        got = b""
        try:
            s.sendall(data)
            if half_close:
                s.shutdown(socket.SHUT_WR)
            while True:
                piece = s.recv(65536)
                if not piece:
                    return got
                got += piece
        except OSError:
            return got


@test
def garbage_on_the_control_socket():
    with Bed(BUILD) as bed:
        before = bed.snap()
        web = bed.pods["web"]
        name = json.dumps({"protocol": 1, "op": "attach", "containerID": web.container_id, "ifname": "eth0"})[:-1]
        deep = b'{"a":' * 5000 + b"1" + b"}" * 5000
        rows = [os.urandom(5000), b"\xff" * 5000, struct.pack(">I", 0), struct.pack(">I", 1 << 31), struct.pack(">I", 1 << 20),
                b"GET /metrics HTTP/1.1\r\n\r\n", frame(b"[" * 900000), frame(deep), frame(b"{}"), frame(b"[]"), frame(b"null"),
                frame(b'"x"'), frame(b"\0" * 64), frame(b'{"protocol":1}'), frame(b'{"protocol":1,"op":5}'),
                frame(b'{"protocol":1,"op":"frobnicate"}'), frame(b'{"protocol":77,"op":"status"}'),
                frame(b'{"protocol":"1","op":"status"}'), frame(b'{"protocol":1,"op":"status"} x'),
                frame(b'{"protocol":1,"op":"attach"}'), frame(b'{"protocol":1,"op":"attach","containerID":[],"ifname":{}}'),
                frame(b'{"protocol":1,"op":"attach","containerID":"../../../etc","ifname":"eth0"}'),
                frame(b'{"protocol":1,"op":"attach","containerID":"nobody","ifname":"eth0"}'),
                frame((name + ',"deadlineMs":-5}').encode()), frame((name + ',"deadlineMs":"soon"}').encode()),
                frame(b'{"protocol":1,"op":"detach","containerID":7,"ifname":"eth0"}'),
                frame(b'{"protocol":1,"op":"detach","containerID":"a/../b","ifname":"eth0"}'),
                frame(b'{"protocol":1,"op":"report","verb":[],"cni":"x","message":5}'),
                frame(b'{"protocol":1,"op":"explain","src":"shop/web","dst":"shop/db","port":"99999999999"}'),
                frame(b'{"protocol":1,"op":"explain","src":5,"dst":{},"port":[]}'),
                frame(b'{"protocol":1,"op":"explain","src":"shop/web","dst":"shop/db","port":"80","family":5}'),
                frame(b'{"protocol":1,"op":"rules","pod":"%s"}' % (b"p" * 100000)),
                frame(b'{"protocol":1,"op":"rules","pod":"shop/\\u001b[31m"}'),
                frame(b'{"protocol":1,"op":"pods","namespace":[1]}'), frame(b'{"protocol":1,"op":"status","op":"detach"}')]
        for data in rows:
            answer = say(bed, data)
            if answer:
                o = json.loads(answer[4:])
                MESSAGES.append(("control " + repr(data[4:60]), json.dumps(o.get("error", o))[:300]))
                expect(o["ok"] is False and o["error"]["message"], data[:80], o)
            bed.alive()
        bed.unchanged(before, "garbage")
        bed.proof()
        for args in (["rules", "shop/\x1b[31m"], ["explain", "shop/\x1b]0;x\x07", "node", "80"], ["explain", "shop/web", "127.0.0.1", "80"],
                     ["explain", "shop/web", "::1", "80"], ["pods", "\udcff"], ["policies", "../.."]):
            p = bed.node.cli(*args)
            MESSAGES.append(("ripstop " + repr(args), p.stderr))
            expect(p.returncode in (2, 3) and not p.stdout and re.fullmatch("[\n -~]+", p.stderr), p)


@test
def noise_on_the_control_socket_while_adds_go_on():
    with Bed(BUILD) as bed:
        before = bed.snap()
        stop = threading.Event()

        def noise(seed):
            n = seed
            while not stop.is_set():
                n += 1
                data = (os.urandom(3000), frame(b"[" * 60000), struct.pack(">I", 900000) + b"x" * 30000,
                        frame(b'{"protocol":1,"op":"attach"}'))[n % 4]
                with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as s:
                    s.settimeout(0.2)
                    try:
                        s.connect(bed.node.socket_path)
                        s.sendall(data)
                        s.recv(100)
                    except OSError:
                        pass
        silent = []
        for i in range(200):  # 200 at once: nothing, half a length, half a frame
            s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            s.settimeout(2)
            s.connect(bed.node.socket_path)
            s.sendall((b"", b"\0\0", struct.pack(">I", 1000) + b'{"prot')[i % 3])
            silent.append(s)
        threads = [threading.Thread(target=noise, args=(i,)) for i in range(2)]
        for t in threads:
            t.start()
        try:
            for i in range(6):
                start = time.monotonic()
                bed.still_adds()
                expect(time.monotonic() - start < 3, "ADD and DEL took", time.monotonic() - start)
        finally:
            stop.set()
            for t in threads:
                t.join()
        gone = until(lambda: silent[2].recv(1) == b"" if _readable(silent[2]) else None, 9)
        expect(gone, "half a frame is waited for without end")
        for s in silent:
            s.close()
        bed.unchanged(before, "noise")
        bed.proof()


def _readable(s):
    s.setblocking(False)
    try:
        return s.recv(1, socket.MSG_PEEK) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True
    finally:
        s.settimeout(2)


@test
def an_agent_that_accepts_and_never_answers():
    with Bed(BUILD) as bed:
        bare = bed.snap()
        bed.added("extra", bed.fresh())
        before = bed.snap()
        bed.stop()
        try:
            pod = bed.fresh()
            a = bed.refused(11, cid="c1", netns=pod.path, conf=bed.conf(timeoutSeconds=2), same=False, what="agent stopped")
            expect(1.5 < a.seconds < 6, "its deadline is 2 s, it took", a.seconds)
            left = bed.snap()
            expect(left["links"] == before["links"] and left["routes"] == before["routes"], "a link or a route stays")
            expect(left["table"] == before["table"], "an element")
            new = [json.loads(v) for k, v in left["records"].items() if k not in before["records"]]
            expect([r["state"] for r in new] in ([], ["tombstone"]), "a live record stays", new)
            bed.proof()  # the kernel needs no agent
            p = bed.node.cli("status", "--timeout", "1")
            expect(p.returncode in (4, 124) and p.stderr.startswith("ripstop: "), p)
            MESSAGES.append(("ripstop status, agent stopped", p.stderr))
            start = time.monotonic()
            a = bed.deleted("extra", conf=bed.conf(timeoutSeconds=2))
            MESSAGES.append(("DEL, agent stopped", a.err.strip()))
            expect(time.monotonic() - start < 6, "DEL took", time.monotonic() - start)
            expect(len(bed.snap()["links"]) == len(before["links"]) - 1, "DEL left the link")
        finally:
            bed.go_on()
        expect(until(lambda: bed.snap()["records"] == bare["records"], 15), "not buried", bed.files("endpoints"), bed.log())
        before = bare
        bed.unchanged(before, "an ADD and a DEL that nobody answered")
        expect(len(bed.ask("pods", all=True)["items"]) == 3, "leaked into the registry", bed.ask("pods", all=True))
        bed.added("c1", pod)
        bed.deleted("c1", pod.path)
        bed.unchanged(before, "ADD and DEL afterwards")
        bed.proof()


# ---- the node -----------------------------------------------------------------------------------------------

SQUATTER = """import socket, time
s = socket.socket(socket.AF_UNIX)
s.bind("\\0ripstop-agent")
s.listen(1)
print(flush=True)
time.sleep(60)
"""


@test
def a_second_agent():
    with Bed(BUILD) as bed:
        before = bed.snap()
        bed.agent_fails("pid %d" % bed.pid, before=before)
        other = [a if a not in (bed.node.state, bed.node.socket_path) else a + "2" for a in bed.node.agent_argv()]
        for more in ([], ["--own-table", "off"]):  # it would fight over the kernel's rules
            bed.agent_fails("another agent", "pid %d" % bed.pid, argv=other + more, before=before)
        for state in (bed.node.state, bed.node.state + "2"):
            bed.agent_fails("another agent", argv=[bed.lab.program("ripstop-agent"), "uninstall", "--force", "--state-dir",
                                                   state], before=before)
        for _ in range(200):  # more than wait in a backlog
            with bed.node.socket(socket.AF_UNIX, socket.SOCK_STREAM) as s:
                s.setblocking(False)
                with contextlib.suppress(BlockingIOError):
                    s.connect("\0ripstop-agent")
        time.sleep(1.2)
        bed.agent_fails("another agent", argv=other, before=before)
        bed.proof()
        # The name of the lock has no rights: a stranger who takes it keeps nobody from starting.
        bed.node.kill_agent()
        squatter = bed.lab.spawn(bed.node.argv(["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups",
                                                sys.executable, "-c", SQUATTER]), stdout=subprocess.PIPE)
        expect(squatter.stdout.readline() == b"\n", "no squatter")
        bed.node.start_agent()
        bed.pid = bed.node.agent.pid
        expect("is taken" in bed.log(), bed.log())
        bed.unchanged(before, "a squatter")


@test
def options_of_the_agent():
    with Bed(BUILD, agent=False) as bed:
        base = bed.node.agent_argv()
        before = bed.snap()

        def row(rc, words, *extra):
            argv = list(base)
            for flag, value in zip(extra[::2], extra[1::2]):
                if flag in argv:
                    argv[argv.index(flag) + 1] = value
                else:
                    argv += [flag, value]
            bed.agent_fails(*words, rc=rc, argv=argv)
        row(2, ["--node-ranges", "10.244.0.0/16", "overlap"], "--node-ranges", "10.244.1.0/24,10.244.0.0/16")
        row(2, ["--node-ranges", "10.0.0.0/33"], "--node-ranges", "10.0.0.0/33")
        row(2, ["--mtu"], "--mtu", "x")
        row(2, ["--cluster-cidr"], "--cluster-cidr", "0.0.0.0/0")
        row(2, ["state-dir"], "--state-dir", "state")
        row(2, ["manifests"], "--manifests", "")
        row(1, ["/dev/null"], "--state-dir", "/dev/null/x")
        row(1, ["socket"], "--socket", "/" + "s" * 200)
        row(1, ["203.0.113.9:99"], "--metrics-address", "203.0.113.9:99")
        row(1, ["192.0.2.1", "192.0.2.0/24"], "--node-ranges", "192.0.2.0/24", "--cluster-cidr", "192.0.2.0/24")
        after = bed.snap()
        expect(before == after, "something was changed", after)


@test
def without_the_rights():
    with Bed(BUILD) as bed:
        drop = ["setpriv", "--bounding-set", "-net_admin"]
        bed.refused(104, "NET_ADMIN", cid="c1", netns=bed.fresh().path, wrap=drop, what="plugin without NET_ADMIN")
        bed.refused(104, cid="c1", netns=bed.fresh().path, wrap=drop[:2] + ["-net_admin,-sys_admin"],
                    what="plugin without NET_ADMIN, SYS_ADMIN")
        before = bed.snap()
        bed.node.kill_agent()
        bed.agent_fails("NET_ADMIN", wrap=drop, before=before)
        bed.agent_fails("nf_tables", before=before, preexec_fn=refuse_nfnetlink)
        bed.node.start_agent()
        bed.pid = bed.node.agent.pid
        bed.unchanged(before, "agents that could not start")
        bed.proof()


@test
def state_folder_full():
    with Bed(BUILD, mount='mount -t tmpfs -o size=1m,mode=700 none "$1"') as bed:
        state = bed.root() + bed.node.state
        before = bed.snap()
        with open(state + "/filler", "wb") as f:
            try:
                while True:
                    f.write(b"x" * 4096)
                    f.flush()
            except OSError:
                pass
            try:
                f.close()
            except OSError:
                pass
        bed.refused(5, bed.node.state, cid="c1", netns=bed.fresh().path, what="full")
        bed.proof()
        bed.deleted(bed.pods["stranger"].container_id)  # needs no space
        time.sleep(0.1)
        bed.alive()
        MESSAGES.append(("agent, state full", bed.node.log_tail(3)))
        os.unlink(state + "/filler")
        bed.still_adds()
        expect(not [k for k in bed.files("endpoints") if k not in before["records"]], "a record stays")
        for name in ("leases", "endpoints"):
            junk = [n for n in os.listdir(os.path.join(state, name)) if n.endswith(".tmp")]
            expect(not junk, "half a file stays", junk)


@test
def state_folder_read_only():
    with Bed(BUILD) as bed:
        before = bed.snap()
        state = bed.node.state
        ro = ["unshare", "-m", "--propagation", "slave", "sh", "-ec",
              'mount --bind "$0" "$0"; mount -o remount,bind,ro "$0"; exec "$@"', state]
        bed.refused(5, state, "ead-only", cid="c1", netns=bed.fresh().path, wrap=ro, what="read only")
        bed.refused(50, state, verb="STATUS", conf=bed.conf(cniVersion="1.1.0"), wrap=ro, what="STATUS, read only")
        web = bed.pods["web"]
        bed.refused(5, state, verb="DEL", cid=web.container_id, netns=web.path, wrap=ro, same=False, what="DEL, read only")
        expect(bed.files("endpoints") == before["records"] and bed.files("leases") == before["leases"], "DEL took files")
        bed.deleted(web.container_id, web.path)  # the next try has it
        bed.node.kill_agent()
        bed.agent_fails(state, "ead-only", wrap=ro)
        bed.node.start_agent()
        bed.pid = bed.node.agent.pid
        bed.still_adds()


def damage(path, data):
    with open(path, "rb") as f:
        keep = f.read()
    with open(path, "wb") as f:
        f.write(data)
    return keep


@test
def state_folder_damaged():
    with Bed(BUILD) as bed:
        before = bed.snap()
        leases, records = (os.path.join(bed.node.state, d) for d in ("leases", "endpoints"))
        lease = os.path.join(leases, bed.pods["web"].ips[0])
        keep = damage(lease, b"\0garbage")
        with open(os.path.join(leases, "what-is-this"), "wb"):
            pass
        bed.still_adds()  # its address is blocked, and no other
        damage(lease, keep)
        os.unlink(os.path.join(leases, "what-is-this"))
        bed.proof()
        name = [n for n in before["records"] if bed.pods["web"].container_id in before["records"][n].decode()][0]
        record = os.path.join(records, name)
        for data in (b"", b"{", b'{"fileVersion": 99}', b"[" * 200000):
            damage(record, data)
            bed.refused(105, name, cid=bed.pods["web"].container_id, netns=bed.fresh().path, what="ADD, damaged record")
            bed.still_adds()
        # An agent that starts over it: the pod's link stays closed, its fellows keep what they have.
        bed.node.kill_agent()
        bed.node.start_agent()
        bed.pid = bed.node.agent.pid
        s = bed.status()
        expect(any(c["type"] == "DamagedRecord" and name in c["message"] for c in s["conditions"]), s)
        MESSAGES.append(("damaged record", str(s["conditions"])))
        expect(os.path.exists(record), "the record is gone")
        damage(record, before["records"][name])
        node_json = os.path.join(bed.node.state, "node.json")
        damage(node_json, b"{ not json")
        bed.refused(50, "node.json", verb="STATUS", conf=bed.conf(cniVersion="1.1.0"), what="STATUS, node.json damaged")
        bed.refused(11, "node.json", cid="c1", netns=bed.fresh().path, conf=bed.conf(ipam=None), what="node.json damaged")
        bed.node.kill_agent()
        bed.node.start_agent()
        bed.pid = bed.node.agent.pid
        bed.proof()
        expect(bed.call("STATUS", conf=bed.conf(cniVersion="1.1.0")).rc == 0, "STATUS does not recover")


def main():
    global BUILD
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--build", default=None)
    ap.add_argument("--show", action="store_true", help="print every message that the programs gave")
    ap.add_argument("names", nargs="*")
    args = ap.parse_args()
    harness.start()
    BUILD = args.build
    count = {"passed": 0, "failed": 0, "skipped": 0}
    unknown = set(args.names) - {fn.__name__ for fn in TESTS}
    if unknown:
        ap.error("no such test: " + ", ".join(sorted(unknown)))
    for fn in TESTS:
        if args.names and fn.__name__ not in args.names:
            continue
        begin, result, why = time.monotonic(), "passed", ""
        del MESSAGES[:]
        try:
            fn()
        except Skip as e:
            result, why = "skipped", ": %s" % e
        except Exception:  # pylint: disable=broad-except
            result = "failed"
            traceback.print_exc(file=sys.stdout)
        for what, text in MESSAGES if args.show else ():
            print("    %-60s  %s" % (what, text))
        count[result] += 1
        print("%-8s %s (%.1f s)%s" % (result, fn.__name__, time.monotonic() - begin, why), flush=True)
    print("%(passed)d passed, %(failed)d failed, %(skipped)d skipped" % count)
    return 1 if count["failed"] or not count["passed"] else 0


if __name__ == "__main__":
    sys.exit(main())
