# SPDX-License-Identifier: Apache-2.0
"""rulecases.py - hand-written rules, one matter each, with the verdict that nft's documentation promises.

A case: name, body of `table inet x`, packets with "+" (passes) or "-". A packet is words like "udp 10.0.0.1 10.0.0.9 53".
"""

OUT = "chain out { type filter hook output priority 0; policy %s; %s; }"


def out(rules, policy="drop"):
    return OUT % (policy, rules)


def many(prefix, last):
    """prefix0 jumps to prefix1 and so on; the last one decides."""
    depth = 12
    text = "chain %s%d { %s; }\n" % (prefix, depth, last)
    for i in range(depth - 1, -1, -1):
        text += "chain %s%d { jump %s%d; }\n" % (prefix, i, prefix, i + 1)
    return text


CASES = [
    ("policy drop and accept", out("ip daddr 10.0.0.9 accept"), ["+udp 10.0.0.1 10.0.0.9 1", "-udp 10.0.0.1 10.0.0.8 1"]),
    ("policy accept", out("ip daddr 10.0.0.9 drop", "accept"), ["-udp 10.0.0.1 10.0.0.9 1", "+udp 10.0.0.1 10.0.0.8 1"]),
    ("jump comes back, goto does not",
     "chain a { udp dport 1 return; udp dport 2 drop; }\n" +
     out("udp dport 1-2 jump a; udp dport 3-4 goto a; udp dport 1-4 accept"),
     ["+udp 10.0.0.1 10.0.0.9 1", "-udp 10.0.0.1 10.0.0.9 2", "-udp 10.0.0.1 10.0.0.9 3", "-udp 10.0.0.1 10.0.0.9 5"]),
    ("goto inside a jump returns to the jump",
     "chain b { udp dport 7 drop; }\nchain a { goto b; drop; }\n" + out("jump a; udp dport 7-9 accept"),
     ["-udp 10.0.0.1 10.0.0.9 7", "+udp 10.0.0.1 10.0.0.9 8", "-udp 10.0.0.1 10.0.0.9 10"]),
    ("return in a base chain is its policy", out("udp dport 5 return; accept"),
     ["-udp 10.0.0.1 10.0.0.9 5", "+udp 10.0.0.1 10.0.0.9 6"]),
    ("goto at the top ends in the policy", "chain a { udp dport 9 accept; }\n" + out("goto a; accept"),
     ["+udp 10.0.0.1 10.0.0.9 9", "-udp 10.0.0.1 10.0.0.9 8"]),
    ("jumps many deep", many("d", "udp dport 4 accept") + out("jump d0; udp dport 5 accept"),
     ["+udp 10.0.0.1 10.0.0.9 4", "+udp 10.0.0.1 10.0.0.9 5", "-udp 10.0.0.1 10.0.0.9 6"]),
    ("continue goes on in its rule", out("udp dport vmap { 1 : continue, 2 : return, 3 : drop }; udp dport 1-4 accept"),
     ["+udp 10.0.0.1 10.0.0.9 1", "-udp 10.0.0.1 10.0.0.9 2", "-udp 10.0.0.1 10.0.0.9 3", "+udp 10.0.0.1 10.0.0.9 4"]),
    ("a verdict map that jumps", "chain a { udp sport 999 accept; }\nmap m { type inet_service : verdict; elements = "
     "{ 10 : jump a, 11 : goto a, 12 : accept } }\n" + out("udp dport vmap @m; udp dport 10-11 accept"),
     ["+udp 10.0.0.1 10.0.0.9 10", "-udp 10.0.0.1 10.0.0.9 11", "+udp 10.0.0.1 10.0.0.9 12", "-udp 10.0.0.1 10.0.0.9 13"]),
    ("intervals of IPv4, both ends", "set s { type ipv4_addr; flags interval; elements = { 10.1.0.5-10.1.0.9, 10.2.0.0/24, "
     "10.2.1.0/24, 0.0.0.0/8 } }\n" + out("ip daddr @s accept"),
     ["-udp 10.0.0.1 10.1.0.4 1", "+udp 10.0.0.1 10.1.0.5 1", "+udp 10.0.0.1 10.1.0.9 1", "-udp 10.0.0.1 10.1.0.10 1",
      "+udp 10.0.0.1 10.2.0.0 1", "+udp 10.0.0.1 10.2.0.255 1", "+udp 10.0.0.1 10.2.1.0 1", "-udp 10.0.0.1 10.2.2.0 1",
      "-udp 10.0.0.1 9.255.255.255 1"]),
    ("intervals that touch, with data", "map m { type ipv4_addr : mark; flags interval; elements = { 10.1.0.0/25 : 1, "
     "10.1.0.128/25 : 2 } }\n" + out("meta mark set ip daddr map @m; meta mark 2 accept"),
     ["-udp 10.0.0.1 10.1.0.127 1", "+udp 10.0.0.1 10.1.0.128 1", "-udp 10.0.0.1 10.1.1.0 1"]),
    ("an interval without an end", "set s { type ipv4_addr; flags interval; elements = { 200.0.0.0-255.255.255.255 } }\n" +
     out("ip saddr @s accept"), ["+udp 223.0.0.1 10.0.0.9 1", "-udp 199.255.255.255 10.0.0.9 1"]),
    ("intervals of IPv6", "set s { type ipv6_addr; flags interval; elements = { fd00:1::5-fd00:1::9, fd00:2::/64 } }\n" +
     out("ip6 daddr @s accept"),
     ["-udp fd00::1 fd00:1::4 1", "+udp fd00::1 fd00:1::5 1", "+udp fd00::1 fd00:1::9 1", "-udp fd00::1 fd00:1::a 1",
      "+udp fd00::1 fd00:2::ffff:ffff:ffff:ffff 1", "-udp fd00::1 fd00:2:0:1:: 1", "-udp 10.0.0.1 10.0.0.9 1"]),
    ("intervals of ports", out("udp dport { 1-9, 20, 60000-65535 } accept"),
     ["+udp 10.0.0.1 10.0.0.9 9", "-udp 10.0.0.1 10.0.0.9 10", "+udp 10.0.0.1 10.0.0.9 20", "-udp 10.0.0.1 10.0.0.9 21",
      "+udp 10.0.0.1 10.0.0.9 65535", "-udp 10.0.0.1 10.0.0.9 59999"]),
    ("an inverted lookup", "set s { type ipv4_addr; elements = { 10.0.0.9 } }\n" + out("ip daddr != @s accept"),
     ["-udp 10.0.0.1 10.0.0.9 1", "+udp 10.0.0.1 10.0.0.8 1", "-udp fd00::1 fd00::9 1"]),
    ("a concatenation", "set s { type ipv4_addr . inet_service; elements = { 10.0.0.9 . 53 } }\n" +
     out("ip daddr . udp dport @s accept"),
     ["+udp 10.0.0.1 10.0.0.9 53", "-udp 10.0.0.1 10.0.0.9 54", "-udp 10.0.0.1 10.0.0.8 53", "-tcp 10.0.0.1 10.0.0.9 53"]),
    ("concatenated ranges", "set s { type ipv4_addr . inet_service; flags interval; elements = { 10.1.0.0/24 . 5-9, "
     "10.2.0.7 . 1 } }\n" + out("ip daddr . udp dport @s accept"),
     ["+udp 10.0.0.1 10.1.0.0 5", "+udp 10.0.0.1 10.1.0.255 9", "-udp 10.0.0.1 10.1.0.1 10", "-udp 10.0.0.1 10.1.1.0 5",
      "-udp 10.0.0.1 10.1.0.0 4", "+udp 10.0.0.1 10.2.0.7 1", "-udp 10.0.0.1 10.2.0.7 2"]),
    ("a catch-all element", "map m { type ipv4_addr : verdict; elements = { 10.0.0.9 : drop, * : accept } }\n" +
     out("ip daddr vmap @m"), ["-udp 10.0.0.1 10.0.0.9 1", "+udp 10.0.0.1 10.0.0.8 1", "-udp fd00::1 fd00::8 1"]),
    ("comparisons of ports are of numbers", out("udp dport < 256 accept; udp dport >= 4096 accept; udp dport != 300-4000 accept"),
     ["+udp 10.0.0.1 10.0.0.9 255", "+udp 10.0.0.1 10.0.0.9 256", "-udp 10.0.0.1 10.0.0.9 300", "+udp 10.0.0.1 10.0.0.9 4096",
      "-udp 10.0.0.1 10.0.0.9 4000", "+udp 10.0.0.1 10.0.0.9 4001"]),
    ("marks are numbers too", out("meta mark 256-511 accept; meta mark & 0xf == 0x3 accept; meta mark > 0x10000 accept"),
     ["+udp 10.0.0.1 10.0.0.9 1 mark=256", "-udp 10.0.0.1 10.0.0.9 1 mark=1", "-udp 10.0.0.1 10.0.0.9 1 mark=512",
      "+udp 10.0.0.1 10.0.0.9 1 mark=0x23", "+udp 10.0.0.1 10.0.0.9 1 mark=0x10001", "-udp 10.0.0.1 10.0.0.9 1 mark=0x10000"]),
    ("a mark that a rule writes", out("meta mark set 7; meta mark 7 accept"), ["+udp 10.0.0.1 10.0.0.9 1"]),
    ("priorities: the lower first, drop is final",
     "chain a { type filter hook output priority 10; policy accept; meta mark 5 drop; }\n"
     "chain b { type filter hook output priority -10; policy accept; udp dport 5 meta mark set 5; udp dport 6 drop; }\n"
     "chain c { type filter hook output priority 20; policy accept; accept; }",
     ["-udp 10.0.0.1 10.0.0.9 5", "-udp 10.0.0.1 10.0.0.9 6", "+udp 10.0.0.1 10.0.0.9 7"]),
    ("accept ends one chain only",
     "chain a { type filter hook output priority 0; policy accept; accept; }\n"
     "chain b { type filter hook output priority 1; policy accept; udp dport 6 drop; }",
     ["-udp 10.0.0.1 10.0.0.9 6", "+udp 10.0.0.1 10.0.0.9 7"]),
    ("of one priority the newer runs first",
     "chain a { type filter hook output priority 3; policy accept; meta mark set 9; }\n"
     "chain b { type filter hook output priority 3; policy accept; meta mark 9 drop; }", ["+udp 10.0.0.1 10.0.0.9 1"]),
    ("of one priority the newer runs first, other way round",
     "chain a { type filter hook output priority 3; policy accept; meta mark 9 drop; }\n"
     "chain b { type filter hook output priority 3; policy accept; meta mark set 9; }", ["-udp 10.0.0.1 10.0.0.9 1"]),
    ("two hooks", out("udp dport 1-2 accept") + "\nchain post { type filter hook postrouting priority 0; policy accept; "
     "udp dport 2 drop; }", ["+udp 10.0.0.1 10.0.0.9 1", "-udp 10.0.0.1 10.0.0.9 2", "-udp 10.0.0.1 10.0.0.9 3"]),
    ("ct state and direction", out("ct state new udp dport 700 accept; ct direction reply accept"),
     ["+udp 10.0.0.1 10.7.0.9 700 sport=701", "+udp 10.7.0.9 10.0.0.1 701 sport=700", "-udp 10.0.0.1 10.7.0.9 700 sport=701",
      "-udp 10.7.0.8 10.0.0.1 701 sport=700"]),
    ("ct tuples", out("ct original ip saddr 10.0.0.1 ct protocol udp meta l4proto udp ct reply proto-src 53 accept; "
                      "ct original ip6 daddr fd00::9 accept"),
     ["+udp 10.0.0.1 10.7.1.9 53 sport=801", "+udp 10.7.1.9 10.0.0.1 801 sport=53", "-udp 10.0.0.2 10.7.1.9 53",
      "-tcp 10.0.0.1 10.7.1.9 53", "-udp 10.0.0.1 10.7.1.9 54", "+udp fd00::1 fd00::9 1", "-udp fd00::1 fd00::8 1"]),
    ("ct mark is kept by the flow", out("ct mark 0xab0000 accept; udp dport 900 ct mark set ct mark & 0xffff | 0xab0000 "
                                        "accept"),
     ["+udp 10.0.0.1 10.7.2.9 900 sport=901", "+udp 10.7.2.9 10.0.0.1 901 sport=900", "-udp 10.7.2.9 10.0.0.1 902 sport=900"]),
    ("no flow: invalid", out("ct state invalid drop; ct mark 0 accept"),
     ["-tcp 10.0.0.1 10.0.0.9 80 flags=3", "+tcp 10.0.0.1 10.0.0.9 80"]),
    ("no flow: its keys leave the rule", out("ct mark 0 accept; ct direction original accept"),
     ["-tcp 10.0.0.1 10.0.0.9 80 flags=3", "+tcp 10.0.0.1 10.0.0.9 80"]),
    ("before conntrack there is no flow",
     "chain raw { type filter hook output priority -300; policy accept; ct mark 0 drop; ct state invalid meta mark set 4; }\n" +
     out("meta mark 4 accept"), ["+udp 10.0.0.1 10.0.0.9 1"]),
    ("notrack", "chain raw { type filter hook output priority -300; policy accept; udp dport 1 notrack; }\n" +
     out("ct state untracked accept"), ["+udp 10.0.0.1 10.0.0.9 1", "-udp 10.0.0.1 10.0.0.9 2"]),
    ("notrack comes too late for a flow", out("notrack; ct state untracked drop; accept"), ["+udp 10.0.0.1 10.0.0.9 3"]),
    ("links", out("oif dm0 oifgroup 77 iif 0 udp dport 1 accept; iifgroup != 5 accept; oifgroup 78 accept"),
     ["+udp 10.0.0.1 10.0.0.9 1", "-udp 10.0.0.1 10.0.0.9 2"]),
    ("families", out("meta nfproto ipv4 udp dport 1 accept; meta protocol ip6 udp dport 2 accept"),
     ["+udp 10.0.0.1 10.0.0.9 1", "-udp fd00::1 fd00::9 1", "-udp 10.0.0.1 10.0.0.9 2", "+udp fd00::1 fd00::9 2"]),
    ("TCP flags", out("tcp flags & (fin|syn|rst|ack) == syn accept; tcp flags & ack != 0 tcp dport 9 accept"),
     ["+tcp 10.0.0.1 10.0.0.9 80", "-tcp 10.0.0.1 10.0.0.9 80 flags=16", "+tcp 10.0.0.1 10.0.0.9 9 flags=16"]),
    ("ICMP of both families", out("icmp type echo-request accept; icmpv6 type { echo-request } icmpv6 code 0 accept"),
     ["+icmp 10.0.0.1 10.0.0.9 8", "-icmp 10.0.0.1 10.0.0.9 13", "+icmp6 fd00::1 fd00::9 128", "-icmp6 fd00::1 fd00::9 127"]),
    ("time to live", out("ip ttl 60-70 accept; ip6 hoplimit != 255 accept"),
     ["+udp 10.0.0.1 10.0.0.9 1", "-udp 10.0.0.1 10.0.0.9 1 ttl=59", "-udp fd00::1 fd00::9 1 ttl=255", "+udp fd00::1 fd00::9 1"]),
    ("options of IPv4", out("ip hdrlength 5 udp dport 1 accept; ip hdrlength 7 accept"),
     ["+udp 10.0.0.1 10.0.0.9 1", "-udp 10.0.0.1 10.0.0.9 1 words=6", "+udp 10.0.0.1 10.0.0.9 2 words=7", "-udp fd00::1 fd00::9 1"]),
    ("other protocols", out("meta l4proto 132 sctp dport 5 accept; meta l4proto 47 accept"),
     ["+sctp 10.0.0.1 10.0.0.9 5", "-sctp 10.0.0.1 10.0.0.9 6", "+gre 10.0.0.1 10.0.0.9 0", "-udp 10.0.0.1 10.0.0.9 5"]),
    ("masks of addresses", out("ip daddr & 255.0.0.255 == 10.0.0.7 accept; ip6 daddr fd00:5::/48 accept; ip daddr 10.9.0.0/17 accept"),
     ["+udp 10.0.0.1 10.3.4.7 1", "-udp 10.0.0.1 10.3.4.8 1", "+udp fd00::1 fd00:5:0:9::1 1", "-udp fd00::1 fd00:5:1::1 1",
      "+udp 10.0.0.1 10.9.127.255 1", "-udp 10.0.0.1 10.9.128.0 1"]),
    ("shifts", out("meta mark set meta mark << 4; meta mark 0x230 accept; meta mark set meta mark >> 8; meta mark 0x5 accept"),
     ["+udp 10.0.0.1 10.0.0.9 1 mark=0x23", "+udp 10.0.0.1 10.0.0.9 1 mark=0x51", "-udp 10.0.0.1 10.0.0.9 1 mark=0x24"]),
    ("counters, logs, limits and updates change nothing",
     "counter n { }\nset seen { type ipv4_addr; size 100; flags dynamic,timeout; timeout 1m; }\n" +
     out('counter name "n" log prefix "p" group 5; update @seen { ip daddr limit rate 100000/second } udp dport 1 accept; '
         "limit rate 100000/second burst 100000 packets udp dport 2 accept; limit rate over 100000/second accept"),
     ["+udp 10.0.0.1 10.0.0.9 1", "+udp 10.0.0.1 10.0.0.9 2", "-udp 10.0.0.1 10.0.0.9 3"]),
    ("reject does not let through", out("udp dport 5 reject; accept"), ["-udp 10.0.0.1 10.0.0.9 5", "+udp 10.0.0.1 10.0.0.9 6"]),
    ("a chain without a name", out("udp dport 5-6 jump { udp dport 6 drop; }; accept"),
     ["-udp 10.0.0.1 10.0.0.9 6", "+udp 10.0.0.1 10.0.0.9 5"]),
    ("a table that sleeps", "flags dormant\n" + out("drop"), ["+udp 10.0.0.1 10.0.0.9 6"]),
    ("elements with a time", "set s { type ipv4_addr; flags timeout; elements = { 10.0.0.9 timeout 1h } }\n" +
     out("ip daddr @s accept"), ["+udp 10.0.0.1 10.0.0.9 6", "-udp 10.0.0.1 10.0.0.8 6"]),
    ("elements that count", "set s { type ipv4_addr; counter; elements = { 10.0.0.9, 10.0.0.7 } }\n" + out("ip daddr @s accept"),
     ["+udp 10.0.0.1 10.0.0.9 6", "-udp 10.0.0.1 10.0.0.8 6"]),
    ("no chain at all", "set s { type ipv4_addr; }", ["+udp 10.0.0.1 10.0.0.9 6"]),
]

# What the interpreter does not know: (word that its refusal has to name, body of the table).
REFUSED = [
    ("queue", out("udp dport 1 queue num 3")),
    ("fib", out("fib daddr type local accept")),
    ("socket", "chain c { type filter hook input priority 0; socket transparent 1 accept; }"),
    ("numgen", out("numgen random mod 2 0 accept")),
    ("hash", out("jhash ip saddr mod 2 seed 1 0 accept")),
    ("rt", out("rt ip nexthop 10.0.0.1 accept")),
    ("exthdr", out("tcp option maxseg size 1000 accept")),
    ("exthdr", out("exthdr hbh exists accept")),
    ("osf", out("osf name \"Linux\" accept")),
    ("synproxy", "chain c { type filter hook input priority 0; tcp dport 1 synproxy mss 1460; }"),
    ("tproxy", "chain c { type filter hook prerouting priority 0; udp dport 1 tproxy ip to 127.0.0.1:5; }"),
    ("quota", out("quota over 5 mbytes drop")),
    ("connlimit", out("ct count over 5 drop")),
    ("type nat", "chain c { type nat hook output priority -100; }"),
    ("type nat", "chain c { type nat hook postrouting priority 100; masquerade; }"),
    ("meta", out("meta length 5 accept")),
    ("meta", out("meta skuid 0 accept")),
    ("meta", out("oifname dm0 accept")),
    ("meta", out("meta priority set 5")),
    ("ct: key", out("ct status seen-reply accept")),
    ("ct: key", out("ct zone 5 accept")),
    ("ct: key", out("ct bytes > 5 accept")),
    ("payload", out("ip ttl set 5")),
    ("hook", "chain c { type filter hook ingress device dm0 priority 0; }"),
    ("filled and looked up", "set s { type ipv4_addr; size 9; flags dynamic; }\n" + out("add @s { ip saddr }; ip saddr @s accept")),
    ("catch-all", "set s { type ipv4_addr; elements = { * } }\n" + out("ip saddr != @s accept")),
    ("objects of type", "limit l { rate 5/second }\n" + out("limit name \"l\" accept")),
    ("objref", "counter n { }\nmap m { type ipv4_addr : counter; elements = { 10.0.0.1 : \"n\" } }\n" + out("counter name ip saddr map @m")),
]

# Understood when read, but a packet's description does not say it.
UNSAID = [("payload", out("ip dscp 5 accept")), ("payload", out("ip length 5 accept")), ("payload", out("tcp window 5 accept")),
          ("payload", out("@th,160,32 5 accept")), ("priority of connection tracking", "chain c { type filter hook output priority -200; accept; }")]
