# SPDX-License-Identifier: Apache-2.0
"""threetier.py - reads examples/three-tier: its manifests and the matrix that was written by hand."""
import glob
import os

from harness import ROOT, HarnessError

EXAMPLE = os.path.join(ROOT, "examples", "three-tier")
PODS = [("production", "frontend"), ("production", "api"), ("production", "database"), ("kube-system", "dns")]


def manifests():
    return sorted(glob.glob(os.path.join(EXAMPLE, "*.yaml")))


def read_expected(path):
    """{(port, src, dst): True, False, or None for a cell that is not ours}."""
    out, port, columns = {}, None, []
    with open(path, encoding="utf-8") as f:
        for n, line in enumerate(f, 1):
            words = line.split("#")[0].split()
            if not words:
                continue
            if words[0] == "port":
                port, columns = words[1], []
            elif not columns:
                columns = words
            elif len(words) != len(columns) + 1 or set(words[1:]) - set("+-."):
                raise HarnessError("%s:%d: a row has %d cells" % (path, n, len(words) - 1))
            else:
                for dst, mark in zip(columns, words[1:]):
                    out[port, words[0], dst] = {"+": True, "-": False, ".": None}[mark]
    return out


def pods_with_addresses(ips):
    """10-pods.yaml with a status for each pod: what a cluster would say of pods that have addresses."""
    with open(os.path.join(EXAMPLE, "10-pods.yaml"), encoding="utf-8") as f:
        docs = f.read().split("\n---\n")
    out = []
    for doc in docs:
        name = next(line.split(":")[1].strip() for line in doc.splitlines() if line.startswith("  name:"))
        listed = "".join("    - ip: \"%s\"\n" % i for i in ips[name])
        out.append("%s\nstatus:\n  podIP: \"%s\"\n  podIPs:\n%s" % (doc.rstrip(), ips[name][0], listed))
    return "---\n".join(out)
