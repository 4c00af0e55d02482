# SPDX-License-Identifier: Apache-2.0
"""worldw.py - the world W(P, N) of worldw.h for programs in Python: the same objects, as Kubernetes' JSON.

test_bench.py holds it against worldw.c, object by object.
"""
import json

LOCAL = 250
APPS, TIERS, VERSIONS = 50, 5, 3
NAME_LABEL = "kubernetes.io/metadata.name"
PORTS = [{"name": "http", "containerPort": 8080, "protocol": "TCP"},
         {"name": "metrics", "containerPort": 9100, "protocol": "TCP"}]


def select(key, *values):
    return {"matchExpressions": [{"key": key, "operator": "In", "values": list(values)}]}


class World:
    def __init__(self, policies, pods):
        self.policies, self.pods = policies, pods
        self.namespaces = policies // 10 if policies >= 10 else 1

    def ns(self, i):
        return "w-%04d" % (i % self.namespaces)

    def namespace(self, i):
        return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self.ns(i), "labels": {NAME_LABEL: self.ns(i)}}}

    # -- pods

    @staticmethod
    def address(i):
        v = 0x0a800001 + i if i < LOCAL else 0x0a810000 + i - LOCAL
        return ".".join(str(v >> s & 255) for s in (24, 16, 8, 0))

    def app(self, i):
        """The number of pod i's app."""
        return (i // self.namespaces + i % self.namespaces) % APPS

    def labels(self, i, version=0):
        in_ns = i // self.namespaces
        return {"app": "app-%d" % self.app(i), "id": "pod-%d" % i, "tier": "tier-%d" % ((in_ns // 7 + version) % TIERS),
                "version": "v%d" % (in_ns % VERSIONS)}

    def pod(self, i, version=0):
        return {"apiVersion": "v1", "kind": "Pod",
                "metadata": {"namespace": self.ns(i), "name": "pod-%d" % i, "labels": self.labels(i, version)},
                "spec": {"nodeName": "here" if i < LOCAL else "elsewhere", "containers": [{"name": "ports", "ports": PORTS}]},
                "status": {"phase": "Running", "podIPs": [{"ip": self.address(i)}]}}

    # -- policies

    def peers(self, j, turn):
        app = (j // self.namespaces + turn * 11 + 1) % APPS
        three = [self.ns(j + k * (turn + 1)) for k in (1, 2, 3)]
        out = [{"podSelector": select("app", "app-%d" % app)},
               {"namespaceSelector": select(NAME_LABEL, *three), "podSelector": select("tier", "tier-%d" % ((j + turn) % TIERS))}]
        if j % 4 == 0:
            net = 16 + (j // 4 + turn) % 200
            out.append({"ipBlock": {"cidr": "172.%d.0.0/16" % net,
                                    "except": ["172.%d.%d.0/24" % (net, (j // 4 + k * 100) % 256) for k in (0, 1)]}})
        return out

    def rule(self, j, turn, version, key):
        low = 10000 + (j * 7 + turn * 3 + version) % 20000
        return {key: self.peers(j, turn),
                "ports": [{"protocol": "TCP", "port": "metrics" if turn % 2 else "http"},
                          {"protocol": "TCP", "port": low, "endPort": low + 100}]}

    def policy(self, j, version=0):
        return {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
                "metadata": {"namespace": self.ns(j), "name": "policy-%d" % j},
                "spec": {"podSelector": select("app", "app-%d" % (j // self.namespaces % APPS)),
                         "policyTypes": ["Ingress", "Egress"],
                         "ingress": [self.rule(j, turn, version, "from") for turn in (0, 1)],
                         "egress": [self.rule(j, 2, version, "to")]}}

    def policy_about(self, i):
        """A number, beyond those of W, of a policy that selects pod i."""
        return (APPS + self.app(i)) * self.namespaces + i % self.namespaces

    # -- all of it

    def objects(self):
        for i in range(self.namespaces):
            yield self.namespace(i)
        for i in range(self.pods):
            yield self.pod(i)
        for j in range(self.policies):
            yield self.policy(j)


def write(objects, path):
    """Manifests: a YAML stream of JSON documents."""
    with open(path, "w", encoding="utf-8") as f:
        for o in objects:
            f.write("---\n" + json.dumps(o) + "\n")
