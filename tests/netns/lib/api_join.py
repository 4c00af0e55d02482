# SPDX-License-Identifier: Apache-2.0
"""api_join.py - what an ADD waits for: its pod's object, the right one, and its namespace's policies as they stand."""
import time

from apibed import ALWAYS, NS, Add, expect, never, passes, recorded, test, until
from probe import Flood, Flow

STATIC = "0123456789abcdef0123456789abcdef"


def asked(bed, name):
    """Fresh reads of that pod."""
    return [r for r in bed.liar.asked("Pod", "fresh") if r.query.get("fieldSelector") == "metadata.name=" + name]


def untouched(node, before):
    until(lambda: node.traces() == before, lambda: "left behind: %s; before: %s" % (node.traces(), before), 10)


@test
def test_from_start_to_packets(bed):
    """Not ready before all is told, ready then; a pod comes and its policy holds."""
    node = bed.nodes[1]
    status = node.status()
    expect(status["ready"] and status["source"]["kind"] == "api" and status["source"]["synced"], status)
    expect(node.node_json()["ready"] and node.node_json()["ranges"] == node.ranges, node.node_json())
    bed.policy("web", subject="web", ingress=[{"from": [{"podSelector": {"matchLabels": {"app": "friend"}}}]}])
    web, friend, foe = (bed.pod(n) for n in ("web", "friend", "foe"))
    bed.settle()
    for family in (0, 1):
        passes(friend, web, address=web.ips[family])
        never(foe, web, address=web.ips[family])
    item = node.attached()["web"]
    expect(item["labelsFrom"] == "api" and item["state"] == "enforced", item)
    before = web.ips[0]
    web.detach()
    expect("web" not in node.attached() and before not in node.traces()["elements"], node.traces())


@test
def test_add_asks_for_its_pod_and_the_policies_of_its_namespace(bed):
    """One LIST each without a resourceVersion, though the watch has told them."""
    bed.pod_object("web", uid="uid-web")
    bed.settle()
    bed.add("web").good()
    (pod,), policies = asked(bed, "web"), bed.liar.asked("NetworkPolicy", "fresh")
    expect(pod.ns == NS and "resourceVersion" not in pod.query and "limit" not in pod.query, pod.query)
    expect(len(policies) == 1 and policies[0].ns == NS, policies)
    expect("resourceVersion" not in policies[0].query, policies[0].query)


@test
def test_add_while_the_pod_watch_lags_XB10(bed):
    """The object is there for the one who asks, and no watch has told it."""
    bed.stall("Pod")
    bed.pod_object("web", uid="uid-web", labels={"app": "lagging"})
    bed.add("web").good()
    expect(bed.nodes[1].attached()["web"]["labels"] == {"app": "lagging"}, bed.nodes[1].attached())
    bed.mend()
    bed.pod_object("web", uid="uid-web", labels={"app": "late"})
    until(lambda: bed.nodes[1].attached()["web"]["labels"] == {"app": "late"}, lambda: str(bed.nodes[1].attached()))


@test
def test_add_waits_for_an_object_that_comes_later(bed):
    add = bed.add("web", timeout=30)
    until(lambda: len(asked(bed, "web")) >= 3, "it does not go on asking")
    expect(not add.over() and "web" not in bed.nodes[1].attached(), "answered without its object")
    bed.pod_object("web", uid="uid-web")
    pod = add.good()
    passes(bed.world, pod)
    recorded(pod, {"app": "web"})


@test
def test_add_of_a_pod_that_never_comes(bed):
    """Code 11, the pod and the cause by name, and nothing is left of it."""
    node = bed.nodes[1]
    bed.pod("other")
    before = node.traces()
    add = bed.add("ghost", timeout=3)
    text = add.refused(11, "shop/ghost", "no pod")
    untouched(node, before)
    expect("ghost" in node.log() and "eth0" not in add.pod.sh("ip -o link"), "the log does not name it:", text)
    add.pod.detach()
    bed.pod_object("ghost", uid="uid-ghost")
    bed.add("ghost").good()


@test
def test_a_predecessors_object_does_not_count(bed):
    """Same name, another UID: what the runtime means is the successor, whose labels are others."""
    bed.policy("tame", subject="tame", ingress=[])
    bed.pod_object("db-0", uid="uid-first", labels={"app": "wild"})
    bed.settle()
    add = bed.add("db-0", uid="uid-second", timeout=30)
    until(lambda: len(asked(bed, "db-0")) >= 3, "it does not go on asking")
    expect(not add.over(), "the predecessor's object was taken")
    bed.liar.delete("Pod", "db-0", NS)
    bed.pod_object("db-0", uid="uid-second", labels={"app": "tame"})
    pod = add.good()
    recorded(pod, {"app": "tame"})
    never(bed.world, pod)


@test
def test_a_predecessor_that_stays_is_named(bed):
    bed.pod_object("db-0", uid="uid-first")
    before = bed.nodes[1].traces()
    bed.add("db-0", uid="uid-second", timeout=3).refused(11, "shop/db-0", "uid-first", "uid-second")
    untouched(bed.nodes[1], before)


@test
def test_a_static_pod_is_its_mirror_by_config_hash(bed):
    """The runtime knows the hash of the manifest as UID; the mirror in the API has one of its own."""
    meta = {"annotations": {"kubernetes.io/config.hash": STATIC, "kubernetes.io/config.mirror": STATIC}}
    bed.pod_object("etcd-n1", uid="uid-mirror", labels={"app": "etcd"}, meta=meta)
    pod = bed.add("etcd-n1", uid=STATIC).good()
    recorded(pod, {"app": "etcd"})
    bed.add("etcd-n1", uid="f" * 32, timeout=4).refused(11, "uid-mirror", "f" * 32)


def first_packets(bed, name, ip4, ip6):
    """A flood from before its ADD on: what reached the pod, and what it got out."""
    node, peer = bed.nodes[1], bed.pods["peer"]
    pod = bed.lab.pod(name)
    flows = [Flow("in4", "udp", peer, "*", pod, ip4, 9001), Flow("in6", "udp", peer, "*", pod, ip6, 9001),
             Flow("tcp4", "tcpnew", peer, "*", pod, ip4, 9002), Flow("world4", "udp", bed.world, "*", pod, ip4, 9003),
             Flow("out4", "udpnew", pod, "*", peer, peer.ip4(), 9004),
             Flow("out6", "udpnew", pod, "*", peer, peer.ip6(), 9004)]
    bed.pod_object(name, uid="uid-" + name)
    with Flood(bed.lab, flows, 500, 120) as flood:
        time.sleep(0.1)
        add = Add(pod, node, name, uid="uid-" + name, ips=[ip4, ip6])
        add.good()
        time.sleep(0.5)
        return {k: c.received for k, c in flood.stop().items()}


@test
def test_the_first_packet_meets_a_policy_that_no_watch_has_told_XA1(bed):
    """The policy watch tells nothing for as long as it lives; the policy is older than the ADD. Forbidden packets
    come from before the ADD on."""
    bed.pods = {"peer": bed.pod("peer", ns="other")}
    bed.stall("NetworkPolicy", "Pod")
    bed.policy("shut", ingress=[], egress=[])
    for i in range(3):
        got = first_packets(bed, "guest%d" % i, "10.244.1.%d" % (200 + i), "fd00:10:244:1::%d" % (200 + i))
        expect(not any(got.values()), "forbidden packets passed:", got)
    bed.mend()
    guests = [n for n in bed.nodes[1].attached() if n.startswith("guest")]
    bed.liar.delete("NetworkPolicy", "shut", NS)
    until(lambda: not any(bed.nodes[1].attached()[n]["ingress"]["policies"] for n in guests), "the watch is not told")
    # The control: the fresh read says no more than the watch that lags, and it all passes.
    bed.stall("NetworkPolicy", "Pod")
    bed.policy("late", ingress=[], egress=[])
    bed.liar.fault("NetworkPolicy", "fresh", times=ALWAYS, hide=["late"])
    got = first_packets(bed, "control", "10.244.1.220", "fd00:10:244:1::220")
    expect(all(n > 5 for n in got.values()), "control: what should have passed did not:", got)


@test
def test_policies_deleted_meanwhile_are_gone_at_the_first_packet(bed):
    """What the fresh read does not hold any more is deleted, for those of the namespace that are there already too."""
    bed.policy("shut", ingress=[])
    bed.policy("shut", "other", ingress=[])
    old, far = bed.pod("old"), bed.pod("far", ns="other")
    never(bed.world, old)
    bed.stall("NetworkPolicy", "Pod")
    bed.liar.delete("NetworkPolicy", "shut", NS)
    bed.liar.delete("NetworkPolicy", "shut", "other")
    never(bed.world, old)
    bed.pod_object("new", uid="uid-new")
    new = bed.add("new").good()
    passes(bed.world, new)
    passes(bed.world, old)
    never(bed.world, far)


@test
def test_labels_of_the_runtime_are_not_used(bed):
    """Only the API's count; that others came is in the log."""
    bed.policy("web", subject="web", ingress=[])
    bed.pod_object("web", uid="uid-web", labels={"app": "web"})
    pod = bed.add("web", labels={"app": "free"}).good()
    recorded(pod, {"app": "web"})
    never(bed.world, pod)
    log = [line for line in bed.nodes[1].log().splitlines() if "labels of the runtime are not used" in line]
    expect(len(log) == 1 and "web" in log[0] and NS in log[0], log)


@test
def test_many_adds_at_once(bed):
    """Twenty at once, half of whose objects come late: all are served, each with its own labels."""
    node, names = bed.nodes[1], ["p%02d" % i for i in range(20)]
    for name in names[::2]:
        bed.pod_object(name, uid="uid-" + name)
    adds = {name: bed.add(name, timeout=60) for name in names}
    for name in names[::2]:
        adds[name].good()
    expect(not any(adds[name].over() for name in names[1::2]), "answered without their objects")
    for name in names[1::2]:
        bed.pod_object(name, uid="uid-" + name)
    pods = {name: adds[name].good() for name in names}
    expect(len({p.ip4() for p in pods.values()}) == 20, "an address was given twice")
    expect({n: i["labels"] for n, i in node.attached().items()} == {n: {"app": n} for n in names}, node.attached())


@test
def test_del_while_the_add_waits(bed):
    """The runtime gives up: DEL succeeds, the ADD fails, nothing is left."""
    node = bed.nodes[1]
    before = node.traces()
    add = bed.add("ghost", timeout=20)
    until(lambda: asked(bed, "ghost"), "it does not ask")
    add.pod.detach()
    add.refused(11, "DEL")
    untouched(node, before)
    bed.pod_object("ghost", uid="uid-ghost")
    passes(bed.world, bed.add("ghost").good())


@test
def test_the_agent_dies_while_an_add_waits(bed):
    """The plugin asks the next agent, within its time; the pod is let in by that one."""
    node = bed.nodes[1]
    add = bed.add("web", timeout=40)
    until(lambda: asked(bed, "web"), "it does not ask")
    node.kill_agent()
    bed.pod_object("web", uid="uid-web")
    node.start_agent()
    passes(bed.world, add.good())
    expect(node.attached()["web"]["labels"] == {"app": "web"}, node.attached())
