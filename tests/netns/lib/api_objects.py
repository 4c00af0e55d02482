# SPDX-License-Identifier: Apache-2.0
"""api_objects.py - objects as they may come: nodes without ranges or with each other's, pods with each other's
addresses, finished, unreadable and huge ones."""
from apibed import NS, Add, expect, explained, never, passes, recorded, test, test_with, until
from api_outage import never_in_the_end

FRIENDS = [{"from": [{"podSelector": {"matchLabels": {"app": "friend"}}}]}]


@test_with(start=False)
def test_a_node_without_ranges_and_with_them_later(bed):
    """Ready for what it can do; an ADD says what is missing; the ranges come with the Node object."""
    node = bed.node(1, known=False)
    node.start_agent()
    bed.pod_object("web", uid="uid-web")
    text = bed.add("web", timeout=3).refused(11, "pod ranges")
    expect(not node.folder("endpoints"), text)
    bed.liar.put("Node", "n1", spec={})
    bed.settle()
    node.wait_condition("NoNodeRanges", "podCIDRs of the Node object n1")
    bed.node_object(1)
    until(lambda: node.node_json()["ranges"] == node.ranges, lambda: str(node.node_json()))
    until(lambda: not [c for c in node.conditions() if "n1" in c], lambda: str(node.conditions()))
    passes(bed.world, bed.add("web").good())


@test
def test_two_nodes_with_one_range(bed):
    """Refused by the names of both, for both; then one of them gives way."""
    node = bed.nodes[1]
    web = bed.pod("web")
    bed.liar.put("Node", "n2", spec={"podCIDRs": ["10.244.2.0/24"]})
    bed.liar.put("Node", "n3", spec={"podCIDRs": ["10.244.2.0/24"]})
    node.wait_condition("PodCIDRRefused", "n2", "n3", "10.244.2.0/24")
    passes(bed.world, web)
    # One that takes ours: no new pods, those that are here stay judged.
    bed.liar.put("Node", "n4", spec={"podCIDRs": node.ranges})
    node.wait_condition("PodCIDRRefused", "n1", "n4", node.ranges[0])
    passes(bed.world, web)
    for name in ("n3", "n4"):
        bed.liar.delete("Node", name)
    until(lambda: not [c for c in node.conditions() if "PodCIDRRefused" in c], lambda: str(node.conditions()))
    bed.pod("late")


def peer_at(bed, client, ip):
    """Packets of a pod elsewhere come from the world."""
    client.add(ip)
    return lambda server: from_address(bed.world, ip, server)


def from_address(world, ip, server, port=8080):
    """Whether TCP from that address of the world gets through."""
    listener = server.socket(2, 1, bind=(server.ip4(), port))
    listener.listen(8)
    c = world.socket(2, 1, bind=(ip, 0), timeout=0.5)
    try:
        c.connect((server.ip4(), port))
        return True
    except OSError:
        return False
    finally:
        c.close()
        listener.close()


def gets_through(try_it, server):
    until(lambda: try_it(server), "what is allowed does not get through", 20)


def is_shut(try_it, server):
    until(lambda: not try_it(server), "what is forbidden gets through", 20)
    for _ in range(2):
        expect(not try_it(server), "what is forbidden gets through")


@test_with(start=False)
def test_a_pod_of_an_unknown_node_has_no_address_yet(bed):
    """Its podIP counts only inside the podCIDRs of a Node that is known; then it is a peer like others."""
    bed.node(1).start_agent("--cluster-cidr", "10.244.0.0/16,fd00:10:244::/48")
    bed.policy("web", subject="web", ingress=FRIENDS)
    web, ip = bed.pod("web"), "10.244.9.5"
    far = peer_at(bed, bed.world, ip)
    bed.pod_object("friend", 9, ips=[ip], phase="Running")
    bed.settle()
    is_shut(far, web)
    expect(explained(bed.nodes[1], ip, "shop/web")[0] == "denied", explained(bed.nodes[1], ip, "shop/web"))
    # Another node's range: not his.
    bed.liar.put("Node", "n9", spec={"podCIDRs": ["10.244.8.0/24"]})
    bed.settle()
    is_shut(far, web)
    bed.liar.put("Node", "n9", spec={"podCIDRs": ["10.244.9.0/24"]})
    gets_through(far, web)
    expect(explained(bed.nodes[1], ip, "shop/web")[0] == "allowed", explained(bed.nodes[1], ip, "shop/web"))
    bed.liar.delete("Node", "n9")
    is_shut(far, web)


@test
def test_an_address_of_a_pod_that_nobody_knows(bed):
    """Inside the pod ranges: its ipBlocks count, no selector takes it for a pod, not even by what it does not want."""
    ip = "10.244.9.7"
    bed.liar.put("Node", "n9", spec={"podCIDRs": ["10.244.9.0/24"]})
    strangers = [{"from": [{"podSelector": {"matchExpressions": [{"key": "app", "operator": "NotIn", "values": ["x"]}]},
                            "namespaceSelector": {}}]}]
    bed.policy("web", subject="web", ingress=strangers)
    web = bed.pod("web")
    far = peer_at(bed, bed.world, ip)
    bed.settle()
    is_shut(far, web)
    bed.policy("block", subject="web", ingress=[{"from": [{"ipBlock": {"cidr": "10.244.9.0/28"}}]}])
    gets_through(far, web)
    bed.liar.delete("NetworkPolicy", "block", NS)
    is_shut(far, web)
    bed.pod_object("any", 9, ips=[ip], phase="Running")
    gets_through(far, web)


@test
def test_two_pods_with_one_address_XB7(bed):
    """Elsewhere: only what is allowed for both; a condition names them. Here: the record decides."""
    node, ip = bed.nodes[1], "10.244.9.5"
    bed.liar.put("Node", "n9", spec={"podCIDRs": ["10.244.9.0/24"]})
    bed.policy("web", subject="web", ingress=FRIENDS)
    web, foe = bed.pod("web"), bed.pod("foe")
    far = peer_at(bed, bed.world, ip)
    bed.pod_object("one", 9, labels={"app": "friend"}, ips=[ip], phase="Running")
    gets_through(far, web)
    bed.pod_object("two", 9, labels={"app": "stranger"}, ips=[ip], phase="Running")
    is_shut(far, web)
    node.wait_condition("AddressClaimedTwice", ip, "shop/one", "shop/two")
    # Removing one gives the other its own again.
    bed.liar.delete("Pod", "two", NS)
    gets_through(far, web)
    until(lambda: not [c for c in node.conditions() if "AddressClaimedTwice" in c], lambda: str(node.conditions()))
    # An object that claims the address of a pod of ours makes nobody a friend.
    bed.pod_object("liar", 1, labels={"app": "friend"}, ips=[foe.ip4()], phase="Running")
    bed.settle()
    never(foe, web)


@test
def test_a_finished_pod_is_nobodys_peer_here_and_elsewhere_XB6(bed):
    """The field selector leaves it out. As a subject it stays what it was until its DEL, new policies included."""
    bed.node(2).start_agent()
    allow = [{"from": [{"podSelector": {"matchLabels": {"app": "job"}}}]}]
    bed.policy("server", subject="server", ingress=allow)
    bed.policy("job", subject="job", ingress=FRIENDS)
    job, friend, foe = bed.pod("job"), bed.pod("friend"), bed.pod("foe")
    here = bed.pod("here", labels={"app": "server"})
    there = bed.pod("there", 2, labels={"app": "server"})
    bed.settle()
    passes(job, here)
    passes(job, there)
    bed.pod_object("job", ips=job.ips, phase="Succeeded")
    never_in_the_end(job, here)
    never_in_the_end(job, there)
    passes(friend, job)
    never(foe, job)
    items = bed.nodes[1].attached()["job"]
    expect(items["labels"] == {"app": "job"} and items["ingress"]["policies"] == ["shop/job"], items)
    text = explained(bed.nodes[1], "shop/job", "shop/here")
    expect(text[0] == "denied" and "finished" in text[1], text)
    # The same over a restart: the labels stand in its record.
    bed.nodes[1].kill_agent()
    bed.nodes[1].start_agent()
    passes(friend, job)
    never(foe, job)
    never(job, here)
    bed.policy("more", subject="job", ingress=[], egress=[])
    bed.liar.delete("NetworkPolicy", "job", NS)
    never_in_the_end(friend, job)
    job.detach()


@test
def test_a_pod_that_is_deleted_before_its_del(bed):
    """The object goes first, as with a forced deletion: the pod stays a subject, and is no peer."""
    bed.policy("web", subject="web", ingress=FRIENDS)
    bed.policy("friend", subject="friend", ingress=[])
    web, friend = bed.pod("web"), bed.pod("friend")
    passes(friend, web)
    bed.liar.delete("Pod", "friend", NS)
    never_in_the_end(friend, web)
    never(web, friend)
    friend.detach()


@test
def test_an_object_of_one_and_a_half_megabytes(bed):
    """Only what is needed is kept of it."""
    node = bed.nodes[1]
    big = {"annotations": {"note-%d" % i: "x" * 256000 for i in range(6)}}
    bed.pod_object("web", uid="uid-web", meta=big)
    bed.policy("web", subject="web", ingress=FRIENDS, meta=big)
    web = bed.add("web").good()
    bed.pod_object("web", uid="uid-web", ips=web.ips, phase="Running", meta=big)
    passes(bed.pod("friend"), web)
    never(bed.pod("foe"), web)
    expect(not node.status()["source"].get("error"), node.status()["source"])


@test
def test_a_pod_whose_object_cannot_be_read_XB9(bed):
    """It is left out and counted; an ADD for it says so; others go on."""
    node = bed.nodes[1]
    bed.policy("web", subject="web", ingress=FRIENDS)
    bed.policy("free", subject="free", ingress=[{"from": [{"podSelector": {"matchLabels": {"app": "web"}}}]}])
    web = bed.pod("web")
    bed.pods = {"free": bed.pod("free")}
    bed.liar.put("Pod", "odd", NS, uid="uid-odd", labels={"app": 5}, spec={"nodeName": "n1"}, status={})
    until(lambda: node.kinds()["Pod"]["unreadable"], lambda: str(node.kinds()))
    bed.add("odd", timeout=3).refused(11, "shop/odd", "labels", "cannot be read")
    friend, foe = bed.pod("friend"), bed.pod("foe")
    bed.pod_object("odd", uid="uid-odd")
    bed.add("odd").good()
    # What was last readable of one that was good stays, also where it is the fresh read that cannot read it.
    bed.stall("Pod")
    bed.liar.put("Pod", "web", NS, uid="uid-web", labels={"app": ["web"]}, spec={"nodeName": "n1"}, status={})
    again = bed.lab.pod("web-again")
    expect(not Add(again, node, "web", uid="uid-web").result(), "a pod that was readable once")
    never(bed.world, again)
    again.detach()
    passes(web, bed.pods["free"])
    passes(friend, web)
    never(foe, web)


@test
def test_a_policy_that_is_not_valid_isolates_XB9(bed):
    """Taken with its fault, and a condition names it."""
    bed.policy("odd", subject="web", ingress=[{"from": [{"ipBlock": {"cidr": "10.0.0.0/99"}}]}])
    web, other = bed.pod("web"), bed.pod("other")
    never_in_the_end(bed.world, web)
    passes(bed.world, other)
    bed.nodes[1].wait_condition("InvalidPolicy", "shop/odd")


@test
def test_an_unknown_namespace_matches_nothing(bed):
    """A pod whose Namespace is not told: namespace selectors do not take it, its own policies hold."""
    bed.policy("web", subject="web", ingress=[{"from": [{"namespaceSelector": {}}]}])
    web = bed.pod("web")
    ghost = bed.pod("ghost", ns="nowhere")
    bed.settle()
    never(ghost, web)
    bed.liar.put("Namespace", "nowhere", labels={"kubernetes.io/metadata.name": "nowhere"})
    passes(ghost, web)


@test
def test_a_label_change_is_met_at_once(bed):
    """The API's labels of a pod that runs: subject and peer."""
    bed.policy("web", subject="web", ingress=FRIENDS)
    web, friend = bed.pod("web"), bed.pod("friend")
    passes(friend, web)
    bed.pod_object("friend", labels={"app": "foe"}, ips=friend.ips, phase="Running")
    never_in_the_end(friend, web)
    bed.pod_object("web", labels={"app": "free"}, ips=web.ips, phase="Running")
    passes(friend, web)
    recorded(web, {"app": "free"})


@test
def test_host_network_pods_are_no_peers(bed):
    """Their address is the node's; selectors do not take it, and no ADD comes for them."""
    bed.policy("web", subject="web", ingress=FRIENDS)
    web = bed.pod("web")
    ip = "10.244.9.5"
    bed.liar.put("Node", "n9", spec={"podCIDRs": ["10.244.9.0/24"]})
    far = peer_at(bed, bed.world, ip)
    bed.pod_object("friend", 9, ips=[ip], phase="Running", spec={"nodeName": "n9", "hostNetwork": True})
    bed.settle()
    is_shut(far, web)


@test
def test_a_pod_in_the_second_node_is_met_by_the_first(bed):
    """Two agents, one server: both ends judge by the same objects."""
    bed.node(2).start_agent()
    bed.policy("web", subject="web", ingress=FRIENDS)
    to_web = [{"to": [{"podSelector": {"matchLabels": {"app": "web"}}}]}]
    bed.policy("friend", subject="friend", egress=to_web, ingress=[])
    web, friend, foe = bed.pod("web"), bed.pod("friend", 2), bed.pod("foe", 2)
    bed.settle()
    for family in (0, 1):
        passes(friend, web, address=web.ips[family])
        never(foe, web, address=web.ips[family])
        never(foe, friend, address=friend.ips[family])


