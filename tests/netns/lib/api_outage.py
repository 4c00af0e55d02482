# SPDX-License-Identifier: Apache-2.0
"""api_outage.py - the server is away, silent, behind or gives nonsense: what is in force stays, and heals."""
import json
import re
import signal

from apibed import ALWAYS, KINDS, NS, expect, never, passes, test, until
from harness import CniError
from probe import Flood, Flow

SHUT = re.compile("refused|reset|closed|connect", re.I)


def scene(bed):
    """web takes in friend and not foe."""
    bed.policy("web", subject="web", ingress=[{"from": [{"podSelector": {"matchLabels": {"app": "friend"}}}]}])
    bed.pods = {n: bed.pod(n) for n in ("web", "friend", "foe")}
    bed.settle()
    hold(bed)
    return bed.pods


def hold(bed):
    p = bed.pods
    passes(p["friend"], p["web"])
    never(p["foe"], p["web"])


def down(node):
    """Until the agent has noticed."""
    return until(lambda: node.status()["source"].get("error"), "it notices nothing")


def cni_status(node):
    """STATUS as the runtime asks it: 0 or the code."""
    try:
        node.cni("STATUS", "", "", node.cni_conf(cniVersion="1.1.0"))
        return 0, ""
    except CniError as e:
        return e.code, e.msg


@test
def test_an_outage_keeps_what_is_in_force_and_heals_XB11_F17(bed):
    node, p = bed.nodes[1], scene(bed)
    rules, generation = node.traces(), node.status()["metadata"]["generation"]
    flows = [Flow("ok", "udp", p["friend"], "*", p["web"], p["web"].ip4(), 9001),
             Flow("bad", "udp", p["foe"], "*", p["web"], p["web"].ip4(), 9002)]
    with Flood(bed.lab, flows, 200, 300) as flood:
        bed.gone()
        why = down(node)
        bed.liar.delete("NetworkPolicy", "web", NS)
        bed.policy("shut", subject="friend", ingress=[])
        bed.liar.put("Pod", "new", NS, uid="uid-new", labels={"app": "new"}, spec={"nodeName": "n1"}, status={})
        text = bed.add("new", timeout=3).refused(11, "shop/new")
        hold(bed)
        status = node.status()
        expect(status["ready"] and status["metadata"]["generation"] == generation, "something changed:", status)
        expect(node.traces() == rules, node.traces(), "not", rules)
        expect(SHUT.search(text) and SHUT.search(why), "the cause is not told:", text, "/", why)
        expect(cni_status(node)[0] == 0, "STATUS flaps:", cni_status(node))
        expect(node.wait_condition("SourceError"), "no condition")
        p["friend"].check()
        counts = flood.stop()
    expect(not counts["ok"].lost and not counts["bad"].received, "packets were judged otherwise:", counts)
    bed.back()
    passes(p["foe"], p["web"])
    never(bed.world, p["friend"])
    bed.add("new").good()
    expect(not node.status()["source"].get("error"), node.status()["source"])
    expect("objects can be read again" in node.log(), "the log does not tell the end")


@test
def test_a_pod_goes_during_an_outage(bed):
    """DEL needs no server."""
    node, p = bed.nodes[1], scene(bed)
    bed.gone()
    down(node)
    p["foe"].detach()
    expect(set(node.attached()) == {"web", "friend"} and len(node.traces()["records"]) == 2, node.traces())
    passes(p["friend"], p["web"])


@test
def test_a_restart_during_an_outage(bed):
    """Rules stay; nothing is let in; node.json of before stays and ages; later all is in sync."""
    node, p = bed.nodes[1], scene(bed)
    rules, before = node.traces(), node.node_json()
    for sig in (signal.SIGKILL, signal.SIGTERM):
        bed.gone()
        down(node)
        node.kill_agent(sig)
        hold(bed)
        node.start_agent(wait=False)
        down_status = until(node.try_status, "no answer")
        until(lambda: node.try_status().get("source", {}).get("error"), "it does not say why")
        expect(not down_status["ready"] and not down_status["source"]["synced"], down_status)
        hold(bed)
        expect(node.traces() == rules, node.traces(), "not", rules)
        now = node.node_json()
        expect(now["ready"] and now["ranges"] == before["ranges"], "a restart flaps the node:", now)
        expect(cni_status(node)[0] == 0, "a restart flaps the node:", cni_status(node))
        bed.add("new", timeout=2).refused(11, "no policy is known")
        out = node.cli("status")
        expect(out.returncode == 1 and "NOT READY" in out.stdout and "NOT SYNCED" in out.stdout, out.stdout)
        bed.back()
        node.wait_ready(60)
        hold(bed)
        expect("adopted_generation=" in node.log() and node.node_json()["ready"], node.log_tail())
        expect(all(k["synced"] for k in node.kinds().values()), node.kinds())


@test
def test_a_first_start_without_a_server(bed):
    """No file of an agent before this one: the node is not ready, and says why. Then the server comes."""
    node = bed.node(2)
    bed.gone()
    node.start_agent(wait=False)
    until(lambda: node.try_status().get("source", {}).get("error"), "it does not say why")
    code, text = cni_status(node)
    expect(code == 50 and not node.node_json()["ready"] and "no policy is known" in text, code, text, node.node_json())
    bed.back()
    node.wait_ready(60)
    until(lambda: cni_status(node)[0] == 0, lambda: str(cni_status(node)))


@test
def test_half_a_server(bed):
    """One kind cannot be listed: nothing counts before it can."""
    node = bed.node(2)
    bed.liar.fault("NetworkPolicy", times=ALWAYS, status=503)
    node.start_agent(wait=False)
    until(lambda: node.try_status().get("source", {}).get("error"), "it does not say why")
    until(lambda: all(v["synced"] == (k != "NetworkPolicy") for k, v in node.kinds().items()),
          lambda: str(node.kinds()))
    expect(not node.status()["ready"] and "networkpolicies" in node.status()["notReadyReason"], node.status())
    bed.pod_object("web", 2, uid="uid-web")
    until(lambda: node.node_json()["ranges"], lambda: str(node.node_json()))
    bed.add("web", 2, timeout=2).refused(11, "networkpolicies")
    bed.mend()
    node.wait_ready(60)
    passes(bed.world, bed.add("web", 2).good())


@test
def test_garbage_on_the_streams_XB12(bed):
    """Nonsense, cut answers, a list that is none: the state stays and goes on afterwards."""
    node, p = bed.nodes[1], scene(bed)
    for how in ({"garbage": 40}, {"raw": b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n\xff\xfe{{{{"},
                {"cut": 3}, {"ctype": "text/html"}):
        faults = [bed.liar.fault(k, w, times=1, **how) for k in KINDS for w in ("watch", "initial", "list")]
        bed.liar.drop_connections()
        until(lambda: sum(f.used for f in faults) >= 4, "nobody asked")  # pylint: disable=cell-var-from-loop
        hold(bed)
        with bed.liar.lock:
            bed.liar.faults.clear()
        bed.settle()
    bed.policy("shut", subject="friend", ingress=[])
    never_in_the_end(bed.world, p["friend"])
    hold(bed)
    expect(all(k["failures"] >= 2 for k in node.kinds().values()), node.kinds())


def never_in_the_end(client, server):
    def shut():
        try:
            never(client, server)
            return True
        except AssertionError:
            return False
    until(shut, "it stays open")


@test
def test_garbage_for_an_adds_question(bed):
    """The fresh read is repeated until it is good, or tells why it is not."""
    bed.pod_object("web", uid="uid-web")
    fault = bed.liar.fault("Pod", "fresh", times=2, garbage=30)
    passes(bed.world, bed.add("web", timeout=30).good())
    expect(fault.used == 2, "it was not asked again")
    bed.pod_object("db", uid="uid-db")
    bed.liar.fault("NetworkPolicy", "fresh", times=ALWAYS, status=500, message="etcd has no leader")
    bed.add("db", timeout=3).refused(11, "shop/db", "500", "etcd has no leader", "networkpolicies")


@test
def test_sighup_lists_anew(bed):
    """What no watch has told comes with the list; nothing flaps meanwhile."""
    node, p = bed.nodes[1], scene(bed)
    before = node.kinds()
    bed.policy("silent", subject="friend", ingress=[], quiet=True)
    node.agent.send_signal(signal.SIGHUP)
    until(lambda: all(v["lists"] > before[k]["lists"] for k, v in node.kinds().items()), lambda: str(node.kinds()))
    never_in_the_end(bed.world, p["friend"])
    hold(bed)
    expect(node.status()["ready"] and "reloaded" in node.log(), node.log_tail())


@test
def test_metrics_and_status_tell_each_kind(bed):
    node = bed.nodes[1]
    node.kill_agent()
    node.start_agent("--metrics-address", "127.0.0.1:9412")
    web = bed.pod("web")
    bed.settle()
    kinds = node.kinds()
    expect(set(kinds) == set(KINDS) and all(k["synced"] and k["lists"] and k["events"] for k in kinds.values()), kinds)
    text = scrape(node)
    for resource in ("pods", "namespaces", "networkpolicies", "nodes"):
        for name in ("lists_total", "watches_total", "events_total", "failures_total", "unreadable_total",
                     "resource_age_seconds"):
            expect('ripstop_source_%s{resource="%s"} ' % (name, resource) in text, name, resource, text)
    expect("ripstop_source_synced 1\n" in text and "ripstop_source_age_seconds " in text, text)
    shown = node.cli("status").stdout
    expect("api" in shown and "synced" in shown, shown)
    answer = json.loads(node.cli("status", "-o", "json").stdout)
    expect({k["kind"] for k in answer["source"]["kinds"]} == set(KINDS), answer["source"])
    bed.gone()
    down(node)
    until(lambda: sum(k["failures"] for k in node.kinds().values()), "failures are not counted")
    expect('ripstop_condition{type="SourceError"} 1' in scrape(node), scrape(node))
    expect(ready(node) == 200, "an outage trips the readiness probe")
    web.detach()


def http(node, path):
    with node.socket(2, 1, timeout=10) as s:
        s.connect(("127.0.0.1", 9412))
        s.sendall(b"GET %s HTTP/1.0\r\nHost: x\r\n\r\n" % path.encode())
        data = b""
        while piece := s.recv(65536):
            data += piece
    return data.decode()


def scrape(node):
    return http(node, "/metrics")


def ready(node):
    return int(http(node, "/readyz").split(" ")[1])
