#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""pods, policies, rules and explain of manifests (-f): screens, operands, Services, and input that is no good.

    tests/cli/run_offline.py [--build DIR] [--update]

The manifests lie in tests/cli/offline/, the screens in tests/cli/screens/offline-NAME.txt. The last line is the count.
"""
import argparse
import json
import os
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
sys.path.insert(0, os.path.join(HERE, "..", "support"))
from real_agent import RealAgent, possible  # noqa: E402
from run import HOSTILE, STEERING  # noqa: E402

SCREENS = {  # name: (arguments, exit code); they run in tests/cli/offline
    "pods": ("pods -f shop", 0),
    "pods-recursive": ("pods -f shop -R -n shop", 0),
    "pods-wide": ("pods -f cluster.json -o wide", 0),
    "pods-named": ("pods -f shop shop/db web --no-headers", 0),
    "policies": ("policies -f shop -o wide", 0),
    "rules": ("rules -f shop shop/db", 0),
    "rules-workload": ("rules -f cluster.json deploy/shop/web", 0),
    "rules-hypothetical": ("rules -f shop app=web@shop", 0),
    "denied": ("explain -f shop deploy/shop/web shop/db 5432", 1),
    "allowed": ("explain -f shop shop/api shop/db-0 pg", 0),
    "hypothetical": ("explain -f shop app=api,tier=be@shop shop/db 5432", 0),
    "json": ("explain -f shop shop/web shop/db 5432 -o json", 1),
    "service": ("explain -f shop shop/web svc/shop/api 80", 0),
    "service-mixed": ("explain -f shop shop/api svc/shop/backends 5432", 1),
    "service-nobody": ("explain -f shop shop/web svc/shop/nobody 80", 1),
    "service-slices": ("explain -f cluster.json world svc/shop/web 80", 1),
    "service-json": ("explain -f cluster.json -n shop api-7-ccccc svc/web 80 -o json", 0),
    "range": ("explain -f shop shop/web 192.0.2.0/24 443", 1),
    "ports": ("explain -f shop shop/web shop/api tcp/9090-9111", 1),
    "replicas": ("explain -f cluster.json deploy/shop/web shop/web 8080 --family 4", 1),
    "sibling": ("explain -f shop shop/db shop/db 5432", 1),
    # What renderers have shown as more permissive than it is.
    "renderers": ("rules -f renderers a/server", 0),
    "renderers-policies": ("policies -f renderers", 0),
}

# Renderers of policies, judged: both selectors of one item, expressions, endPort, policyTypes left out.
VERDICTS = [  # arguments, exit code, what the screen says
    ("-f renderers b/client a/server 80", 0, "a/and spec.ingress[0] allows it"),
    ("-f renderers b/other a/server 80", 1, "podSelector app=client does NOT match: the pod has app=other"),
    ("-f renderers app=client@a a/server 80", 1, "2 ingress of a/server     DENY"),
    ("-f renderers app=x,tier=y@a a/server 80", 1, "2 ingress of a/server       ALLOW  a/expressions spec.ingress[0] allows it"),
    ("-f renderers app=client,tier=y@a a/server 80", 1, "none of their rules allows"),
    ("-f renderers app=x@a a/server 80", 1, "none of their rules allows"),
    ("-f renderers b/other a/server 8010", 0, "a/end-port spec.ingress[0]"),
    ("-f renderers b/other a/server 8011", 1, "none of their rules"),
    ("-f renderers a/server b/other 80", 1, "1 egress of a/server  DENY   isolated by a/no-types"),
    ("-f renderers a/server b/other udp/53", 1, "without any ingress rule"),
    ("-f renderers b/other world 80", 0, "no policy isolates its egress"),
    # operands
    ("-f shop -n shop web db 5432", 1, "DENIED   shop/web"),
    ("-f shop deploy/shop/web sts/shop/db 5432", 1, "shop/db (10.244"),
    ("-f shop -n shop deploy/web sts/db 5432", 1, "shop/db (10.244"),
    ("-f shop cronjob/ops/backup shop/db 5432", 1, "it names pods of namespace shop only: the pod is in ops"),
    ("-f shop pod/ops/debug shop/api metrics", 1, "tcp/9100"),
    ("-f shop shop/web shop/api http", 0, "tcp/9090"),
    ("-f shop shop/web shop/api tcp/9100-9110", 0, "tcp/9100-9110"),
    ("-f shop shop/web shop/api 9111", 1, "tcp/9111 is not among tcp/http,tcp/9100-9110"),
    ("-f shop shop/web 192.0.2.1 443", 0, "web-egress spec.egress[1] allows it   shop/30-policies.yaml:34:5"),
    ("-f shop shop/web 192.0.2.70 443", 1, "it lies in the except 192.0.2.64/26"),
    ("-f shop shop/web 192.0.2.0/26 443", 0, "192.0.2.0/26 tcp/443"),
    ("-f shop shop/web world 443", 1, "egress of shop/web"),
    ("-f shop world shop/web 8080", 0, "no pod: no policy judges it"),
    ("-f shop shop/web shop/db icmp", 1, "icmp"),
    ("-f shop node shop/db 5432", 0, "it comes from this node itself"),
    ("-f shop @ops shop/db 5432", 1, "ops/pod without labels"),
    ("-f shop ops/debug ops/debug 1", 0, "a pod always reaches itself"),
    ("-f shop shop/web shop/db 5432 --expect deny", 0, "DENIED"),
    ("-f shop shop/api shop/db 5432 --expect deny", 1, "ALLOWED"),
    ("-f shop ops/debug 10.244.0.4 5432", 0, "10.244.0.4 lies in the pod ranges, but no pod that is known here holds it"),
    ("-f cluster.json shop/web 10.1.1.7 80", 0, "shop/api-7-ccccc"),
    ("-f cluster.json shop/api deploy/shop/web 8080", 0, "(all 2 flows alike)"),
    ("-f cluster.json node/n1 deploy/shop/web 1", 0, "it comes from this node itself"),
    ("-f cluster.json shop/api node/n1 10250", 0, "no policy guards the node"),
    ("-f cluster.json 10.0.0.0/8 shop/web-5d9-aaaaa 8080", 0, "3 pod addresses in the range are left out"),
    ("-f cluster.json 0.0.0.0/0 shop/web-5d9-aaaaa 8080", 1, "DENY   0.0.0.0-9.255.255.255 -> "),
    # Services
    ("-f shop shop/api svc/shop/db pg", 0, "leads to 1 ready backend, by its selector"),
    ("-f shop shop/api 10.96.0.20 5432", 0, "svc/shop/db (10.96.0.20)"),
    ("-f shop shop/web svc/shop/db 5432", 1, "Backend shop/web"),
    ("-f shop shop/web svc/shop/db 5432 --expect deny", 0, "DENIED"),
    ("-f shop shop/web svc/shop/api metrics", 0, "tcp/9100"),
    ("-f shop shop/api svc/shop/db-headless 5432", 0, "the Service's name leads to"),
    ("-f shop shop/db svc/shop/db 5432", 1, "(another pod)"),
    ("-f shop shop/web svc/shop/nobody 80", 1, "nobody answers"),
    ("-f cluster.json shop/api svc/shop/web 80", 0, "2 ready backends (1 more not ready), by EndpointSlices"),
    ("-f cluster.json 10.2.0.1 svc/shop/web 80", 0, "and 1 alike"),
    # another range, another answer
    ("-f shop shop/web shop/api 9090 --cluster-cidr 192.0.2.0/24", 0, "shop/api (192.0.2."),
    ("-f shop shop/api 2001:db8::1 443 --cluster-cidr fd00::/64", 0, "fd00::"),
]

REFUSED = [  # arguments, exit code, what stderr says
    ("explain -f shop shop/nope shop/db 1", 3, "there is no pod or workload shop/nope in shop"),
    ("explain -f shop ops/db shop/db 1", 3, "did you mean shop/db?"),
    ("explain -f shop web db 1", 3, "did you mean shop/web?"),
    ("explain -f shop ns/shop shop/db 1", 2, "ns/shop are 3 pods"),
    ("explain -f shop ns/nope shop/db 1", 3, "there is no namespace nope"),
    ("explain -f shop app=x@nope shop/db 1", 3, "there is no namespace nope"),
    ("explain -f shop app=@@shop shop/db 1", 2, "app=@@shop"),
    ("explain -f shop 'a b=c@shop' shop/db 1", 2, "is not a label key"),
    ("explain -f shop foo/bar/baz shop/db 1", 2, "is no operand"),
    ("explain -f shop /db shop/db 1", 2, "is no operand"),
    ("explain -f shop shop/ shop/db 1", 2, "is no operand"),
    ("explain -f shop 127.0.0.1 shop/db 1", 2, "never leaves"),
    ("explain -f shop shop/web node 80", 2, "which node?"),
    ("explain -f shop shop/web node/n9 80", 3, "there is no Node n9"),
    ("explain -f shop node world 80", 2, "judged at a pod only"),
    ("explain -f shop svc/shop/db shop/db 1", 2, "begins no flows"),
    ("explain -f shop shop/api svc/shop/db 5433", 3, "it has tcp/5432 (pg)"),
    ("explain -f shop shop/api svc/shop/db udp/5432", 3, "no port udp/5432"),
    ("explain -f shop shop/api svc/shop/db nope", 3, "no port named nope"),
    ("explain -f shop shop/api svc/shop/db 5000-6000", 2, "single ports"),
    ("explain -f shop shop/api svc/shop/db icmp", 2, "single ports"),
    ("explain -f shop shop/api svc/shop/nope 1", 3, "there are ops/node-exporter, shop/api, shop/backends"),
    ("explain -f shop shop/api svc/ops/node-exporter 9100", 3, "is in the host network"),
    ("explain -f shop shop/web shop/db 5432 --kernel", 2, "--kernel walks one flow through the rules of a node"),
    ("explain -f - -w shop/api shop/web 1", 2, "can be read once"),
    ("explain -f shop shop/api svc/shop/bank 1", 2, "another name for a host outside"),
    ("explain -f shop shop/web shop/api nope", 3, "it declares http (tcp/9090), metrics (tcp/9100)"),
    ("explain -f shop shop/api world http", 2, "give a number"),
    ("explain -f shop shop/web shop/db 0", 2, "is no port"), ("explain -f shop shop/web shop/db 65536", 2, "is no port"),
    ("explain -f shop shop/web shop/db tcp/", 2, "is no port"), ("explain -f shop shop/web shop/db 90-80", 2, "is no port"),
    ("explain -f shop shop/web shop/db TCP/80", 2, "is no port"), ("explain -f shop shop/web shop/db icmp/8", 2, "is no port"),
    ("explain -f shop shop/web 2001:db8::1 1", 2, "--cluster-cidr"),
    ("explain -f cluster.json shop/web-5d9-aaaaa shop/web-5d9-bbbbb 8080", 2, "--family 4 or --family 6"),
    ("explain -f cluster.json shop/done shop/web 1", 3, "has finished"),
    ("explain -f cluster.json shop/proxy shop/web 1", 3, "host network"),
    ("explain -f shop ds/ops/node-exporter shop/db 1", 3, "host network"),
    ("explain shop/web svc/shop/db 5432", 4, "the agent knows no Services"),
    ("rules -f shop 10.0.0.1", 2, "is no pod"), ("rules -f shop ns/shop", 2, "are 3 pods"),
    ("rules -f shop shop/nope", 3, "there is no pod"),
    ("pods -f shop nope", 3, "no pod nope"), ("policies -f shop nope", 3, "no policy nope"),
    ("pods -f nofile", 3, "open nofile: No such file"), ("pods -f shop -f nofile", 3, "nofile"),
    ("pods -f shop --cluster-cidr 10.0.0.0", 2, '"10.0.0.0" is not a CIDR'),
    ("pods -f shop --cluster-cidr 10.0.0.0/30", 2, "fewer IPv4 addresses than there are pods"),
    ("pods -f", 2, "needs a value"), ("status -f shop", 2, "means nothing to status"),
    ("pods -f - -f -", 6, "given twice"),
]

INPUT = [  # name of the file, its text, exit code, what stderr says
    ("a.yaml", "kind: Pod\n  x: [\n", 6, "a.yaml:2:4: not YAML"),
    ("a.yaml", "{{ if .Values.x }}\nkind: Pod\n", 6, "a.yaml:1:1: template text"),
    ("a.yaml", "apiVersion: v1\nkind: Pod\nmetadata:\n  name: {{ .Name }}\n", 6, "a.yaml:4:9: template text"),
    ("a.yaml", "apiVersion: v1\nkind: Pod\nmetadata:\n  name: '{{ .Name }}'\n", 6, "a.yaml:4:9"),
    ("a.yaml", "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\n---\napiVersion: v1\nkind: Pod\nmetadata: {name: a}\n", 6,
     "a.yaml:5:1: Pod default/a: defined twice, first at"),
    ("a.yaml", "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: a}\nspec: {podSelecter: {}}\n", 6,
     "a.yaml:4:8"),
    ("a.yaml", "a: 1\n", 6, "it has no kind"), ("a.yaml", "- 1\n", 6, "a.yaml:1:1"),
    ("a.json", '{"apiVersion": "v1", "kind": "Pod", }', 6, "a.json:1:37"),
    ("kustomization.yaml", "resources: [a.yaml]\n", 6, "kustomize build"),
    ("Chart.yaml", "name: x\n", 6, "helm template"),
    ("a.yaml", "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nstatus: {podIP: 1.2.3}\n", 6, "a.yaml:4:17"),
    ("a.yaml", "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a}\n", 6, "the pod template is missing"),
    ("a.yaml", "", 0, "holds nothing that Ripstop reads"), ("a.yaml", "# nothing\n---\n", 0, "holds nothing"),
    ("a.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {a: '{{ b }}'}\n", 0, "1 ConfigMap"),
]


class Offline:
    def __init__(self, build, update):
        self.program = os.path.abspath(os.path.join(build, "ripstop"))
        self.kubectl = os.path.abspath(os.path.join(build, "kubectl-ripstop"))
        self.update = update
        self.build = build
        self.passed = self.failed = self.skipped = 0

    def check(self, name, holds, detail=""):
        if holds:
            self.passed += 1
        else:
            self.failed += 1
            print(f"FAIL {name}: {detail[:1500]}", flush=True)

    def call(self, argv, cwd=os.path.join(HERE, "offline"), stdin=b"", program=None):
        env = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "TERM": "xterm"}
        env.update({k: v for k, v in os.environ.items() if k.endswith("SAN_OPTIONS")})
        p = subprocess.run([program or self.program] + argv, capture_output=True, env=env, timeout=30, cwd=cwd,
                           input=stdin, check=False)
        return p.returncode, p.stdout.decode("utf-8", "replace"), p.stderr.decode("utf-8", "replace")

    # ---- the parts

    def screens(self):
        for name, (line, want) in SCREENS.items():
            code, out, err = self.call(line.split())
            text = f"$ ripstop {line}\n{out}" + "".join(f"2> {x}\n" for x in err.splitlines())
            path = os.path.join(HERE, "screens", f"offline-{name}.txt")
            if self.update:
                with open(path, "w", encoding="utf-8") as f:
                    f.write(text)
            try:
                with open(path, encoding="utf-8") as f:
                    good = f.read()
            except FileNotFoundError:
                good = None
            self.check(f"screen {name}", text == good, f"differs:\n{text}")
            self.check(f"screen {name} exit code", code == want, f"{code}, not {want}: {err}")

    def verdicts(self):
        for line, want, said in VERDICTS:
            code, out, err = self.call(["explain"] + line.split())
            self.check(f"verdict {line!r}", code == want and said in out, f"exit {code}, {out}{err}")

    def refused(self):
        for line, want, said in REFUSED:
            argv = [a.replace("\0", " ") for a in line.replace("'a b", "a\0b").replace("'", "").split()]
            code, out, err = self.call(argv)
            self.check(f"refused {line!r}", code == want and said in err and not out and "ripstop: " in err,
                       f"exit {code}, stdout {out!r}, stderr {err!r}")

    def bad_input(self):
        for name, text, want, said in INPUT:
            with tempfile.TemporaryDirectory(prefix="rs-cli-") as tmp:
                with open(os.path.join(tmp, name), "w", encoding="utf-8") as f:
                    f.write(text)
                code, out, err = self.call(["pods", "-f", name], cwd=tmp)
                self.check(f"input {text!r}", code == want and said in err and not out, f"exit {code}, {out!r}, {err!r}")
                code, _, err = self.call(["pods", "-f", "."], cwd=tmp)
                self.check(f"input {text!r} of a folder", code == want and said in err, f"exit {code}, {err!r}")

    def ways_to_read(self):
        """Standard input, pipes, several paths, JSON, -R, links, and the namespace of -n."""
        with open(os.path.join(HERE, "offline", "shop", "10-apps.yaml"), "rb") as f:
            apps = f.read()
        with open(os.path.join(HERE, "offline", "cluster.json"), "rb") as f:
            cluster = f.read()
        code, out, _ = self.call(["pods", "-f", "-", "-n", "shop", "-o", "json"], stdin=apps)
        pods = json.loads(out)
        self.check("standard input", code == 0 and [p["name"] for p in pods["items"]] == ["api", "db", "web"] and
                   pods["items"][0]["where"] == "stdin:21:1" and pods["metadata"]["from"] == "stdin", out)
        code, out, _ = self.call(["pods", "-f", "-"], stdin=cluster)
        self.check("JSON on standard input", code == 0 and "web-5d9-aaaaa" in out and "stdin:15:5" in out, out)
        code, out, _ = self.call(["pods", "-f", "-"], stdin=b"\t" + cluster.replace(b"  ", b"\t"))
        self.check("JSON with tabs", code == 0 and "web-5d9-aaaaa" in out, out)
        code, out, _ = self.call(["pods", "-f", "/dev/stdin"], stdin=apps)
        self.check("a pipe", code == 0 and "/dev/stdin:21:1" in out, out)
        code, out, _ = self.call(["policies", "-f", "shop/10-apps.yaml", "-f", "shop/30-policies.yaml", "-o", "json"])
        policies = json.loads(out)
        self.check("several paths", code == 0 and len(policies["items"]) == 4 and
                   policies["metadata"] == {"source": "files", "from": "shop/10-apps.yaml and 1 more"}, out)
        self.check("policies select", [p["selects"] for p in policies["items"]] ==
                   [["shop/api"], ["shop/db"], ["shop/api", "shop/db"], ["shop/web"]], out)
        code, out, err = self.call(["pods", "-f", "shop/more"])
        self.check("a namespace that nobody defines", code == 0 and "used and not defined" in err and "extra" in out, err)
        pod = "apiVersion: v1\nkind: Pod\nmetadata: {name: %s}\nstatus: {podIPs: [{ip: %s}, {ip: %s}]}\n---\n"
        both = pod % ("a", "10.0.0.1", '"fd00::1"') + pod % ("b", "10.0.0.2", '"fd00::1"') + pod % ("c", "10.0.0.2", '"fd00::3"')
        code, out, err = self.call(["pods", "-f", "-", "-o", "json"], stdin=both.encode())
        self.check("an address that two pods claim", code == 0 and [p.get("ips") for p in json.loads(out)["items"]] ==
                   [["10.0.0.1", "fd00::1"], None, None] and "default/a and default/b both claim fd00::1" in err, out + err)
        with tempfile.TemporaryDirectory(prefix="rs-cli-") as tmp:
            os.makedirs(os.path.join(tmp, "k8s", "deep", "er", ".git"))
            pod = "apiVersion: v1\nkind: Pod\nmetadata: {name: %s}\n"
            for path, name in (("k8s/a.yaml", "a"), ("k8s/deep/b.yml", "b"), ("k8s/deep/er/c.json", None),
                               ("k8s/deep/er/.git/d.yaml", "d"), ("k8s/.e.yaml", "e"), ("k8s/f.txt", "f")):
                with open(os.path.join(tmp, path), "w", encoding="utf-8") as f:
                    f.write(pod % name if name else '{"apiVersion":"v1","kind":"Pod","metadata":{"name":"c"}}')
            os.symlink(os.path.join(tmp, "k8s"), os.path.join(tmp, "k8s", "deep", "loop"))
            os.symlink("deep/b.yml", os.path.join(tmp, "k8s", "z.yaml"))
            names = lambda *argv: [p["name"] for p in json.loads(self.call(["pods", "-o", "json", *argv], cwd=tmp)[1])["items"]]
            self.check("a folder is not gone into", names("-f", "k8s/") == ["a", "b"], names("-f", "k8s/"))
            os.unlink(os.path.join(tmp, "k8s", "z.yaml"))
            self.check("-R goes into folders", names("-R", "-f", "k8s") == ["a", "b", "c"])
            _, out, _ = self.call(["pods", "-R", "-f", "k8s/", "-n", "shop"], cwd=tmp)
            self.check("-n names the namespace of those without", out.count("\n") == 4 and "k8s/deep/b.yml:1:1" in out, out)
            os.makedirs(os.path.join(tmp, "empty", "sub"))
            code, out, err = self.call(["pods", "-f", "empty"], cwd=tmp)
            self.check("an empty folder", code == 6 and not out and "holds no manifest" in err and "-R" in err, err)
            code, _, err = self.call(["pods", "-R", "-f", "empty"], cwd=tmp)
            self.check("an empty folder with -R", code == 6 and "holds no manifest" in err and "-R" not in err, err)
            os.mkfifo(os.path.join(tmp, "empty", "p.yaml"))
            code, _, err = self.call(["pods", "-f", "empty"], cwd=tmp)
            self.check("a pipe in a folder", code == 6 and "empty/p.yaml: not a regular file" in err, err)
            with open(os.path.join(tmp, "big.yaml"), "wb") as f:
                f.write(b"# " + b"x" * (16 << 20))
            code, _, err = self.call(["pods", "-f", "big.yaml"], cwd=tmp)
            self.check("a file that is too large", code == 6 and "larger than 16 MiB" in err, err)

    def hostile(self):
        """Names of files and of what is in them cannot steer the terminal."""
        with tempfile.TemporaryDirectory(prefix="rs-cli-") as tmp:
            name = "x\x1b[2J\u202ey.yaml"
            with open(os.path.join(tmp, name), "w", encoding="utf-8") as f:
                f.write("apiVersion: v1\nkind: %s\nmetadata: {name: a}\n---\napiVersion: v1\nkind: Pod\nmetadata: {name: a}\n"
                        % json.dumps(HOSTILE))
            for argv in (["pods", "-f", name], ["pods", "-f", "."], ["explain", "-f", name, HOSTILE, "default/a", "1"],
                         ["explain", "-f", name, "default/a", "default/a", HOSTILE], ["pods", "-f", name, HOSTILE],
                         ["explain", "-f", name, "app=" + HOSTILE, "default/a", "1"], ["pods", "-f", HOSTILE]):
                for form in ([], ["-o", "json"]):
                    _, out, err = self.call(argv + form, cwd=tmp)
                    self.check(f"hostile {argv} {form}", not STEERING.search(out + err) and out + err, repr(out + err))

    def kubectl_too(self):
        """kubectl ripstop reads the same files, and asks no cluster."""
        line = ["explain", "-f", "shop", "shop/web", "svc/shop/db", "5432"]
        code, out, _ = self.call(line)
        code2, out2, err2 = self.call(line, program=self.kubectl)
        self.check("kubectl ripstop -f", code == code2 == 1 and out == out2 and "kubectl ripstop: " in err2, out2 + err2)

    def as_the_agent(self):
        """An agent with the same manifests and pods gives the same answers; and it can be asked what only objects tell."""
        why = possible()
        if why:
            self.skipped += 1
            print(f"skipped: the agent's answers: {why}")
            return
        folder = os.path.join(HERE, "offline", "renderers")
        with RealAgent(self.build, folder) as agent:
            for name in ("a/server", "b/client", "b/other"):
                agent.attach(*name.split("/"), "")
            both = lambda *argv: [self.call([*argv, "-o", "json", *end]) for end in (["--socket", agent.socket], ["-f", folder])]  # noqa: E731
            ends = ["a/server", "b/client", "b/other", "world"]
            for argv in ([["rules", e] for e in ends[:3]] + [["explain", s, d, p] for s in ends for d in ends[:3] for p in
                                                            ("80", "8010", "udp/53", "icmp")]):
                live, files = both(*argv)
                a, b = json.loads(live[1]), json.loads(files[1])
                for o in a, b:
                    for end in (o.get("source"), o.get("destination"), o.get("pod")):
                        for key in ("ip", "ips", "workload", "node", "where"):
                            (end or {}).pop(key, None)
                    for half in (o.get("ingress"), o.get("egress")):
                        half.pop("reason", None)  # it names addresses, and this node
                    for key in ("metadata", "note"):
                        o.pop(key, None)
                if argv[0] == "explain" and argv[1] == argv[2]:
                    continue  # one pod, whatever its address
                self.check(f"as the agent: {argv}", live[0] == files[0] and a == b, f"{live[1]}\n{files[1]}")
            live, files = both("policies")
            a, b = ([{k: p[k] for k in ("namespace", "name", "types", "podSelector", "selects", "ingressRules", "egressRules", "where")}
                     for p in json.loads(x[1])["items"]] for x in (live, files))
            self.check("as the agent: policies", a == b and len(a) == 5, f"{a}\n{b}")
            for line, want, said in (("explain app=client@b a/server 80", 0, "a/and spec.ingress[0]"),
                                     ("explain b/other a/server 8009-8012", 1, "tcp/8011-8012"),
                                     ("explain b/other svc/a/x 80", 4, "the agent knows no Services"),
                                     ("rules app=x@a", 0, "isolated by a/and, a/end-port, a/no-types")):
                code, out, err = self.call(line.split() + ["--socket", agent.socket])
                self.check(f"by the agent's objects: {line}", code == want and said in out + err, f"{code} {out}{err}")

    def run(self):
        for part in (self.screens, self.verdicts, self.refused, self.bad_input, self.ways_to_read, self.hostile, self.kubectl_too,
                     self.as_the_agent):
            part()
        print(f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped")
        return 1 if self.failed else 0


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--build", default="build/rel")
    ap.add_argument("--update", action="store_true")
    args = ap.parse_args()
    return Offline(args.build, args.update).run()


if __name__ == "__main__":
    sys.exit(main())
