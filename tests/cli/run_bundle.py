#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""`ripstop bundle` of the real agent: what is in the archive, what never is, and that --redact leaves no name behind.

    tests/cli/run_bundle.py [--build DIR]

The last line is the count.
"""
import argparse
import io
import json
import os
import pty
import re
import stat
import subprocess
import sys
import tarfile
import tempfile

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "support"))
from fake_agent import FakeAgent  # noqa: E402
from fake_kubectl import FakeKubectl  # noqa: E402
from jsonschema_lite import Schemas  # noqa: E402
from real_agent import RealAgent, possible  # noqa: E402

SECRET = ["zanzibar", "quokka", "wombat-7f", "tarsier", "okapi", "axolotl", "narwhal", "10.7.1.77", "10.66.6.0", "fd07::77", "ibex.example"]
OBJECTS = """
apiVersion: v1
kind: Namespace
metadata: {name: zanzibar, labels: {ibex.example/team: quokka}}
---
apiVersion: v1
kind: Pod
metadata: {name: wombat-7f, namespace: zanzibar, labels: {app: tarsier, "1": "2"}}
spec: {nodeName: okapi, containers: [{name: c, env: [{name: PASSWORD, value: hunter2}], ports: [{name: axolotl, containerPort: 80}]}]}
status: {phase: Running, podIPs: [{ip: 10.7.1.77}, {ip: "fd07::77"}]}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: narwhal, namespace: zanzibar}
spec:
  podSelector: {matchLabels: {app: tarsier}}
  ingress: [{from: [{podSelector: {matchLabels: {kind: gone-axolotl}}}, {ipBlock: {cidr: 10.66.6.0/24}}], ports: [{port: axolotl}]}]
"""
ALWAYS = ["status.json", "version.json", "pods.json", "policies.json", "rules.json", "objects-Namespace.json", "objects-Pod.json",
          "objects-NetworkPolicy.json", "objects-Node.json", "doctor.json", "nftables.json", "links.json", "routes.json", "sysctls.json",
          "conntrack.json", "MANIFEST.json"]


class Runner:
    def __init__(self, build):
        self.build = os.path.abspath(build)
        self.passed = self.failed = self.skipped = 0
        self.tmp = tempfile.TemporaryDirectory(prefix="rs-bundle-")
        self.dir = self.tmp.name

    def check(self, name, holds, detail=""):
        self.passed += bool(holds)
        self.failed += not holds
        if not holds:
            print(f"FAIL {name}: {str(detail)[:1500]}", flush=True)

    def bundle(self, *argv, enter=(), program="ripstop", env=None, cwd=None):
        full = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", **{k: v for k, v in os.environ.items() if k.endswith("SAN_OPTIONS")}}
        p = subprocess.run([*enter, os.path.join(self.build, program), "bundle", *argv], capture_output=True, timeout=60, env={**full, **(env or {})},
                           stdin=subprocess.DEVNULL, cwd=cwd or self.dir, check=False)
        return p.returncode, p.stdout, p.stderr.decode()

    @staticmethod
    def unpack(data):
        with tarfile.open(fileobj=io.BytesIO(data), mode="r:gz") as t:
            names = t.getnames()
            return names, {os.path.basename(m.name): t.extractfile(m).read() for m in t.getmembers()}

    def whole(self, agent):
        argv, enter = ("--socket", agent.socket), agent.enter(agent.node)
        code, out, err = self.bundle(*argv, "-O", "-", enter=enter)
        names, files = self.unpack(out)
        self.check("an archive on stdout", code == 0 and not err, f"{code} {err}")
        self.check("all parts", set(ALWAYS) <= set(files), f"missing {set(ALWAYS) - set(files)}")
        self.check("one folder", len({os.path.dirname(n) for n in names}) == 1 and re.match(r"ripstop-bundle-n1-\d{8}T\d{6}Z/", names[0]), names)
        text = b"".join(files.values()).decode()
        self.check("names and addresses are in", all(s in text for s in SECRET if s not in ("okapi",)), [s for s in SECRET if s not in text])
        self.check("no environment", "hunter2" not in text and "PASSWORD" not in text)
        m = json.loads(files["MANIFEST.json"])
        self.check("the manifest lists the files", {f["name"]: f["bytes"] for f in m["files"]} ==
                   {n: len(d) for n, d in files.items() if n != "MANIFEST.json"} and all(f["what"] for f in m["files"]), m["files"])
        self.check("and what is not in", any("log" in o["what"] and o["why"] for o in m["omitted"]) and not m["redacted"] and
                   not any(o["failed"] for o in m["omitted"]), m["omitted"])
        self.check("parts are JSON", all(isinstance(json.loads(d), dict) for d in files.values()))
        nft = json.loads(files["nftables.json"])
        self.check("rules of others with their names", any(c["name"] == "FORWARD" and c["table"] == "mine" for c in nft["chains"]) and
                   any("counter" in e for r in nft["rules"] for e in r["exprs"]) and
                   any(s["name"] == "blocked" and s["elements"] for s in nft["sets"]), files["nftables.json"][:900])
        return files

    def redacted(self, agent, plain):
        argv, enter = ("--socket", agent.socket), agent.enter(agent.node)
        code, out, err = self.bundle(*argv, "--redact", "-O", "-", enter=enter)
        _, files = self.unpack(out)
        text = b"".join(files.values()).decode()
        left = [s for s in SECRET if s in text]
        self.check("redacted: no name is left", code == 0 and not left and "gone-axolotl" not in text,
                   f"{left} {[text[max(0, text.index(s) - 80):text.index(s) + 80] for s in left[:3]]}")
        self.check("redacted: no address is left", not re.search(r"\b10\.7\.|\b192\.168\.77\.|fd07:", text), re.findall(r".{30}10\.7\..{20}", text)[:3])
        self.check("redacted: the same files", set(files) == set(plain))
        pods, rules = json.loads(files["objects-Pod.json"]), json.loads(files["objects-NetworkPolicy.json"])
        pod, policy = pods["items"][1], rules["items"][0]
        app = [v for k, v in pod["metadata"]["labels"].items() if v != "2"]
        req = policy["spec"]["podSelector"]["matchExpressions"][0]
        self.check("redacted: one word, one hash", pod["metadata"]["namespace"] == policy["metadata"]["namespace"] and req["values"] == app and
                   req["key"] in pod["metadata"]["labels"], f"{pod} {policy}")
        self.check("redacted: our words stay", pod["kind"] == "Pod" and policy["spec"]["policyTypes"] == ["Ingress"] and pod["status"]["phase"] == "Running" and
                   json.loads(files["status.json"])["kind"] == "Status", f"{pod}")
        m = json.loads(files["MANIFEST.json"])
        self.check("redacted: the manifest says so", m["redacted"] and m["metadata"]["node"] not in ("n1", "node"), m["metadata"])
        again = self.unpack(self.bundle(*argv, "--redact", "-O", "-", enter=enter)[1])[1]
        self.check("another archive, other hashes", json.loads(again["objects-Pod.json"])["items"][1]["metadata"]["name"] != pod["metadata"]["name"])

    def where(self, agent):
        argv, enter = ("--socket", agent.socket), agent.enter(agent.node)
        cwd = self.dir + "/cwd"
        os.mkdir(cwd)
        code, out, err = self.bundle(*argv, enter=enter, cwd=cwd)
        made = os.listdir(cwd)
        self.check("a file of its own name", code == 0 and len(made) == 1 and made[0].endswith(".tar.gz") and made[0] in out.decode() and
                   "not included" in out.decode(), f"{code} {made} {out} {err}")
        self.check("root's alone", stat.S_IMODE(os.stat(cwd + "/" + made[0]).st_mode) == 0o600)
        path = self.dir + "/x.tar.gz"
        code, out, err = self.bundle(*argv, "-O", path, enter=enter)
        self.check("a named file", code == 0 and os.path.getsize(path) > 1000, f"{code} {err}")
        before = open(path, "rb").read()
        code, out, err = self.bundle(*argv, "-O", path, enter=enter)
        self.check("never over another file", code == 4 and not out and "File exists" in err and open(path, "rb").read() == before, f"{code} {out} {err}")
        os.symlink(self.dir + "/target", self.dir + "/link")
        code, out, err = self.bundle(*argv, "-O", self.dir + "/link", enter=enter)
        self.check("never through a link", code == 4 and not os.path.exists(self.dir + "/target"), f"{code} {err}")
        code, out, err = self.bundle(*argv, "-O", self.dir + "/none/x", enter=enter)
        self.check("no such folder", code == 4 and "No such file" in err and not out, f"{code} {err}")
        leader, follower = pty.openpty()
        p = subprocess.run([os.path.join(self.build, "ripstop"), "bundle", "-O", "-", "--socket", agent.socket], stdout=follower, stderr=subprocess.PIPE,
                           timeout=60, check=False)
        os.close(follower)
        os.close(leader)
        self.check("never to a terminal", p.returncode == 2 and b"nothing for a terminal" in p.stderr, p)
        code, out, err = self.bundle("-o", "json")
        self.check("one form", code == 2 and not out, f"{code} {err}")

    def partial(self):
        code, out, err = self.bundle("--socket", self.dir + "/nobody", "-O", "-")
        _, files = self.unpack(out)
        m = json.loads(files["MANIFEST.json"])
        failed = [o for o in m["omitted"] if o["failed"]]
        self.check("no agent: the rest is there", code == 5 and "doctor.json" in files and "status.json" not in files and
                   any(o["file"] == "status.json" and "No such file" in o["why"] for o in failed) and "status.json" in err, f"{code} {failed} {err}")
        path = self.dir + "/fake.sock"
        status = {"result": {"kind": "Status", "metadata": {"node": "../../e\x1b[2Jvil/" + "x" * 200}}}
        agent = FakeAgent(path, {"status": status, "version": {"result": {}}, "pods": {"result": {"items": [7, {"namespace": 3}]}}, "policies": {"close": True}})
        code, out, err = self.bundle("--socket", path, "-O", "-")
        names, files = self.unpack(out)
        agent.stop()
        self.check("a hostile agent", code == 5 and len({n.split("/")[0] for n in names}) == 1 and all(".." not in n.split("/") and n.count("/") == 1 and
                   len(n) < 100 and n.isprintable() for n in names) and "\x1b" not in err, f"{code} {names[:2]} {err!r}")
        m = json.loads(files["MANIFEST.json"])
        self.check("an old agent's lack is no failure", {o.get("file"): o["failed"] for o in m["omitted"]}.get("verify.json") is False, m["omitted"])

    def kubectl(self, agent):
        ours = self.dir + "/bin"
        fake = FakeKubectl(ours, os.path.join(self.build, "ripstop"))
        labels = {"app.kubernetes.io/name": "ripstop", "app.kubernetes.io/component": "agent"}
        agents = [{"metadata": {"namespace": "ripstop-system", "name": f"ripstop-agent-{n}", "labels": labels}, "spec": {"nodeName": n},
                   "status": {"phase": "Running", "containerStatuses": [{"name": "agent", "state": {"running": {}}}]}} for n in ("n1", "n2")]
        fake.write(agents=agents, sockets={"ripstop-agent-n1": agent.socket, "ripstop-agent-n2": agent.socket})
        env = {"PATH": ours + ":" + os.environ["PATH"]}
        code, out, err = self.bundle("-O", "-", program="kubectl-ripstop", env=env)
        names, files = self.unpack(out)
        self.check("a cluster's archive holds one of each node", code == 0 and {"n1.tar.gz", "n2.tar.gz", "MANIFEST.json"} == set(files), f"{code} {names} {err}")
        faults = Schemas(os.path.join(HERE, "..", "..", "docs", "schema")).errors("bundle.json", json.loads(files["MANIFEST.json"]))
        self.check("its manifest obeys the schema", not faults, faults)
        self.check("each whole", all("status.json" in self.unpack(files[n])[1] for n in ("n1.tar.gz", "n2.tar.gz")))
        code, out, err = self.bundle("--node", "n2", "--redact", "-O", self.dir + "/n2.tgz", program="kubectl-ripstop", env=env)
        _, files = self.unpack(open(self.dir + "/n2.tgz", "rb").read())
        self.check("one node", code == 0 and set(files) == {"n2.tar.gz", "MANIFEST.json"} and b"wrote" in out and
                   "zanzibar" not in self.unpack(files["n2.tar.gz"])[1]["status.json"].decode(), f"{code} {out} {err}")
        fake.write(agents=agents, sockets={"ripstop-agent-n1": agent.socket, "ripstop-agent-n2": agent.socket},
                   faults=[{"when": ["exec", "ripstop-agent-n2"], "code": 1, "stderr": "Error from server (Forbidden): no\n"}])
        code, out, err = self.bundle("-O", "-", program="kubectl-ripstop", env=env)
        _, files = self.unpack(out)
        m = json.loads(files["MANIFEST.json"])
        self.check("a node that does not answer", code == 5 and "n2.tar.gz" not in files and any(o["what"] == "n2" and o["failed"] for o in m["omitted"]) and
                   "n2" in err, f"{code} {m} {err}")
        fake.write(agents=agents, faults=[{"when": ["exec"], "stdout": "not an archive"}])
        code, out, err = self.bundle("-O", "-", program="kubectl-ripstop", env=env)
        self.check("no archive at all", code == 4 and not out and "n1" in err, f"{code} {out[:80]} {err}")


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--build", default="build/rel")
    args = ap.parse_args()
    r = Runner(args.build)
    r.partial()
    why = possible()
    if why:
        print("the real agent: " + why)
        r.skipped += 1
    else:
        folder = r.dir + "/manifests"
        os.mkdir(folder)
        with open(folder + "/zanzibar.yaml", "w", encoding="utf-8") as f:
            f.write(OBJECTS)
        with RealAgent(args.build, folder) as agent:
            agent.attach("zanzibar", "axolotl-9", "app:tarsier")
            agent.inside("nft", "-f", "-", input="table ip mine {\n set blocked {\n type ipv4_addr\n elements = { 10.7.1.5 }\n }\n chain FORWARD {\n type filter "
                         "hook forward priority 5\n ip saddr @blocked counter drop\n }\n}\n")
            plain = r.whole(agent)
            r.redacted(agent, plain)
            r.where(agent)
            r.kubectl(agent)
    print(f"{r.passed} passed, {r.failed} failed, {r.skipped} skipped")
    return 1 if r.failed else 0


if __name__ == "__main__":
    sys.exit(main())
