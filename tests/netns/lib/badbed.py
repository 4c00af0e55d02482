# SPDX-License-Identifier: Apache-2.0
"""badbed.py - a node with the real agent and pods under a policy, and a comparison of everything before and after.

db takes TCP and UDP 8080 from web, in both families, and nothing from stranger. proof() sends those packets; snap()
is all that a pod may leave behind: leases, records, links, addresses, routes, rules and elements.
"""
import ctypes
import json
import os
import re
import signal
import struct
import subprocess
import time

from attackbed import tcp_connects, udp_arrives
from cnibed import Answer
from harness import CtlError, HarnessError, Lab

POLICY = """apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: db, namespace: shop}
spec:
  podSelector: {matchLabels: {app: db}}
  policyTypes: [Ingress]
  ingress:
    - from: [{podSelector: {matchLabels: {app: web}}}]
      ports: [{protocol: TCP, port: 8080}, {protocol: UDP, port: 8080}]
"""
APPS = {"db": "db", "web": "web", "stranger": "other"}
MESSAGES = []  # (test, input, message), for --show


def expect(cond, *what):
    if not cond:
        raise AssertionError(" ".join(str(w) for w in what))


def until(fn, seconds=5.0):
    end = time.monotonic() + seconds
    while True:
        got = fn()
        if got or time.monotonic() > end:
            return got
        time.sleep(0.02)


class Bed:
    def __init__(self, build, pods=("db", "web", "stranger"), agent=True, mount=None, args=()):
        self.lab, self.holder, self.n = Lab(build), None, 0
        try:
            self.node = self.lab.node("node", ips=["192.0.2.1", "2001:db8:1::1"])
            if mount:
                self._own_mounts(mount)
            self.node.write_manifest("db.yaml", POLICY)
            self.pods = {}
            if agent:
                self.node.start_agent(*args)
                self.pid = self.node.agent.pid
                for name in pods:
                    self.pods[name] = self.lab.pod(name)
                    self.pods[name].attach(self.node, "shop", name, labels={"app": APPS[name]})
        except BaseException:
            self.lab.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.lab.close()

    def _own_mounts(self, script):
        """The node's programs run in a mount namespace of their own, after `script` ($1 is the state folder)."""
        os.makedirs(self.node.state, mode=0o700)
        self.holder = self.lab.spawn(["unshare", "-m", "--propagation", "slave", "sh", "-ec",
                                      script + "; echo; exec sleep 600", "sh", self.node.state],
                                     stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        if self.holder.stdout.readline() != b"\n":
            raise HarnessError("cannot make the mounts: " + script)
        plain = self.node.argv
        self.node.argv = lambda argv: ["nsenter", "--mount=/proc/%d/ns/mnt" % self.holder.pid] + plain(argv)[1:]

    def root(self):
        """Path of the node's own view of files."""
        return "/proc/%d/root" % self.holder.pid if self.holder else ""

    # -- the plugin

    def fresh(self):
        """A pod namespace that no other call has used."""
        self.n += 1
        return self.lab.pod("x%d" % self.n)

    def conf(self, **changes):
        conf = self.node.cni_conf(timeoutSeconds=5)
        for key, value in changes.items():
            if value is None:
                conf.pop(key, None)
            else:
                conf[key] = value
        return conf

    def call(self, verb, cid=None, netns=None, ifname="eth0", args="", conf=None, stdin=None, env=None, wrap=()):
        """One run of the plugin, also with what no runtime would give it."""
        e = {"PATH": os.environ["PATH"], "CNI_PATH": self.lab.cni_path, "CNI_COMMAND": verb, "CNI_ARGS": args}
        for key, value in (("CNI_CONTAINERID", cid), ("CNI_NETNS", netns), ("CNI_IFNAME", ifname)):
            if value is not None:
                e[key] = value
        e.update(env or {})
        if stdin is None:
            stdin = json.dumps(self.conf() if conf is None else conf).encode()
        start = time.monotonic()
        p = subprocess.Popen(self.node.argv(list(wrap) + [self.lab.program("ripstop-cni")]), env=e,
                             stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        try:
            p.stdin.write(stdin)
            p.stdin.close()
        except BrokenPipeError:  # it stops reading what is too large
            pass
        p.stdin = None
        out, err = p.communicate(timeout=60)
        return Answer(p.returncode, out.decode(), err.decode("utf-8", "replace"), time.monotonic() - start)

    def refused(self, code, *words, verb="ADD", same=True, what=None, **call):
        """The call fails with this code and a message with these words, and nothing is changed by it."""
        before = self.snap() if same else None
        a = self.call(verb, **call)
        what = what or {k: v for k, v in call.items() if k in ("cid", "ifname", "args", "conf", "env", "stdin")}
        MESSAGES.append((str(what)[:110], a.json and "%s | %s" % (a.json.get("msg"), a.json.get("details"))))
        expect(a.rc == 1 and a.code == code, "wanted code", code, "got", a, what)
        text = a.json["msg"] + " " + a.json.get("details", "")
        expect(a.json["msg"] and a.json["cniVersion"] and "\n" not in text, a)
        for word in words:
            expect(word in text, "no %r in" % word, a)
        expect(re.fullmatch("[ -~]*", text), "unprintable", repr(text))
        if same:
            self.unchanged(before, what)
        return a

    def added(self, cid, pod, **kw):
        a = self.call("ADD", cid, pod.path, **kw)
        expect(a.rc == 0, "ADD", a, self.node.log_tail())
        return [i["address"].split("/")[0] for i in a.json["ips"]]

    def deleted(self, cid, netns=None, **kw):
        a = self.call("DEL", cid, netns, **kw)
        expect(a.rc == 0 and not a.out.strip(), "DEL", a)
        return a

    def still_adds(self):
        """A new pod comes and goes while things are wrong."""
        pod = self.fresh()
        self.added("still%d" % self.n, pod, args="RIPSTOP_LABELS=app:x")
        self.deleted("still%d" % self.n, pod.path)

    # -- what is there

    def files(self, sub):
        folder = self.root() + os.path.join(self.node.state, sub)
        out = {}
        if os.path.isdir(folder):
            for name in os.listdir(folder):
                if not name.startswith(".") and not name.endswith(".resting"):
                    with open(os.path.join(folder, name), "rb") as f:
                        out[name] = f.read()
        return out

    def elements(self):
        """Sets, maps and rules of our table without what a running kernel changes by itself."""
        p = self.node.nft("-j", "list", "table", "inet", "ripstop")
        if p.returncode:
            return {}
        out = {}
        for o in json.loads(p.stdout)["nftables"]:
            kind, item = next(iter(o.items()))
            name = item.get("name") or item.get("chain")
            if kind in ("set", "map") and not name.startswith("rate") and name != "stamp_now":
                out[name] = sorted(_still(e) for e in item.get("elem", []))
            elif kind == "rule" and name != "restamp":
                out.setdefault("chain " + name, []).append(_still(item.get("expr")))
        return out

    def snap(self):
        ip = lambda *a: json.loads(self.node.run(["ip", "-j"] + list(a)).stdout or "[]")  # noqa: E731
        # NO-CARRIER is the lack of IFF_RUNNING, which the kernel's link watch sets in its own time.
        links = [(i["ifname"], i["ifindex"], i.get("group"), sorted(f for f in i["flags"] if f != "NO-CARRIER"),
                  sorted(a["local"] for a in i.get("addr_info", []))) for i in ip("-d", "addr", "show")]
        routes = sorted(json.dumps(r, sort_keys=True) for f in ("-4", "-6") for r in ip(f, "route", "show", "table", "main"))
        rules = [r for f in ("-4", "-6") for r in ip(f, "rule", "show")]
        return {"leases": self.files("leases"), "records": self.files("endpoints"), "links": links, "routes": routes,
                "rules": rules, "table": self.elements()}

    def unchanged(self, before, what="", agent=True):
        after = self.snap()
        for key, value in before.items():
            expect(value == after[key], "changed by", what, key, _difference(value, after[key]))
        if agent:
            self.alive()

    def alive(self):
        expect(self.node.agent.poll() is None and self.node.agent.pid == self.pid, "the agent died",
               self.node.log_tail())
        expect(self.status()["dataplane"]["inSync"], self.status())

    def proof(self):
        """Real packets: what is allowed passes, what is not does not."""
        db, web, stranger = (self.pods[n] for n in ("db", "web", "stranger"))
        for ip in db.ips:
            expect(tcp_connects(web, db, ip, 8080) and udp_arrives(web, db, ip, 8080), "web no longer reaches db", ip)
            expect(not udp_arrives(stranger, db, ip, 8080, seconds=0.15), "stranger reaches db", ip)
            expect(not udp_arrives(web, db, ip, 8081, seconds=0.15), "web reaches another port of db", ip)

    # -- the agent

    def status(self):
        return self.node.ctl("status")

    def ask(self, op, **operands):
        try:
            return self.node.ctl(op, **operands)
        except (OSError, CtlError):
            return None

    def log(self):
        with open(self.node.log_path, encoding="utf-8", errors="replace") as f:
            return f.read()

    def rss(self):
        with open("/proc/%d/statm" % self.pid) as f:
            return int(f.read().split()[1]) * 4096

    def agent_fails(self, *words, rc=1, seconds=8, argv=None, wrap=(), before=None, **kw):
        """An agent that must not start: it ends with rc and says why."""
        p = subprocess.run(self.node.argv(list(wrap) + (argv or self.node.agent_argv())), stdin=subprocess.DEVNULL,
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=seconds, **kw)
        MESSAGES.append(("agent " + " ".join(map(str, wrap)), p.stderr.strip()))
        expect(p.returncode == rc, "wanted exit", rc, "got", p.returncode, p.stderr)
        for word in words:
            expect(word in p.stderr, "no %r in" % word, p.stderr)
        if before is not None:
            self.unchanged(before, "an agent that must not start", agent=self.node.agent is not None)

    def stop(self):
        self.node.agent.send_signal(signal.SIGSTOP)

    def go_on(self):
        self.node.agent.send_signal(signal.SIGCONT)


def _still(o):
    """JSON text without counters, limits and times."""
    text = json.dumps(o, sort_keys=True)
    return re.sub(r'"(bytes|packets|expires|handle)": \d+', r'"\1": 0', text)


def _difference(a, b):
    if isinstance(a, dict):
        return {k: (a.get(k), b.get(k)) for k in set(a) | set(b) if a.get(k) != b.get(k)}
    return [x for x in a if x not in b], [x for x in b if x not in a]


_libc = ctypes.CDLL(None, use_errno=True)


def refuse_nfnetlink():
    """For preexec_fn: socket(AF_NETLINK, ..., NETLINK_NETFILTER) fails as on a kernel without nf_tables."""
    arch = {"x86_64": (0xC000003E, 41), "aarch64": (0xC00000B7, 198)}.get(os.uname().machine)
    if not arch:
        os._exit(77)
    refuse = 0x00050000 | 93  # SECCOMP_RET_ERRNO | EPROTONOSUPPORT
    # struct seccomp_data: nr 0, arch 4, args[0] 16, args[2] 32
    code = [(0x20, 0, 0, 4), (0x15, 0, 7, arch[0]), (0x20, 0, 0, 0), (0x15, 0, 5, arch[1]), (0x20, 0, 0, 16),
            (0x15, 0, 3, 16), (0x20, 0, 0, 32), (0x15, 0, 1, 12), (0x06, 0, 0, refuse), (0x06, 0, 0, 0x7FFF0000)]
    raw = b"".join(struct.pack("HBBI", *c) for c in code)
    buf = ctypes.create_string_buffer(raw, len(raw))
    prog = struct.pack("HxxxxxxP", len(code), ctypes.addressof(buf))
    if _libc.prctl(38, 1, 0, 0, 0) or _libc.prctl(22, 2, prog, 0, 0):
        os._exit(77)
