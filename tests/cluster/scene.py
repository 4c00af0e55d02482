# SPDX-License-Identifier: Apache-2.0
"""scene.py - pods, Services and policies for the suites, and who reaches whom."""
import os

import bedlib
from bedlib import wait_for

PORT = 8080  # agnhost netexec: HTTP and, one above, UDP
UDP = 8081


def namespace(name, **labels):
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}


def pod(cluster, ns, name, node=None, labels=None, args=("netexec", "--http-port=8080", "--udp-port=8081"), **spec):
    """An agnhost pod; without a node the scheduler chooses. More of its spec by keyword."""
    body = {"restartPolicy": "Always", "terminationGracePeriodSeconds": 0, "containers": [{
        "name": "main", "image": cluster.programs.agnhost, "imagePullPolicy": "Never", "args": list(args),
        "ports": [{"containerPort": PORT, "name": "http"}, {"containerPort": UDP, "name": "udp", "protocol": "UDP"}],
        "readinessProbe": {"tcpSocket": {"port": PORT}, "periodSeconds": 1, "timeoutSeconds": 5}}]}
    if args and args[0] != "netexec":
        del body["containers"][0]["readinessProbe"]
    if node:
        body["nodeName"] = node.name
    body.update(spec)
    meta = {"name": name, "namespace": ns, "labels": labels or {"app": name}}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": body}


def service(ns, name, selector, kind="ClusterIP", dual=False, **spec):
    body = {"type": kind, "selector": selector, "ports": [
        {"name": "http", "port": 80, "targetPort": PORT, "protocol": "TCP"},
        {"name": "udp", "port": UDP, "targetPort": UDP, "protocol": "UDP"}]}
    if dual:
        body["ipFamilyPolicy"] = "RequireDualStack"
    body.update(spec)
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": ns}, "spec": body}


def policy(ns, name, selector, **spec):
    """policy("a", "deny", {}, ingress=[]); policyTypes are those that are given."""
    types = [t for t in ("Ingress", "Egress") if t.lower() in spec]
    return {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": name, "namespace": ns},
            "spec": dict({"podSelector": {"matchLabels": selector}, "policyTypes": types}, **spec)}


def addresses(pod_object):
    return [a["ip"] for a in pod_object["status"].get("podIPs", [])]


def at(address, port):
    return "[%s]:%d" % (address, port) if ":" in address else "%s:%d" % (address, port)


def probe(cluster, ns, client, target, protocol="tcp", seconds=3):
    """What a connection from a pod meets: OK, TIMEOUT, REFUSED, or agnhost's own word for it."""
    p = cluster.exec(ns, client, "/agnhost", "connect", target, "--timeout=%ds" % seconds, "--protocol=" + protocol,
                     check=False)
    said = (p.stdout + p.stderr).split()
    return "OK" if p.returncode == 0 else (said[0] if said else "exit %d" % p.returncode)


def fetch(cluster, ns, client, url, seconds=5):
    """The body of an HTTP answer, as a pod gets it; empty where none comes."""
    p = cluster.exec(ns, client, "/bin/curl", "-sg", "-m", str(seconds), url, check=False)
    return p.stdout.strip() if p.returncode == 0 else ""


def until(cluster, ns, client, target, want, protocol="tcp", seconds=60):
    """Wait until a probe says `want`: what is being programmed takes its time, and a probe on a busy machine too."""
    said = []

    def asked():
        said.append(probe(cluster, ns, client, target, protocol))
        return said[-1] == want
    try:
        wait_for("", seconds, asked)
    except bedlib.BedError:
        raise AssertionError("%s to %s by %s: %s, should be %s" % (client, target, protocol, said[-1], want)) from None


def never(cluster, ns, client, target, times=3, protocol="tcp"):
    """No probe of several gets through; each of them must have timed out, for a denied packet is dropped."""
    for _ in range(times):
        said = probe(cluster, ns, client, target, protocol, seconds=2)
        if said != "TIMEOUT":
            raise AssertionError("%s to %s by %s: %s, should be TIMEOUT" % (client, target, protocol, said))


class Outside:
    """An agnhost server on the LAN, where nobody of the cluster lives: says who came to it."""

    def __init__(self, cluster, address, port=PORT):
        self.cluster, self.address, self.port = cluster, address, port
        self.agnhost = os.path.join(os.path.dirname(os.path.realpath(cluster.programs.e2e)), "agnhost")

    def __enter__(self):
        with open(os.path.join(self.cluster.dir, "outside.log"), "ab") as log:
            self.process = self.cluster.popen([self.agnhost, "netexec", "--http-port=%d" % self.port, "--udp-port=-1"],
                                              stdout=log, stderr=log)
        wait_for("the server outside", 30, lambda: self.cluster.run(
            ["curl", "-sgf", "-m", "2", "http://127.0.0.1:%d/hostname" % self.port], check=False).returncode == 0)
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(20)

    def seen(self, ns, client):
        """The address that a pod has out here."""
        said = fetch(self.cluster, ns, client, "http://%s/clientip" % at(self.address, self.port))
        return said.rpartition(":")[0].strip("[]")


