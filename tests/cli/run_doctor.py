#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""`ripstop doctor` on made-up machines: one that is as it should be, and one for each thing that can be amiss.

    tests/cli/run_doctor.py [--build DIR] [--update]

The machine that is well is a folder of files and a stand-in agent; each case changes one thing of it and names the
line that must appear, and that no other line changes its state. The last line is the count.
"""
import argparse
import gzip
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "support"))
from fake_agent import FakeAgent  # noqa: E402

VERSION = open(os.path.join(HERE, "..", "..", "VERSION"), encoding="utf-8").read().strip()
RELEASE = "6.1.0-18-amd64"
OPTIONS = ["NF_TABLES", "NF_TABLES_INET", "NF_CONNTRACK", "NF_CONNTRACK_MARK", "NFT_CT", "NFT_LIMIT", "NETFILTER_NETLINK", "VETH", "NFT_LOG",
           "NETFILTER_NETLINK_LOG", "NFT_MASQ", "NFT_NAT"]
MODULES = ["nf_tables", "nf_conntrack", "nft_ct", "nft_limit", "nfnetlink", "veth", "nft_log", "nfnetlink_log", "nft_masq", "nft_nat"]
IS_MODULE = {o for o in OPTIONS if o not in ("NF_TABLES_INET", "NF_CONNTRACK_MARK")}
V4, V6 = "proc/sys/net/ipv4/", "proc/sys/net/ipv6/"
CONFLIST = json.dumps({"cniVersion": "1.0.0", "name": "ripstop", "plugins": [{"type": "ripstop"}, {"type": "portmap"}]})
CALICO = json.dumps({"cniVersion": "0.3.1", "name": "k8s", "plugins": [{"type": "calico"}, {"type": "portmap"}]})
RA = ("%s 00 %s 00 fe800000000000000000000000000001 00000400 00000001 00000000 00450003 eth0\n" % ("0" * 32, "0" * 32))
ROUTE = ("Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n"
         "eth0\t00000000\t0100000A\t0003\t0\t0\t0\t00000000\t0\t0\t0\n")
DPKG = "Package: zlib1g\nStatus: install ok installed\nVersion: 1.2\n\nPackage: containerd\nStatus: install ok installed\nVersion: %s\n\n"
LIBS = ["libevent-2.1.so.7", "libssl.so.3", "libcrypto.so.3", "libz.so.1", "libyaml-0.so.2", "libjson-c.so.5", "libnftnl.so.11",
        "libmnl.so.0", "libbpf.so.1", "libelf.so.1", "libnl-3.so.200"]


def config(without=(), builtin=()):
    text = "".join(f"# CONFIG_{o} is not set\n" if o in without else
                   f"CONFIG_{o}={'m' if o in IS_MODULE and o not in builtin else 'y'}\n" for o in OPTIONS)
    return gzip.compress(text.encode())


def good():
    """path: text or bytes; a path with a slash at its end is a folder."""
    files = {
        "proc/sys/kernel/osrelease": RELEASE + "\n", "proc/config.gz": config(),
        f"lib/modules/{RELEASE}/modules.dep": "".join(f"kernel/net/{m}.ko: \n" for m in MODULES),
        "proc/sys/net/netfilter/nf_conntrack_count": "1200\n", "proc/sys/net/netfilter/nf_conntrack_max": "262144\n",
        "proc/sys/fs/inotify/max_user_instances": "512\n", "proc/sys/fs/inotify/max_user_watches": "65536\n",
        "sys/fs/cgroup/memory.max": "268435456\n", "sys/kernel/btf/vmlinux": "x",
        "proc/mounts": "bpf /sys/fs/bpf bpf rw 0 0\n", "run/systemd/timesync/synchronized": "",
        "etc/cni/net.d/05-ripstop.conflist": CONFLIST, "opt/cni/bin/ripstop": "", "opt/cni/bin/loopback": "",
        "var/lib/dpkg/status": DPKG % "2.0.4-1",
        V4 + "ip_forward": "1\n", V4 + "conf/all/rp_filter": "0\n", V4 + "conf/default/rp_filter": "2\n",
        V6 + "conf/all/forwarding": "1\n", V6 + "conf/all/disable_ipv6": "0\n", V6 + "conf/all/accept_ra": "0\n",
        V6 + "conf/eth0/accept_ra": "2\n", "proc/net/ipv6_route": RA, "proc/net/if_inet6": "x\n",
        "proc/net/route": ROUTE, "sys/class/net/eth0/mtu": "1500\n", "sys/class/net/eth0/netdev_group": "0\n",
        "sys/class/net/rs77ab12/mtu": "1500\n", "sys/class/net/rs77ab12/netdev_group": "21065\n",
        "etc/nftables.conf": "flush ruleset\ntable inet filter { }\n", "etc/sysctl.d/10-x.conf": "net.ipv4.ip_forward = 1\n",
        "run/ripstop/": None, "usr/bin/ripstop-agent": "",
    }
    files.update({f"usr/lib/x86_64-linux-gnu/{lib}": "" for lib in LIBS})
    return files


def chmod(path, mode):
    return lambda root: os.chmod(os.path.join(root, path), mode)


def chown(path, uid):
    return lambda root: os.chown(os.path.join(root, path), uid, -1)


# name: (files to change (None: to remove), what else to do, state, check, words of the line, exit code)
CASES = {
    "old kernel": ({"proc/sys/kernel/osrelease": "5.10.0-9\n", "boot/config-5.10.0-9": "CONFIG_X=y\n"}, None, "warn", "kernel", "5.10.0-9", None),
    "odd release": ({"proc/sys/kernel/osrelease": "mine\n"}, None, "warn", "kernel", '"mine" cannot be read', 0),
    "no nf_tables": ({"proc/config.gz": config(without=["NF_TABLES"])}, None, "fail", "kernel", "CONFIG_NF_TABLES is off", 1),
    "no veth": ({"proc/config.gz": config(without=["VETH"])}, None, "fail", "kernel", "CONFIG_VETH is off", 1),
    "no NFLOG": ({"proc/config.gz": config(without=["NETFILTER_NETLINK_LOG"])}, None, "warn", "kernel", "CONFIG_NETFILTER_NETLINK_LOG is off", 0),
    "module missing": ({f"lib/modules/{RELEASE}/modules.dep": "".join(f"kernel/{m}.ko:\n" for m in MODULES if m != "nf_conntrack")}, None,
                       "fail", "kernel", "nf_conntrack.ko is not among", 1),
    "module loaded all the same": ({f"lib/modules/{RELEASE}/modules.dep": "".join(f"kernel/{m}.ko:\n" for m in MODULES if m != "veth"),
                                    "sys/module/veth/": None}, None, "ok", "kernel", "all 12 options", 0),
    "plain config in /boot": ({"proc/config.gz": None, f"boot/config-{RELEASE}": gzip.decompress(config()).decode()}, None, "ok", "kernel",
                              f"(/boot/config-{RELEASE})", 0),
    "options unknown": ({"proc/config.gz": None}, None, "warn", "kernel", "its options are not known", 0),
    "garbage config": ({"proc/config.gz": b"\x1f\x8b\x08\x00garbage"}, None, "warn", "kernel", "its options are not known", 0),
    "conntrack nearly full": ({"proc/sys/net/netfilter/nf_conntrack_count": "240000"}, None, "warn", "conntrack", "240000 of 262144", 0),
    "conntrack full": ({"proc/sys/net/netfilter/nf_conntrack_count": "262144"}, None, "fail", "conntrack", "262144 of 262144", 1),
    "conntrack not loaded": ({"proc/sys/net/netfilter/nf_conntrack_count": None}, None, "ok", "conntrack", "not in use yet", 0),
    "few inotify instances": ({"proc/sys/fs/inotify/max_user_instances": "64"}, None, "warn", "inotify", "64 instances", 0),
    "no inotify": ({"proc/sys/fs/inotify/max_user_watches": None}, None, "fail", "inotify", "the kernel has none", 1),
    "little memory": ({"sys/fs/cgroup/memory.max": "33554432"}, None, "warn", "memory", "32 MiB", 0),
    "no limit of memory": ({"sys/fs/cgroup/memory.max": "max"}, None, "ok", "memory", "no limit of its own", 0),
    "cgroup v1": ({"sys/fs/cgroup/memory.max": None, "sys/fs/cgroup/memory/memory.limit_in_bytes": "67108864"}, None, "ok", "memory", "64 MiB", 0),
    "no BTF": ({"sys/kernel/btf/vmlinux": None, "proc/mounts": ""}, None, "ok", "bpf",
               "BTF is not there, /sys/fs/bpf is not mounted, CONFIG_NETFILTER_BPF_LINK is off", 0),
    "programs at hooks": ({"proc/config.gz": gzip.compress(gzip.decompress(config()) + b"CONFIG_NETFILTER_BPF_LINK=y\n")}, None, "ok", "bpf",
                          "CONFIG_NETFILTER_BPF_LINK is on", 0),
    "clock not synchronised": ({"run/systemd/timesync/synchronized": None, "run/systemd/timesync/": None}, None, "warn", "time", "is not synchronised", 0),
    "another CNI wins": ({"etc/cni/net.d/05-calico.conflist": CALICO}, None, "fail", "cni-config", "05-calico.conflist wins (calico, portmap)", 1),
    "another CNI loses": ({"etc/cni/net.d/10-calico.conflist": CALICO}, None, "ok", "cni-config", "10-calico.conflist does not count", 0),
    "broken file": ({"etc/cni/net.d/00-x.conf": "{"}, None, "warn", "cni-config", "00-x.conf is skipped by the runtime", 0),
    "file without plugins": ({"etc/cni/net.d/00-x.conflist": "{}"}, None, "warn", "cni-config", "it names no plugin", 0),
    "hostile name": ({"etc/cni/net.d/00-\x1b[2J\u202e.conf": "{"}, None, "warn", "cni-config", "\x1b[2J", 0),
    "other files are no configurations": ({"etc/cni/net.d/00-kubeconfig": "x", "etc/cni/net.d/01.conflist.bak": CALICO}, None, "ok", "cni-config",
                                          "05-ripstop.conflist wins (ripstop, portmap)", 0),
    "chained behind another": ({"etc/cni/net.d/05-ripstop.conflist": None, "etc/cni/net.d/10-b.conflist": json.dumps(
        {"plugins": [{"type": "bridge"}, {"type": "ripstop"}]})}, None, "ok", "cni-config", "10-b.conflist wins (bridge, ripstop)", 0),
    "no configuration of ours": ({"etc/cni/net.d/05-ripstop.conflist": None, "etc/cni/net.d/": None}, None, "warn", "cni-config",
                                 "no configuration of Ripstop in /etc/cni/net.d", 0),
    "no plugin": ({"opt/cni/bin/ripstop": None}, None, "warn", "cni-plugin", "no plugin named ripstop", 0),
    "plugin that cannot be run": ({}, chmod("opt/cni/bin/ripstop", 0o644), "fail", "cni-plugin", "cannot be run (mode 0644)", 1),
    "plugin that others can write": ({}, chmod("opt/cni/bin/ripstop", 0o777), "fail", "cni-plugin", "can be written by others", 1),
    "plugin of another": ({}, chown("opt/cni/bin/ripstop", 1000), "fail", "cni-plugin", "uid 1000", 1),
    "no loopback": ({"opt/cni/bin/loopback": None}, None, "warn", "cni-plugin", "no plugin named loopback", 0),
    "flannel's link": ({"sys/class/net/flannel.1/mtu": "1450"}, None, "warn", "other-cni", "flannel: /sys/class/net/flannel.1", 0),
    "Calico's node": ({"var/lib/calico/nodename": "n"}, None, "warn", "other-cni", "Calico: /var/lib/calico/nodename", 0),
    "containerd 1": ({"var/lib/dpkg/status": DPKG % "1.7.24~ds1-6"}, None, "ok", "runtime", "containerd 1.7.24~ds1-6: does not ask for STATUS", 0),
    "removed containerd": ({"var/lib/dpkg/status": (DPKG % "1.7").replace("install ok", "deinstall ok")}, None, "warn", "runtime",
                           "no container runtime", 0),
    "CRI-O": ({"var/lib/dpkg/status": None, "usr/bin/crio": ""}, None, "ok", "runtime", "CRI-O", 0),
    "forwarding off": ({V4 + "ip_forward": "0"}, None, "ok", "forwarding", "IPv4: off, until the first pod", 0),
    "a file switches forwarding off": ({"etc/sysctl.d/99-hard.conf": "# x\n-net/ipv4/ip_forward=0\n"}, None, "warn", "forwarding",
                                       "IPv4: /etc/sysctl.d/99-hard.conf says net.ipv4.ip_forward = 0", 0),
    "a comment does not": ({"etc/sysctl.conf": "#net.ipv4.ip_forward = 0\nnet.ipv4.ip_forward = 01\n"}, None, "ok", "forwarding", "IPv4: on", 0),
    "route runs out": ({V6 + "conf/eth0/accept_ra": "1"}, None, "fail", "accept-ra", "eth0 has its default route from a router", 1),
    "route without forwarding": ({V6 + "conf/eth0/accept_ra": "1", V6 + "conf/all/forwarding": "0"}, None, "ok", "accept-ra",
                                 "which the plugin makes 2", 0),
    "strict rp_filter": ({V4 + "conf/all/rp_filter": "1"}, None, "warn", "rp-filter", "strict on every link", 0),
    "br_netfilter": ({"proc/sys/net/bridge/bridge-nf-call-iptables": "1"}, None, "ok", "br-netfilter", "loaded, on", 0),
    "IPv6 switched off": ({V6 + "conf/all/disable_ipv6": "1"}, None, "warn", "ipv6", "switched off", 0),
    "no IPv6": ({"proc/net/if_inet6": None}, None, "ok", "ipv6", "IPv4 only", 0),
    "large pod links": ({"sys/class/net/eth0/mtu": "1400"}, None, "warn", "mtu", "pod link rs77ab12 has 1500, the uplink 1400", 0),
    "small uplink": ({"sys/class/net/eth0/mtu": "1000"}, None, "warn", "mtu", "uplink eth0 has 1000", 0),
    "no uplink": ({"proc/net/route": "Iface\n"}, None, "ok", "mtu", "no IPv4 default route", 0),
    "saved table": ({"etc/nftables.conf": "table inet ripstop {\n}\n"}, None, "fail", "saved-rules", "/etc/nftables.conf holds our table", 1),
    "saved table in a folder": ({"etc/nftables.d/all.nft": 'comment "layout 3, made by ripstop-agent. nft"'}, None, "fail", "saved-rules",
                                "/etc/nftables.d/all.nft holds our table", 1),
    "flush at reload": ({"etc/systemd/system/sysinit.target.wants/nftables.service": ""}, None, "warn", "saved-rules", "flush ruleset", 0),
    "legacy rules": ({"proc/net/ip_tables_names": "nat\nfilter\n"}, None, "warn", "other-rules", "iptables-legacy", 0),
    "open state folder": ({}, chmod("run/ripstop", 0o755), "fail", "state", "mode 0755", 1),
    "state folder of another": ({}, chown("run/ripstop", 1000), "fail", "state", "uid 1000", 1),
    "open socket": ({}, chmod("run/ripstop/agent.sock", 0o666), "fail", "socket", "mode 0666", 1),
    "library missing": ({"usr/lib/x86_64-linux-gnu/libssl.so.3": None}, None, "fail", "libraries", "not found: libssl.so.3", 1),
    "no agent on the host": ({"usr/bin/ripstop-agent": None}, None, "ok", "libraries", "no agent is installed", 0),
}


class Runner:
    def __init__(self, build, update):
        self.program, self.update = os.path.join(build, "ripstop"), update
        self.passed = self.failed = self.skipped = 0

    def check(self, name, holds, detail=""):
        self.passed += bool(holds)
        self.failed += not holds
        if not holds:
            print(f"FAIL {name}: {detail[:1500]}", flush=True)

    def machine(self, changes=None, more=None, answers=None):
        return Machine(good(), changes or {}, more, answers)

    def doctor(self, root, *argv):
        p = subprocess.run([self.program, "doctor", "--root", root, *argv], capture_output=True, text=True, timeout=30,
                           env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", **{k: v for k, v in os.environ.items() if k.endswith("SAN_OPTIONS")}},
                           check=False)
        return p.returncode, p.stdout, p.stderr

    def lines(self, root):
        code, out, err = self.doctor(root, "-o", "json")
        o = json.loads(out) if out else {"items": []}
        return code, o["items"], o, err

    def well(self):
        with self.machine() as m:
            code, items, o, err = self.lines(m.root)
            self.check("all is well", code == 0 and not err and all(i["state"] == "ok" for i in items) and
                       o["summary"] == {"ok": len(items), "warn": 0, "fail": 0}, f"{code} {err} {[i for i in items if i['state'] != 'ok']}")
            self.check("each line has a reason", all(i.get("why") and "fix" not in i for i in items), f"{items}")
            for form in ("table", "wide"):
                text = f"$ ripstop doctor -o {form}\n" + self.doctor(m.root, "-o", form)[1].replace(m.root, "ROOT").replace(VERSION, "VERSION")
                path = os.path.join(HERE, "screens", f"doctor-{form}.txt")
                if self.update:
                    with open(path, "w", encoding="utf-8") as f:
                        f.write(text)
                self.check(f"screen doctor {form}", os.path.exists(path) and open(path, encoding="utf-8").read() == text, text)
            return items

    def case(self, name, base):
        changes, more, state, check, words, want = CASES[name]
        with self.machine(changes, more) as m:
            code, items, _, err = self.lines(m.root)
            if want is None:
                want = 1 if any(i["state"] == "fail" for i in items) else 0
            found = [i for i in items if i["check"] == check and i["state"] == state and words in i["found"]]
            others = {(i["check"], i["state"]) for i in items if i["check"] != check and i["state"] != "ok"}
            self.check(name, code == want and found and not others and not err and (state == "ok" or all(found[0].get(k) for k in ("why", "fix"))),
                       f"exit {code}, {err}, others {others}, {[i for i in items if i['check'] == check]}")
            code, out, err = self.doctor(m.root)
            self.check(f"{name}: no escape reaches a terminal", not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", out + err), repr(out))

    def dataplanes(self):
        """What the agent says of its choice."""
        rows = [({}, "ok", "nft: as configured"),
                ({"configured": "auto", "why": "ebpf cannot be used on this node: no BTF"}, "ok", "no BTF"),
                ({"configured": "ebpf", "fallback": True, "why": "no BTF"}, "warn", "nft, not ebpf: no BTF"),
                ({"beside": "ebpf"}, "warn", "nft; rules of ebpf judge too")]
        for more, state, words in rows:
            plane = dict({"name": "nft", "configured": "nft", "fallback": False, "why": "as configured"}, **more)
            with self.machine(answers={
                    "version": {"result": {"kind": "Version", "version": VERSION, "agent": VERSION}},
                    "status": {"result": {"kind": "Status", "ready": True, "conditions": [], "dataplane": plane}}}) as m:
                code, items, _, err = self.lines(m.root)
                found = [i for i in items if i["check"] == "dataplane"]
                self.check(f"dataplane: {words}", code == 0 and len(found) == 1 and found[0]["state"] == state and
                           words in found[0]["found"] and not err, f"{code} {err} {found}")

    def agents(self):
        down = {"version": {"result": {"kind": "Version", "version": VERSION, "agent": VERSION}},
                "status": {"result": {"kind": "Status", "ready": False, "notReadyReason": "the folder has not been read"}}}
        for name, answers, state, words, want in [
                ("no agent", None, "warn", "none answers", 0),
                ("not ready", down, "fail", "it is not ready: the folder has not been read", 1),
                ("conditions", {**down, "status": {"result": {"kind": "Status", "ready": True, "conditions": [{"type": "X"}]}}}, "warn",
                 "with 1 conditions", 0),
                ("another release", {**down, "version": {"result": {"agent": "0.0.1"}}}, "warn", "its release is 0.0.1", 1)]:
            with self.machine(answers=answers or {}) as m:
                if answers is None:
                    os.rename(m.agent.path, m.agent.path + ".aside")
                code, items, _, err = self.lines(m.root)
                found = [i for i in items if i["check"] == "agent" and i["state"] == state and words in i["found"]]
                self.check(f"agent: {name}", code == want and found and not err, f"{code} {err} {[i for i in items if i['check'] == 'agent']}")

    def forms(self):
        with self.machine({"opt/cni/bin/loopback": None}) as m:
            code, out, _ = self.doctor(m.root, "-o", "yaml")
            self.check("yaml", code == 0 and "kind: Doctor" in out, out)
            code, out, _ = self.doctor(m.root, "-o", "md")
            self.check("md", code == 0 and "loopback" in out and "CHECK" in out, out)
            code, out, _ = self.doctor(m.root, "-o", "dot")
            self.check("dot", code == 2 and not out, out)
            code, out, err = self.doctor(m.root + "/nowhere")
            self.check("no such root", code == 2 and not out and "is no folder" in err, err)
            code, out, err = self.doctor(m.root, "extra")
            self.check("operand", code == 2 and not out, err)
        with tempfile.TemporaryDirectory() as empty:
            code, items, _, err = self.lines(empty)
            self.check("empty folder", code in (0, 1) and len(items) > 8 and not err, f"{code} {err}")

    def libraries(self):
        """Those that an agent as released is linked with, no more and no less; libelf is libbpf's."""
        p = subprocess.run(["readelf", "-d", os.path.join(os.path.dirname(self.program), "ripstop-agent")], capture_output=True, text=True,
                           check=True, env={"PATH": os.environ["PATH"], "LC_ALL": "C"})
        linked = set(re.findall(r"\(NEEDED\).*\[(.*)\]", p.stdout)) - {"libc.so.6"}
        if any(name.startswith(("libasan", "libcurl")) for name in linked):
            return
        self.check("libraries: what the agent is linked with", linked | {"libelf.so.1"} == set(LIBS), f"{linked ^ set(LIBS)}")
        with self.machine({f"usr/lib/x86_64-linux-gnu/{lib}": None for lib in LIBS}) as m:
            _, items, _, _ = self.lines(m.root)
            found = [i["found"] for i in items if i["check"] == "libraries"]
            self.check("libraries: all missing", found and set(found[0].split(": ", 1)[1].split(", ")) == set(LIBS), f"{found}")

    def real_rules(self):
        """Tables of others in a network namespace of its own, made by nft."""
        def run(script, want):
            p = subprocess.run(["unshare", "--net", "sh", "-c", f"{script}\nexec {self.program} doctor -o json --socket /nonexistent"],
                               capture_output=True, text=True, timeout=30, check=False)
            items = json.loads(p.stdout)["items"] if p.stdout else []
            got = [i for i in items if i["check"] == "other-rules"]
            self.check(f"rules of others: {want[1]}", any(i["state"] == want[0] and want[1] in i["found"] for i in got), f"{p.stderr} {got}")

        if os.geteuid() or subprocess.run(["unshare", "--net", "true"], check=False).returncode or not shutil.which("nft"):
            self.skipped += 3
            return
        run("nft add table inet mine", ("ok", "1 tables of others"))
        run("nft 'table ip filter { chain FORWARD { type filter hook forward priority 0; policy drop\n}\n}'",
            ("warn", "table ip filter, chain FORWARD drops by default at forward"))
        run("nft 'table inet vpn { chain out { type filter hook output priority 0; meta mark 1 ct mark set meta mark\n}\n}'",
            ("warn", "table inet vpn, chain out, rule 2 writes ct mark"))


class Machine:
    def __init__(self, files, changes, more, answers):
        self.tmp = tempfile.TemporaryDirectory(prefix="rs-doctor-")
        self.root = self.tmp.name
        files = dict(files)
        for path, text in changes.items():
            if text is None and not path.endswith("/"):
                files.pop(path, None)
            else:
                files[path] = text
        for path, text in files.items():
            full = os.path.join(self.root, path)
            if path.endswith("/"):
                os.makedirs(full, exist_ok=True)
                continue
            os.makedirs(os.path.dirname(full), exist_ok=True)
            with open(full, "wb") as f:
                f.write(text if isinstance(text, bytes) else text.encode())
        for path in ("opt/cni/bin/ripstop", "opt/cni/bin/loopback"):
            if os.path.exists(os.path.join(self.root, path)):
                os.chmod(os.path.join(self.root, path), 0o755)
        os.chmod(os.path.join(self.root, "run/ripstop"), 0o700)
        sock = os.path.join(self.root, "run/ripstop/agent.sock")
        if answers is None:
            answers = {"version": {"result": {"kind": "Version", "version": VERSION, "agent": VERSION}},
                       "status": {"result": {"kind": "Status", "ready": True, "conditions": []}}}
        self.agent = FakeAgent(sock, answers)
        os.chmod(sock, 0o600)
        if more:
            more(self.root)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        if os.path.exists(self.agent.path + ".aside"):
            os.rename(self.agent.path + ".aside", self.agent.path)
        self.agent.stop()
        self.tmp.cleanup()


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--build", default="build/rel")
    ap.add_argument("--update", action="store_true")
    args = ap.parse_args()
    r = Runner(os.path.abspath(args.build), args.update)
    if os.geteuid():
        print("not root: files cannot be given to root")
        print("0 passed, 0 failed, 1 skipped")
        return 0
    base = r.well()
    for name in CASES:
        r.case(name, base)
    r.agents()
    r.dataplanes()
    r.forms()
    r.libraries()
    r.real_rules()
    print(f"{r.passed} passed, {r.failed} failed, {r.skipped} skipped")
    return 1 if r.failed else 0


if __name__ == "__main__":
    sys.exit(main())
