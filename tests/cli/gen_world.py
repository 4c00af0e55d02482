#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A large world of one shape, as manifests, for tests and measurements of the command line.

    tests/cli/gen_world.py POLICIES PODS FILE

A tenth as many namespaces as policies; in each an equal share of the pods, with the labels app (50 values a namespace),
tier (5), version (3) and one of their own. A policy selects one app and has two rules for ingress and one for egress,
each of two peers (a podSelector; a namespaceSelector of three values with a podSelector) and two ports (a named one and
a range); in every fourth a block with two exceptions stands for the second peer. No two policies are equal.
"""
import json
import sys


def namespaces(count):
    for i in range(count):
        yield {"apiVersion": "v1", "kind": "Namespace", "metadata": {
            "name": f"ns-{i:04}", "labels": {"team": f"team-{i % 20}", "index": str(i)}}}


def address(i):
    return f"10.{64 + (i >> 16)}.{i >> 8 & 255}.{i & 255}"


def pods(count, n_ns):
    for i in range(count):
        k = i // n_ns  # of its namespace
        yield {"apiVersion": "v1", "kind": "Pod", "metadata": {
            "name": f"pod-{i:06}", "namespace": f"ns-{i % n_ns:04}", "labels": {
                "app": f"app-{k % 50}", "tier": f"tier-{k % 5}", "version": f"v{k % 3}", "unique": f"u{i}"}},
            "spec": {"nodeName": f"node-{i // 250}", "containers": [{"name": "c", "image": "i", "ports": [
                {"name": "http", "containerPort": 8080 + k % 3}]}]},
            "status": {"phase": "Running", "podIP": address(i + 256), "podIPs": [{"ip": address(i + 256)}]}}


def peers(i, k, n_ns):
    by_pod = {"podSelector": {"matchLabels": {"app": f"app-{(i * 7 + k) % 50}"}}}
    if (i + k) % 4 == 3:
        a, b = 1 + (i + k) % 200, (i * 3 + k) % 250
        return [by_pod, {"ipBlock": {"cidr": f"{a}.{b}.0.0/16",
                                     "except": [f"{a}.{b}.16.0/20", f"{a}.{b}.{64 + i % 100}.0/24"]}}]
    names = [str((i * 11 + k * 3 + j * 5) % n_ns) for j in range(3)]
    return [by_pod, {"namespaceSelector": {"matchExpressions": [{"key": "index", "operator": "In", "values": names}]},
                     "podSelector": {"matchLabels": {"tier": f"tier-{(i + k) % 5}"}}}]


def policies(count, n_ns):
    for i in range(count):
        def rule(k, key):
            lo = 1024 + (i * 13 + k * 101) % 40000
            return {key: peers(i, k, n_ns), "ports": [{"port": "http"}, {"port": lo, "endPort": lo + 10 + k}]}

        yield {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {
            "name": f"policy-{i:05}", "namespace": f"ns-{i % n_ns:04}"}, "spec": {
                "podSelector": {"matchLabels": {"app": f"app-{i // n_ns * 5 % 50}"}},
                "policyTypes": ["Ingress", "Egress"],
                "ingress": [rule(0, "from"), rule(1, "from")], "egress": [rule(2, "to")]}}


def write(n_policies, n_pods, path):
    n_ns = max(n_policies // 10, 1)
    with open(path, "w", encoding="utf-8") as f:
        for part in (namespaces(n_ns), pods(n_pods, n_ns), policies(n_policies, n_ns)):
            for o in part:
                f.write("---\n" + json.dumps(o) + "\n")


if __name__ == "__main__":
    write(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
