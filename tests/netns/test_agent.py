#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The real agent with the nft dataplane in a namespace: start, death, restart, garbage, bad folders, uninstall.

    tests/netns/test_agent.py [--build DIR] [NAME...]

The last line is "N passed, N failed, N skipped". Names of tests carry the failure classes they check (XA4).
"""
import argparse
import difflib
import errno
import fcntl
import json
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import traceback

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
# Two runs beside each other leave each other's namespaces alone.
MINE = "rsg-%d-" % os.getpid()
NODE = MINE + "node"
POD = MINE + "pod"
TESTS = []
BUILD = None
# Waits are longer on an emulated machine.
SLOW = max(1.0, float(os.environ.get("RIPSTOP_TEST_SLOW") or 1))
DENY = """apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: default-deny, namespace: shop}
spec: {podSelector: {}, policyTypes: [Ingress, Egress]}
"""
BAD = DENY.replace("podSelector: {}", "podSelector: {matchLabels: {app: [1]}}")


class Skip(Exception):
    pass


def test(fn):
    TESTS.append(fn)
    return fn


def expect(cond, *what):
    if not cond:
        raise AssertionError(" ".join(str(w) for w in what))


def sh(*cmd, check=True, **kw):
    p = subprocess.run(cmd, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=30 * SLOW, text=True, **kw)
    if check and p.returncode:
        raise AssertionError("%s: exit %d: %s" % (" ".join(cmd), p.returncode, p.stderr))
    return p


def node(*cmd, **kw):
    return sh("ip", "netns", "exec", NODE, *cmd, **kw)


def until(fn, seconds=5.0):
    end = time.monotonic() + (seconds if SLOW == 1 else 4 * SLOW * seconds)
    while True:
        got = fn()
        if got or time.monotonic() > end:
            return got
        time.sleep(0.02)


class Bed:
    """A node namespace with an address, a state folder, a folder of manifests and at most a few agents."""

    def __init__(self):
        self.dir = tempfile.mkdtemp(prefix="rsg-")
        self.state, self.manifests = self.dir + "/state", self.dir + "/manifests"
        self.socket = self.state + "/agent.sock"
        self.log = self.dir + "/log"
        self.agents = []
        os.mkdir(self.manifests)
        for ns in (NODE, POD):
            sh("ip", "netns", "del", ns, check=False)
            sh("ip", "netns", "add", ns)
        for cmd in ("link set lo up", "link add up0 type veth peer name up1", "addr add 192.168.77.1/24 dev up0",
                    "link set up0 up", "link set up1 up"):
            sh("ip", "-n", NODE, *cmd.split())

    def close(self):
        for p in self.agents:
            if p.poll() is None:
                p.kill()
            p.wait()
        for ns in (NODE, POD):
            sh("ip", "netns", "del", ns, check=False)
        shutil.rmtree(self.dir)

    def write(self, name, text):
        with open(self.manifests + "/." + name, "w") as f:
            f.write(text)
        os.rename(self.manifests + "/." + name, self.manifests + "/" + name)

    def spawn(self, *args, prefix=(), manifests=None):
        with open(self.log, "a") as log:
            p = subprocess.Popen(["ip", "netns", "exec", NODE, *prefix, BUILD + "/ripstop-agent", "--manifests",
                                  manifests or self.manifests, "--state-dir", self.state, "--node-ranges",
                                  "10.7.1.0/24,fd07::/64", "--node-name", "n1", *args],
                                 stdout=log, stderr=log, env={"PATH": os.environ["PATH"]})
        self.agents.append(p)
        return p

    def start(self, *args, ready=True, **kw):
        p = self.spawn(*args, **kw)
        expect(until(lambda: self.ask({"op": "version"}) or p.poll() is not None), "no answer", self.logs())
        expect(p.poll() is None, "the agent ended", self.logs())
        if ready:
            expect(until(lambda: self.status()["ready"]), self.status(), self.logs())
        return p

    def logs(self):
        with open(self.log) as f:
            return f.read()

    def connect(self):
        s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        s.settimeout(20 * SLOW)
        s.connect(self.socket)
        return s

    def ask(self, request):
        try:
            with self.connect() as s:
                send(s, request)
                return receive(s)
        except OSError:
            return None

    def status(self):
        return self.ask({"op": "status"})["result"]

    def cni(self, verb, cid="c1", pod="web", ns="shop", labels="app:web"):
        p = self.begin(verb, cid, pod, ns, labels)
        out = p.communicate(timeout=30 * SLOW)[0]
        return p.returncode, json.loads(out) if out.strip() else {}

    def begin(self, verb, cid="c1", pod="web", ns="shop", labels="app:web", netns=POD):
        conf = {"cniVersion": "1.0.0", "name": "t", "type": "ripstop", "stateDir": self.state,
                "socket": self.socket, "timeoutSeconds": int(3 * SLOW)}
        env = {"PATH": os.environ["PATH"], "CNI_COMMAND": verb, "CNI_CONTAINERID": cid, "CNI_IFNAME": "eth0",
               "CNI_NETNS": "/run/netns/" + netns, "CNI_PATH": "/nonexistent",
               "CNI_ARGS": "K8S_POD_NAMESPACE=%s;K8S_POD_NAME=%s;RIPSTOP_LABELS=%s" % (ns, pod, labels)}
        p = subprocess.Popen(["ip", "netns", "exec", NODE, BUILD + "/ripstop-cni"], env=env, text=True,
                             stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        p.stdin.write(json.dumps(conf))
        p.stdin.close()
        p.stdin = None
        return p

    def queued(self):
        """Connections that the agent has not accepted yet."""
        lines = [l.split() for l in node("ss", "-xlH").stdout.splitlines() if self.socket in l]
        return int(lines[0][2]) if lines else 0

    def record(self, cid):
        with open("%s/endpoints/%s:eth0.json" % (self.state, cid)) as f:
            return json.load(f)

    def rules(self):
        """The table, without what a running kernel changes by itself."""
        text = node("nft", "-a", "list", "table", "inet", "ripstop", check=False).stdout
        text = re.sub(r"packets \d+ bytes \d+|expires \S+|counter \d+", "", text)
        # Who owns the table, or whether nobody does just now.
        text = re.sub(r"(# handle \d+) progname \S+", r"\1", re.sub(r"\n\s*flags [^\n]*\n", "\n", text, count=1))
        # The log's rate limiter forgets quiet links.
        return "\n".join(line for line in text.splitlines() if "limit rate" not in line and line.strip() not in ("}", ""))

    def http(self, path):
        code = "import urllib.request as u,urllib.error as e\n" \
               "try: r=u.urlopen('http://127.0.0.1:9412%s',timeout=30)\n" \
               "except e.HTTPError as x: r=x\n" \
               "print(r.status); print(r.read().decode())" % path
        out = node("python3", "-c", code).stdout
        return int(out.split("\n", 1)[0]), out.split("\n", 1)[1]


def difference(a, b):
    return "\n".join(difflib.unified_diff(a.splitlines(), b.splitlines(), "before", "after", "", "", 0))


def frame(data):
    return struct.pack(">I", len(data)) + data


def send(s, request):
    s.sendall(frame(json.dumps(dict({"protocol": 1}, **request)).encode()))


def receive(s):
    def exactly(n):
        data = b""
        while len(data) < n:
            chunk = s.recv(n - len(data))
            if not chunk:
                return None
            data += chunk
        return data

    head = exactly(4)
    body = exactly(struct.unpack(">I", head)[0]) if head else None
    return json.loads(body) if body else None


# ---- life -----------------------------------------------------------------------------------------

@test
def kill_and_restart_adopt_without_change_XA4_XA7(bed):
    bed.write("a.yaml", DENY)
    p = bed.start()
    rc, result = bed.cni("ADD")
    expect(rc == 0, result, bed.logs())
    before = bed.rules()
    expect("10.7.1." in before and "ripstop" in before, before)
    for sig in (signal.SIGKILL, signal.SIGTERM):
        p.send_signal(sig)
        expect(p.wait(10 * SLOW) == (0 if sig == signal.SIGTERM else -9), p.returncode, bed.logs())
        expect(bed.rules() == before, "changed at", sig, difference(before, bed.rules()))
        p = bed.start()
        expect(bed.rules() == before, "changed at restart after", sig)
        pods = bed.ask({"op": "pods", "all": True})["result"]["items"]
        expect([x["state"] for x in pods] == ["enforced"], pods)
    rc, result = bed.cni("DEL")
    expect(rc == 0 and "10.7.1.1 " not in bed.rules(), result, bed.rules())
    expect(not os.listdir(bed.state + "/endpoints"), os.listdir(bed.state + "/endpoints"))


@test
def many_kills_at_random_moments_XA6(bed):
    bed.write("a.yaml", DENY)
    p = bed.start()
    expect(bed.cni("ADD")[0] == 0, bed.logs())
    before = bed.rules()
    for i in range(20):
        p.kill()
        p.wait()
        p = bed.spawn()
        time.sleep(i * 0.004)
        expect(bed.rules() == before, "changed in round", i, difference(before, bed.rules()))
    p.kill()
    p.wait()
    bed.start()
    expect(bed.rules() == before, "changed at the end")


def reaches_node():
    return sh("ip", "netns", "exec", POD, "ping", "-c1", "-W1", "192.168.77.1", check=False).returncode == 0


@test
def a_flush_without_agent_and_a_bad_folder_close_the_pods_XA4(bed):
    p = bed.start()
    expect(bed.cni("ADD")[0] == 0, bed.logs())
    expect(reaches_node(), "the control fails", bed.logs())
    p.kill()
    p.wait()
    node("nft", "delete", "table", "inet", "ripstop")
    bed.write("a.yaml", BAD)
    p = bed.start(ready=False)
    expect(not reaches_node(), "open without rules", bed.logs())
    # A table that is there stays as it is, known policies or not.
    before = bed.rules()
    p.kill()
    p.wait()
    bed.start(ready=False)
    expect(bed.rules() == before, "changed at restart")
    bed.write("a.yaml", "# nothing\n")
    expect(until(lambda: bed.status()["ready"], 8) and until(reaches_node), bed.status(), bed.logs())


@test
def another_link_group_is_refused_while_pods_live(bed):
    p = bed.start()
    expect(bed.cni("ADD")[0] == 0, bed.logs())
    before = bed.rules()
    p.kill()
    p.wait()
    q = bed.spawn("--link-group", "7000")
    expect(q.wait(10 * SLOW) == 1 and "keep --link-group" in bed.logs(), q.returncode, bed.logs())
    expect(bed.rules() == before, "the rules changed")
    bed.start()
    expect(bed.cni("DEL")[0] == 0, bed.logs())


@test
def second_agent_is_refused(bed):
    p = bed.start()
    q = bed.spawn()
    expect(q.wait(10 * SLOW) == 1, q.returncode)
    expect("pid %d" % p.pid in bed.logs() or "another agent runs" in bed.logs(), bed.logs())
    expect(bed.status()["ready"], "the first suffers")


@test
def del_without_agent_leaves_a_tombstone_that_the_next_buries(bed):
    bed.write("a.yaml", DENY)
    p = bed.start()
    expect(bed.cni("ADD")[0] == 0, bed.logs())
    p.kill()
    p.wait()
    rc, result = bed.cni("DEL")
    expect(rc == 0, result)
    expect(os.listdir(bed.state + "/endpoints"), "no tombstone")
    expect("10.7.1.1 " in bed.rules(), "elements went without an agent")
    bed.start()
    expect(until(lambda: not os.listdir(bed.state + "/endpoints")), "not buried", bed.logs())
    expect("10.7.1.1 " not in bed.rules(), bed.rules())
    leases = os.listdir(bed.state + "/leases")
    expect(all(x.endswith(".resting") for x in leases if not x.startswith(".")), leases)


# ---- links of pods that leave -----------------------------------------------------------------------

GROUP, CONDEMNED = "21065", "21064"


class Crowd:
    """Pods with a namespace each, and their links on the node."""

    def __init__(self, bed, n):
        self.bed, self.ids = bed, ["crowd%d" % i for i in range(n)]
        for i in self.ids:
            sh("ip", "netns", "add", MINE + i)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        for i in self.ids:
            sh("ip", "netns", "del", MINE + i, check=False)

    def all(self, verb):
        return [self.bed.begin(verb, i, i, netns=MINE + i) for i in self.ids]

    def add(self):
        for p in self.all("ADD"):
            out = p.communicate(timeout=30 * SLOW)[0]
            expect(p.returncode == 0, out, self.bed.logs())
        self.names = {i: self.bed.record(i)["hostIfname"] for i in self.ids}
        expect(set(self.names.values()) <= set(links()), self.names, links())

    def leave_at_once(self, agent):
        """They all wait at the socket of an agent that does not answer yet."""
        agent.send_signal(signal.SIGSTOP)
        dels = self.all("DEL")
        expect(until(lambda: self.bed.queued() >= len(dels)), len(dels), "DELs wait")
        agent.send_signal(signal.SIGCONT)
        self.left(dels)

    def left(self, procs):
        """Each DEL succeeds, and when it has its link is gone."""
        for i, p in zip(self.ids, procs):
            out = p.communicate(timeout=30 * SLOW)[0]
            expect(p.returncode == 0, out, self.bed.logs())
            expect(self.names[i] not in links(), "DEL returned before its link was gone")


def links(group=None):
    words = ("group", group) if group else ()
    out = json.loads(node("ip", "-j", "link", "show", *words).stdout or "[]")
    return [l["ifname"] for l in out if l.get("ifname", "").startswith("rs")]


def all_gone(bed):
    files = [f for sub in ("endpoints", "leases") for f in os.listdir(os.path.join(bed.state, sub))]
    return not links() and not [f for f in files if not f.startswith(".") and not f.endswith(".resting")]


@test
def DELs_at_once_share_one_request(bed):
    p = bed.start("--log-level", "debug")
    with Crowd(bed, 12) as crowd:
        crowd.add()
        crowd.leave_at_once(p)
        expect(all_gone(bed), links(), os.listdir(bed.state + "/endpoints"))

        def rounds():
            return [int(n) for n in re.findall(r'msg="links of pods that left" links=(\d+)', bed.logs())]

        # A round ends when the kernel has freed its links: later than they are gone.
        expect(until(lambda: sum(rounds()) == 12) and max(rounds()) > 1, rounds(), bed.logs())


@test
def a_stranger_in_the_condemned_group_stays(bed):
    node("ip", "link", "add", "rsstranger", "group", CONDEMNED, "type", "dummy", check=False)
    if "rsstranger" not in links(CONDEMNED):
        node("ip", "link", "add", "rsstranger", "group", CONDEMNED, "type", "veth", "peer", "name", "peer0")
    p = bed.start("--log-level", "debug")
    with Crowd(bed, 6) as crowd:
        crowd.add()
        crowd.leave_at_once(p)
        expect(links() == ["rsstranger"], links(), bed.logs())
        expect(until(lambda: "rsstranger is in group" in bed.logs()), bed.logs())


@test
def killed_between_condemning_and_deleting(bed):
    p = bed.start()
    with Crowd(bed, 3) as crowd:
        crowd.add()
        p.kill()
        p.wait()
        for name in links():
            node("ip", "link", "set", name, "down", "group", CONDEMNED)
        bed.start()
        expect(len(links(CONDEMNED)) == 3, "a restart deletes what no DEL has asked for")
        crowd.left(crowd.all("DEL"))
        expect(all_gone(bed), links(), os.listdir(bed.state + "/endpoints"))


@test
def DELs_survive_an_agent_that_dies_under_them(bed):
    bed.write("a.yaml", DENY)
    p = bed.start()
    with Crowd(bed, 5) as crowd:
        for i in range(8):
            crowd.add()
            dels = crowd.all("DEL")
            time.sleep(i * 0.006)
            p.kill()
            p.wait()
            crowd.left(dels)
            p = bed.start()
            expect(until(lambda: all_gone(bed)), i, links(), os.listdir(bed.state + "/endpoints"), bed.logs())


@test
def a_link_that_cannot_be_deleted_keeps_its_rules(bed):
    bed.write("a.yaml", DENY)
    bed.start()
    with Crowd(bed, 2) as crowd:
        crowd.add()
        name, rules = crowd.names["crowd0"], bed.rules()
        # Not in the pods' group: none of the agent's to delete.
        node("ip", "link", "set", name, "group", "7")
        answer = bed.ask({"op": "detach", "containerID": "crowd0", "ifname": "eth0", "takeLink": True})
        expect(not answer["ok"] and answer["error"]["errno"] == errno.EBUSY, answer)
        expect(name in links() and bed.rules() == rules, difference(rules, bed.rules()))
        node("ip", "link", "set", name, "address", "02:00:00:00:00:01", "group", GROUP)
        answer = bed.ask({"op": "detach", "containerID": "crowd0", "ifname": "eth0", "takeLink": True})
        expect(not answer["ok"] and name in links(), "not the hardware address of the record", answer)
        expect(bed.rules() == rules, difference(rules, bed.rules()))
        node("ip", "link", "set", name, "address", bed.record("crowd0")["hostMac"], "group", "7")
        crowd.left(crowd.all("DEL"))
        expect(all_gone(bed), links(), os.listdir(bed.state + "/endpoints"))


@test
def a_plugin_that_does_not_ask_deletes_its_link_itself(bed):
    """An agent's answer to a detach without takeLink says nothing of the link, and leaves it alone."""
    bed.start()
    with Crowd(bed, 1) as crowd:
        crowd.add()
        answer = bed.ask({"op": "detach", "containerID": "crowd0", "ifname": "eth0"})
        expect(answer["ok"] and "linkGone" not in answer["result"] and len(links()) == 1, answer, links())
        crowd.left(crowd.all("DEL"))


@test
def no_net_admin_is_a_clear_error(bed):
    if not shutil.which("setpriv"):
        raise Skip("no setpriv")
    p = bed.spawn(prefix=("setpriv", "--bounding-set", "-net_admin", "--inh-caps", "-net_admin"))
    expect(p.wait(10 * SLOW) == 1, p.returncode, bed.logs())
    expect("NET_ADMIN" in bed.logs(), bed.logs())
    expect("ripstop" not in node("nft", "list", "tables").stdout, "a table was made")


@test
def foreign_changes_are_undone(bed):
    bed.write("a.yaml", DENY)
    bed.start("--own-table", "off")
    expect(bed.cni("ADD")[0] == 0, bed.logs())
    element = re.search(r"(10\.7\.1\.\d+) ", bed.rules()).group(1)
    node("nft", "flush", "ruleset")
    expect(until(lambda: element in bed.rules()), "a flush is not undone", bed.logs())
    expect("changed by somebody else" in bed.logs(), bed.logs())
    expect(int(re.search(r"^ripstop_drift_total (\d+)", bed.http("/metrics")[1], re.M).group(1)) > 0, "not counted")


@test
def foreign_changes_are_refused_where_the_kernel_can(bed):
    bed.write("a.yaml", DENY)
    bed.start()
    expect(bed.cni("ADD")[0] == 0, bed.logs())
    if "owner" not in node("nft", "list", "tables", "inet").stdout + node("nft", "list", "table", "inet", "ripstop").stdout:
        expect("own" in json.dumps(bed.status()["conditions"]).lower(), "not owned, and nothing says so", bed.status())
        return
    before = bed.rules()
    node("nft", "flush", "ruleset")
    expect(bed.rules() == before, "a flush reached the table")
    q = node("nft", "flush", "chain", "inet", "ripstop", "judge", check=False)
    expect(q.returncode != 0, "a chain was flushed by somebody else")
    expect("changed by somebody else" not in bed.logs(), bed.logs())


@test
def uninstall_refuses_and_then_removes_all(bed):
    bed.write("a.yaml", DENY)
    p = bed.start()
    expect(bed.cni("ADD")[0] == 0, bed.logs())
    p.terminate()
    p.wait(10 * SLOW)
    cmd = [BUILD + "/ripstop-agent", "uninstall", "--state-dir", bed.state]
    q = node(*cmd, check=False)
    expect(q.returncode == 1 and "shop/web" in q.stdout and "--force" in q.stderr, q)
    expect("10.7.1.1" in bed.rules(), "removed all the same")
    q = node(*cmd, "--force", check=False)
    expect(q.returncode == 0 and "shop/web" in q.stdout, q)
    expect("ripstop" not in node("nft", "list", "tables").stdout, "the table stays")
    expect("unreachable" not in sh("ip", "-n", NODE, "route").stdout, "a route stays")
    expect(not os.path.exists(bed.state), os.listdir(bed.state) if os.path.exists(bed.state) else "")


@test
def uninstall_refuses_while_an_agent_runs(bed):
    bed.start()
    q = node(BUILD + "/ripstop-agent", "uninstall", "--state-dir", bed.state, check=False)
    expect(q.returncode == 1 and "another agent" in q.stderr, q)
    expect("ripstop" in node("nft", "list", "tables").stdout, "the table is gone")


@test
def routes_of_the_node_ranges(bed):
    bed.start()
    expect(until(lambda: "unreachable 10.7.1.0/24" in sh("ip", "-n", NODE, "route").stdout), "no IPv4 route")
    expect("unreachable fd07::/64" in sh("ip", "-n", NODE, "-6", "route").stdout, "no IPv6 route")


@test
def a_held_lock_does_not_stop_the_agent(bed):
    bed.start()
    expect(bed.cni("ADD")[0] == 0, bed.logs())
    fd = os.open(bed.state + "/endpoints", os.O_RDONLY)
    fcntl.flock(fd, fcntl.LOCK_EX)
    bed.write("p.yaml", "{apiVersion: v1, kind: Pod, metadata: {name: web, namespace: shop, labels: {app: late}}}")
    expect(until(lambda: "older labels" in bed.logs()), bed.logs())
    start = time.monotonic()
    expect(bed.status()["ready"] and time.monotonic() - start < 2, time.monotonic() - start)
    os.close(fd)

    def saved():
        record = bed.state + "/endpoints/" + os.listdir(bed.state + "/endpoints")[0]
        with open(record) as f:
            return "late" in f.read()
    expect(until(saved, 15), "the labels were never written", bed.logs())


# ---- the folder -----------------------------------------------------------------------------------

@test
def folder_missing_at_first_start(bed):
    bed.start(ready=False, manifests=bed.dir + "/none")
    s = bed.status()
    expect(not s["ready"] and "none" in s["source"]["error"], s)
    rc, result = bed.cni("ADD")
    expect(rc == 1 and result["code"] == 11, result)
    expect(not bed.rules(), "something is in force")
    expect(bed.http("/readyz")[0] == 503 and bed.http("/livez")[0] == 200, "health")
    os.mkdir(bed.dir + "/none")
    expect(until(lambda: bed.status()["ready"], 8), bed.status())
    expect(bed.cni("ADD")[0] == 0, bed.logs())


@test
def bad_folder_at_first_start_answers_11_with_the_place(bed):
    bed.write("bad.yaml", BAD)
    bed.start(ready=False)
    rc, result = bed.cni("ADD")
    expect(rc == 1 and result["code"] == 11, result)
    expect(re.search(r"bad\.yaml:4:\d+", json.dumps(result)), result)
    expect(not os.listdir(bed.state + "/endpoints"), "a record stays")
    bed.write("bad.yaml", DENY)
    expect(until(lambda: bed.status()["ready"], 8), bed.status())


@test
def bad_reload_keeps_the_last_good_state(bed):
    bed.write("a.yaml", DENY)
    p = bed.start()
    expect(bed.cni("ADD")[0] == 0, bed.logs())
    before = bed.rules()
    bed.write("a.yaml", BAD)
    expect(until(lambda: bed.status()["source"].get("error")), bed.status())
    expect(bed.rules() == before and bed.status()["ready"], bed.status())
    expect(any(c["type"] == "SourceError" for c in bed.status()["conditions"]), bed.status())
    expect(bed.cni("DEL")[0] == 0 and "10.7.1.1 " not in bed.rules(), "DEL with a bad folder")
    p.send_signal(signal.SIGHUP)
    expect(until(lambda: "not reloaded" in bed.logs()), bed.logs())
    bed.write("a.yaml", DENY)
    expect(until(lambda: not bed.status()["source"].get("error")), bed.status())


@test
def folder_removed_while_running(bed):
    bed.write("a.yaml", DENY)
    bed.start()
    expect(bed.cni("ADD")[0] == 0, bed.logs())
    before = bed.rules()
    os.rename(bed.manifests, bed.manifests + ".away")
    expect(until(lambda: bed.status()["source"].get("error"), 8), bed.status())
    expect(bed.rules() == before, "rules changed")
    os.rename(bed.manifests + ".away", bed.manifests)
    expect(until(lambda: not bed.status()["source"].get("error"), 8), bed.status())


@test
def symlink_swap_is_one_reload(bed):
    for name, text in (("v1", DENY), ("v2", DENY.replace("default-deny", "second"))):
        os.mkdir(bed.manifests + "/.." + name)
        with open(bed.manifests + "/.." + name + "/a.yaml", "w") as f:
            f.write(text)
    os.symlink("..v1", bed.manifests + "/..data")
    os.symlink("..data/a.yaml", bed.manifests + "/a.yaml")
    bed.start()
    os.symlink("..v2", bed.manifests + "/..tmp")
    os.rename(bed.manifests + "/..tmp", bed.manifests + "/..data")

    def names():
        return [p["name"] for p in bed.ask({"op": "policies"})["result"]["items"]]
    expect(until(lambda: names() == ["second"], 8), names())


@test
def late_manifest_relabels_and_reload_by_signal(bed):
    bed.write("a.yaml", DENY)
    p = bed.start()
    expect(bed.cni("ADD")[0] == 0, bed.logs())
    bed.write("pod.yaml", "apiVersion: v1\nkind: Pod\nmetadata: {name: web, namespace: shop, labels: {app: api}}\n")
    p.send_signal(signal.SIGHUP)

    def pod():
        return bed.ask({"op": "pods", "all": True})["result"]["items"][0]
    expect(until(lambda: pod()["labels"] == {"app": "api"}), pod())
    expect(pod()["labelsFrom"] == "manifest", pod())
    os.unlink(bed.manifests + "/pod.yaml")
    until(lambda: bed.status()["objects"]["pods"] == 0)
    expect(pod()["labels"] == {"app": "api"}, "last known labels are lost", pod())


# ---- the socket -----------------------------------------------------------------------------------

@test
def garbage_on_the_socket_XG5(bed):
    bed.start()
    for data in (os.urandom(4096), b"\xff" * 4096, struct.pack(">I", 0), struct.pack(">I", 2**31),
                 frame(b"[" * 100000), frame(b'{"a":' * 5000 + b"1" + b"}" * 5000), frame(b"{}"), frame(b"[]"),
                 frame(b'{"protocol":1}'), frame(b'{"protocol":99,"op":"status"}'), frame(b"\x00" * 64),
                 frame(b'{"protocol":1,"op":"attach","containerID":"../../x","ifname":"eth0"}'),
                 frame(b'{"protocol":1,"op":"attach","containerID":5}'),
                 frame(b'{"protocol":1,"op":"explain","src":"%s","dst":"/","port":"x"}' % (b"a" * 9000)),
                 frame(b'{"protocol":1,"op":"status"} trailing')):
        with bed.connect() as s:
            s.sendall(data)
            s.shutdown(socket.SHUT_WR)
            answer = None
            try:
                answer = receive(s)
            except (ConnectionError, ValueError):
                pass
            expect(answer is None or not answer["ok"], data[:40], answer)
        expect(bed.status()["ready"], "dead after", data[:40])


@test
def slow_and_many_clients(bed):
    bed.start()
    slow = bed.connect()
    slow.sendall(struct.pack(">I", 100) + b'{"pro')
    idle = [bed.connect() for _ in range(100)]
    begun = time.monotonic()
    expect(bed.status()["ready"] and time.monotonic() - begun < 1, "others wait")
    slow.settimeout(12)
    try:
        gone = slow.recv(1) == b""
    except ConnectionError:
        gone = True
    expect(gone and time.monotonic() - begun < 10, "a slow client lives on")
    for s in idle:
        s.close()
    with bed.connect() as s:
        for _ in range(3):
            send(s, {"op": "version"})
        expect([receive(s)["ok"] for _ in range(3)] == [True] * 3, "several on one connection")


@test
def questions_that_do_not_wait_for_answers(bed):
    """In one write and the sending side closed: every one is answered, in order, though the answers fill the socket."""
    bed.start()
    asked = [{"op": "status" if i % 3 else "version"} for i in range(400)]
    with bed.connect() as s:
        s.settimeout(10)
        s.sendall(b"".join(frame(json.dumps({"protocol": 1, **q}).encode()) for q in asked))
        s.shutdown(socket.SHUT_WR)
        expect(bed.status()["ready"], "others wait")
        answers = [receive(s) for _ in asked]
        expect(all(a and a["ok"] for a in answers), [i for i, a in enumerate(answers) if not a or not a["ok"]][:5])
        expect(sum(len(json.dumps(a)) for a in answers) > 300000, "the socket took them all at once")
        expect(["ready" in a["result"] for a in answers] == [q["op"] == "status" for q in asked], "out of order")
        expect(s.recv(1) == b"", "the agent keeps the connection")


@test
def who_asks_is_told_of_what_is_in_force(bed):
    """A policy that an answer names is in force by then, also where the question came while the folder was read."""
    many = "---\n".join(DENY.replace("default-deny", "other-%d" % i).replace("shop", "elsewhere") for i in range(300))
    bed.write("a.yaml", DENY)
    bed.start()
    rc, out = bed.cni("ADD")
    expect(rc == 0, out)
    before = bed.ask({"op": "policies"})["result"]["metadata"]["generation"]
    for i in range(4):
        name = "more-%d" % i
        with bed.connect() as s:
            bed.write("b.yaml", DENY.replace("default-deny", name) + "---\n" + many)
            while True:
                send(s, {"op": "policies", "namespace": "shop"})
                answer = receive(s)["result"]
                if name in [item["name"] for item in answer["items"]]:
                    break
        expect(answer["metadata"]["generation"] > before, answer["metadata"], before)
        before = bed.ask({"op": "policies"})["result"]["metadata"]["generation"]


@test
def who_is_told_that_the_node_is_ready_finds_it_so(bed):
    """The plugin reads node.json: who begins with pods as soon as status says ready is not refused for its age."""
    many = "---\n".join(DENY.replace("default-deny", "other-%d" % i) for i in range(300))
    for _ in range(4):
        bed.write("a.yaml", BAD)
        p = bed.start(ready=False)
        expect(not bed.status()["ready"])
        with bed.connect() as s:
            bed.write("a.yaml", many)
            answer = {"ready": False}
            while not answer["ready"]:
                send(s, {"op": "status"})
                answer = receive(s)["result"]
            with open(bed.state + "/node.json") as f:
                node_file = json.load(f)
        expect(node_file["ready"], node_file)
        p.kill()
        p.wait()
        node("nft", "delete", "table", "inet", "ripstop")


@test
def socket_and_state_are_private_XG1_XG8(bed):
    bed.start()
    expect(os.stat(bed.state).st_mode & 0o777 == 0o700, oct(os.stat(bed.state).st_mode))
    expect(os.stat(bed.socket).st_mode & 0o777 == 0o600, oct(os.stat(bed.socket).st_mode))
    os.chmod(bed.dir, 0o755)
    os.chmod(bed.state, 0o755)
    os.chmod(bed.socket, 0o666)
    code = "import socket,sys;s=socket.socket(socket.AF_UNIX);s.connect(sys.argv[1]);s.sendall(b'x');" \
           "sys.exit(0 if s.recv(1)==b'' else 3)"
    p = sh("setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", "python3", "-c", code, bed.socket,
           check=False)
    expect(p.returncode == 0 or "ConnectionReset" in p.stderr or "BrokenPipe" in p.stderr, p)


# ---- metrics and options --------------------------------------------------------------------------

@test
def metrics_parse(bed):
    bed.write("a.yaml", DENY)
    bed.start()
    expect(bed.cni("ADD")[0] == 0, bed.logs())
    code, text = bed.http("/metrics")
    expect(code == 200, code)
    typed, seen = {}, {}
    for line in text.strip().split("\n"):
        if line.startswith("# TYPE "):
            expect(line.split()[2] not in typed, "twice", line)
            typed[line.split()[2]] = line.split()[3]
        elif not line.startswith("# HELP "):
            m = re.fullmatch(r'([a-z_]+)(\{[a-z]+="[^"\n]*"(,[a-z]+="[^"\n]*")*\})? (-?[0-9.e+-]+)', line)
            expect(m, "not parsed", line)
            base = re.sub("_(bucket|sum|count)$", "", m.group(1))
            expect(m.group(1) in typed or typed.get(base) == "histogram", "no TYPE", line)
            seen[m.group(1) + (m.group(2) or "")] = float(m.group(4))
    for name, value in (("ripstop_endpoints", 1), ('ripstop_endpoints_isolated{direction="egress"}', 1),
                        ("ripstop_policies", 1), ('ripstop_cni_requests_total{command="ADD",code="0"}', 1)):
        expect(seen.get(name) == value, name, seen.get(name))
    for name in ("ripstop_commit_seconds_count", "ripstop_set_elements", "process_resident_memory_bytes",
                 'ripstop_drops_total{reason="spoofed"}', "ripstop_source_age_seconds"):
        expect(name in seen, name, "is missing")
    expect("web" not in text and "10.7.1" not in text, "a pod's name or address in the metrics")
    expect(bed.http("/nothing")[0] == 404, "404")


@test
def options(bed):
    agent = BUILD + "/ripstop-agent"
    conf = bed.dir + "/conf"

    def run(*args, **env):
        return sh(agent, *args, check=False, env=dict({"PATH": os.environ["PATH"]}, **env))
    q = run("--manifest", "x")
    expect(q.returncode == 2 and "--manifests?" in q.stderr, q)
    for args, word in ((("instal",), "no command"), (("--mtu", "70000"), "flag --mtu"), (("--mtu",), "needs a value"),
                       ((), "nowhere to take policies"), (("--ct-mark-mask", "0xff"), "16 bits"),
                       (("--node-ranges", "10.0.0.0/8,10.1.0.0/16"), "overlaps"),
                       (("--manifests", "/", "--dataplane", "null"), "enforces nothing"),
                       (("--manifests", "/", "--dataplane", "iptables"), "none of nft|ebpf")):
        q = run(*args)
        expect(q.returncode == 2 and word in q.stderr, args, q)
    expect("RIPSTOP_MTU" in run(RIPSTOP_MTU="x").stderr, "variable")
    with open(conf, "w") as f:
        f.write("# comment\nmanifests: /m\nmtu: x\n")
    expect("conf:3: mtu" in run("--config", conf).stderr, run("--config", conf))
    expect("RIPSTOP_MTU" in run("--config", conf, RIPSTOP_MTU="y").stderr, "variable before file")
    expect("flag --mtu" in run("--config", conf, "--mtu", "z", RIPSTOP_MTU="y").stderr, "flag before variable")
    with open(conf, "w") as f:
        f.write("manifests: [a: b]\n")
    expect(run("--config", conf).returncode == 2, "nested value")
    q = run("--help")
    expect(q.returncode == 0 and "--manifests DIR" in q.stdout and "enforces NOTHING" in q.stdout, q)


@test
def null_dataplane_says_so(bed):
    bed.start("--dataplane", "null", "--allow-no-enforcement")
    s = bed.status()
    expect(any(c["type"] == "NoEnforcement" for c in s["conditions"]), s)
    expect("unreachable" not in sh("ip", "-n", NODE, "route").stdout, "a dry run touched the kernel")


def main():
    global BUILD
    ap = argparse.ArgumentParser()
    ap.add_argument("--build", default=ROOT + "/build/rel")
    ap.add_argument("names", nargs="*")
    args = ap.parse_args()
    BUILD = os.path.abspath(args.build)
    count = {"passed": 0, "failed": 0, "skipped": 0}
    if os.geteuid() != 0:
        print("needs root\n0 passed, 0 failed, %d skipped" % len(TESTS))
        return 0
    for fn in TESTS:
        if args.names and not any(n in fn.__name__ for n in args.names):
            continue
        bed = Bed()
        try:
            fn(bed)
            result = "passed"
        except Skip as e:
            result = "skipped"
            print("  ", e)
        except Exception:
            result = "failed"
            traceback.print_exc(file=sys.stdout)
        finally:
            bed.close()
        count[result] += 1
        print("%-8s %s" % (result, fn.__name__), flush=True)
    print("%(passed)d passed, %(failed)d failed, %(skipped)d skipped" % count)
    return 1 if count["failed"] else 0


if __name__ == "__main__":
    sys.exit(main())
