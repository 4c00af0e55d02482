# SPDX-License-Identifier: Apache-2.0
"""gap_pods.py - start and stop of pods: a prober sits in the namespace before ADD and stays after DEL."""
import os
import time

from flowbed import ADDRESS, OUT, FlowBed, pods_of, policy
from probe import Flood, Flow

PODS = int(os.environ.get("RS_GAP_PODS", "40"))
WAVE = 5
RATE = 150
SETS = {4: "ipv4_addr", 6: "ipv6_addr"}


def guest_ips(i):
    return {4: "10.244.1.%d" % (200 + i), 6: "fd00:10:244:1::%d" % (200 + i)}


def guest_policy():
    """A guest may hear s on 9101 and speak to s on 9100, UDP, and nothing else."""
    def side(word, port):
        return [{word: [pods_of({"app": "s"})], "ports": [{"protocol": "UDP", "port": port}]}]
    return policy("guest", "t", {"guest": "yes"}, ingress=side("from", 9101), egress=side("to", 9100))


def guest_flows(bed, pod, i):
    """What a guest may not send and get, and a control each way; ports tell the guests of a wave apart."""
    s, out = bed.pods["s"], []
    for f, ip in guest_ips(i).items():
        at_s, node = ADDRESS["s"][f], next(a for a in bed.node.ips if (":" in a) == (f == 6))
        flows = [("bad-out-pod", "udpnew", pod, s, at_s, 9200 + i), ("bad-out-tcp", "tcpnew", pod, s, at_s, 9300 + i),
                 ("bad-out-world", "udpnew", pod, bed.world, OUT[f], 9200 + i),
                 ("bad-out-node", "udpnew", pod, bed.node, node, 9200 + i),
                 ("bad-in-pod", "udp", s, pod, ip, 9001), ("bad-in-new", "udpnew", s, pod, ip, 9003),
                 ("bad-in-tcp", "tcpnew", s, pod, ip, 9002), ("bad-in-world", "udp", bed.world, pod, ip, 9004),
                 ("ok-out", "udpnew", pod, s, at_s, 9100), ("ok-in", "udp", s, pod, ip, 9101)]
        out += [Flow("%s@%d#%d" % (name, f, i), kind, src, "*", dst, to, port)
                for name, kind, src, dst, to, port in flows]
    return out


def watch_elsewhere(bed):
    """Count what comes to other namespaces with a guest's address at either end, whatever its protocol."""
    for ns, ends in ((bed.world, ("saddr", "daddr")), (bed.pods["s"], ("daddr",)), (bed.pods["c"], ("saddr", "daddr"))):
        for f, word in ((4, "ip"), (6, "ip6")):
            ns.sh("nft add table %s elsewhere; nft add set %s elsewhere guests '{ type %s; elements = { %s }; }';"
                  "nft add chain %s elsewhere pre '{ type filter hook prerouting priority -400; }'" %
                  (word, word, SETS[f], ", ".join(guest_ips(i)[f] for i in range(WAVE)), word))
            for end in ends:
                ns.sh("nft add rule %s elsewhere pre %s %s @guests counter" % (word, word, end))


def seen_elsewhere(bed):
    out = []
    for name, ns in (("world", bed.world), ("s", bed.pods["s"]), ("c", bed.pods["c"])):
        for line in ns.sh("nft list ruleset").splitlines():
            if "@guests" in line and " packets 0 " not in line:
                out.append("%s: %s" % (name, line.strip()))
    return out


class Wave:
    """Some pods at a time; the next ones get the same addresses."""

    def __init__(self, bed, n, size):
        self.bed, self.n = bed, n
        self.pods = [bed.lab.pod("guest%d-%d" % (n, i)) for i in range(size)]

    def attach(self):
        for i, pod in enumerate(self.pods):
            pod.attach(self.bed.node, "t", pod.short, ips=list(guest_ips(i).values()), labels={"guest": "yes"})

    def play(self, res):
        """Returns how many forbidden packets were sent."""
        flows = [f for i, pod in enumerate(self.pods) for f in guest_flows(self.bed, pod, i)]
        with Flood(self.bed.lab, flows, RATE, 120) as flood:
            time.sleep(0.1)
            self.attach()
            time.sleep(0.3)
            for pod in self.pods:
                pod.detach(netns=self.n % 2 == 0)
            time.sleep(0.1)
            flood.report()  # with it the prober has read what was on its way
            gone = flood.report()
            time.sleep(0.2)
            counts = flood.stop()
        bad = {k: c for k, c in counts.items() if k.startswith("bad") and c.received}
        dead = [k for k, c in counts.items() if k.startswith("ok") and c.received < 5]
        late = [k for k, c in counts.items() if k.startswith("ok") and c.received != gone[k].received]
        res.expect(not bad, "wave %d: forbidden packets: %s" % (self.n, {k: c.received for k, c in bad.items()}))
        res.expect(not dead, "wave %d: control: allowed packets did not pass: %s" % (self.n, dead[:4]))
        res.expect(not late, "wave %d: packets after DEL: %s" % (self.n, late[:4]))
        for pod in self.pods:
            pod.delete()
        return sum(c.sent for k, c in counts.items() if k.startswith("bad"))


def test_start_stop(build, res):
    """F1, F23, XA1: forbidden packets from before ADD until after DEL, both ways."""
    with FlowBed(build) as bed:
        bed.apply({"guest": guest_policy()})
        watch_elsewhere(bed)
        sent = sum(Wave(bed, n, WAVE).play(res) for n in range(PODS // WAVE))
        found = seen_elsewhere(bed)
        res.expect(not found, "packets of or for a guest elsewhere: %s" % found)
        # the counters count: a free pod at such an address is seen there
        free = bed.lab.pod("free")
        free.attach(bed.node, "t", "free", ips=list(guest_ips(0).values()))
        for family, ip in OUT.items():
            with free.socket(10 if family == 6 else 2, 2) as s:
                s.sendto(b"seen", (ip, 9))
        time.sleep(0.2)
        res.expect(len(seen_elsewhere(bed)) == 2, "control: the counters do not count: %s" % seen_elsewhere(bed))
        n = PODS // WAVE * WAVE
        res.note("n = %d pods, %d forbidden packets sent, %s in either direction; 3/n = %.1f %% bounds the share of "
                 "pods that let one through (95 %% confidence)" %
                 (n, sent, "some passed" if res.wrong else "none passed", 300.0 / n))
