# SPDX-License-Identifier: Apache-2.0
"""rulegen.py - random tables for nft and random packets that meet their edges. One stream of numbers decides all."""

V4 = ["10.0.0.9", "10.0.0.10", "10.1.0.4", "10.1.0.5", "10.1.0.9", "10.1.0.10", "10.2.0.0", "10.2.0.255", "10.2.1.0", "172.16.0.1"]
V6 = ["fd00::9", "fd00::a", "fd00:1::4", "fd00:1::5", "fd00:1::9", "fd00:1::a", "fd00:2::", "fd00:2::ffff:ffff:ffff:ffff", "fd00:3::1"]
SRC4 = ["10.0.0.1", "10.0.0.2", "10.1.0.5", "192.168.7.7"]
SRC6 = ["fd00::1", "fd00::2", "fd00:1::5"]
R4 = ["10.1.0.5-10.1.0.9", "10.2.0.0/24", "10.0.0.8/31", "10.0.0.0/8", "172.16.0.0/12", "10.0.0.10"]
R6 = ["fd00:1::5-fd00:1::9", "fd00:2::/64", "fd00::8/127", "fd00::/16", "fd00:3::1"]
PORTS = [1, 2, 79, 80, 81, 255, 256, 257, 1023, 1024, 65535]
RP = ["1-79", "80", "81-256", "257-1023", "1024-65535", "2-255"]
MARKS = [0, 1, 2, 255, 256, 0x10000, 0x01020304, 0xffffffff]
CHAINS = 5

SETS = [
    ("e4", "type ipv4_addr", V4 + SRC4, False), ("i4", "type ipv4_addr; flags interval", R4[:3] + R4[4:], False),
    ("e6", "type ipv6_addr", V6 + SRC6, False), ("i6", "type ipv6_addr; flags interval", R6[:3] + R6[4:], False),
    ("ep", "type inet_service", [str(p) for p in PORTS], False), ("sp", "type inet_service; flags interval", RP[:5], False),
    ("cc", "type ipv4_addr . inet_service", ["%s . %d" % (a, p) for a in V4 for p in PORTS], False),
    ("cr", "type ipv4_addr . inet_service; flags interval",
     ["10.1.0.5-10.1.0.9 . 80-256", "10.2.0.0/24 . 1-79", "10.0.0.9 . 1024-65535", "10.0.0.10 . 81", "172.16.0.0/12 . 1-1000"], False),
    ("c6", "type ipv6_addr . inet_service; flags interval", ["fd00:1::5-fd00:1::9 . 80-256", "fd00:2::/64 . 1-79"], False),
    ("mk", "type mark; flags interval", ["0-2", "256", "0x10000-0x2000000"], False),
    ("vp", "type inet_service : verdict", [str(p) for p in PORTS], True),
    ("vr", "type inet_service : verdict; flags interval", RP[:5], True),
    ("v4", "type ipv4_addr : verdict; flags interval", R4[:3] + R4[4:], True),
    ("d4", "type ipv4_addr : mark", V4, "mark"), ("di", "type ipv4_addr : mark; flags interval", R4[:3] + R4[4:], "mark"),
]


class Gen:
    def __init__(self, rng):
        self.r = rng

    def verdict(self, level, maps=False):
        """level: number of the chain, jumps go to higher ones only."""
        kinds = ["accept", "accept", "drop", "drop", "return", "continue"] + ([] if maps else ["", "", "reject"])
        if level < CHAINS - 1:
            kinds += ["jump", "goto", "jump"]
        kind = self.r.choice(kinds)
        if kind in ("jump", "goto"):
            kind += " c%d" % self.r.randrange(level + 1, CHAINS)
        return kind

    def sets(self):
        text = ""
        for name, kind, pool, data in SETS:
            some = self.r.sample(pool, self.r.randrange(0, min(len(pool), 6) + 1))
            if data is True:
                # Maps of verdicts are used by the base chains and c0 only.
                some = ["%s : %s" % (e, self.verdict(0, maps=True)) for e in some]
            elif data:
                some = ["%s : %d" % (e, self.r.choice(MARKS)) for e in some]
            if data and "interval" not in kind and some and self.r.random() < .3:
                some.append("* : %s" % ("drop" if data is True else "3"))
            elements = "elements = { %s }; " % ", ".join(some) if some else ""
            text += "%s %s { %s; %s}\n" % ("map" if data else "set", name, kind, elements)
        return text

    def not_(self):
        return self.r.choice(["", "", "!= "])

    def addr(self, v6):
        r, ip = self.r, "ip6" if v6 else "ip"
        end = r.choice(["saddr", "daddr"])
        e, i = ("e6", "i6") if v6 else ("e4", "i4")
        pool, ranges = (V6 + SRC6, R6) if v6 else (V4 + SRC4, R4)
        what = r.choice(["@" + e, "@" + i, r.choice(pool), r.choice(ranges), "{ %s }" % ", ".join(r.sample(ranges[:3], 2)),
                         "{ %s }" % ", ".join(r.sample(pool, 3))])
        return "%s %s %s%s" % (ip, end, self.not_(), what)

    def port(self, proto):
        r = self.r
        side = r.choice(["dport", "dport", "sport"])
        what = r.choice(["%s@ep", "%s@sp", "%s" + str(r.choice(PORTS)), "%s" + r.choice(RP), "%s{ 1, 80-255, 1024 }"])
        if r.random() < .2:
            return "%s %s %s %d" % (proto, side, r.choice(["<", ">", "<=", ">="]), r.choice(PORTS[1:-1]))
        return "%s %s %s" % (proto, side, what % self.not_())

    def flow(self, v6):
        r = self.r
        end, way = r.choice(["saddr", "daddr"]), r.choice(["original", "reply"])
        fam, sets = ("ip6", "@i6") if v6 else ("ip", "@i4")
        return r.choice([
            "ct state %s" % r.choice(["new", "established", "invalid", "new,untracked", "established,related"]),
            "ct direction %s" % r.choice(["original", "reply"]), "ct mark %s%d" % (self.not_(), r.choice(MARKS)),
            "ct mark & 0xff == %d" % r.choice([0, 1, 4, 255]), "ct mark @mk", "ct protocol %s" % r.choice(["tcp", "udp", "icmp"]),
            "ct %s %s %s %s%s" % (way, fam, end, self.not_(), r.choice([sets, r.choice(V6 if v6 else V4)])),
            "ct protocol udp meta l4proto udp ct %s %s %s" % (way, r.choice(["proto-src", "proto-dst"]), r.choice(["80", "1-256", "!= 1024"])),
            "ct l3proto %s" % ("ipv6" if v6 else "ipv4"),
        ])

    def other(self):
        r = self.r
        return r.choice([
            "meta mark %s%d" % (self.not_(), r.choice(MARKS)), "meta mark %s 256" % r.choice(["<", ">", "<=", ">="]),
            "meta mark 2-256", "meta mark & 0x%x == 0x%x" % (r.choice([0xff, 0xff00, 0x1ff]), r.choice([0, 1, 0x100, 4])),
            "meta mark @mk", "meta nfproto %s" % r.choice(["ipv4", "ipv6"]), "meta l4proto %s" % r.choice(["tcp", "!= udp", "{ icmp, udp }"]),
            "oif dm0", "oif lo", "oifgroup %s" % r.choice(["77", "!= 77", "5", "70-80"]), "iifgroup != 5", "iif != lo", "iif lo", "counter",
        ])

    def match(self, v6, proto):
        r = self.r
        kinds = [lambda: self.addr(v6), lambda: self.flow(v6), self.other]
        if proto in ("udp", "tcp", "th"):
            kinds += [lambda: self.port(proto)] * 2
            if v6:
                kinds.append(lambda: "ip6 daddr . %s dport %s@c6" % (proto, self.not_()))
            else:
                kinds.append(lambda: "ip daddr . %s dport %s@%s" % (proto, self.not_(), r.choice(["cc", "cr"])))
        if proto == "tcp":
            kinds.append(lambda: "tcp flags & (fin|syn|rst|ack) %s syn" % r.choice(["==", "!="]))
        if proto == "icmp":
            kinds.append(lambda: "icmpv6 type %s" % r.choice(["128", "!= 128", "127-129"]) if v6
                         else "icmp type %s" % r.choice(["8", "{ 3, 13 }", "!= 8"]))
        kinds.append(lambda: ("ip6 hoplimit" if v6 else "ip ttl") + " " + r.choice(["64", "!= 64", "60-70", "> 64"]))
        return r.choice(kinds)()

    def action(self, v6, proto, level):
        r = self.r
        x = r.random()
        if x < .08:
            return "meta mark set %s" % r.choice(["1", "256", "ip daddr map @d4", "ip daddr map @di", "meta mark & 0xff | 0x100", "meta mark << 8", "ct mark"])
        if x < .16:
            return "ct mark set %s" % r.choice(["1", "4", "ct mark & 0xff | 0x100", "meta mark", "256"])
        if x < .26 and level < 1 and proto in ("udp", "tcp", "th"):
            return "%s dport vmap @%s" % (proto, r.choice(["vp", "vr"]))
        if x < .32 and level < 1 and not v6:
            return "ip daddr vmap @v4"
        return r.choice(["", "", "counter ", 'log prefix "r" group 5 ']) + self.verdict(level)

    def rule(self, level):
        r = self.r
        while True:
            v6, proto = r.random() < .35, r.choice(["udp", "udp", "udp", "tcp", "th", "icmp", "any"])
            parts = [self.match(v6, proto) for _ in range(r.choice([0, 1, 1, 1, 2, 2, 3]))]
            parts.append(self.action(v6, proto, level))
            if proto == "th":
                parts.insert(0, "meta l4proto { tcp, udp }")
            text = " ".join(p for p in parts if p).strip()
            # nft itself refuses what contradicts itself; those that it would only warn of are left out here.
            if text and not (v6 and "ip daddr map" in text):
                return text

    def rules(self, level, n):
        return "".join("  %s\n" % self.rule(level) for _ in range(n))

    def table(self):
        r = self.r
        text = "table inet x {\n" + self.sets()
        for i in range(CHAINS - 1, -1, -1):
            text += " chain c%d {\n%s }\n" % (i, self.rules(i, r.randrange(0, 5)))
        for i in range(r.randrange(1, 4)):
            hook = r.choice(["output", "output", "postrouting"])
            priority = r.choice([-300, -150, -10, 0, 0, 10]) if hook == "output" else r.choice([-50, 0, 0, 50])
            text += " chain b%d {\n  type filter hook %s priority %d; policy %s;\n%s%s }\n" % (
                i, hook, priority, r.choice(["accept", "accept", "drop"]),
                "  udp dport 2 notrack\n" if priority == -300 and r.random() < .5 else "", self.rules(-1, r.randrange(1, 7)))
        return text + "}\n"

    def packet(self, number, before):
        """before: packets that were sent; some are answered, some sent again."""
        r = self.r
        if before and r.random() < .35:
            old = r.choice(before)
            if old["proto"] == 17:
                return dict(old, src=old["dst"], dst=old["src"], sport=old["dport"], dport=old["sport"]) if r.random() < .7 else dict(old)
        v6 = r.random() < .35
        p = {"src": r.choice(SRC6 if v6 else SRC4), "ttl": r.choice([64, 64, 59, 255]), "mark": r.choice(MARKS)}
        # From and to one address a flow and its answers are the same tuple: either direction is right.
        p["dst"] = r.choice([a for a in (V6 if v6 else V4) if a != p["src"]])
        proto = r.choice([17, 17, 17, 6, 58 if v6 else 1, 47])
        p["proto"] = proto
        if proto in (6, 17):
            p["dport"] = r.choice(PORTS)
            p["sport"] = r.choice(PORTS) if proto == 17 and r.random() < .3 else 2000 + number % 60000
        if proto == 6:
            p["flags"] = r.choice([0x02, 0x02, 0x10, 0x03, 0x00])
        if proto in (1, 58):
            p.update(type=r.choice([8, 13, 3] if proto == 1 else [128, 127]), code=0, ident=number & 0xffff)
        return p
