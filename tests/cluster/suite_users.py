# SPDX-License-Identifier: Apache-2.0
"""suite_users.py - pods with hostUsers: false, whose network namespace belongs to a user namespace of their own."""
import scene
import traffic
from suite_faults import no_leak

CLUSTERS = [{"runtime": "new"}]
NS = "users"


def run(cluster, result):
    traffic.image(cluster)
    one, two = cluster.nodes[:2]
    pods = {}
    with result.case("a pod with hostUsers: false becomes Ready, and root in it is nobody outside"):
        cluster.apply(scene.namespace(NS), traffic.pod("server", NS, one, hostUsers=False),
                      scene.pod(cluster, NS, "web", one, hostUsers=False),
                      scene.pod(cluster, NS, "client", two, hostUsers=False), scene.pod(cluster, NS, "plain", one))
        pods = {p["metadata"]["name"]: p for p in cluster.wait_pods(NS, count=4, seconds=240)}
        said = cluster.exec(NS, "web", "/bin/cat", "/proc/self/uid_map").stdout.split()
        assert said[0] == "0" and said[1] != "0", "its users are the node's: %s" % said
    if not pods:
        return
    web = scene.at(scene.addresses(pods["web"])[0], scene.PORT)
    with result.case("pods with hostUsers: false are reached and reach, on one node and across two"):
        for client in ("client", "plain"):
            scene.until(cluster, NS, client, web, "OK")
    with result.case("a policy counts for pods with hostUsers: false, on the way in and on the way out"):
        cluster.apply(scene.policy(NS, "web", {"app": "web"}, ingress=[
            {"from": [{"podSelector": {"matchLabels": {"app": "plain"}}}]}]))
        scene.until(cluster, NS, "client", web, "TIMEOUT")
        scene.never(cluster, NS, "client", web)
        scene.until(cluster, NS, "plain", web, "OK")
        cluster.apply(scene.policy(NS, "plain", {"app": "plain"}, egress=[]))
        scene.until(cluster, NS, "plain", web, "TIMEOUT")
    with result.case("pods with hostUsers: false leave no address behind"):
        cluster.delete("namespace", NS)
        for node in cluster.nodes:
            no_leak(cluster, node)
