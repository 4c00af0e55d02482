# SPDX-License-Identifier: Apache-2.0
"""kubeproxy.py - the kernel state that kube-proxy 1.34 leaves on a node, for one node and a list of Services.

Three forms, as its --proxy-mode says: iptables, nftables, ipvs. Same chains, hooks, priorities, marks, maps and
ipsets in the same order as it writes them, with its defaults: cluster CIDR detection of pods, masquerade bit
14, fully random source ports, NodePorts on localhost for iptables over IPv4 only. Beside them what else
redirects on a node: the portmap plugin's hostPort.

    rules = KubeProxy("nftables", node, services, pod_cidrs)
    rules.install()
    rules.remove()
"""
import base64
import hashlib
from collections import namedtuple

from harness import HarnessError, is6, run

MODES = ("iptables", "nftables", "ipvs")
MARK = "0x4000/0x4000"

# One port of one Service in one family. eps: [(address, port, name of the node)]
Svc = namedtuple("Svc", "name proto cluster port nodeport ext lb etp_local itp_local affinity hostport eps")


def service(name, proto, cluster, port, eps, nodeport=0, ext=(), lb=(), etp_local=False, itp_local=False,
            affinity=False, hostport=0):
    return Svc(name, proto, cluster, port, nodeport, tuple(ext), tuple(lb), etp_local, itp_local, affinity, hostport,
               tuple(eps))


def digest(*parts):
    return base64.b32encode(hashlib.sha256("".join(map(str, parts)).encode()).digest()).decode()


def joined(address, port):
    return ("[%s]:%d" if is6(address) else "%s:%d") % (address, port)


def local_eps(svc, node):
    return [e for e in svc.eps if e[2] == node]


class KubeProxy:
    """One node's rules."""

    def __init__(self, mode, node, services, pod_cidrs):
        if mode not in MODES:
            raise HarnessError("kube-proxy has no mode " + mode)
        self.mode, self.node, self.services, self.pod_cidrs = mode, node, list(services), pod_cidrs
        # What the portmap plugin leaves is of the same kind as the node's proxy.
        self.form = {"iptables": IpTables, "nftables": NfTables, "ipvs": Ipvs}[mode]

    def each(self):
        for six in (False, True):
            cidr = next(c for c in self.pod_cidrs if is6(c) == six)
            mine = [s for s in self.services if is6(s.cluster) == six]
            ips = [a for a in self.node.ips if is6(a) == six]
            yield self.form(self.node, six, cidr, mine, ips)

    def install(self):
        for f in self.each():
            f.install()

    def remove(self):
        for f in self.each():
            f.remove()


class Family:
    """What the forms share."""

    def __init__(self, node, six, cidr, services, node_ips):
        self.node, self.six, self.cidr, self.services, self.node_ips = node, six, cidr, services, node_ips
        self.me = node.short

    def feed(self, argv, text):
        p = run(self.node.argv(argv), check=False, input=text)
        if p.returncode:
            numbered = "\n".join("%3d %s" % line for line in enumerate(text.splitlines(), 1))
            raise HarnessError("%s on %s: %s\n%s" % (argv[0], self.me, p.stderr.strip(), numbered[:6000]))

    def restore(self, text):
        self.feed([("ip6tables" if self.six else "iptables") + "-nft-restore", "--noflush"], text)

    def xtables(self, *words):
        self.node.run([("ip6tables" if self.six else "iptables") + "-nft"] + list(words), check=False)

    def flush_tables(self):
        for table in ("nat", "filter"):
            self.xtables("-t", table, "-F")
            self.xtables("-t", table, "-X")

    def hostports(self, nat):
        """The portmap plugin's chains: no masquerade but for the pod itself."""
        mine = [s for s in self.services if s.hostport and local_eps(s, self.me)]
        if not mine:
            return
        nat.chain("CNI-HOSTPORT-DNAT", "CNI-HOSTPORT-SETMARK", "CNI-HOSTPORT-MASQ")
        for hook in ("PREROUTING", "OUTPUT"):
            nat.add("-A %s -m addrtype --dst-type LOCAL -j CNI-HOSTPORT-DNAT" % hook)
        nat.add("-A POSTROUTING -m comment --comment \"CNI portfwd requiring masquerade\" -j CNI-HOSTPORT-MASQ",
                "-A CNI-HOSTPORT-SETMARK -m comment --comment \"CNI portfwd masquerade mark\" -j MARK --or-mark 0x2000",
                "-A CNI-HOSTPORT-MASQ -m mark --mark 0x2000/0x2000 -j MASQUERADE")
        for s in mine:
            ip, port, _ = local_eps(s, self.me)[0]
            own = "CNI-DN-" + digest(s.name, s.proto)[:21]
            nat.chain(own)
            match = "-p %s --dport %d" % (s.proto, s.hostport)
            nat.add("-A CNI-HOSTPORT-DNAT -p %s -m multiport --destination-ports %d -j %s" % (s.proto, s.hostport, own),
                    "-A %s -s %s %s -j CNI-HOSTPORT-SETMARK" % (own, ip, match),
                    "-A %s %s -j DNAT --to-destination %s" % (own, match, joined(ip, port)))


class XtText:
    """One table of iptables-restore input."""

    def __init__(self, table):
        self.table, self.chains, self.rules = table, [], []

    def chain(self, *names):
        self.chains += [n for n in names if n not in self.chains]

    def add(self, *rules):
        self.rules += rules

    def text(self):
        return "\n".join(["*" + self.table] + [":%s - [0:0]" % c for c in self.chains] + self.rules + ["COMMIT", ""])


def comment(text):
    return "-m comment --comment \"%s\"" % text


class IpTables(Family):
    """--proxy-mode=iptables"""

    def install(self):
        if not self.six:
            self.node.sysctl("net/ipv4/conf/all/route_localnet", 1)
        nat, flt = XtText("nat"), XtText("filter")
        self.skeleton(nat, flt)
        for s in self.services:
            self.service(nat, flt, s)
        nat.add("-A KUBE-SERVICES %s -m addrtype --dst-type LOCAL%s -j KUBE-NODEPORTS" % (
            comment("kubernetes service nodeports; NOTE: this must be the last rule in this chain"),
            " ! -d ::1/128" if self.six else ""))
        self.hostports(nat)
        self.restore(nat.text() + flt.text())

    def remove(self):
        self.flush_tables()
        if not self.six:
            self.node.sysctl("net/ipv4/conf/all/route_localnet", 0)

    def skeleton(self, nat, flt):
        portals = comment("kubernetes service portals")
        outer = comment("kubernetes externally-visible service portals")
        nat.chain("KUBE-SERVICES", "KUBE-NODEPORTS", "KUBE-POSTROUTING", "KUBE-MARK-MASQ")
        nat.add("-A PREROUTING %s -j KUBE-SERVICES" % portals, "-A OUTPUT %s -j KUBE-SERVICES" % portals,
                "-A POSTROUTING %s -j KUBE-POSTROUTING" % comment("kubernetes postrouting rules"),
                "-A KUBE-POSTROUTING -m mark ! --mark %s -j RETURN" % MARK,
                "-A KUBE-POSTROUTING -j MARK --xor-mark 0x4000",
                "-A KUBE-POSTROUTING %s -j MASQUERADE --random-fully" %
                comment("kubernetes service traffic requiring SNAT"),
                "-A KUBE-MARK-MASQ -j MARK --or-mark 0x4000")
        flt.chain("KUBE-SERVICES", "KUBE-EXTERNAL-SERVICES", "KUBE-FORWARD", "KUBE-NODEPORTS", "KUBE-FIREWALL",
                  "KUBE-PROXY-FIREWALL")
        new = "-m conntrack --ctstate NEW"
        flt.add(*["-A %s %s %s -j %s" % r for r in (
            ("INPUT", new, outer, "KUBE-EXTERNAL-SERVICES"), ("FORWARD", new, outer, "KUBE-EXTERNAL-SERVICES"),
            ("INPUT", "", comment("kubernetes health check service ports"), "KUBE-NODEPORTS"),
            ("FORWARD", new, portals, "KUBE-SERVICES"), ("OUTPUT", new, portals, "KUBE-SERVICES"),
            ("INPUT", new, comment("kubernetes load balancer firewall"), "KUBE-PROXY-FIREWALL"),
            ("FORWARD", "", comment("kubernetes forwarding rules"), "KUBE-FORWARD"),
            ("INPUT", "", "", "KUBE-FIREWALL"), ("OUTPUT", "", "", "KUBE-FIREWALL"))])
        flt.add("-A KUBE-FORWARD -m conntrack --ctstate INVALID -j DROP",
                "-A KUBE-FORWARD %s -m mark --mark %s -j ACCEPT" % (comment("kubernetes forwarding rules"), MARK),
                "-A KUBE-FORWARD %s -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT" %
                comment("kubernetes forwarding conntrack rule"))
        if not self.six:
            flt.add("-A KUBE-FIREWALL %s ! -s 127.0.0.0/8 -d 127.0.0.0/8 -m conntrack ! --ctstate "
                    "RELATED,ESTABLISHED,DNAT -j DROP" % comment("block incoming localnet connections"))

    def service(self, nat, flt, s):
        outside = [("external IP", a) for a in s.ext] + [("loadbalancer IP", a) for a in s.lb]
        proto = "-p %s -m %s" % (s.proto, s.proto)
        ident = digest(s.name, s.proto)[:16]
        if not s.eps:
            flt.add("-A KUBE-SERVICES %s %s -d %s --dport %d -j REJECT" %
                    (comment(s.name + " has no endpoints"), proto, s.cluster, s.port))
            for _, a in outside:
                flt.add("-A KUBE-EXTERNAL-SERVICES %s %s -d %s --dport %d -j REJECT" %
                        (comment(s.name + " has no endpoints"), proto, a, s.port))
            return
        mine = local_eps(s, self.me)
        svc, ext, svl = "KUBE-SVC-" + ident, "KUBE-EXT-" + ident, "KUBE-SVL-" + ident
        use_svl = s.etp_local and mine and (outside or s.nodeport)
        inner = svc
        if s.itp_local:
            inner, use_svl = svl, bool(mine)
        to_svc = "%s -d %s --dport %d" % (proto, s.cluster, s.port)
        nat.chain(svc)
        if s.itp_local and not mine:
            flt.add("-A KUBE-SERVICES %s %s -j DROP" % (comment(s.name + " has no local endpoints"), to_svc))
        else:
            nat.add("-A KUBE-SERVICES %s %s -j %s" % (comment(s.name + " cluster IP"), to_svc, inner),
                    "-A %s %s %s ! -s %s -j KUBE-MARK-MASQ" %
                    (inner, comment(s.name + " cluster IP"), to_svc, self.cidr))
        if use_svl:
            nat.chain(svl)
        if outside or s.nodeport:
            self.external(nat, flt, s, outside, mine, proto, (svc, ext, svl))
        self.endpoints(nat, s, svc, s.eps, proto)
        if use_svl:
            self.endpoints(nat, s, svl, mine, proto)

    def external(self, nat, flt, s, outside, mine, proto, chains):
        svc, ext, svl = chains
        nat.chain(ext)
        none = comment(s.name + " has no local endpoints")
        for what, a in outside:
            nat.add("-A KUBE-SERVICES %s %s -d %s --dport %d -j %s" %
                    (comment("%s %s" % (s.name, what)), proto, a, s.port, ext))
            if s.etp_local and not mine:
                flt.add("-A KUBE-EXTERNAL-SERVICES %s %s -d %s --dport %d -j DROP" % (none, proto, a, s.port))
        if s.nodeport:
            nat.add("-A KUBE-NODEPORTS %s %s --dport %d -j %s" % (comment(s.name), proto, s.nodeport, ext))
            if s.etp_local and not mine:
                flt.add("-A KUBE-EXTERNAL-SERVICES %s -m addrtype --dst-type LOCAL %s --dport %d -j DROP" %
                        (none, proto, s.nodeport))
        if not s.etp_local:
            nat.add("-A %s %s -j KUBE-MARK-MASQ" %
                    (ext, comment("masquerade traffic for %s external destinations" % s.name)),
                    "-A %s -j %s" % (ext, svc))
            return
        to_ext = "for %s external destinations" % s.name
        nat.add("-A %s %s -s %s -j %s" % (ext, comment("pod traffic " + to_ext), self.cidr, svc),
                "-A %s %s -m addrtype --src-type LOCAL -j KUBE-MARK-MASQ" %
                (ext, comment("masquerade LOCAL traffic " + to_ext)),
                "-A %s %s -m addrtype --src-type LOCAL -j %s" % (ext, comment("route LOCAL traffic " + to_ext), svc))
        if mine:
            nat.add("-A %s -j %s" % (ext, svl))

    def endpoints(self, nat, s, chain, eps, proto):
        seps = ["KUBE-SEP-" + digest(s.name, s.proto, *e)[:16] for e in eps]
        if s.affinity:
            for e, sep in zip(eps, seps):
                nat.add("-A %s %s -m recent --name %s --rcheck --seconds 10800 --reap --rsource -j %s" %
                        (chain, comment("%s -> %s" % (s.name, joined(e[0], e[1]))), sep, sep))
        for i, (e, sep) in enumerate(zip(eps, seps)):
            left = len(eps) - i
            pick = "-m statistic --mode random --probability %.10f" % (1 / left) if left > 1 else ""
            nat.add("-A %s %s %s -j %s" % (chain, comment("%s -> %s" % (s.name, joined(e[0], e[1]))), pick, sep))
            if sep in nat.chains:
                continue
            nat.chain(sep)
            nat.add("-A %s %s -s %s -j KUBE-MARK-MASQ" % (sep, comment(s.name), e[0]))
            keep = "-m recent --name %s --set --rsource" % sep if s.affinity else ""
            nat.add("-A %s %s %s %s -j DNAT --to-destination %s" %
                    (sep, comment(s.name), keep, proto, joined(e[0], e[1])))


class NfTables(Family):
    """--proxy-mode=nftables"""

    BASE = """
add table IP kube-proxy { comment "rules for kube-proxy" ; }
add set IP kube-proxy cluster-ips { type ADDR ; comment "Active ClusterIPs" ; }
add set IP kube-proxy nodeport-ips { type ADDR ; comment "IPs that accept NodePort traffic" ; }
add map IP kube-proxy no-endpoint-nodeports { type inet_proto . inet_service : verdict ; }
add map IP kube-proxy no-endpoint-services { type ADDR . inet_proto . inet_service : verdict ; }
add map IP kube-proxy service-ips { type ADDR . inet_proto . inet_service : verdict ; }
add map IP kube-proxy service-nodeports { type inet_proto . inet_service : verdict ; }
add map IP kube-proxy firewall-ips { type ADDR . inet_proto . inet_service : verdict ; }
add chain IP kube-proxy cluster-ips-check
add chain IP kube-proxy filter-prerouting-pre-dnat { type filter hook prerouting priority -110 ; }
add chain IP kube-proxy filter-output-pre-dnat { type filter hook output priority -110 ; }
add chain IP kube-proxy filter-forward { type filter hook forward priority 0 ; }
add chain IP kube-proxy filter-input { type filter hook input priority 0 ; }
add chain IP kube-proxy filter-output { type filter hook output priority 0 ; }
add chain IP kube-proxy firewall-check
add chain IP kube-proxy mark-for-masquerade
add chain IP kube-proxy masquerading
add chain IP kube-proxy nat-output { type nat hook output priority -100 ; }
add chain IP kube-proxy nat-postrouting { type nat hook postrouting priority 100 ; }
add chain IP kube-proxy nat-prerouting { type nat hook prerouting priority -100 ; }
add chain IP kube-proxy nodeport-endpoints-check
add chain IP kube-proxy reject-chain
add chain IP kube-proxy services
add chain IP kube-proxy service-endpoints-check
add rule IP kube-proxy cluster-ips-check IP daddr @cluster-ips reject
add rule IP kube-proxy filter-prerouting-pre-dnat ct state new jump firewall-check
add rule IP kube-proxy filter-forward ct state new jump service-endpoints-check
add rule IP kube-proxy filter-forward ct state new jump cluster-ips-check
add rule IP kube-proxy filter-input ct state new jump nodeport-endpoints-check
add rule IP kube-proxy filter-input ct state new jump service-endpoints-check
add rule IP kube-proxy filter-output ct state new jump service-endpoints-check
add rule IP kube-proxy filter-output-pre-dnat ct state new jump firewall-check
add rule IP kube-proxy filter-output ct state new jump cluster-ips-check
add rule IP kube-proxy firewall-check IP daddr . meta l4proto . th dport vmap @firewall-ips
add rule IP kube-proxy mark-for-masquerade mark set mark or 0x4000
add rule IP kube-proxy masquerading mark and 0x4000 == 0 return
add rule IP kube-proxy masquerading mark set mark xor 0x4000
add rule IP kube-proxy masquerading masquerade fully-random
add rule IP kube-proxy nat-output jump services
add rule IP kube-proxy nat-postrouting jump masquerading
add rule IP kube-proxy nat-prerouting jump services
add rule IP kube-proxy nodeport-endpoints-check IP daddr @nodeport-ips meta l4proto . th dport vmap @no-endpoint-nodeports
add rule IP kube-proxy reject-chain reject
add rule IP kube-proxy services IP daddr . meta l4proto . th dport vmap @service-ips
add rule IP kube-proxy services IP daddr @nodeport-ips meta l4proto . th dport vmap @service-nodeports
add rule IP kube-proxy service-endpoints-check IP daddr . meta l4proto . th dport vmap @no-endpoint-services
"""

    def install(self):
        out = []
        for s in self.services:
            out += self.service(s)
        out += ["add element IP kube-proxy nodeport-ips { %s }" % ", ".join(self.node_ips[:1])]
        self.feed(["nft", "-f", "-"], self.worded(self.BASE.splitlines() + out + self.portmap()))

    def worded(self, lines):
        words = {"IP": "ip6" if self.six else "ip", "ADDR": "ipv6_addr" if self.six else "ipv4_addr"}
        return "\n".join(" ".join(words.get(w, w) for w in line.split(" ")) for line in lines) + "\n"

    def remove(self):
        for table in ("kube-proxy", "cni_hostport"):
            self.node.nft("delete", "table", "ip6" if self.six else "ip", table)

    @staticmethod
    def ident(s):
        return "%s-%s/%s/p" % (digest(s.name, s.proto)[:8], s.name, s.proto)

    def service(self, s):
        svc, ext = "service-" + self.ident(s), "external-" + self.ident(s)
        outside, mine = list(s.ext) + list(s.lb), local_eps(s, self.me)
        entry = lambda a, to: "{ %s . %s . %d : %s }" % (a, s.proto, s.port, to)  # noqa: E731
        out = ["element IP kube-proxy cluster-ips { %s }" % s.cluster]
        if not s.eps:
            out += ["element IP kube-proxy no-endpoint-services " + entry(a, "goto reject-chain")
                    for a in [s.cluster] + outside]
            return ["add " + line for line in out]
        near = "local-" + self.ident(s)
        for e in s.eps:
            out += self.endpoint_chain(s, e)
        out += self.policy_chain(s, svc, s.eps)
        if mine and (s.itp_local or s.etp_local):
            out += self.policy_chain(s, near, mine)
        if mine or not s.itp_local:
            out.append("element IP kube-proxy service-ips " + entry(s.cluster, "goto " + (near if s.itp_local else svc)))
        else:
            out.append("element IP kube-proxy no-endpoint-services " + entry(s.cluster, "drop"))
        if outside or s.nodeport:
            out += self.external(s, svc, ext, near if mine else "")
            out += ["element IP kube-proxy service-ips " + entry(a, "goto " + ext) for a in outside]
            if s.nodeport:
                out.append("element IP kube-proxy service-nodeports { %s . %d : goto %s }" % (s.proto, s.nodeport, ext))
        if s.etp_local and not mine:
            out += ["element IP kube-proxy no-endpoint-services " + entry(a, "drop") for a in outside]
            if s.nodeport:
                out.append("element IP kube-proxy no-endpoint-nodeports { %s . %d : drop }" % (s.proto, s.nodeport))
        return ["add " + line for line in out]

    def external(self, s, svc, ext, near):
        rule = "rule IP kube-proxy %s " % ext
        out = ["chain IP kube-proxy " + ext]
        if not s.etp_local:
            return out + [rule + "jump mark-for-masquerade", rule + "goto " + svc]
        out += [rule + "IP saddr %s goto %s" % (self.cidr, svc), rule + "fib saddr type local jump mark-for-masquerade",
                rule + "fib saddr type local goto " + svc]
        return out + ([rule + "goto " + near] if near else [])

    def endpoint(self, s, e):
        where = e[0].replace(":", ".")
        return "%s-%s/%s/p__%s/%d" % (digest(s.name, s.proto, *e)[:8], s.name, s.proto, where, e[1])

    def pick(self, s, eps):
        choices = " , ".join("%d : goto endpoint-%s" % (i, self.endpoint(s, e)) for i, e in enumerate(eps))
        return "numgen random mod %d vmap { %s }" % (len(eps), choices)

    def endpoint_chain(self, s, e):
        name = self.endpoint(s, e)
        rule = "rule IP kube-proxy endpoint-%s " % name
        out = ["chain IP kube-proxy endpoint-" + name, rule + "IP saddr %s jump mark-for-masquerade" % e[0]]
        if s.affinity:
            out.insert(0, "set IP kube-proxy affinity-%s { type ADDR ; flags dynamic,timeout ; timeout 10800s ; }" % name)
            out.append(rule + "update @affinity-%s { IP saddr }" % name)
        return out + [rule + "meta l4proto %s dnat to %s" % (s.proto, joined(e[0], e[1]))]

    def policy_chain(self, s, name, eps):
        """The chain that chooses among endpoints."""
        rule = "rule IP kube-proxy %s " % name
        out = ["chain IP kube-proxy " + name,
               rule + "IP daddr %s IP saddr != %s jump mark-for-masquerade" % (s.cluster, self.cidr)]
        if s.affinity:
            out += [rule + "IP saddr @affinity-%s goto endpoint-%s" % ((self.endpoint(s, e),) * 2) for e in eps]
        return out + [rule + self.pick(s, eps)]

    def portmap(self):
        """The portmap plugin with its nftables backend."""
        mine = [s for s in self.services if s.hostport and local_eps(s, self.me)]
        if not mine:
            return []
        out = ["table IP cni_hostport", "chain IP cni_hostport hostports", "chain IP cni_hostport hostip_hostports",
               "chain IP cni_hostport prerouting { type nat hook prerouting priority -100 ; }",
               "chain IP cni_hostport output { type nat hook output priority -100 ; }",
               "chain IP cni_hostport masquerading { type nat hook postrouting priority 100 ; }"]
        for hook in ("prerouting", "output"):
            out += ["rule IP cni_hostport %s jump hostip_hostports" % hook,
                    "rule IP cni_hostport %s fib daddr type local jump hostports" % hook]
        for s in mine:
            ip, port, _ = local_eps(s, self.me)[0]
            out += ["rule IP cni_hostport hostports %s dport %d dnat to %s" % (s.proto, s.hostport, joined(ip, port)),
                    "rule IP cni_hostport masquerading IP saddr %s IP daddr %s masquerade" % (ip, ip)]
        return ["add " + line for line in out]


class Ipvs(Family):
    """--proxy-mode=ipvs"""

    SETS = (("KUBE-CLUSTER-IP", "hash:ip,port"), ("KUBE-LOOP-BACK", "hash:ip,port,ip"),
            ("KUBE-EXTERNAL-IP", "hash:ip,port"), ("KUBE-EXTERNAL-IP-LOCAL", "hash:ip,port"),
            ("KUBE-LOAD-BALANCER", "hash:ip,port"), ("KUBE-LOAD-BALANCER-LOCAL", "hash:ip,port"),
            ("KUBE-NODE-PORT-TCP", "bitmap:port"), ("KUBE-NODE-PORT-LOCAL-TCP", "bitmap:port"),
            ("KUBE-NODE-PORT-UDP", "bitmap:port"), ("KUBE-NODE-PORT-LOCAL-UDP", "bitmap:port"),
            ("KUBE-NODE-PORT-SCTP-HASH", "hash:ip,port"), ("KUBE-NODE-PORT-LOCAL-SCTP-HASH", "hash:ip,port"),
            ("KUBE-IPVS-IPS", "hash:ip"))

    def set(self, name):
        return name.replace("KUBE-", "KUBE-6-", 1)[:31] if self.six else name  # no longer one is allowed

    def install(self):
        self.node.run(["ipvsadm", "-L", "-n"])  # loads the module, hence the sysctls
        for key, value in (("conntrack", 1), ("conn_reuse_mode", 0), ("expire_nodest_conn", 1),
                           ("expire_quiescent_template", 1)):
            self.node.sysctl("net/ipv4/vs/" + key, value)
        self.node.sysctl("net/ipv4/conf/all/arp_ignore", 1)
        self.node.sysctl("net/ipv4/conf/all/arp_announce", 2)
        if not self.six:
            self.node.ip("link add kube-ipvs0 type dummy")  # it stays down, as kube-proxy leaves it
        vips = sorted({a for s in self.services for a in (s.cluster, *s.ext, *s.lb)})
        self.node.ip(*["address add %s/%d dev kube-ipvs0%s" % (a, 128 if self.six else 32, " nodad" if self.six else "")
                       for a in vips])
        self.feed(["ipset", "restore"], self.sets(vips))
        self.feed(["ipvsadm", "-R"], self.virtual_servers())
        nat, flt = XtText("nat"), XtText("filter")
        self.rules(nat, flt)
        self.hostports(nat)
        self.restore(nat.text() + flt.text())

    def remove(self):
        self.flush_tables()
        self.node.run(["ipvsadm", "-C"], check=False)
        for name, _ in self.SETS:
            self.node.run(["ipset", "destroy", self.set(name)], check=False)
        self.node.run(["ip", "link", "del", "kube-ipvs0"], check=False)

    def sets(self, vips):
        family = "" if not self.six else " family inet6"
        out = []
        for name, kind in self.SETS:
            tail = " range 0-65535" if kind == "bitmap:port" else family
            out.append("create %s %s%s" % (self.set(name), kind, tail))
        add = lambda name, entry: out.append("add %s %s -exist" % (self.set(name), entry))  # noqa: E731
        for a in vips:
            add("KUBE-IPVS-IPS", a)
        for s in self.services:
            at = lambda a: "%s,%s:%d" % (a, s.proto, s.port)  # noqa: E731,B023
            add("KUBE-CLUSTER-IP", at(s.cluster))
            for ip, port, where in s.eps:
                if where == self.me:
                    add("KUBE-LOOP-BACK", "%s,%s:%d,%s" % (ip, s.proto, port, ip))
            for a in s.ext:
                add("KUBE-EXTERNAL-IP-LOCAL" if s.etp_local else "KUBE-EXTERNAL-IP", at(a))
            for a in s.lb:
                add("KUBE-LOAD-BALANCER", at(a))
                if s.etp_local:
                    add("KUBE-LOAD-BALANCER-LOCAL", at(a))
            if s.nodeport and s.proto in ("tcp", "udp"):
                add("KUBE-NODE-PORT-" + s.proto.upper(), str(s.nodeport))
                if s.etp_local:
                    add("KUBE-NODE-PORT-LOCAL-" + s.proto.upper(), str(s.nodeport))
            elif s.nodeport:
                for a in self.node_ips:
                    entry = "%s,sctp:%d" % (a, s.nodeport)
                    add("KUBE-NODE-PORT-SCTP-HASH", entry)
                    if s.etp_local:
                        add("KUBE-NODE-PORT-LOCAL-SCTP-HASH", entry)
        return "\n".join(out) + "\n"

    def virtual_servers(self):
        out = []
        flag = {"tcp": "-t", "udp": "-u", "sctp": "--sctp-service"}
        for s in self.services:
            mine = local_eps(s, self.me)
            outer = mine if s.etp_local and mine else s.eps
            servers = [(s.cluster, s.port, mine if s.itp_local else s.eps)]
            servers += [(a, s.port, outer) for a in s.ext + s.lb]
            if s.nodeport:
                servers += [(a, s.nodeport, outer) for a in self.node_ips]
            for a, port, eps in servers:
                vs = "%s %s" % (flag[s.proto], joined(a, port))
                out.append("-A %s -s rr%s" % (vs, " -p 10800" if s.affinity else ""))
                out += ["-a %s -r %s -m -w 1" % (vs, joined(ip, p)) for ip, p, _ in eps]
        return "\n".join(out) + "\n"

    def rules(self, nat, flt):
        has = lambda name, what="dst,dst": "-m set --match-set %s %s" % (self.set(name), what)  # noqa: E731
        nat.chain("KUBE-SERVICES", "KUBE-POSTROUTING", "KUBE-NODE-PORT", "KUBE-LOAD-BALANCER", "KUBE-MARK-MASQ")
        nat.add("-A PREROUTING %s -j KUBE-SERVICES" % comment("kubernetes service portals"),
                "-A OUTPUT %s -j KUBE-SERVICES" % comment("kubernetes service portals"),
                "-A POSTROUTING %s -j KUBE-POSTROUTING" % comment("kubernetes postrouting rules"),
                "-A KUBE-MARK-MASQ -j MARK --or-mark 0x4000",
                "-A KUBE-POSTROUTING %s %s -j MASQUERADE" % (
                    comment("Kubernetes endpoints dst ip:port, source ip for solving hairpin purpose"),
                    has("KUBE-LOOP-BACK", "dst,dst,src")),
                "-A KUBE-POSTROUTING -m mark ! --mark %s -j RETURN" % MARK,
                "-A KUBE-POSTROUTING -j MARK --xor-mark 0x4000",
                "-A KUBE-POSTROUTING %s -j MASQUERADE --random-fully" %
                comment("kubernetes service traffic requiring SNAT"),
                "-A KUBE-SERVICES -s %s -j RETURN" % ("::1/128" if self.six else "127.0.0.0/8"),
                "-A KUBE-SERVICES %s -j KUBE-LOAD-BALANCER" % has("KUBE-LOAD-BALANCER"),
                "-A KUBE-SERVICES ! -s %s %s -j KUBE-MARK-MASQ" % (self.cidr, has("KUBE-CLUSTER-IP")),
                "-A KUBE-SERVICES %s -j KUBE-MARK-MASQ" % has("KUBE-EXTERNAL-IP"),
                "-A KUBE-SERVICES %s -m physdev ! --physdev-is-in -m addrtype ! --src-type LOCAL -j ACCEPT" %
                has("KUBE-EXTERNAL-IP"),
                "-A KUBE-SERVICES -m addrtype --dst-type LOCAL -j KUBE-NODE-PORT",
                "-A KUBE-LOAD-BALANCER %s -j RETURN" % has("KUBE-LOAD-BALANCER-LOCAL"),
                "-A KUBE-LOAD-BALANCER -j KUBE-MARK-MASQ")
        for proto in ("tcp", "udp"):
            for name, target in (("KUBE-NODE-PORT-LOCAL-", "RETURN"), ("KUBE-NODE-PORT-", "KUBE-MARK-MASQ")):
                nat.add("-A KUBE-NODE-PORT -p %s %s -j %s" % (proto, has(name + proto.upper(), "dst"), target))
        nat.add("-A KUBE-NODE-PORT -p sctp %s -j RETURN" % has("KUBE-NODE-PORT-LOCAL-SCTP-HASH"),
                "-A KUBE-NODE-PORT -p sctp %s -j KUBE-MARK-MASQ" % has("KUBE-NODE-PORT-SCTP-HASH"))
        nat.add(*["-A KUBE-SERVICES %s -j ACCEPT" % has(n) for n in ("KUBE-CLUSTER-IP", "KUBE-LOAD-BALANCER")])
        flt.chain("KUBE-FORWARD", "KUBE-IPVS-FILTER")
        flt.add("-A INPUT %s -j KUBE-IPVS-FILTER" % comment("kubernetes ipvs access filter"),
                "-A FORWARD %s -j KUBE-FORWARD" % comment("kubernetes forwarding rules"),
                "-A KUBE-FORWARD -m mark --mark %s -j ACCEPT" % MARK,
                "-A KUBE-FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT")
        flt.add(*["-A KUBE-IPVS-FILTER %s -j RETURN" % has(n)
                  for n in ("KUBE-LOAD-BALANCER", "KUBE-CLUSTER-IP", "KUBE-EXTERNAL-IP", "KUBE-EXTERNAL-IP-LOCAL")])
        flt.add("-A KUBE-IPVS-FILTER -m conntrack --ctstate NEW %s -j REJECT" % has("KUBE-IPVS-IPS", "dst"))
