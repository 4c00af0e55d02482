# SPDX-License-Identifier: Apache-2.0
"""sem_host.py - what else lives on a host: other tables, iptables' two forms, bridges; and a source we only read."""
import os
import stat

from harness import HarnessError
from sem_bed import POLICIES, each, expect, policy, test

POLICIES += [policy("g12", "{from: [{podSelector: {matchLabels: {app: friend}}}]}", "")]
HOOKS = ("prerouting", "input", "forward", "output", "postrouting")


class Pods:
    """A server, one that may reach it and one that may not; verdicts of the same flows again and again."""

    def __init__(self, bed, name):
        self.bed, self.port = bed, 9200
        self.server, self.friend, self.foe = (bed.pod(app, name + "-" + app) for app in ("g12", "friend", "foe"))

    def verdicts(self):
        """(what the friend gets, what the foe gets), as sets of fates."""
        self.port += 1
        bed, n = self.bed, len(each(self.friend, self.server, 1))
        got = bed.fates(*each(self.friend, self.server, self.port), *each(self.foe, self.server, self.port),
                        *each(self.server, bed.world, self.port), *each(self.server, bed.node, self.port))
        return set(got[:n]), set(got[n:])

    def hold(self, what):
        got = self.verdicts()
        expect(got == ({"ok"}, {"blocked"}), what, got)


def accepting(priorities):
    """A table that accepts, before and behind us, in every hook, and counts what it saw."""
    chains = " ".join("chain c%d_%s { type filter hook %s priority %d; policy accept; counter accept; };" %
                      (i, hook, hook, p) for i, p in enumerate(priorities) for hook in HOOKS)
    return "inet early { %s }" % chains


@test
def G12_foreign_accepts_open_nothing_and_foreign_drops_stay(bed):
    pods = Pods(bed, "g12")
    pods.hold("before:")
    with bed.table(accepting((-500, -150, 0, 98, 101, 300))):
        pods.hold("with tables that accept everything at the same hooks:")
        text = bed.node.sh("nft list table inet early")
        for hook in ("prerouting", "forward", "postrouting"):
            chain = text.split("chain c0_" + hook)[1].split("}")[0]
            expect("packets 0 " not in chain, "control: they saw packets:", chain)
    for hook, priority in (("forward", -10), ("forward", 10), ("postrouting", 90), ("postrouting", 200)):
        drop = "inet late { chain c { type filter hook %s priority %d; ip daddr %s drop; ip6 daddr %s drop; }; }" % (
            hook, priority, pods.server.ip4(), pods.server.ip6())
        with bed.table(drop):
            got = pods.verdicts()
        expect(got == ({"blocked"}, {"blocked"}), "somebody else's drop at %s %d:" % (hook, priority), got)
    pods.hold("after:")


def accept_all(node, tool):
    """Accept everything with one form of iptables; why not, or ''."""
    for t in (tool, tool.replace("iptables", "ip6tables")):
        for chain in ("INPUT", "FORWARD", "OUTPUT"):
            p = node.run([t, "-I", chain, "-j", "ACCEPT"], check=False)
            if p.returncode:
                return (p.stderr or p.stdout).strip().splitlines()[0]
        p = node.run([t, "-t", "mangle", "-I", "POSTROUTING", "-j", "ACCEPT"], check=False)
        if p.returncode:
            return (p.stderr or p.stdout).strip().splitlines()[0]
    return ""


def counted(node, tool):
    lines = node.run([tool, "-vxnL", "FORWARD"]).stdout.splitlines()
    return sum(int(line.split()[0]) for line in lines if " ACCEPT " in line and line.split()[0].isdigit())


@test
def G13_iptables_of_both_forms_change_no_verdict(bed):
    pods, missing = Pods(bed, "g13"), []
    pods.hold("before:")
    loaded = []
    for tool in ("iptables-legacy", "iptables-nft"):
        try:
            why = accept_all(bed.node, tool)
        except (OSError, HarnessError) as e:
            why = str(e)
        missing += ["%s: %s" % (tool, why)] if why else []
        loaded += [] if why else [tool]
    expect(loaded, "neither form can be loaded:", missing)
    print("         G13: loaded %s%s" % (", ".join(loaded), "; not " + "; ".join(missing) if missing else ""))
    pods.hold("with %s that accept everything:" % ", ".join(loaded))
    for tool in loaded:
        expect(counted(bed.node, tool), "control: %s saw no packet" % tool)
        for t in (tool, tool.replace("iptables", "ip6tables")):
            bed.node.run([t, "-I", "FORWARD", "-d", pods.server.ip6() if "ip6" in t else pods.server.ip4(), "-j",
                          "DROP"])
        got = pods.verdicts()
        expect(got == ({"blocked"}, {"blocked"}), "what %s drops:" % tool, got)
        for t in (tool, tool.replace("iptables", "ip6tables")):
            bed.node.run([t, "-F", "FORWARD"])
            bed.node.run([t, "-F", "INPUT"])
            bed.node.run([t, "-F", "OUTPUT"])
            bed.node.run([t, "-t", "mangle", "-F"])
    pods.hold("after:")


BRIDGE = "net/bridge/bridge-nf-call-%s"


@test
def G14_there_is_no_bridge_in_a_pods_path(bed):
    pods = Pods(bed, "g14")
    for pod in (pods.server, pods.friend, pods.foe):
        link = pod.host_link()
        expect(" master " not in bed.node.sh("ip -o link show " + link), link, "has a master")
    bed.node.ip("link add br14 type bridge", "link set br14 up", "link add port14 type veth peer name peer14",
                "link set port14 master br14")
    expect(" master br14" in bed.node.sh("ip -o link show port14"), "control: a master is seen")
    knobs = [k for k in ("iptables", "ip6tables") if os.path.exists("/proc/sys/" + BRIDGE % k)]
    old = {k: bed.node.sysctl(BRIDGE % k) for k in knobs}
    try:
        for value in ("0", "1"):
            for k in knobs:
                bed.node.sysctl(BRIDGE % k, value)
                expect(bed.node.sysctl(BRIDGE % k) == value, "control: the knob stays")
            pods.hold("with bridge-nf-call %s:" % value)
    finally:
        for k, value in old.items():
            bed.node.sysctl(BRIDGE % k, value)
        bed.node.ip("link del br14", "link del port14")
    if not knobs:
        print("         G14: this kernel has no bridge-netfilter loaded")


# ---- the source is read, never written ------------------------------------------------------------------------


def picture(folder):
    """Everything that a write would change: names, contents, sizes, times, modes."""
    out = {}
    for name in [""] + sorted(os.listdir(folder)):
        path = os.path.join(folder, name)
        st = os.lstat(path)
        data = b""
        if stat.S_ISREG(st.st_mode):
            with open(path, "rb") as f:
                data = f.read()
        out[name] = (st.st_ino, st.st_mode, st.st_size, st.st_mtime_ns, st.st_ctime_ns, data)
    return out


STATUS = ("status: {conditions: [{type: Accepted, status: 'False', reason: Old, lastTransitionTime: "
          "'2022-01-01T00:00:00Z', message: of a server of 1.24}]}\n")


@test
def G7_objects_are_only_read(bed):
    """The agent lives on a folder that it cannot write to; whatever happens to pods and policies, it is as it was."""
    node = bed.lab.node("g7", ["192.0.2.7", "fd00:192::7"], ["10.244.7.0/24", "fd00:10:244:7::/64"])
    node.write_manifest("old.yaml", policy("shut", "", "") + STATUS)
    node.write_manifest("pod.yaml", "apiVersion: v1\nkind: Pod\nmetadata: {name: g7, namespace: t, labels: {app: "
                        "shut}}\nspec: {containers: []}\nstatus: {phase: Running}\n")
    ro = "mount --bind %s %s && mount -o remount,bind,ro %s && " % ((node.manifests,) * 3)
    p = node.run(["unshare", "--mount", "sh", "-ec", ro + "touch %s/x" % node.manifests], check=False)
    expect(p.returncode and "ead-only" in p.stderr, "control: the folder can be written to:", p.stderr)
    argv = node.agent_argv()
    barred = ["unshare", "--mount", "sh", "-ec", ro + 'exec "$@"', "sh"]
    before = picture(node.manifests)
    # first it cannot write, and needs not; then it could
    for n, prefix in enumerate((barred, [])):
        node.agent_argv = lambda *extra, prefix=prefix: prefix + argv + list(extra)
        node.start_agent(timeout=30)
        pod = bed.lab.pod("g7-%d" % n)
        pod.attach(node, "t", "g7", labels={"app": "other"})
        got = bed.fates(*each(pod, bed.world, 8007))
        expect(set(got) == {"blocked"}, "a policy with a status, as old servers wrote it:", got)
        items = node.ctl("pods", all=True)["items"]
        expect([x["state"] for x in items] == ["enforced"], items)
        pod.detach()
        expect(node.kill_agent(15) == 0, "its end")
        now = picture(node.manifests)
        expect(before == now, "the source was written to:", sorted(set(before) ^ set(now)) or
               [k for k in before if before[k] != now[k]])
    node.write_manifest("x.yaml", "# one more\n")
    expect(picture(node.manifests) != now, "control: a write is seen")

