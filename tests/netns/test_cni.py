#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The CNI plugin against the real kernel, with an agent that only answers.

    tests/netns/test_cni.py [--build DIR] [NAME...]

The last line is "N passed, N failed, N skipped". Names of tests carry the failure classes they check (XF5).
"""
import argparse
import json
import os
import random
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
import traceback

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "lib"))
from cnibed import (BOOT_ID, NETNS, NODE_IP4, NODE_IP6, RANGE4, Answer, Bed, inside, sh, talk)  # noqa: E402

ROOT = os.path.dirname(os.path.dirname(HERE))
TESTS = []
PLUGIN = None


def test(fn):
    TESTS.append(fn)
    return fn


class Skip(Exception):
    pass


def expect(cond, *what):
    if not cond:
        raise AssertionError(" ".join(str(w) for w in what))


def ok(a):
    expect(a.rc == 0, a)
    return a.json


def fails(a, code, word=None):
    expect(a.rc == 1 and a.code == code, "wanted code", code, "got", a)
    expect(a.json["msg"] and a.json["cniVersion"], a)
    if word:
        expect(word in a.json["msg"], "no %r in" % word, a)


def add(bed, cid, pod, **kw):
    return ok(bed.call("ADD", cid, pod, **kw))


def ips(result):
    return [i["address"].split("/")[0] for i in result["ips"]]


# ---- ADD ----------------------------------------------------------------------------------------

@test
def add_results_of_every_version(bed):
    for n, version in enumerate(("0.3.1", "0.4.0", "1.0.0", "1.1.0")):
        pod = bed.pod("p%d" % n)
        r = add(bed, "c%d" % n, pod, conf=bed.config(cniVersion=version))
        expect(r["cniVersion"] == version, r)
        host, eth0 = r["interfaces"]
        expect(host["sandbox"] == "" or "sandbox" not in host, r)
        expect(eth0["name"] == "eth0" and eth0["sandbox"] == pod, r)
        expect(("mtu" in eth0) == (version == "1.1.0"), r)
        expect([i["address"].split("/")[1] for i in r["ips"]] == ["32", "128"], r)
        expect([i["gateway"] for i in r["ips"]] == ["169.254.1.1", "fe80::1"], r)
        expect(all(i["interface"] == 1 for i in r["ips"]), r)
        expect([i.get("version") for i in r["ips"]] == (["4", "6"] if version[0] == "0" else [None, None]), r)
        expect([(x["dst"], x["gw"]) for x in r["routes"]] == [("0.0.0.0/0", "169.254.1.1"), ("::/0", "fe80::1")], r)
        expect(r["dns"] == {}, r)


@test
def two_pods_talk_through_the_node_in_both_families(bed):
    a, b = bed.pod("a"), bed.pod("b")
    ra, rb = add(bed, "ca", a), add(bed, "cb", b)
    for src, dst in zip(ips(ra), ips(rb)):
        expect(talk(a, b, dst) == src, "pod to pod", src, dst)
    for mine, node in zip(ips(ra), (NODE_IP4, NODE_IP6)):
        expect(talk(a, NETNS + bed.ns, node) == mine, "pod to node", node)
        expect(talk(NETNS + bed.ns, a, mine), "node to pod", mine)
    # The world knows the way back: the pod's own address arrives there.
    for ip, via, world in zip(ips(ra), (NODE_IP4, NODE_IP6), ("192.0.2.2", "2001:db8::2")):
        sh("ip", "route", "add", ip, "via", via, ns=bed.world)
        if world == "192.0.2.2":
            expect(talk(a, NETNS + bed.world, world) == ip, "pod to world", world)
        expect(talk(NETNS + bed.world, a, ip) == world, "world to pod", ip)
    expect(talk(a, a, ips(ra)[0]) == ips(ra)[0], "pod to itself")


@test
def link_is_dressed_as_designed(bed):
    pod = bed.pod("a")
    r = add(bed, "ca", pod)
    ns = os.path.basename(pod)
    host = r["interfaces"][0]["name"]
    link = bed.links()[host]
    expect("NOARP" in link["flags"] and "UP" in link["flags"], link)
    expect(link["group"] == "21065", link["group"])
    expect(link["inet6_addr_gen_mode"] == "none", link)
    expect(link["address"] == r["interfaces"][0]["mac"], link)
    for ip in ips(r):
        n = json.loads(sh("ip", "-j", "neigh", "show", ip, "dev", host, ns=bed.ns).stdout)
        expect(n and n[0]["lladdr"] == r["interfaces"][1]["mac"] and n[0]["state"] == ["PERMANENT"], n)
    for gw in ("169.254.1.1", "fe80::1"):
        n = json.loads(sh("ip", "-j", "neigh", "show", gw, "dev", "eth0", ns=ns).stdout)
        expect(n and n[0]["lladdr"] == link["address"] and n[0]["state"] == ["PERMANENT"], n)
    # The node's end has no address of its own; the pod's has ours and nothing tentative.
    out = json.loads(sh("ip", "-j", "addr", "show", "dev", host, ns=bed.ns).stdout)
    expect(not [a for l in out for a in l.get("addr_info", [])], out)
    out = json.loads(sh("ip", "-j", "addr", "show", "dev", "eth0", ns=ns).stdout)[0]["addr_info"]
    rec = list(bed.records().values())[0]
    expect(sorted(a["local"] for a in out) == sorted(ips(r) + [rec["linkLocal"]]), out, rec)
    expect(not [a for a in out if a.get("tentative")], out)
    for name, want in (("ipv4/conf/%s/rp_filter", "0"), ("ipv4/conf/%s/proxy_arp", "0"),
                       ("ipv4/conf/%s/route_localnet", "0"), ("ipv4/conf/%s/forwarding", "1"),
                       ("ipv6/conf/%s/forwarding", "1"), ("ipv6/conf/%s/accept_ra", "0"),
                       ("ipv6/conf/%s/accept_dad", "0"), ("ipv6/conf/%s/proxy_ndp", "0")):
        expect(bed.sysctl("net/" + name % host) == want, name)
    expect(bed.sysctl("net/ipv4/ip_forward") == "1" and bed.sysctl("net/ipv6/conf/all/forwarding") == "1")
    expect(bed.sysctl("net/ipv6/conf/eth0/accept_ra", ns) == "0")
    expect(all(x["protocol"] == "91" for x in bed.pod_routes()), bed.pod_routes())


def sends_when_told(pod, pipe, what):
    def send():
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            os.read(pipe, 1)
            s.sendto(what, (NODE_IP4, 9))

    return threading.Thread(target=inside, args=(pod, send))


@test
def what_a_pod_sends_at_once_leaves_it(bed):
    """Whoever holds the kernel's lock of links makes its worker late, which gives a link its queue."""
    busy, over, lost = bed.netns("busy"), threading.Event(), []

    def make_links(letter):
        script = "%s/links-%s" % (bed.tmp, letter)
        with open(script, "w", encoding="ascii") as f:
            f.write("".join("link add %s0 type veth peer name %s1\nlink del %s0\n" % (letter, letter, letter) for _ in range(20)))
        while not over.is_set():
            sh("ip", "-batch", script, ns=busy)

    ear = inside(NETNS + bed.ns, lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    ear.bind((NODE_IP4, 9))
    ear.settimeout(3)
    workers = [threading.Thread(target=make_links, args=(letter,)) for letter in "ab"]
    for w in workers:
        w.start()
    try:
        for n in range(60):
            pod, (r, w) = bed.pod("p%d" % n), os.pipe()
            sender = sends_when_told(pod, r, b"%d" % n)
            sender.start()
            add(bed, "c%d" % n, pod)
            os.write(w, b"x")
            sender.join()
            try:
                expect(ear.recv(64) == b"%d" % n, n)
            except TimeoutError:
                lost.append(n)
            os.close(r)
            os.close(w)
        expect(not lost, "of 60 pods these lost their first packet:", lost)
    finally:
        over.set()
        for w in workers:
            w.join()
        ear.close()


@test
def single_family_pods(bed):
    for n, (rng, gw, other) in enumerate(((RANGE4, "169.254.1.1", ":"), ("fd00:10:244:1::/64", "fe80::1", "."))):
        pod = bed.pod("p%d" % n)
        r = add(bed, "c%d" % n, pod, conf=bed.config(ipam={"ranges": [rng]}))
        expect(len(r["ips"]) == 1 and r["ips"][0]["gateway"] == gw, r)
        expect(len(r["routes"]) == 1 and r["routes"][0]["gw"] == gw, r)
        out = json.loads(sh("ip", "-j", "addr", "show", "dev", "eth0", ns=os.path.basename(pod)).stdout)
        expect(not [a for a in out[0]["addr_info"] if other in a["local"]], out)


@test
def nothing_passes_before_the_ack(bed):
    pod = bed.pod("a")
    seen = {}

    def hook(request):
        seen["links"] = bed.links()
        name = list(seen["links"])[0]
        sent = 0

        def spray():
            n = 0
            for family, to in ((socket.AF_INET, NODE_IP4), (socket.AF_INET6, NODE_IP6)):
                with socket.socket(family, socket.SOCK_DGRAM) as s:
                    for _ in range(20):
                        try:
                            s.sendto(b"x", (to, 9))
                            n += 1
                        except OSError:
                            pass
            return n
        sent = inside(pod, spray)
        seen["sent"] = sent
        stats = json.loads(sh("ip", "-j", "-s", "link", "show", "dev", name, ns=bed.ns).stdout)[0]
        seen["rx"] = stats["stats64"]["rx"]["packets"]
        seen["request"] = request
        seen["record"] = list(bed.records().values())
    bed.agent.hooks["attach"] = hook
    r = add(bed, "ca", pod)
    link = list(seen["links"].values())[0]
    expect("UP" not in link["flags"] and link["group"] == "21065", link)
    expect(seen["rx"] == 0 and seen["sent"] > 0, seen)
    expect(seen["request"]["containerID"] == "ca" and seen["request"]["ifname"] == "eth0", seen)
    expect(0 < seen["request"]["deadlineMs"] <= 5000, seen)
    rec = seen["record"][0]
    expect(rec["hostIfindex"] == link["ifindex"] and rec["ips"] == ips(r), rec)
    expect(rec["podMac"] == r["interfaces"][1]["mac"], rec)
    expect("UP" in list(bed.links().values())[0]["flags"])


@test
def mtu_of_configuration_node_or_uplink(bed):
    def mtu(n, **kw):
        pod = bed.pod("p%d" % n)
        r = add(bed, "c%d" % n, pod, conf=bed.config(cniVersion="1.1.0", **kw))
        real = json.loads(sh("ip", "-j", "link", "show", "dev", "eth0", ns=os.path.basename(pod)).stdout)[0]["mtu"]
        expect({i["mtu"] for i in r["interfaces"]} == {real}, r)
        return real
    expect(mtu(1) == 1450, "uplink")
    bed.write_node(mtu=1400)
    expect(mtu(2) == 1400, "node.json")
    expect(mtu(3, mtu=1300) == 1300, "conflist")
    fails(bed.call("ADD", "c4", bed.pod("p4"), conf=bed.config(mtu=1000)), 7, "IPv6")
    expect(len(bed.links()) == 3 and len(bed.records()) == 3 and len(bed.held()) == 6, bed.left_over())


@test
def ranges_and_group_of_the_node(bed):
    conf = bed.config(ipam=None)
    fails(bed.call("ADD", "c1", bed.pod("p1"), conf=conf), 11, "ranges")
    bed.write_node(ranges=["10.99.0.0/24"], linkGroup=77)
    r = add(bed, "c1", NETNS + bed.tag + "-p1", conf=conf)
    expect(ips(r)[0].startswith("10.99.0."), r)
    expect(list(bed.links().values())[0]["group"] == "77", bed.links())
    ok(bed.call("DEL", "c1", conf=conf))
    expect(not bed.left_over(), bed.left_over())


@test
def identity_and_labels_go_into_the_record(bed):
    k8s = "IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;K8S_POD_NAME=db-0;K8S_POD_UID=u-1;X=y"
    labels = [{"key": "app", "value": "cfg"}, {"key": "a.b/c", "value": ""}]
    cases = (
        ("c1", k8s, {}, ("shop", "db-0", {}, "none")),
        ("c2", k8s + ";RIPSTOP_LABELS=app:web,tier:be", {"args": {"cni": {"labels": labels}}},
         ("shop", "db-0", {"app": "web", "tier": "be"}, "cni-args")),
        ("c3", "RIPSTOP_NAMESPACE=prod", {"args": {"cni": {"labels": labels}}},
         ("prod", "c3", {"app": "cfg", "a.b/c": ""}, "config")),
        ("c4", None, {}, ("default", "c4", {}, "none")),
        ("c5", "RIPSTOP_LABELS=", {}, ("default", "c5", {}, "cni-args")),
    )
    for cid, args, conf, want in cases:
        add(bed, cid, bed.pod(cid), args=args, conf=bed.config(**conf))
        rec = [r for r in bed.records().values() if r["containerID"] == cid][0]
        got = (rec["namespace"], rec["pod"], rec["labels"], rec["labelsFrom"])
        expect(got == want, "got", got, "wanted", want, rec)


@test
def XF3_second_add_is_refused_and_the_first_stays(bed):
    pod = bed.pod("a")
    r = add(bed, "ca", pod)
    before = (bed.links(), bed.records(), bed.held(), bed.pod_routes())
    n = len(bed.agent.ops("attach")), len(bed.agent.ops("detach"))
    fails(bed.call("ADD", "ca", pod), 4, "eth0")  # the interface is there already
    fails(bed.call("ADD", "ca", bed.pod("b")), 105)
    sh("ip", "link", "set", "eth0", "down", ns=os.path.basename(pod))
    sh("ip", "link", "set", "eth0", "name", "eth9", ns=os.path.basename(pod))
    fails(bed.call("ADD", "ca", pod), 105)
    sh("ip", "link", "set", "eth9", "name", "eth0", ns=os.path.basename(pod))
    sh("ip", "link", "set", "eth0", "up", ns=os.path.basename(pod))
    after = (bed.links(), bed.records(), bed.held(), bed.pod_routes())
    expect(before[1:3] == after[1:3] and before[0].keys() == after[0].keys(), before, after)
    expect(n == (len(bed.agent.ops("attach")), len(bed.agent.ops("detach"))))


@test
def interface_name_taken_in_the_pod(bed):
    pod = bed.pod("a")
    sh("ip", "link", "add", "eth0", "type", "veth", "peer", "name", "x0", ns=os.path.basename(pod))
    fails(bed.call("ADD", "ca", pod), 4, "eth0")
    expect(not bed.left_over() and not bed.agent.ops("attach"), bed.left_over())
    expect(not bed.files("endpoints") and not bed.files("leases"))


@test
def XF8_host_link_name_taken(bed):
    pod = bed.pod("a")
    name = add(bed, "ca", pod)["interfaces"][0]["name"]
    ok(bed.call("DEL", "ca", pod))
    sh("ip", "link", "add", name, "type", "veth", "peer", "name", "x0", ns=bed.ns)
    fails(bed.call("ADD", "ca", pod), 4, name)
    expect(list(bed.links()) == [name] and not bed.records() and not bed.held(), bed.left_over())
    # DEL does not take what is not ours either.
    ok(bed.call("DEL", "ca", pod))
    expect(list(bed.links()) == [name])
    sh("ip", "link", "del", name, ns=bed.ns)
    # A leftover of this very key, in our group or the condemned one and without a record, is replaced.
    for group in ("21065", "21064"):
        sh("ip", "link", "add", name, "group", group, "type", "veth", "peer", "name", "x0", ns=bed.ns)
        a = bed.call("ADD", "ca", pod)
        ok(a)
        expect(name in a.err, a)
        ok(bed.call("DEL", "ca", pod))
        expect(not bed.left_over(), bed.left_over())


@test
def XF8_two_keys_of_one_link_name(bed):
    one, two = "c1266001", "c9497275"  # a collision of the 44 bits, with eth0
    a, b = bed.pod("a"), bed.pod("b")
    r = add(bed, one, a)
    name = r["interfaces"][0]["name"]
    for _ in range(2):
        failed = bed.call("ADD", two, b)
        fails(failed, 11, name)
        expect(one in failed.json["msg"], failed)
        expect(talk(NETNS + bed.ns, a, ips(r)[0]), "the first pod's link is gone")
        expect(len(bed.records()) == 1 and len(bed.held()) == 2, bed.left_over())
        # The runtime's DEL of what failed has no record to go by, only the name.
        ok(bed.call("DEL", two, b))
        expect(talk(NETNS + bed.ns, a, ips(r)[0]), "DEL of another took the first pod's link")
    ok(bed.call("DEL", one, a))
    add(bed, two, b)
    ok(bed.call("DEL", one, a))
    expect(list(bed.links()) == [name], bed.left_over())


@test
def user_namespaced_pod(bed):
    p = subprocess.Popen(["unshare", "-Urn", "sh", "-c", "echo; exec sleep 60"], stdout=subprocess.PIPE)
    bed.procs.append(p)
    p.stdout.readline()
    pod = "/proc/%d/ns/net" % p.pid
    r = add(bed, "cu", pod)
    b = bed.pod("b")
    rb = add(bed, "cb", b)
    for mine, other in zip(ips(r), ips(rb)):
        expect(talk(pod, b, other) == mine, mine)
        expect(talk(b, pod, mine) == other, other)
    ok(bed.call("CHECK", "cu", pod, conf=bed.config(prevResult=r)))
    p.kill()
    p.wait()
    ok(bed.call("DEL", "cu", pod))
    ok(bed.call("DEL", "cb", b))
    expect(not bed.left_over(), bed.left_over())


@test
def uplink_with_router_advertisements_keeps_its_route(bed):
    sh("ip", "-6", "route", "add", "default", "via", "2001:db8::2", "dev", "up0", "proto", "ra", ns=bed.ns)
    expect(bed.sysctl("net/ipv6/conf/up0/accept_ra") == "1")
    add(bed, "ca", bed.pod("a"))
    expect(bed.sysctl("net/ipv6/conf/up0/accept_ra") == "2")


@test
def dns_of_the_configuration(bed):
    dns = {"nameservers": ["10.96.0.10"], "search": ["svc.cluster.local"]}
    expect(add(bed, "ca", bed.pod("a"), conf=bed.config(dns=dns))["dns"] == dns)


@test
def unknown_keys_warn_and_do_not_fail(bed):
    conf = bed.config(colour="red\x1b[31m", capabilities={"portMappings": True, "ips": False},
                      runtimeConfig={"portMappings": []}, ipam={"ranges": [RANGE4], "subnet": "x"})
    a = bed.call("ADD", "ca", bed.pod("a"), conf=conf)
    ok(a)
    expect("colour" in a.err and "ipam.subnet" in a.err and "portMappings" in a.err, a.err)
    expect("runtimeConfig" not in a.err and "capability ips" not in a.err and "\x1b" not in a.err, a.err)


# ---- bad input -----------------------------------------------------------------------------------

@test
def bad_environment(bed):
    pod = bed.pod("a")
    rows = (
        (dict(cid=None), "CNI_CONTAINERID"), (dict(cid=""), "CNI_CONTAINERID"), (dict(netns=None), "CNI_NETNS"),
        (dict(ifname=None), "CNI_IFNAME"), (dict(extra={"CNI_PATH": ""}), "CNI_PATH"),
        (dict(cid="../../etc/x"), None), (dict(cid="-a"), None), (dict(cid="a b"), None), (dict(cid="x" * 201), None),
        (dict(cid="a\n"), None), (dict(ifname="a" * 16), None), (dict(ifname="."), None), (dict(ifname=".."), None),
        (dict(ifname="a/b"), None), (dict(ifname="a:b"), None), (dict(ifname="a b"), None), (dict(ifname="a\tb"), None),
        (dict(netns="relative/ns"), None), (dict(netns="/" + "x" * 5000), None), (dict(netns="/run/a\x07b"), None),
        (dict(args="novalue"), "CNI_ARGS"), (dict(args="FOO=bar"), "FOO"), (dict(args="K8S_POD_NAME=a/b"), "K8S_POD_NAME"),
        (dict(args="K8S_POD_NAMESPACE=" + "n" * 300), None), (dict(args="RIPSTOP_LABELS=app"), "key:value"),
        (dict(args="RIPSTOP_LABELS=a:b,a:c"), "twice"), (dict(args="RIPSTOP_LABELS=-a:b"), "-a"),
        (dict(args="RIPSTOP_LABELS=a:" + "v" * 64), None), (dict(args="RIPSTOP_LABELS=A.b/c:d"), None),
    )
    for change, word in rows:
        kw = dict(cid="ca", netns=pod)
        kw.update(change)
        fails(bed.call("ADD", **kw), 4, word)
    for verb in ("add", "FROB", ""):
        fails(bed.call(verb, "ca", pod), 4)
    expect(not os.path.exists(bed.state) and not bed.agent.ops("attach"), "something was touched")


@test
def bad_namespaces(bed):
    plain, fifo = bed.tmp + "/plain", bed.tmp + "/fifo"
    open(plain, "w").close()
    os.mkfifo(fifo)
    for netns in ("/nonexistent/ns", plain, fifo, "/proc/self/ns/mnt", bed.tmp, NETNS + bed.ns, "/proc/self/ns/net"):
        fails(bed.call("ADD", "ca", netns), 8)
    expect(not os.path.exists(bed.state) and not bed.links())


@test
def bad_stdin(bed):
    pod = bed.pod("a")
    good = json.dumps(bed.conf).encode()
    deep = b'{"x":' * 100 + b"1" + b"}" * 100
    rows = (b"", b"   ", b"{", b"[]", b"null", b"{}{}", good + b"x", good[:-1] + b"\0}", b"\xff\xfe{}",
            b'{"cniVersion": "1.0.0", "name": "\xc3\x28"}', b"{" * 100000, deep, b"[" * (50 << 20),
            b'{"a":' * (10 << 20), b'{"a":"' + b"x" * (2 << 20) + b'"}', b'{"cniVersion": 1}')
    for stdin in rows:
        a = bed.call_tolerant("ADD", "ca", pod, stdin=stdin)
        fails(a, 6)
    for version in ("0.1.0", "0.2.0", "0.3.0", "1.2.0", "2.0.0", "x", "1.0"):
        fails(bed.call("ADD", "ca", pod, conf=bed.config(cniVersion=version)), 1, version)
    fails(bed.call("ADD", "ca", pod, conf=bed.config(cniVersion=None)), 1)
    fails(bed.call("CHECK", "ca", pod, conf=bed.config(cniVersion="0.3.1")), 1, "0.4.0")
    fails(bed.call("GC", conf=bed.config(cniVersion="1.0.0")), 1, "1.1.0")
    fails(bed.call("STATUS", conf=bed.config(cniVersion="1.0.0")), 1, "1.1.0")
    expect(not os.path.exists(bed.state) and not bed.links())


@test
def bad_configuration(bed):
    pod = bed.pod("a")
    sh("ip", "addr", "add", "10.9.9.1/24", "dev", "up0", ns=bed.ns)
    label = lambda k, v: {"cni": {"labels": [{"key": k, "value": v}]}}  # noqa: E731
    rows = (
        (dict(name=None), "name"), (dict(name=""), "name"), (dict(name="../x"), "name"), (dict(name=5), "name"),
        (dict(prevResult={"ips": []}), "prevResult"), (dict(prevResult={}), "prevResult"), (dict(prevResult="x"), None),
        (dict(mtu="1500"), "mtu"), (dict(mtu=-1), "mtu"), (dict(mtu=100), "mtu"), (dict(mtu=1 << 40), "mtu"),
        (dict(stateDir="state"), "stateDir"), (dict(stateDir=""), "stateDir"), (dict(socket="x.sock"), "socket"),
        (dict(socket="/" + "s" * 200), "socket"), (dict(timeoutSeconds=0), "timeoutSeconds"),
        (dict(timeoutSeconds=1.5), "timeoutSeconds"), (dict(ipam=[]), "ipam"), (dict(ipam={"type": "../x"}), "ipam"),
        (dict(ipam={"type": "a/b"}), "ipam"), (dict(ipam={"ranges": "10.0.0.0/8"}), "ranges"),
        (dict(ipam={"ranges": [5]}), "ranges[0]"), (dict(ipam={"ranges": [RANGE4, "10.0.0.0/33"]}), "ranges[1]"),
        (dict(ipam={"ranges": ["10.1.0.0/16", "10.1.2.0/24"]}), "10.1"), (dict(ipam={"ranges": ["0.0.0.0/0"]}), None),
        (dict(ipam={"ranges": ["127.0.0.0/24"]}), None), (dict(ipam={"ranges": ["fd00::/48"]}), None),
        (dict(ipam={"ranges": ["10.9.0.0/16"]}), "10.9.9.1"), (dict(ipam={"ranges": ["192.0.2.0/24"]}), NODE_IP4),
        (dict(ipam={"ranges": [RANGE4], "restSeconds": -1}), "restSeconds"), (dict(dns=[]), "dns"),
        (dict(args={"cni": {"labels": {}}}), "labels"), (dict(args=label("a b", "c")), "labels[0]"),
        (dict(args=label("a", "b c")), "labels[0]"), (dict(args={"cni": {"labels": [{"value": "x"}]}}), "labels[0]"),
        (dict(ipam={"type": "nosuchipam"}), "nosuchipam"),
    )
    for change, word in rows:
        fails(bed.call("ADD", "ca", pod, conf=bed.config(**change)), 7, word)
    expect(not bed.left_over() and not bed.agent.ops("attach"), bed.left_over())


@test
def closed_standard_files(bed):
    pod = bed.pod("a")
    env = bed.env("ADD", "ca", pod)
    for redirect in ("<&-", ">&-", "2>&-", "<&- >&- 2>&-"):
        p = subprocess.run(["nsenter", "--net=" + NETNS + bed.ns, "sh", "-c", 'exec "$0" ' + redirect, bed.plugin],
                           env=env, input=json.dumps(bed.conf).encode(), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                           timeout=30)
        expect(p.returncode in (0, 1), redirect, p)
        ok(bed.call("DEL", "ca", pod))
    expect(not bed.left_over(), bed.left_over())


@test
def pool_is_exhausted_then_resting(bed):
    conf = bed.config(ipam={"ranges": ["10.50.0.0/30"], "restSeconds": 60})
    pods = [bed.pod("p%d" % i) for i in range(3)]
    got = [ips(add(bed, "c%d" % i, pods[i], conf=conf))[0] for i in range(2)]
    expect(sorted(got) == ["10.50.0.1", "10.50.0.2"], got)
    fails(bed.call("ADD", "c2", pods[2], conf=conf), 100)
    expect(len(bed.records()) == 2 and len(bed.links()) == 2, bed.left_over())
    ok(bed.call("DEL", "c0", pods[0], conf=conf))
    fails(bed.call("ADD", "c2", pods[2], conf=conf), 11)
    expect(len(bed.records()) == 1 and len(bed.links()) == 1, bed.left_over())


@test
def XF16_damaged_state(bed):
    pod = bed.pod("a")
    add(bed, "ca", pod)
    record = bed.state + "/endpoints/" + bed.files("endpoints")[0]
    for garbage in (b"", b"{", b"\0" * 100, b'{"version":99}'):
        open(record, "wb").write(garbage)
        fails(bed.call("CHECK", "ca", pod, conf=bed.config(prevResult={"ips": []})), 5)
        fails(bed.call("ADD", "ca", bed.pod("x%d" % len(garbage))), 105)
    ok(bed.call("DEL", "ca", pod))
    expect(not bed.left_over(), bed.left_over())
    r = add(bed, "cb", pod)
    lease = bed.state + "/leases/" + bed.held()[0]
    keep = open(lease, "rb").read()
    open(lease, "wb").write(b"garbage")
    podc = bed.pod("c")
    other = add(bed, "cc", podc)
    expect(not set(ips(other)) & set(ips(r)), "an address with a damaged lease was given out")
    ok(bed.call("DEL", "cc", podc))
    expect(len(bed.records()) == 1 and len(bed.links()) == 1, bed.left_over())
    open(lease, "wb").write(keep)
    expect(talk(NETNS + bed.ns, pod, ips(r)[0]), "the first pod still works")


@test
def XF16_uninstall_counts_damaged_records(bed):
    agent = os.path.join(os.path.dirname(PLUGIN), "ripstop-agent")
    os.makedirs(bed.state + "/endpoints", mode=0o700)
    os.chmod(bed.state, 0o700)
    with open(bed.state + "/endpoints/ca:eth0.json", "w") as f:
        f.write("{")
    cmd = (agent, "uninstall", "--state-dir", bed.state, "--dataplane", "null")
    q = sh(*cmd, ns=bed.ns, check=False)
    expect(q.returncode == 1 and "ca:eth0.json" in q.stderr and "1 pods" in q.stderr, q)
    expect("ca:eth0.json" in q.stdout and bed.files("endpoints") == ["ca:eth0.json"], q)
    q = sh(*cmd, "--force", ns=bed.ns, check=False)
    expect(q.returncode == 0 and "ca:eth0.json" in q.stdout and not os.path.exists(bed.state), q)


@test
def XF15_state_folder_read_only_or_full(bed):
    pod = bed.pod("a")
    os.makedirs(bed.state, mode=0o700)
    wrap = ("unshare", "-m", "sh", "-c", 'mount -t tmpfs -o %s none "$1" && exec "$0"')

    def on(options):
        return (*wrap[:4], wrap[4] % options, bed.plugin, bed.state)

    for options in ("ro,mode=700", "size=4k,nr_inodes=3,mode=700"):
        p = subprocess.run(["nsenter", "--net=" + NETNS + bed.ns, *on(options)], env=bed.env("ADD", "ca", pod),
                           input=json.dumps(bed.conf).encode(), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                           timeout=30)
        fails(Answer(p.returncode, p.stdout.decode(), p.stderr.decode(), 0), 5)
        expect(not bed.links() and not bed.agent.ops("attach"), options)
    os.chmod(bed.state, 0o777)
    os.mkdir(bed.state + "/endpoints")
    os.chmod(bed.state + "/endpoints", 0o777)
    fails(bed.call("ADD", "ca", pod), 5, "endpoints")
    os.rmdir(bed.state + "/endpoints")
    open(bed.state + "/endpoints", "w").close()
    fails(bed.call("ADD", "ca", pod), 5)
    os.unlink(bed.state + "/endpoints")
    expect(not bed.left_over(), bed.left_over())


@test
def no_net_admin(bed):
    pod = bed.pod("a")
    a = bed.call("ADD", "ca", pod, wrap=("setpriv", "--bounding-set=-net_admin,-sys_admin"))
    fails(a, 104)
    a = bed.call("ADD", "ca", pod, wrap=("setpriv", "--bounding-set=-net_admin"))
    fails(a, 104)
    expect("details" in a.json, a)
    ok(bed.call("DEL", "ca", pod))
    expect(not bed.left_over(), bed.left_over())


# ---- the agent -----------------------------------------------------------------------------------

@test
def agent_absent(bed):
    bed.stop_agent()
    pod = bed.pod("a")
    forwarding = ("net/ipv4/ip_forward", "net/ipv6/conf/all/forwarding")
    for name in forwarding:
        sh("sh", "-c", "echo 0 >/proc/sys/" + name, ns=bed.ns)
    a = bed.call("ADD", "ca", pod, conf=bed.config(timeoutSeconds=1))
    fails(a, 11, bed.socket)
    expect(0.7 < a.seconds < 2.5, a.seconds)
    expect(not bed.links() and not bed.pod_routes(), bed.left_over())
    expect([bed.sysctl(name) for name in forwarding] == ["0", "0"], "a failed ADD made a router of the node")
    # No agent ever heard of it, so nothing of it can be in the kernel: nothing waits for one.
    expect(not bed.left_over(), bed.left_over())
    ok(bed.call("DEL", "ca", pod))
    expect(not bed.left_over(), bed.left_over())


@test
def XF2_tries_without_an_agent_hold_no_addresses(bed):
    bed.stop_agent()
    pod = bed.pod("a")
    conf = bed.config(ipam={"ranges": ["10.50.0.0/29"], "restSeconds": 60}, timeoutSeconds=1)
    for n in range(8):  # more than the range has
        fails(bed.call("ADD", "c%d" % n, pod, conf=conf), 11)
    expect(not bed.left_over(), bed.left_over())
    # The socket of an agent that died is as good as none.
    dead = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    dead.bind(bed.socket)
    dead.close()
    fails(bed.call("ADD", "cd", pod, conf=bed.config(timeoutSeconds=1)), 11)
    expect(not bed.left_over(), bed.left_over())


@test
def XF2_an_agent_that_heard_the_request_and_died_gets_a_tombstone(bed):
    pod = bed.pod("a")

    def die(_):
        bed.stop_agent()
        raise SystemExit  # of this thread: the connection closes unanswered
    bed.agent.hooks["attach"] = die
    fails(bed.call("ADD", "ca", pod, conf=bed.config(timeoutSeconds=2)), 11)
    expect([r["state"] for r in bed.records().values()] == ["tombstone"] and len(bed.held()) == 2, bed.left_over())
    ok(bed.call("DEL", "ca", pod))
    expect([r["state"] for r in bed.records().values()] == ["tombstone"] and len(bed.held()) == 2, bed.left_over())


@test
def XF2_del_of_an_add_that_died_before_its_address(bed):
    pod = bed.pod("a")
    add(bed, "ca", pod)
    path = bed.state + "/endpoints/ca:eth0.json"
    with open(path) as f:
        rec = json.load(f)
    bed.stop_agent()
    for n, early in enumerate((True, False)):
        o = dict(rec, containerID="c%d" % n, hostIfname="rs0000000000%d" % n)
        if early:
            o.pop("ips")
            o.pop("hostIfindex")
        with open(bed.state + "/endpoints/c%d:eth0.json" % n, "w") as f:
            json.dump(o, f)
        ok(bed.call("DEL", "c%d" % n, pod))
        left = [r["state"] for r in bed.records().values() if r["containerID"] == "c%d" % n]
        expect(left == ([] if early else ["tombstone"]), n, left)


@test
def agent_comes_late(bed):
    bed.stop_agent()
    pod = bed.pod("a")
    threading.Timer(0.8, bed.start_agent).start()
    a = bed.call("ADD", "ca", pod)
    ok(a)
    expect(a.seconds > 0.7, a.seconds)


@test
def agent_accepts_and_never_answers(bed):
    bed.agent.hang = True
    pod = bed.pod("a")
    a = bed.call("ADD", "ca", pod, conf=bed.config(timeoutSeconds=1))
    fails(a, 11)
    expect(a.seconds < 5, a.seconds)
    expect(not bed.links() and not bed.pod_routes(), bed.left_over())
    expect([r["state"] for r in bed.records().values()] == ["tombstone"], bed.records())
    bed.agent.hang = False
    ok(bed.call("DEL", "ca", pod))
    expect(not bed.left_over(), bed.left_over())


@test
def agent_refuses(bed):
    pod = bed.pod("a")
    for code in (11, 104):
        bed.agent.answers["attach"] = {"ok": False, "error": {"errno": 11, "cni": code, "message": "not synced yet",
                                                              "hint": "wait"}}
        a = bed.call("ADD", "ca", pod)
        fails(a, code, "not synced yet")
        expect(a.json.get("details") == "wait", a)
        expect(not bed.left_over() and bed.agent.ops("detach"), bed.left_over())
    report = bed.agent.ops("report")[-1]
    expect(report["verb"] == "ADD" and report["cni"] == 104 and "not synced" in report["message"], report)
    bed.agent.answers.clear()
    add(bed, "ca", pod)


@test
def agent_answers_garbage(bed):
    pod = bed.pod("a")
    for answer in ({"ok": "yes"}, {"ok": True, "result": [1]}, {}):
        bed.agent.answers["attach"] = answer
        fails(bed.call("ADD", "ca", pod), 11)
        expect(not bed.left_over(), bed.left_over())


# ---- DEL -----------------------------------------------------------------------------------------

@test
def XF5_del_in_every_form(bed):
    ok(bed.call("DEL", "never", NETNS + "rsf-nosuch"))
    ok(bed.call("DEL", "never", ""))
    ok(bed.call("DEL", "never"))
    expect(not bed.agent.ops("detach"), bed.agent.requests)
    pods = [bed.pod("p%d" % i) for i in range(6)]
    results = [add(bed, "c%d" % i, p) for i, p in enumerate(pods)]
    ok(bed.call("DEL", "c0", pods[0], conf=bed.config(prevResult=results[0])))
    ok(bed.call("DEL", "c0", pods[0]))
    ok(bed.call("DEL", "c1", ""))
    ok(bed.call("DEL", "c2"))
    sh("ip", "netns", "del", os.path.basename(pods[3]))
    ok(bed.call("DEL", "c3", pods[3]))
    ok(bed.call("DEL", "c4", "relative\x01path", args="broken"))
    # Keys that ADD reads and DEL does not need.
    ok(bed.call("DEL", "c5", pods[5], conf=bed.config(mtu="x", args={"cni": {"labels": 5}}, timeoutSeconds=-1,
                                                      ipam={"ranges": ["nonsense"]}, prevResult="x")))
    expect(not bed.left_over(), bed.left_over())
    expect({r["containerID"] for r in bed.agent.ops("detach")} == {"c%d" % i for i in range(6)})


@test
def XF6_del_never_touches_the_namespace_it_is_told(bed):
    a, b = bed.pod("a"), bed.pod("b")
    ra, rb = add(bed, "ca", a), add(bed, "cb", b)
    ok(bed.call("DEL", "ca", b))  # another pod's
    expect(talk(NETNS + bed.ns, b, ips(rb)[0]), "b lives")
    ok(bed.call("DEL", "cx", NETNS + bed.ns, ifname="up0"))  # the node's
    ok(bed.call("DEL", "cx", "", ifname="up0"))
    expect(sh("ip", "link", "show", "up0", ns=bed.ns).returncode == 0)
    expect(list(r["containerID"] for r in bed.records().values()) == ["cb"], bed.records(), ra)


def asked_to_detach(bed, then):
    """A DEL of a new pod: what the agent sees whenever it is asked. then: what it does and answers, given the request
    and the name of the link."""
    pod = bed.pod("a")
    add(bed, "ca", pod)
    name, seen = list(bed.links())[0], []

    def hook(o):
        link = bed.links().get(name)
        seen.append((o.get("takeLink", False), link and "UP" in link["flags"], len(bed.records()), len(bed.held())))
        bed.agent.answers["detach"] = then(o, name)
    bed.agent.hooks["detach"] = hook
    ok(bed.call("DEL", "ca", pod))
    return seen


@test
def order_of_del(bed):
    """The agent takes the link: nothing has gone before it is asked, and the link is not looked for after it."""
    def take(o, name):
        sh("ip", "link", "del", name, ns=bed.ns)
        sh("ip", "link", "add", name, "type", "veth", "peer", "name", "other0", ns=bed.ns)
        return {"ok": True, "result": {"linkGone": True}}
    expect(asked_to_detach(bed, take) == [(True, True, 1, 2)])
    expect(len(bed.links()) == 1 and not bed.records() and not bed.held(), bed.left_over())
    sh("ip", "link", "del", list(bed.links())[0], ns=bed.ns)


@test
def order_of_del_with_an_agent_that_leaves_the_link(bed):
    """Its rules are gone then: the link goes at once."""
    seen = asked_to_detach(bed, lambda o, name: {"ok": True, "result": {}})
    expect(seen == [(True, True, 1, 2)], seen)
    expect(not bed.left_over(), bed.left_over())


@test
def order_of_del_with_an_agent_that_cannot_delete_the_link(bed):
    """It has taken nothing away: the link is put down first, then the rules, then the link."""
    seen = asked_to_detach(bed, lambda o, name: {"ok": False, "error": {"errno": 16, "message": "not gone"}} \
        if "takeLink" in o else {"ok": True, "result": {}})
    expect(seen == [(True, True, 1, 2), (False, False, 1, 2)], seen)
    expect(not bed.left_over(), bed.left_over())


@test
def XF19_del_without_an_agent_keeps_the_address(bed):
    conf = bed.config(ipam={"ranges": ["10.50.0.0/30"], "restSeconds": 0}, timeoutSeconds=1)
    pods = [bed.pod("p%d" % i) for i in range(3)]
    for i in range(2):
        add(bed, "c%d" % i, pods[i], conf=conf)
    bed.stop_agent()
    a = bed.call("DEL", "c0", pods[0], conf=conf)
    ok(a)
    expect("left to the agent" in a.err, a.err)
    expect(len(bed.links()) == 1 and len(bed.held()) == 2, bed.left_over())
    expect(sorted(r["state"] for r in bed.records().values()) == ["live", "tombstone"], bed.records())
    bed.start_agent()
    fails(bed.call("ADD", "c2", pods[2], conf=conf), 100)
    ok(bed.call("DEL", "c0", pods[0], conf=conf))
    ok(bed.call("ADD", "c2", pods[2], conf=conf))


@test
def agent_refuses_to_detach(bed):
    pod = bed.pod("a")
    add(bed, "ca", pod)
    bed.agent.answers["detach"] = {"ok": False, "error": {"errno": 5, "message": "commit failed"}}
    ok(bed.call("DEL", "ca", pod))
    expect(not bed.links() and [r["state"] for r in bed.records().values()] == ["tombstone"] and len(bed.held()) == 2)


# ---- CHECK ---------------------------------------------------------------------------------------

def checked(bed):
    pod = bed.pod("a")
    r = add(bed, "ca", pod)
    conf = bed.config(prevResult=r)
    ok(bed.call("CHECK", "ca", pod, conf=conf))
    return pod, r, conf


@test
def check_notices_each_fault_of_addresses_routes_and_neighbours(bed):
    faults = (  # what the error names, in which namespace, what breaks it
        ("lacks {ip4}", "pod", "ip addr del {ip4}/32 dev eth0"),
        ("lacks {ip6}", "pod", "ip addr del {ip6}/128 dev eth0"),
        ("route to 0.0.0.0/0", "pod", "ip route del default"),
        ("route to ::/0", "pod", "ip -6 route del default"),
        ("route to 0.0.0.0/0", "pod", "ip route replace default via 169.254.1.1 dev eth0 proto static"),
        ("pod lacks its permanent neighbour 169.254.1.1", "pod", "ip neigh del 169.254.1.1 dev eth0"),
        ("pod lacks its permanent neighbour fe80::1", "pod", "ip neigh replace fe80::1 lladdr 02:00:00:00:00:07 dev eth0"),
        ("node lacks its permanent neighbour {ip4}", "node", "ip neigh del {ip4} dev {host}"),
        ("node lacks its permanent neighbour {ip6}", "node", "ip neigh del {ip6} dev {host}"),
        ("node lacks its route to {ip4}", "node", "ip route del {ip4}"),
        ("node lacks its route to {ip6}", "node", "ip route del {ip6}"),
        ("group 7", "node", "ip link set {host} group 7"),
        ("does ARP", "node", "ip link set {host} arp on"),
    )
    for n, (word, where, command) in enumerate(faults):
        pod, cid = bed.pod("p%d" % n), "c%d" % n
        r = add(bed, cid, pod)
        names = dict(ip4=ips(r)[0], ip6=ips(r)[1], host=r["interfaces"][0]["name"])
        conf = bed.config(prevResult=r)
        ok(bed.call("CHECK", cid, pod, conf=conf))
        sh(*command.format(**names).split(), ns=os.path.basename(pod) if where == "pod" else bed.ns)
        a = bed.call("CHECK", cid, pod, conf=conf)
        expect(a.rc == 1 and word.format(**names) in a.json["msg"], "after", command, a)


@test
def check_of_links_lease_and_record(bed):
    def fault(word, break_it, code=None):
        pod = bed.pod("p" + str(fault.n))
        cid = "c%d" % fault.n
        fault.n += 1
        r = add(bed, cid, pod)
        conf = bed.config(prevResult=r)
        ok(bed.call("CHECK", cid, pod, conf=conf))
        break_it(r, os.path.basename(pod), conf)
        a = bed.call("CHECK", cid, pod, conf=conf)
        expect(a.rc == 1 and word in a.json["msg"] and (code is None or a.code == code), word, a)
        ok(bed.call("DEL", cid, pod))
    fault.n = 0

    fault("is down", lambda r, ns, c: sh("ip", "link", "set", "eth0", "down", ns=ns))
    fault("is down", lambda r, ns, c: sh("ip", "link", "set", r["interfaces"][0]["name"], "down", ns=bed.ns))
    fault("inside the pod", lambda r, ns, c: sh("ip", "link", "del", r["interfaces"][0]["name"], ns=bed.ns))
    fault("MAC", lambda r, ns, c: sh("ip", "link", "set", "eth0", "address", "02:00:00:00:00:09", ns=ns))
    fault("", lambda r, ns, c: [os.unlink(bed.state + "/leases/" + f) for f in bed.held()])
    fault("no record", lambda r, ns, c: [os.unlink(bed.state + "/endpoints/" + f) for f in bed.files("endpoints")])
    fault("prevResult", lambda r, ns, c: c.update(prevResult=dict(r, ips=[])))
    fault("prevResult", lambda r, ns, c: c.update(prevResult=dict(r, interfaces=[])))
    fault("prevResult", lambda r, ns, c: c.update(prevResult=dict(r, ips=[{"address": "x"}])), 7)
    fault("prevResult", lambda r, ns, c: c.pop("prevResult"), 7)
    expect(not bed.left_over(), bed.left_over())


@test
def check_asks_the_agent(bed):
    pod, r, conf = checked(bed)
    expect(bed.agent.ops("check")[0]["containerID"] == "ca")
    bed.agent.answers["check"] = {"ok": False, "error": {"errno": 2, "message": "element missing"}}
    a = bed.call("CHECK", "ca", pod, conf=conf)
    expect(a.rc == 1 and "element missing" in a.json["msg"], a)
    bed.stop_agent()
    a = bed.call("CHECK", "ca", pod, conf=conf)
    ok(a)
    expect("not verified" in a.err, a.err)
    # Additions of later plugins of the chain are not our business.
    more = dict(r, ips=r["ips"] + [{"address": "192.168.0.1/24"}], interfaces=r["interfaces"] + [{"name": "tun0"}])
    ok(bed.call("CHECK", "ca", pod, conf=bed.config(prevResult=more)))


# ---- GC, STATUS, VERSION --------------------------------------------------------------------------

@test
def XF18_gc(bed):
    for cid in ("c0", "c1", "c2"):
        add(bed, cid, bed.pod(cid))
    add(bed, "other", bed.pod("o"), conf=bed.config(name="net2"))
    base = dict(bed.config(cniVersion="1.1.0"))

    def gc(*ids, key="cni.dev/valid-attachments"):
        return bed.call("GC", conf=dict(base, **{key: [{"containerID": i, "ifname": "eth0"} for i in ids]}))

    def have():
        return sorted(r["containerID"] for r in bed.records().values())
    ok(bed.call("GC", conf=base))
    ok(bed.call("GC", conf=dict(base, **{"cni.dev/valid-attachments": None})))
    ok(gc(key="cni.dev/attachments"))
    expect(have() == ["c0", "c1", "c2", "other"], have())
    for bad in ("x", {}, [5], [{"containerID": "c0"}], [{"containerID": "c0", "ifname": ""}]):
        fails(bed.call("GC", conf=dict(base, **{"cni.dev/valid-attachments": bad})), 7)
    expect(len(have()) == 4)
    ok(gc("c0", "c2", "unknown"))
    expect(have() == ["c0", "c2", "other"] and len(bed.links()) == 3 and len(bed.held()) == 6, bed.left_over())
    ok(bed.call("GC", conf=dict(base, **{"cni.dev/valid-attachments": [{"containerID": "c0", "ifname": "net1"},
                                                                       {"containerID": "c2", "ifname": "eth0"}]})))
    expect(have() == ["c2", "other"], have())
    # A lease whose record is gone goes; one with a record stays, whatever its network.
    os.unlink(bed.state + "/endpoints/" + [f for f in bed.files("endpoints") if f.startswith("c2")][0])
    ok(gc())
    expect(have() == ["other"] and len(bed.held()) == 2, bed.left_over())
    expect("c2" in str(bed.links()) or len(bed.links()) == 2)
    ok(bed.call("DEL", "c2"))  # finds the link without a record
    expect(len(bed.links()) == 1, bed.links())


@test
def status(bed):
    conf = bed.config(cniVersion="1.1.0", ipam={"ranges": ["10.50.0.0/30"], "restSeconds": 60})

    def st(code, word=None, c=None):
        a = bed.call("STATUS", conf=c or conf)
        if code:
            fails(a, code, word)
        else:
            ok(a)
            expect(a.out == "", a)
    st(50, "agent")
    bed.write_node()
    st(0)
    expect(not bed.agent.requests, "STATUS made a socket call")
    bed.write_node(ready=False, whyNot="still reading")
    st(50, "still reading")
    bed.write_node(written=int(time.time()) - 121)
    st(50, "121")
    st(0, c=dict(conf, statusMaxAgeSeconds=300))
    bed.write_node(bootID="0" * 8 + BOOT_ID[8:])
    st(50)
    open(bed.state + "/node.json", "w").write("{")
    st(50)
    bed.write_node()
    st(50, "range", c=dict(conf, ipam={"ranges": ["192.0.2.0/24"]}))
    st(50, "range", c=dict(conf, ipam={}))
    for i in range(2):
        add(bed, "c%d" % i, bed.pod("p%d" % i), conf=conf)
    st(50)
    p = subprocess.run(["nsenter", "--net=" + NETNS + bed.ns, "unshare", "-m", "sh", "-c",
                        'mount --bind "$1" "$1" && mount -o remount,bind,ro "$1" && exec "$0"', bed.plugin, bed.state],
                       env=bed.env("STATUS", None, None),
                       input=json.dumps(dict(conf, ipam={"ranges": [RANGE4]})).encode(), stdout=subprocess.PIPE,
                       stderr=subprocess.PIPE, timeout=30)
    fails(Answer(p.returncode, p.stdout.decode(), p.stderr.decode(), 0), 50, "writable")


@test
def version_and_about(bed):
    for stdin, want in ((b"", "1.1.0"), (b'{"cniVersion":"0.4.0"}', "0.4.0"), (b'{"cniVersion":"9"}', "1.1.0"),
                        (b"garbage", "1.1.0"), (json.dumps(bed.conf).encode(), "1.0.0")):
        o = ok(bed.call("VERSION", stdin=stdin, extra={"CNI_PATH": "\x01"}))
        expect(o == {"cniVersion": want, "supportedVersions": ["0.3.1", "0.4.0", "1.0.0", "1.1.0"]}, o)
    p = subprocess.run([PLUGIN], env={}, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    expect(p.returncode == 0 and p.stdout == b"" and b"CNI plugin" in p.stderr, p)
    expect(not interpreter(PLUGIN) or sanitized(PLUGIN), "the plugin needs a dynamic loader")


def interpreter(path):
    """Does the ELF file name a dynamic loader (PT_INTERP)?"""
    with open(path, "rb") as f:
        head = f.read(64)
        off, size, n = (struct.unpack_from("<Q", head, 32)[0], *struct.unpack_from("<HH", head, 54))
        f.seek(off)
        return any(struct.unpack("<I", f.read(size)[:4])[0] == 3 for _ in range(n))


def sanitized(path):
    with open(path, "rb") as f:
        return b"__asan_init" in f.read()


# ---- external IPAM -------------------------------------------------------------------------------

IPAM = r'''#!/usr/bin/env python3
import json, os, sys, time
conf = json.load(sys.stdin)
ipam, verb = conf["ipam"], os.environ["CNI_COMMAND"]
with open(ipam["log"], "a") as f:
    f.write("%s %s %s\n" % (verb, os.environ.get("CNI_CONTAINERID"), os.environ.get("CNI_IFNAME")))
mode = ipam.get("mode", {}).get(verb)
if mode == "hang":
    time.sleep(60)
if mode == "flood":
    while True:
        sys.stdout.write("x" * 65536)
if mode == "garbage":
    print("no json")
    sys.exit(0)
if mode == "die":
    os.kill(os.getpid(), 9)
if mode == "fail":
    print(json.dumps({"cniVersion": conf["cniVersion"], "code": 117, "msg": "none left\x1b[31m"}))
    sys.exit(1)
if verb == "ADD":
    print(json.dumps(dict(ipam["result"], cniVersion=conf["cniVersion"])))
'''


def external(bed, **changes):
    path = bed.path + "/myipam"
    with open(path, "w") as f:
        f.write(IPAM)
    os.chmod(path, 0o755)
    result = {"ips": [{"address": "10.60.0.7/24", "gateway": "10.60.0.1"}, {"address": "fd00:60::7/64"}],
              "routes": [{"dst": "0.0.0.0/0"}, {"dst": "10.96.0.0/12", "gw": "10.60.0.1"}],
              "dns": {"nameservers": ["10.96.0.10"]}}
    ipam = dict({"type": "myipam", "log": bed.tmp + "/log", "result": result}, **changes)
    return bed.config(cniVersion="1.1.0", ipam=ipam, timeoutSeconds=2)


def log(bed):
    try:
        with open(bed.tmp + "/log") as f:
            return [line.split()[0] for line in f]
    except FileNotFoundError:
        return []


@test
def external_ipam(bed):
    conf = external(bed)
    pod = bed.pod("a")
    r = add(bed, "ca", pod, conf=conf)
    expect([i["address"] for i in r["ips"]] == ["10.60.0.7/32", "fd00:60::7/128"], r)
    expect([i["gateway"] for i in r["ips"]] == ["169.254.1.1", "fe80::1"], r)
    expect([(x["dst"], x["gw"]) for x in r["routes"]] ==
           [("0.0.0.0/0", "169.254.1.1"), ("10.96.0.0/12", "169.254.1.1"), ("::/0", "fe80::1")], r)
    expect(r["dns"] == {"nameservers": ["10.96.0.10"]}, r)
    expect("10.96.0.0/12" in [x["dst"] for x in bed.routes(ns=os.path.basename(pod))])
    expect(talk(NETNS + bed.ns, pod, "10.60.0.7") and talk(NETNS + bed.ns, pod, "fd00:60::7"))
    expect(not bed.files("leases") and log(bed) == ["ADD"], log(bed))
    ok(bed.call("CHECK", "ca", pod, conf=dict(conf, prevResult=r)))
    ok(bed.call("GC", conf=conf))
    bed.write_node()
    ok(bed.call("STATUS", conf=conf))
    expect(log(bed) == ["ADD", "CHECK", "GC", "STATUS"], log(bed))
    # The address is on a link of this node already: another pod cannot have it.
    fails(bed.call("ADD", "cb", bed.pod("b"), conf=conf), 999, "10.60.0.7")
    expect(log(bed)[4:] == ["ADD", "DEL"] and len(bed.links()) == 1, log(bed))
    ok(bed.call("DEL", "ca", pod, conf=conf))
    ok(bed.call("DEL", "ca", pod, conf=conf))
    expect(log(bed)[6:] == ["DEL", "DEL"] and not bed.left_over(), log(bed), bed.left_over())


@test
def external_ipam_del_runs_on_every_failure(bed):
    pod = bed.pod("a")

    def attempt(conf, code, word=None, want=("ADD", "DEL")):
        n = len(log(bed))
        fails(bed.call("ADD", "ca", pod, conf=conf), code, word)
        expect(log(bed)[n:] == list(want), log(bed)[n:])
        expect(not bed.left_over(), bed.left_over())
    attempt(external(bed, mode={"ADD": "fail"}), 117, "none left\\x1b")
    attempt(external(bed, mode={"ADD": "die"}), 999, "signal 9")
    attempt(external(bed, mode={"ADD": "garbage"}), 999, "JSON")
    attempt(external(bed, mode={"ADD": "flood"}), 999, "more than")
    attempt(external(bed, mode={"ADD": "hang"}), 11, "in time")
    for result, word in (({}, "no address"), ({"ips": []}, "no address"), ({"ips": [{"address": "x"}]}, "ips[0]"),
                         ({"ips": [{"address": "127.0.0.1/8"}]}, "127.0.0.1"),
                         ({"ips": [{"address": "10.0.0.1/8"}] * 2}, "twice"),
                         ({"ips": [{"address": "10.0.0.%d/8" % i} for i in range(9)]}, "addresses"),
                         ({"ips": [{"address": "10.0.0.1/8"}], "routes": [{"dst": "::/0"}]}, "routes[0]"),
                         ({"ips": [{"address": "10.0.0.1/8"}], "routes": [{"dst": "x"}]}, "routes[0]")):
        attempt(external(bed, result=result), 999, word)
    attempt(external(bed, result={"ips": [{"address": NODE_IP4 + "/24"}]}), 7, NODE_IP4)
    bed.agent.answers["attach"] = {"ok": False, "error": {"errno": 11, "cni": 11, "message": "no"}}
    attempt(external(bed), 11)
    bed.agent.answers.clear()
    # A DEL of the delegate that fails is told: something is still held.
    conf = external(bed, mode={"DEL": "fail"})
    add(bed, "ca", pod, conf=conf)
    a = bed.call("DEL", "ca", pod, conf=conf)
    fails(a, 117)
    expect(not bed.left_over(), bed.left_over())


# ---- many at once, and sudden ends -----------------------------------------------------------------

@test
def XF9_fifty_at_once(bed):
    pods = [bed.pod("p%d" % i) for i in range(50)]
    stdin = json.dumps(bed.config(timeoutSeconds=30)).encode()

    def all_at_once(verb):
        answers = [None] * len(pods)

        def one(i):
            answers[i] = bed.call(verb, "c%d" % i, pods[i], stdin=stdin)
        threads = [threading.Thread(target=one, args=(i,)) for i in range(len(pods))]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        return answers
    results = [ok(a) for a in all_at_once("ADD")]
    every = [ip for r in results for ip in ips(r)]
    expect(len(set(every)) == 100, "doubles", sorted(every))
    expect(len(bed.links()) == 50 and len(bed.records()) == 50 and len(bed.held()) == 100, bed.left_over())
    expect(talk(pods[3], pods[47], ips(results[47])[0]) == ips(results[3])[0])
    for a in all_at_once("DEL"):
        ok(a)
    expect(not bed.left_over(), bed.left_over())


@test
def XF10_killed_at_any_moment(bed):
    """kill -9 of ADD or DEL somewhere in its run; the DEL that follows leaves nothing."""
    seed = int(os.environ.get("SEED", time.time()))
    print("  seed %d" % seed)
    rnd = random.Random(seed)
    pod = bed.pod("a")
    stdin = json.dumps(bed.conf).encode()
    whole = ok_seconds(bed, pod, stdin)
    unfinished = {"ADD": 0, "DEL": 0}
    for n in range(120):
        cid, verb = "c%d" % n, "DEL" if n % 3 == 2 else "ADD"
        if verb == "DEL":
            ok(bed.call("ADD", cid, pod, stdin=stdin))
        p = bed.popen(verb, cid, pod)
        p.stdin.write(stdin)
        p.stdin.close()
        time.sleep(rnd.random() * whole[verb])
        p.send_signal(signal.SIGKILL)
        unfinished[verb] += p.wait() != 0
        p.stdout.close()
        p.stderr.close()
        ok(bed.call("DEL", cid, pod, stdin=stdin))
        expect(not bed.left_over(), "round", n, verb, bed.left_over())
    expect(unfinished["ADD"] > 20 and unfinished["DEL"] > 10, "hardly one was killed", unfinished)
    print("  killed in time: %(ADD)d ADD, %(DEL)d DEL" % unfinished)


def ok_seconds(bed, pod, stdin):
    """How long they take as a rule, on a machine that stands still at times."""
    took = {"ADD": [], "DEL": []}
    for _ in range(5):
        for verb, all_of_it in took.items():
            a = bed.call(verb, "warm", pod, stdin=stdin)
            ok(a)
            all_of_it.append(a.seconds)
    return {verb: sorted(s)[1] for verb, s in took.items()}


@test
def duration(bed):
    """Not a bar, a figure: one ADD and one DEL with an agent that answers at once."""
    pod = bed.pod("a")
    adds, dels = [], []
    for n in range(15):
        a, d = bed.call("ADD", "c%d" % n, pod), None
        ok(a)
        d = bed.call("DEL", "c%d" % n, pod)
        ok(d)
        adds.append(a.seconds * 1000)
        dels.append(d.seconds * 1000)
    print("  median ADD %.1f ms, DEL %.1f ms (nsenter and fork included); binary %d KB" %
          (sorted(adds)[7], sorted(dels)[7], os.path.getsize(PLUGIN) // 1024))


def call_tolerant(self, verb, cid, netns, stdin):
    """Like call, for input so large that the plugin stops reading."""
    p = self.popen(verb, cid, netns)
    try:
        p.stdin.write(stdin)
        p.stdin.close()
    except BrokenPipeError:
        pass
    p.stdin = None
    out, err = p.communicate(timeout=60)
    return Answer(p.returncode, out.decode(), err.decode("utf-8", "replace"), 0)


Bed.call_tolerant = call_tolerant


def run_one(fn):
    with Bed(PLUGIN) as bed:
        fn(bed)


def main():
    global PLUGIN
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--build", default=os.path.join(ROOT, "build/rel"))
    ap.add_argument("names", nargs="*")
    args = ap.parse_args()
    PLUGIN = os.path.abspath(os.path.join(args.build, "ripstop-cni"))
    passed, failed, skipped = 0, 0, 0
    unknown = [n for n in args.names if n not in [t.__name__ for t in TESTS]]
    if unknown:
        ap.error("no such test: " + ", ".join(unknown))
    for fn in TESTS:
        if args.names and fn.__name__ not in args.names:
            continue
        start = time.monotonic()
        try:
            run_one(fn)
            passed += 1
            print("ok   %s (%.1f s)" % (fn.__name__, time.monotonic() - start), flush=True)
        except Skip as why:
            skipped += 1
            print("skip %s: %s" % (fn.__name__, why), flush=True)
        except Exception:
            failed += 1
            print("FAIL %s" % fn.__name__)
            traceback.print_exc(file=sys.stdout)
            sys.stdout.flush()
    print("%d passed, %d failed, %d skipped" % (passed, failed, skipped))
    return 1 if failed else 0


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    sys.exit(main())
