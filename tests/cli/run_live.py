#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Worlds that are alive: the objects of the real agent, page by page, and those of a cluster by a stand-in kubectl, judged
as the same objects in files are.

    tests/cli/run_live.py [--build DIR]

The last line is the count.
"""
import argparse
import copy
import json
import os
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "support"))
from fake_agent import FakeAgent  # noqa: E402
from fake_kubectl import FakeKubectl  # noqa: E402
from real_agent import RealAgent, possible  # noqa: E402

NET = "networking.k8s.io/v1"


def pod(ns, name, ip, labels, node="n1", owner=None, ports=()):
    meta = {"namespace": ns, "name": name, "labels": labels}
    if owner:
        meta["ownerReferences"] = [{"apiVersion": "apps/v1", "kind": owner[0], "name": owner[1], "uid": "u", "controller": True}]
    return {"apiVersion": "v1", "kind": "Pod", "metadata": meta,
            "spec": {"nodeName": node, "containers": [{"name": "c", "env": [{"name": "SECRET", "value": "x"}],
                                                       "ports": [{"name": n, "containerPort": p} for n, p in ports]}]},
            "status": {"phase": "Running", "podIP": ip, "podIPs": [{"ip": ip}]}}


def policy(ns, name, spec):
    return {"apiVersion": NET, "kind": "NetworkPolicy", "metadata": {"namespace": ns, "name": name}, "spec": spec}


def namespace(name, **labels):
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": {"kubernetes.io/metadata.name": name, **labels}}}


NAMESPACES = [namespace("shop", team="a"), namespace("ops", team="b")]
PODS = [pod("shop", "db-0", "10.7.1.20", {"app": "db", "tier": "be"}, owner=("StatefulSet", "db"), ports=[("sql", 5432)]),
        pod("shop", "web-7c9-a1", "10.7.2.31", {"app": "web"}, "n2", owner=("ReplicaSet", "web-7c9")),
        pod("shop", "api-5d-x", "10.7.1.14", {"app": "api", "tier": "be"}, ports=[("http", 8080)]), pod("ops", "prom", "10.7.2.40", {"app": "prom"}, "n2")]
POLICIES = [policy("shop", "deny", {"podSelector": {"matchLabels": {"tier": "be"}}, "policyTypes": ["Ingress", "Egress"]}),
            policy("shop", "db", {"podSelector": {"matchLabels": {"app": "db"}}, "ingress": [
                {"from": [{"podSelector": {"matchLabels": {"app": "api"}}}], "ports": [{"port": "sql"}]},
                {"from": [{"namespaceSelector": {"matchExpressions": [{"key": "team", "operator": "NotIn", "values": ["a"]}]}},
                          {"ipBlock": {"cidr": "10.9.0.0/16", "except": ["10.9.1.0/24"]}}], "ports": [{"port": 9000, "endPort": 9100}]}]}),
            policy("shop", "api", {"podSelector": {"matchLabels": {"app": "api"}}, "egress": [{}], "policyTypes": ["Egress"]})]
NODES = [{"apiVersion": "v1", "kind": "Node", "metadata": {"name": n}, "spec": {"podCIDRs": [c]},
          "status": {"addresses": [{"type": "InternalIP", "address": a}]}} for n, c, a in (("n1", "10.7.1.0/24", "192.168.77.1"),
                                                                                         ("n2", "10.7.2.0/24", "192.168.77.2"))]
SERVICES = [{"apiVersion": "v1", "kind": "Service", "metadata": {"namespace": "shop", "name": "db"},
             "spec": {"clusterIP": "10.96.0.10", "clusterIPs": ["10.96.0.10"], "selector": {"app": "db"}, "ports": [{"port": 5432}]}}]
FORBIDDEN = "Error from server (Forbidden): %s is forbidden: User \"u\" cannot list resource\n"


class Runner:
    def __init__(self, build):
        self.build = os.path.abspath(build)
        self.passed = self.failed = self.skipped = 0
        self.tmp = tempfile.TemporaryDirectory(prefix="rs-live-")
        self.folder = self.tmp.name + "/manifests"
        os.mkdir(self.folder)
        self.write("all.json", NAMESPACES + PODS + POLICIES + NODES)

    def write(self, name, items):
        with open(f"{self.folder}/{name}", "w", encoding="utf-8") as f:
            json.dump({"apiVersion": "v1", "kind": "List", "items": items}, f)

    def check(self, name, holds, detail=""):
        self.passed += bool(holds)
        self.failed += not holds
        if not holds:
            print(f"FAIL {name}: {str(detail)[:1500]}", flush=True)

    def run(self, *argv, program="ripstop", env=None):
        full = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", **{k: v for k, v in os.environ.items() if k.endswith("SAN_OPTIONS")}}
        p = subprocess.run([os.path.join(self.build, program), *argv], capture_output=True, text=True, timeout=60, env={**full, **(env or {})},
                           stdin=subprocess.DEVNULL, check=False)
        return p.returncode, p.stdout, p.stderr

    def matrix(self, *argv, **kw):
        """The pairs of a matrix: what is told of its source and of no address of ours is left out."""
        code, out, err = self.run("matrix", "-A", "--by", "pod", "-o", "json", *argv, **kw)
        if not out:
            return code, None, err
        o = json.loads(out)
        source = o["metadata"].get("source")
        for key in ("metadata", "from"):
            o.pop(key, None)
        return code, (source, o), err

    # ---- the agent's

    def pages(self, agent):
        def all_of(kind, size):
            items, after, pages = [], None, 0
            while True:
                q = {"op": "objects", "of": kind, "max": size}
                if after:
                    q["after"] = after
                r = agent.ask(q)["result"]
                items += r["items"]
                pages += 1
                if "next" not in r or pages > 50:
                    return items, pages
                after = r["next"]

        names = lambda items: [(i["metadata"].get("namespace"), i["metadata"]["name"]) for i in items]  # noqa: E731
        for kind, objects in (("Pod", PODS), ("NetworkPolicy", POLICIES), ("Node", NODES), ("Namespace", NAMESPACES)):
            for size in (1, 2, 3, 100):
                items, pages = all_of(kind, size)
                want = sorted((o["metadata"].get("namespace"), o["metadata"]["name"]) for o in objects)
                self.check(f"pages of {size} {kind}", names(items) == want and pages == -(-len(want) // size), f"{pages} {names(items)}")
        items, _ = all_of("Pod", 100)
        self.check("nothing but what Ripstop keeps", "SECRET" not in json.dumps(items) and "env" not in json.dumps(items), items)
        r = agent.ask({"op": "objects", "of": "Pod", "after": "shop/db-0"})["result"]
        self.check("behind a name", names(r["items"]) == [("shop", "web-7c9-a1")], names(r["items"]))
        r = agent.ask({"op": "objects", "of": "Pod", "after": "sho/zzz"})["result"]
        self.check("behind a name that is none", len(r["items"]) == 3, names(r["items"]))
        for bad in ({"of": "Secret"}, {}, {"of": "Pod", "max": 0}, {"of": "Pod", "max": 10**9}, {"of": "Pod", "max": "x"}):
            a = agent.ask({"op": "objects", **bad})
            self.check(f"bad question {bad}", not a["ok"] and a["error"]["message"], a)

    def agent_world(self):
        with RealAgent(self.build, self.folder) as agent:
            self.pages(agent)
            self.status(agent)
            sock = ("--socket", agent.socket)
            files, live = self.matrix("-f", self.folder), self.matrix(*sock)
            self.check("the agent's matrix is the files'", files[1] and live[1] and files[1][1] == live[1][1], f"{files}\n{live}")
            self.check("it says whose objects it is of", live[1] and live[1][0] == "agent" and files[1][0] == "files", live)
            before = agent.ask({"op": "objects", "of": "Pod"})["result"]["revision"]
            agent.attach("shop", "job", "app:api,run:1")
            after = agent.ask({"op": "objects", "of": "Pod"})["result"]
            job = [i for i in after["items"] if i["metadata"]["name"] == "job"]
            self.check("a pod without an object is one", len(job) == 1 and job[0]["metadata"]["labels"] == {"app": "api", "run": "1"} and
                       job[0]["status"]["podIPs"][0]["ip"].startswith("10.7.1.") and job[0]["spec"]["nodeName"] == "n1", job)
            _, out, _ = self.run("status", "--socket", agent.socket)
            self.check("its address is used", "IPv4 1 used, 253 free   |#..." in out and "IPv6 1 used" in out, out)
            self.check("and the revision is another", after["revision"] != before, before)
            code, out, err = self.run("matrix", "-n", "shop", "--by", "pod", *sock)
            self.check("it stands in the matrix", code == 0 and "shop/job" in out + err or "job" in out, out + err)
            self.large(agent)
        with tempfile.TemporaryDirectory() as empty, RealAgent(self.build, empty) as agent:
            code, out, err = self.run("matrix", "--socket", agent.socket)
            self.check("an agent without objects", code == 3 and "holds nothing" in err, f"{code} {out} {err}")

    def status(self, agent):
        _, out, _ = self.run("status", "--socket", agent.socket)
        self.check("addresses used and free", "10.7.1.0/24   fd07::/64   IPv4 0 used, 254 free   |....................|   IPv6 0 used\n" in out, out)
        cni = {"conflist": "/etc/cni/net.d/05-ripstop.conflist", "written": True, "first": False, "before": "00-\x1b[2Jx.conf"}
        kinds = [{"kind": "Pod", "synced": True, "ageSeconds": 2, "lists": 1, "watches": 3, "events": 87, "failures": 0, "unreadable": 0},
                 {"kind": "Node", "synced": False, "error": "403 Forbidden"}]
        families = [{"family": 4, "total": 254, "used": 1, "free": 253}]
        for change, words in (({"cni": cni}, ["05-ripstop.conflist   first in order: NO, after 00-\\x1b[2Jx.conf"]),
                              ({"cni": dict(cni, before=None, first=True)}, ["first in order: yes"]),
                              ({"cni": dict(cni, written=False)}, ["NOT WRITTEN"]),
                              ({"source": {"kind": "api", "path": "u", "synced": False, "kinds": kinds}}, ["Pod 2 s ago   Node NOT SYNCED", "ERROR 403 Forbidden",
                               "Pod            1 lists, 3 watches, 87 events, 0 failures, 0 unreadable"]),
                              ({"ipam": {"ranges": ["r"], "families": families}}, ["r   1 used, 253 free   |#...................|\n"]),
                              ({"ipam": {"families": [dict(families[0], used=254)]}}, ["254 used, 0 free   |####################|"]),
                              ({"ipam": {"families": [dict(families[0], used=400)]}}, ["400 used, 0 free   |####################|"]),
                              ({"ipam": {"families": [7, {}, {"used": "x"}]}}, ["  ipam        -\n"])):
            path = self.tmp.name + "/status.sock"
            fake = FakeAgent(path, {"status": {"result": {"kind": "Status", **change}}})
            _, out, err = self.run("status", "-o", "wide", "--socket", path)
            fake.stop()
            self.check(f"status of {change}", all(w in out for w in words), f"{out} {err}")

    def large(self, agent):
        """More than a frame holds."""
        many = [pod("big", f"p-{i:05}", f"10.7.{3 + i // 250}.{1 + i % 250}", {f"label-{k}": "v" * 40 for k in range(8)}, "n3") for i in range(3000)]
        self.write("big.json", many + [namespace("big")])
        for _ in range(200):
            if agent.ask({"op": "status"})["result"]["objects"]["pods"] >= 3000:
                break
            time.sleep(0.05)
        items, after, sizes = [], None, []
        while True:
            r = agent.ask({"op": "objects", "of": "Pod", **({"after": after} if after else {})})["result"]
            items += r["items"]
            sizes.append(len(r["items"]))
            after = r.get("next")
            if not after:
                break
        names = [f'{i["metadata"]["namespace"]}/{i["metadata"]["name"]}' for i in items]
        self.check("pages of a frame", len(sizes) > 1 and len(items) == 3000 + len(PODS) + 1 and names == sorted(set(names)), f"{sizes} {len(names)}")
        # One object may be larger than a page, not larger than a message.
        rules = [{"from": [{"ipBlock": {"cidr": f"10.{i // 250}.{i % 250}.0/24"}}]} for i in range(3000)]
        self.write("wide.json", [policy("big", "wide", {"podSelector": {}, "ingress": rules}), policy("big", "zz", {"podSelector": {}})])
        for _ in range(200):
            if agent.ask({"op": "status"})["result"]["objects"]["policies"] >= len(POLICIES) + 2:
                break
            time.sleep(0.05)
        r = agent.ask({"op": "objects", "of": "NetworkPolicy"})["result"]
        self.check("a large object is a page of its own", [i["metadata"]["name"] for i in r["items"]] == ["wide"] and
                   r["next"] == "big/wide" and len(json.dumps(r)) > 150000, f'{len(r["items"])} {r.get("next")}')
        self.write("wide.json", [policy("big", "wide", {"podSelector": {}, "ingress": rules * 8})])
        for _ in range(100):
            a = agent.ask({"op": "objects", "of": "NetworkPolicy"})
            if not a["ok"]:
                break
            time.sleep(0.05)
        self.check("a larger one than a message is an error that names it", not a["ok"] and "big/wide is larger than a message" in a["error"]["message"], str(a)[:200])
        code, out, err = self.run("matrix", "-A", "--by", "ns", "--socket", agent.socket)
        self.check("and the reader says so", code == 4 and "big/wide is larger" in err and not out, f"{code} {err}")
        os.unlink(self.folder + "/wide.json")
        for _ in range(200):
            if agent.ask({"op": "status"})["result"]["objects"]["policies"] == len(POLICIES):
                break
            time.sleep(0.05)
        code, out, _ = self.run("matrix", "-A", "--by", "ns", "--socket", agent.socket)
        self.check("a world of several pages", code == 0 and "big" in out, out)

    def strange_agents(self):
        path = self.tmp.name + "/fake.sock"
        page = {"kind": "ObjectPage", "metadata": {"node": "n", "source": "api"}, "revision": "1", "podRanges": [], "items": []}

        def ask(answers, want, said):
            agent = FakeAgent(path, {"objects": answers})
            code, out, err = self.run("matrix", "--socket", path)
            agent.stop()
            self.check(f"agent: {said}", code == want and said in err and not out, f"{code} {out} {err}")

        code, _, err = self.run("matrix", "--socket", path)
        self.check("no agent: there are files too", code == 4 and "manifests are read with -f" in err, err)
        code, _, err = self.run("version", "--socket", path)
        self.check("no agent: not for every verb", code == 4 and "read with -f" not in err, err)
        moving = [{"match": {"of": "Namespace"}, "result": page}, {"result": dict(page, revision="2")}]
        ask(moving, 4, "change faster than they can be read")
        ask({"result": dict(page, next="a/b")}, 4, "a page without objects is not the last one")
        ask({"result": dict(page, items=[7])}, 4, "cannot be used")
        ask({"result": {"kind": "PodList", "items": []}}, 4, "something else than a ObjectPage")
        ask({"error": {"errno": 95, "message": "no such operation"}}, 4, "no such operation")
        ask({"result": dict(page, podRanges=["x"])}, 2, "is not a CIDR")

    # ---- the cluster's

    def kubectl(self):
        ours = self.tmp.name + "/bin"
        fake = FakeKubectl(ours, os.path.join(self.build, "ripstop"))
        env = {"PATH": ours + ":" + os.environ["PATH"]}
        objects = {"namespaces": NAMESPACES, "pods": PODS, "networkpolicies.networking.k8s.io": POLICIES, "nodes": NODES, "services": SERVICES,
                   "endpointslices.discovery.k8s.io": []}
        kube = {"program": "kubectl-ripstop", "env": env}
        fake.write(objects=objects)
        files, live = self.matrix("-f", self.folder), self.matrix(**kube)
        self.check("the cluster's matrix is the files'", live[1] and files[1][1] == live[1][1], f"{files}\n{live}")
        self.check("it says that kubectl told", live[1] and live[1][0] == "kubectl" and not live[2], live)
        calls = fake.calls()
        self.check("six questions, nothing but get", len(calls) == 6 and all(c[0] == "get" and "-o" in c for c in calls) and
                   sorted(c[1] for c in calls if "-A" not in c) == ["namespaces", "nodes"], calls)
        self.matrix("--context", "prod", **kube)
        self.check("flags go to kubectl", all(c[0] == "--context=prod" for c in fake.calls()), "")
        code, _, _ = self.run("matrix", "-f", self.folder, **kube)
        self.check("files need no cluster", code == 0 and not fake.calls(), code)
        for line, want, said in (("explain shop/api-5d-x svc/shop/db 5432", 0, "-> svc/shop/db (10.96.0.10) tcp/5432"),
                                 ("explain shop/web-7c9-a1 svc/shop/db 5432", 1, "Backend shop/web-7c9-a1 (10.7.2.31) -> shop/db-0 (10.7.1.20) tcp/5432"),
                                 ("explain app=api@shop shop/db-0 sql", 0, "shop/db spec.ingress[0] allows it"),
                                 ("explain 10.9.0.0/16 shop/db-0 9050", 1, "DENY   10.9.1.0-10.9.1.255 -> shop/db-0 tcp/9050"),
                                 ("rules sts/shop/db", 0, "StatefulSet db"), ("explain shop/web-7c9-a1 svc/shop/none 1", 3, "there are shop/db")):
            code, out, err = self.run(*line.split(), **kube)
            self.check(f"by the cluster's objects: {line}", code == want and said in out + err, f"{code} {out}{err}")
        fake.write(objects=objects, faults=[{"when": ["services"], "code": 1, "stderr": FORBIDDEN % "services"}])
        code, out, err = self.run("explain", "shop/api-5d-x", "svc/shop/db", "5432", **kube)
        self.check("no right to Services, and one is asked for", code == 4 and not out and "tells no Services" in err, f"{code} {err}")
        for what, said in (("services", "so Services, and what is behind them are not known"), ("nodes", "so the cluster's pod ranges are not known"),
                           ("endpointslices.discovery.k8s.io", "so the backends of Services")):
            fake.write(objects=objects, faults=[{"when": [what], "code": 1, "stderr": FORBIDDEN % what}])
            code, got, err = self.matrix(**kube)
            self.check(f"no right to {what}", code == live[0] and got and said in err and "forbidden" in err, f"{code} {err}")
        for what in ("pods", "namespaces", "networkpolicies.networking.k8s.io"):
            fake.write(objects=objects, faults=[{"when": [what], "code": 1, "stderr": FORBIDDEN % what}])
            code, got, err = self.matrix(**kube)
            self.check(f"no right to {what}", code == 4 and not got and "forbidden" in err and "kubectl-ripstop-reader.yaml" in err, f"{code} {err}")
        for name, text in (("cut off", '{"items": [{"kind": "Pod"'), ("no list", "[]"), ("nothing", ""), ("no object", '{"items": [7]}')):
            fake.write(objects=objects, faults=[{"when": ["pods"], "stdout": text}])
            code, got, err = self.matrix(**kube)
            self.check(f"kubectl's pods: {name}", code == 4 and not got and "cannot be used" in err, f"{code} {got} {err}")
        fake.write(objects=objects, faults=[{"when": ["pods"], "hang": True}])
        code, got, err = self.matrix("--timeout", "700ms", **kube)
        self.check("kubectl that hangs", code == 124 and not got, f"{code} {err}")
        faulty = copy.deepcopy(objects)
        faulty["networkpolicies.networking.k8s.io"].append(policy("shop", "odd", {"podSelector": {}, "ingress": [{"ports": [{"protocol": "ICMP"}]}]}))
        fake.write(objects=faulty)
        code, got, err = self.matrix(**kube)
        self.check("faults of admitted objects are taken", code in (0, 1) and got, f"{code} {err}")


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--build", default="build/rel")
    args = ap.parse_args()
    r = Runner(args.build)
    r.strange_agents()
    r.kubectl()
    why = possible()
    if why:
        print("the real agent: " + why)
        r.skipped += 1
    else:
        r.agent_world()
    print(f"{r.passed} passed, {r.failed} failed, {r.skipped} skipped")
    return 1 if r.failed else 0


if __name__ == "__main__":
    sys.exit(main())
