# SPDX-License-Identifier: Apache-2.0
"""api_going.py - a namespace is being deleted: its policies are gone from the server before its pods are."""
import signal

from apibed import NS, expect, never, passes, test, until
from probe import Flood, Flow

UID, POLICY = "5e0b5a0e-0000-4000-8000-000000000001", "5e0b5a0e-0000-4000-8000-000000000002"


def scene(bed):
    """web takes in friend and not foe; all of one namespace."""
    bed.liar.put("Namespace", NS, uid=UID, labels={"kubernetes.io/metadata.name": NS})
    bed.policy("web", subject="web", ingress=[{"from": [{"podSelector": {"matchLabels": {"app": "friend"}}}]}], uid=POLICY)
    bed.pods = {n: bed.pod(n) for n in ("web", "friend", "foe")}
    bed.settle()
    hold(bed)
    return bed.pods


def hold(bed):
    p = bed.pods
    passes(p["friend"], p["web"])
    never(p["foe"], p["web"])


def going(bed):
    bed.liar.put("Namespace", NS, labels={"kubernetes.io/metadata.name": NS},
                 meta={"deletionTimestamp": "2030-01-01T00:00:00Z"})


def flows(p):
    return [Flow("ok", "udp", p["friend"], "*", p["web"], p["web"].ip4(), 9001),
            Flow("bad", "udp", p["foe"], "*", p["web"], p["web"].ip4(), 9002)]


@test
def test_A18_nothing_opens_while_the_namespace_goes(bed):
    """Not when the policy is deleted, and not while the agent is killed and comes again, on two ways."""
    node, p = bed.nodes[1], scene(bed)
    with Flood(bed.lab, flows(p), 200, 300) as flood:
        going(bed)
        bed.settle()
        bed.liar.delete("NetworkPolicy", "web", NS)
        until(lambda: node.folder("held") == ["%s_%s.json" % (UID, POLICY)], lambda: "not saved: %s" % node.folder("held"))
        bed.settle()
        hold(bed)
        for sig in (signal.SIGKILL, signal.SIGTERM):
            node.kill_agent(sig)
            node.start_agent()
            bed.settle()
            hold(bed)
        expect([i["name"] for i in node.ctl("policies", namespace=NS)["items"]] == ["web"], node.ctl("policies", namespace=NS))
        counts = flood.stop()
    expect(not counts["ok"].lost and not counts["bad"].received, "packets were judged otherwise:", counts)
    for name in ("friend", "foe", "web"):
        bed.liar.delete("Pod", name, NS)
    bed.liar.delete("Namespace", NS)
    until(lambda: not node.folder("held") and not node.ctl("policies", namespace=NS)["items"],
          lambda: "%s and %s stay" % (node.folder("held"), node.ctl("policies", namespace=NS)))
    for pod in p.values():
        pod.detach()


@test
def test_A18_nothing_opens_when_the_policys_end_is_told_first(bed):
    """The watch of namespaces tells nothing: the server is asked. An ordinary deletion opens, at once."""
    node, p = bed.nodes[1], scene(bed)
    bed.stall("Namespace")
    with Flood(bed.lab, flows(p), 200, 300) as flood:
        going(bed)
        bed.liar.delete("NetworkPolicy", "web", NS)
        until(lambda: node.folder("held"), "not saved")
        hold(bed)
        counts = flood.stop()
    expect(not counts["ok"].lost and not counts["bad"].received, "packets were judged otherwise:", counts)
    bed.policy("other", "other", subject="far", ingress=[])
    far = bed.pod("far", ns="other")
    never(p["foe"], far)
    bed.liar.delete("NetworkPolicy", "other", "other")
    passes(p["foe"], far)
    hold(bed)
