# SPDX-License-Identifier: Apache-2.0
"""attacks_state.py - F5 to F7: what is missing, reused or forgotten in the kernel's state."""
import threading
import time

from attackbed import Tcp, allow_from, tcp_connects, udp_arrives
from harness import PLANE, SLOW, patience
from probe import Flood, Flow, Hold


# ---- F5: an element is missing while the link is up -------------------------------------------------------


def elements_with(bed, *addresses):
    """[(map or set, key)] of the elements that name one of them, each once."""
    return sorted({e for a in addresses for e in PLANE.elements(bed.node, a)})


def f5(bed, res):
    b4, b6 = bed.b.ips
    found = elements_with(bed, b4, b6)
    res.control("b's addresses stand in several sets: %s" % sorted({m for m, _ in found}), len(found) >= PLANE.named)
    for name, key in found:
        bed.freeze_agent()
        wrong = PLANE.delete(bed.node, name, key)
        if wrong:
            res.broken.append("cannot delete %s { %s }: %s" % (name, key, wrong))
        through = []
        for ip in (b4, b6):
            if udp_arrives(bed.d, bed.b, ip, 5353, seconds=0.2) or udp_arrives(bed.d, bed.b, ip, 8080, seconds=0.2):
                through.append("udp>" + ip)
            if tcp_connects(bed.d, bed.b, ip, 8081, 0.2):
                through.append("tcp>" + ip)
        res.attack("element %s { %s } gone" % (name, key), through)
        bed.thaw_agent()
        PLANE.mended(bed.node)
        deadline = time.monotonic() + patience(20)
        while (name, key) not in elements_with(bed, b4, b6) and time.monotonic() < deadline:
            time.sleep(0.05)
        res.control("the agent restores %s { %s }" % (name, key), time.monotonic() < deadline)
    for ip in (b4, b6):
        res.control("a still reaches b (%s)" % ip, udp_arrives(bed.a, bed.b, ip, 8080))
    flows = [Flow("d>c", "udpnew", bed.d, "*", bed.c, bed.c.ip4(), 7000),
             Flow("d>b", "udpnew", bed.d, "*", bed.b, b4, 7000), Flow("a>b", "udpnew", bed.a, "*", bed.b, b4, 8080)]
    with Flood(bed.lab, flows, 2000, 20) as flood:
        time.sleep(0.3)
        bed.c.detach()
        time.sleep(0.3)
        counts = flood.stop()
    res.attack("packets to a default-deny pod while DEL takes it away", [counts["d>c"].received] * (counts["d>c"].received > 0))
    res.attack("packets to b meanwhile", [counts["d>b"].received] * (counts["d>b"].received > 0))
    res.control("the flood is real: a reaches b, %d packets" % counts["a>b"].received, counts["a>b"].received > 500)
    with bed.bare():
        res.control("without our table d reaches b", udp_arrives(bed.d, bed.b, b4, 5353))


# ---- F6: numbers reused inside a batch -------------------------------------------------------------------

SWAP = """apiVersion: v1
kind: Pod
metadata: {name: d, namespace: t, labels: {app: d, side: "%d"}}
---
apiVersion: v1
kind: Pod
metadata: {name: e, namespace: t, labels: {app: e, side: "%d"}}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: swap, namespace: t}
spec:
  podSelector: {matchLabels: {app: b}}
  policyTypes: [Ingress]
  ingress: [{from: [{podSelector: {matchLabels: {side: "%d"}}}], ports: [{protocol: UDP, port: 7000}]}]
"""


def swap_state(n):
    """Two states; d is denied and e is allowed in both, but what they are called changes places."""
    return SWAP % (n, 1 - n, 1 - n)


def f6(bed, res, seconds=15):
    bed.node.apply("swap.yaml", swap_state(0))
    flows = [Flow("d>b%d" % i, "udp", bed.d, "*", bed.b, bed.b.ips[i % 2], 7000) for i in range(4)]
    flows += [Flow("d>bnew", "udpnew", bed.d, "*", bed.b, bed.b.ip4(), 7001),
              Flow("e>b", "udp", bed.e, "*", bed.b, bed.b.ip4(), 7000)]
    first = bed.node.ctl("status")["metadata"]["generation"]
    stop = threading.Event()

    def edit():
        n = 0
        while not stop.is_set():
            n = 1 - n
            bed.node.write_manifest("swap.yaml", swap_state(n))
            time.sleep(0.25)

    guests = [bed.lab.pod("guest%d" % i) for i in range(3)]

    def join_and_leave(i):
        k = 0
        while not stop.is_set():
            k += 1
            guests[i].container_id = "guest-%d-%d" % (i, k)
            # each has a label set, hence a class and a group, that comes and goes with it
            guests[i].attach(bed.node, "t", "guest%d-%d" % (i, k), labels={"deny": "yes", "side": str(k % 3)},
                             ips=["10.244.1.%d" % (150 + 30 * i + k % 30)])
            guests[i].detach()

    errors = []

    def guarded(fn, *args):
        def body():
            try:
                fn(*args)
            except Exception as e:  # pylint: disable=broad-except
                errors.append("%s: %s" % (fn.__name__, e))
        return threading.Thread(target=body)

    with Flood(bed.lab, flows, 3000 / SLOW, seconds + patience(30)) as flood:
        threads = [guarded(edit)] + [guarded(join_and_leave, i) for i in range(len(guests))]
        for t in threads:
            t.start()
        time.sleep(seconds)
        stop.set()
        for t in threads:
            t.join()
        counts = flood.stop()
    commits = bed.node.ctl("status")["metadata"]["generation"] - first
    sent = sum(c.sent for i, c in counts.items() if i.startswith("d>"))
    leaked = sum(c.received for i, c in counts.items() if i.startswith("d>"))
    res.note("%d generations under %d forbidden packets" % (commits, sent))
    res.attack("forbidden packets during commits", [leaked, "of", sent] if leaked else [])
    res.control("commits happened: %d" % commits, commits > 30 / SLOW)
    res.control("no error in the threads: %s" % errors, not errors)
    e = counts["e>b"]
    res.control("e, allowed in both states, got %d of %d through" % (e.received, e.sent), e.received == e.sent > 1000 / SLOW)
    bed.node.apply("swap.yaml", swap_state(0).replace('side: "1"}}}]', 'side: "0"}}}]'))
    res.control("the same d reaches b when allowed", udp_arrives(bed.d, bed.b, bed.b.ip4(), 7000))


# ---- F7: stamps outlive the table --------------------------------------------------------------------------


def f7(bed, res):
    b, a = bed.b.ip4(), bed.a.ip4()
    tcp = [Tcp(bed.a, bed.b, b, 8080, a)]
    flows = [Flow("u%d" % i, "udp", bed.a, a, bed.b, b, 8080) for i in range(1)]
    free = Tcp(bed.e, bed.b, bed.b.ip6(), 8080)
    with Hold(bed.lab, flows) as hold:
        res.control("a's flows work", hold.open("u0") == "ok" and tcp[0].up() and free.up())
        # stamps of several generations, so that a count that begins anew meets one of them
        for n in range(4):
            bed.node.apply("extra.yaml", allow_from("x%d" % n).replace("b-ingress", "extra").replace("app: b", "app: f"))
            hold.ping("u0")
            tcp[0].up()
        bed.revoke_a()
        res.attack("revoked UDP flow", hold.ping("u0", 400) == "ok")
        for how in ("delete the table, agent running", "kill -9, delete the table, start", "kill -9, start"):
            if "kill" in how:
                bed.node.kill_agent()
            if "delete" in how:
                bed.node.take_rules_away()
            if "start" in how:
                bed.node.start_agent()
            PLANE.mended(bed.node)
            deadline = time.monotonic() + patience(5)
            while not PLANE.in_force(bed.node) and time.monotonic() < deadline:
                time.sleep(0.02)
            res.control("the table is back after: " + how, time.monotonic() < deadline)
            time.sleep(0.3)
            res.attack("revoked UDP flow lives after: " + how, hold.ping("u0", 400) == "ok" or hold.push("u0", 400) == "ok")
            res.control("an allowed connection lives after: " + how, free.up(3))
        res.attack("revoked TCP flow lives after all that", tcp[0].up(1.5) or tcp[0].down(0.7))
        bed.allow_a()
        res.control("allowed again, the same UDP flow works", hold.ping("u0") == "ok")
    for t in tcp + [free]:
        t.close()
