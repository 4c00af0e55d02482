# SPDX-License-Identifier: Apache-2.0
"""api_events.py - Kubernetes Events of the real agent: what is told of whom, what is not, and that nothing waits for them."""
import json
import re
import threading

from api_outage import scrape
from apibed import ALWAYS, NS, expect, never, passes, test, test_with, until
from monbed import send

WRONG = [{"from": [{"ipBlock": {"cidr": "10.0.0.0/99"}}]}]
FORBIDDEN = ('events.events.k8s.io is forbidden: User "system:serviceaccount:ripstop-system:ripstop-agent" cannot create resource "events" '
             'in API group "events.k8s.io" in the namespace "shop"')


def switched_on(bed, number=1):
    """A node whose agent tells Events, and a server that takes them."""
    bed.liar.writable = True
    node = bed.node(number)
    node.start_agent("--events", "--metrics-address", "127.0.0.1:9412")
    return node


def events(bed, reason=None):
    with bed.liar.lock:
        return [e for e in bed.liar.events.values() if reason in (None, e["reason"])]


def posts(bed, reason):
    """Who asked for an Event of that reason, in their order."""
    return [e["reportingInstance"] for e in (json.loads(r.body) for r in bed.liar.asked("Event")) if e["reason"] == reason]


def counted(node):
    return {r: int(n) for r, n in re.findall(r'^ripstop_events_total\{result="(\w+)"\} (\d+)$', scrape(node), re.M)}


def scene(bed):
    """web lets nobody in; friend may send where it wants."""
    bed.policy("deny", subject="web", ingress=[])
    web, friend = bed.pod("web"), bed.pod("friend")
    return web, friend


def until_told(bed, how, reason="PolicyDrop", n=1):
    """The Events once there are n of them; how: what leads to one, again and again, for a fresh link may lose a packet."""
    def there():
        found = events(bed, reason)
        if len(found) < n and how:
            how()
        return len(found) >= n and found
    return until(there, lambda: "no %d Events %s: %s" % (n, reason, bed.liar.events))


@test_with(start=False)
def test_a_drop_becomes_an_event_on_the_pod(bed):
    node = switched_on(bed)
    web, friend = scene(bed)
    (e,) = until_told(bed, lambda: send(friend, web.ip4(), 5432, 2))
    expect(e["regarding"] == {"apiVersion": "v1", "kind": "Pod", "namespace": NS, "name": "web", "uid": "uid-web"}, e)
    expect(e["metadata"]["namespace"] == NS and e["metadata"]["name"].startswith("web."), e)
    expect((e["type"], e["action"], e["reportingController"], e["reportingInstance"]) ==
           ("Warning", "Drop", "ripstop.dev/agent", "n1"), e)
    said = re.fullmatch(r"(?:at least )?(\d+) packets? w(?:as|ere) dropped at the ingress of this pod, the last one udp/5432 from "
                        r"shop/friend \(%s\): NetworkPolicy shop/deny isolates it and does not allow this; to learn more: "
                        r"kubectl ripstop (explain \S+ \S+ \S+)" % re.escape(friend.ip4()), e["note"])
    expect(said and int(said[1]) == e.get("series", {"count": 1})["count"], e)
    # The command is one that explains it.
    p = node.cli(*said[2].split(" "))
    expect(p.returncode == 1 and "shop/deny" in p.stdout, p)
    # More of it is counted, and no Event; the other direction and another pod are others.
    before = until(lambda: counted(node)["sent"] and counted(node), lambda: str(counted(node)))
    send(friend, web.ip4(), 5432, 5)
    bed.policy("stay", subject="friend", egress=[])
    (out,) = until_told(bed, lambda: send(friend, "198.18.0.1", 443), n=2)[1:]
    expect(out["regarding"]["name"] == "friend" and "at the egress of this pod" in out["note"] and
           "to 198.18.0.1: NetworkPolicy shop/stay" in out["note"], out)
    after = until(lambda: counted(node)["sent"] > before["sent"] and counted(node), lambda: str(counted(node)))
    expect(after["sent"] == before["sent"] + 1 and after["suppressed"] >= before["suppressed"] + 5 and not after["failed"], before, after)
    expect(not [c for c in node.conditions() if c.startswith("Events")], node.conditions())


@test_with(start=False)
def test_no_event_of_noise_and_forged_packets(bed):
    switched_on(bed)
    bed.policy("stay", subject="friend", egress=[])
    web, friend = scene(bed)
    friend.ip("address add 10.9.9.9/32 dev lo")
    send(friend, web.ip4(), 5432, 5, "10.9.9.9")
    friend.ip("route add 224.0.0.0/4 dev eth0")
    send(friend, "224.0.0.251", 5353, 5)
    until(lambda: len([r for r in bed.nodes[1].ctl("records")["items"] if r["reason"] == "spoofed"]) >= 4, "control: no drop")
    # What comes behind is told: all before it would have been.
    found = until_told(bed, lambda: send(friend, "198.18.0.1", 443))
    expect([e["regarding"]["name"] for e in found] == ["friend"] and "udp/443 to 198.18.0.1" in found[0]["note"], found)


@test_with(start=False)
def test_a_faulty_policy_is_told_once_by_whom_it_selects(bed):
    one, two = switched_on(bed, 1), switched_on(bed, 2)
    bed.policy("odd", subject="web", ingress=WRONG, uid="uid-odd", meta={"generation": 3})
    bed.pod("web")
    (e,) = until_told(bed, None, "InvalidPolicy")
    expect(e["regarding"] == {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "namespace": NS, "name": "odd",
                              "uid": "uid-odd"}, e)
    expect(e["reportingInstance"] == "n1" and "shop/odd spec.ingress[0].from[0] matches nothing" in e["note"], e)
    expect(posts(bed, "InvalidPolicy") == ["n1"], "who told it:", posts(bed, "InvalidPolicy"))
    # A pod of it on the other node: it asks, and is told that it is known.
    bed.pod("web2", 2, labels={"app": "web"})
    until(lambda: posts(bed, "InvalidPolicy") == ["n1", "n2"], lambda: str(posts(bed, "InvalidPolicy")))
    until(lambda: counted(two)["suppressed"] == 1, lambda: str(counted(two)))
    expect(len(events(bed, "InvalidPolicy")) == 1, events(bed))
    bed.policy("odd", subject="web", ingress=WRONG + WRONG, uid="uid-odd", meta={"generation": 4})
    found = until_told(bed, None, "InvalidPolicy", 2)
    expect({f["metadata"]["name"] for f in found} == {"odd.uid-odd.3", "odd.uid-odd.4"} and "(and 1 more)" in found[1]["note"], found)
    expect(counted(one)["failed"] == 0, counted(one))


@test_with(start=False)
def test_a_condition_is_told_of_the_node(bed):
    switched_on(bed)
    bed.liar.put("Node", "n7", spec={"podCIDRs": ["10.244.7.0/24"]})
    bed.liar.put("Node", "n8", spec={"podCIDRs": ["10.244.7.0/24"]})
    (e,) = until_told(bed, None, "PodCIDRRefused")
    uid = bed.liar.objects["Node"][(None, "n1")]["metadata"]["uid"]
    expect(e["regarding"] == {"apiVersion": "v1", "kind": "Node", "name": "n1", "uid": uid} and e["metadata"]["namespace"] == "default", e)
    expect("10.244.7.0/24" in e["note"] and e["action"] == "Check", e)


@test_with(start=False)
def test_a_missing_right_is_one_condition(bed):
    node = switched_on(bed)
    fault = bed.liar.fault("Event", about="PolicyDrop", times=ALWAYS, status=403, message=FORBIDDEN)
    web, friend = scene(bed)
    until(lambda: fault.used or send(friend, web.ip4(), 5432) is None, "never asked")
    node.wait_condition("Events: ", "cannot create resource", "events.k8s.io", "verbs [create]", "manifests/optional/events.yaml")
    used = fault.used
    bed.policy("stay", subject="friend", egress=[])
    until(lambda: fault.used > used or send(friend, "198.18.0.1", 443) is None, "not tried again")
    expect(node.log().count("type=Events") == 1, "told again:", node.log())
    expect(not events(bed, "PolicyDrop") and counted(node)["failed"] >= used, counted(node), fault.used)
    bed.liar.faults.clear()
    bed.policy("deny-friend", subject="friend", ingress=[])
    until_told(bed, lambda: send(web, friend.ip4(), 80))
    until(lambda: not [c for c in node.conditions() if c.startswith("Events")], lambda: str(node.conditions()))


@test_with(start=False)
def test_a_namespace_that_goes_is_no_missing_right(bed):
    node = switched_on(bed)
    bed.liar.fault("Event", about="PolicyDrop", status=403, message='events.events.k8s.io "web.1" is forbidden: unable to create new '
                   'content in namespace shop because it is being terminated')
    web, friend = scene(bed)
    until(lambda: counted(node)["failed"] == 1 or send(friend, web.ip4(), 5432) is None, lambda: str(counted(node)))
    bed.policy("stay", subject="friend", egress=[])
    until_told(bed, lambda: send(friend, "198.18.0.1", 443))
    expect("type=Events" not in node.log(), node.log())


@test_with(start=False)
def test_a_server_that_fails_or_is_slow_costs_only_events(bed):
    node = switched_on(bed)
    web, friend = scene(bed)
    bed.liar.fault("Event", about="PolicyDrop", status=500, message="etcd is tired")
    until(lambda: counted(node)["failed"] == 1 or send(friend, web.ip4(), 5432) is None, lambda: str(counted(node)))
    slow = threading.Event()
    held = bed.liar.fault("Event", about="PolicyDrop", times=ALWAYS, wait=slow)
    bed.policy("stay", subject="friend", egress=[])
    until(lambda: held.used or send(friend, "198.18.0.1", 443) is None, "not asked")
    # It hangs; pods come, policies change, and there is one request at a time.
    bed.pod("late")
    bed.policy("more", subject="late", ingress=[])
    never(bed.world, bed.pod("late2", labels={"app": "late"}))
    until(lambda: counted(node)["suppressed"] > 3 or send(friend, "198.18.0.1", 443) is None, lambda: str(counted(node)))
    begun, now = len(bed.liar.asked("Event")), counted(node)
    expect(begun <= now["sent"] + now["failed"] + 1 and not events(bed, "PolicyDrop"), begun, now)
    expect(node.status()["ready"] and not [c for c in node.conditions() if c.startswith("Events")], node.conditions())
    slow.set()
    # What came meanwhile has waited.
    until(lambda: {"friend", "late2"} <= {e["regarding"]["name"] for e in events(bed, "PolicyDrop")}, lambda: str(events(bed)))
    expect("Events are not taken" not in node.log(), node.log())


@test_with(start=False)
def test_an_outage_drops_events(bed):
    node = switched_on(bed)
    web, friend = scene(bed)
    bed.gone()
    until(lambda: counted(node)["failed"] >= 1 or send(friend, web.ip4(), 5432) is None, lambda: str(counted(node)))
    expect(node.status()["ready"] and not [c for c in node.conditions() if c.startswith("Events")], node.conditions())
    expect("level=warn msg=\"Events" not in node.log(), node.log())
    bed.back()
    bed.policy("stay", subject="friend", egress=[])
    until_told(bed, lambda: send(friend, "198.18.0.1", 443))


@test
def test_switched_off_nothing_is_written(bed):
    """Drops, a faulty policy, a condition: and not one request but GET, of which the server keeps account."""
    node = bed.nodes[1]
    bed.policy("odd", subject="web", ingress=WRONG)
    bed.liar.put("Node", "n7", spec={"podCIDRs": ["10.244.7.0/24"]})
    bed.liar.put("Node", "n8", spec={"podCIDRs": ["10.244.7.0/24"]})
    web, friend = scene(bed)
    until(lambda: len(node.ctl("records")["items"]) > 3 or send(friend, web.ip4(), 5432) is None, "control: no drop")
    node.wait_condition("InvalidPolicy")
    node.wait_condition("PodCIDRRefused")
    passes(friend, bed.pod("open"))
    expect(not bed.liar.unasked and all(r.method == "GET" for r in bed.liar.requests), bed.liar.unasked)
    node.kill_agent()
    node.start_agent("--metrics-address", "127.0.0.1:9412")
    expect("ripstop_events_total" not in scrape(node), "the metric of what is off")
