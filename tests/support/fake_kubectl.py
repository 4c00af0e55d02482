# SPDX-License-Identifier: Apache-2.0
"""A stand-in for kubectl, put into PATH under that name by FakeKubectl: it writes down how it was called, answers
`get pods` from a table and runs the real ripstop for `exec`, against the control socket of that agent's pod.

Beside the program lies table.json:
    agents   pods as an API server has them; pods of users
    pods     likewise; policies: NetworkPolicies
    objects  resource -> objects, for `get RESOURCE -o json [-A]`
    sockets  name of an agent's pod -> socket
    ripstop  the program
    self     what the pods of `test --self` meet: nodes, ips, state (of containers), lag (times that a new namespace has no
             account yet), network ("leaky", "dead", "refuses", "impostor"), forbidden (rights), stays (the namespace)
    faults   [{"when": [words of the call], "code": N, "stdout": "...", "stderr": "...", "flood": bytes, "hang": true,
             "orphan": true, "ask": true, "slow": seconds, "until": path}]: the first counts whose words are all there;
             "ask" goes on when it is told 123456, "slow" after that time, "until" when that file is there; "again" is
             written again and again until that file is there; the file "touch" is made at
             once, "then" is written after all that
What has no meaning to kubectl ends as kubectl would end. What is created lies in cluster.json.
"""
import json
import os
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
VALUE = ("--context", "--kubeconfig", "--cluster", "--user", "--as", "--as-group", "--as-uid", "--server", "--token",
         "--certificate-authority", "--client-certificate", "--client-key", "--tls-server-name", "--request-timeout",
         "--cache-dir")
BARE = ("--insecure-skip-tls-verify",)


def fail(text):
    sys.stderr.write(text + "\n")
    sys.exit(1)


def cluster():
    """What was created: {kind: [objects]}."""
    try:
        with open(os.path.join(HERE, "cluster.json"), encoding="utf-8") as f:
            return json.load(f)
    except FileNotFoundError:
        return {"Namespace": [], "Pod": [], "NetworkPolicy": []}


def keep(made):
    path = os.path.join(HERE, "cluster.json")
    with open(path + ".new", "w", encoding="utf-8") as f:
        json.dump(made, f)
    os.rename(path + ".new", path)


def split(argv):
    words, flags, names = list(argv), {}, []
    while words:
        word = words.pop(0)
        if word == "--":
            names += words
            break
        if word in ("-n", "-l", "-o", "-f", "--field-selector"):
            flags[word] = words.pop(0)
        elif word in ("--ignore-not-found", "-A", "--wait=false") or word.startswith("--subresource="):
            flags[word.partition("=")[0]] = word.partition("=")[2] or True
        elif word.startswith("-"):
            fail("error: unknown flag: " + word)
        else:
            names.append(word)
    return flags, names


def get(table, argv):
    flags, names = split(argv)
    if len(names) == 1 and "-l" not in flags and names[0] in table.get("objects", {}):
        print(json.dumps({"apiVersion": "v1", "items": table["objects"][names[0]], "kind": "List", "metadata": {}}, indent=4))
        return
    if names[:1] == ["networkpolicies.networking.k8s.io"] and flags.get("-o") == "json" and len(names) == 2:
        return one_of(table.get("policies", []) + cluster()["NetworkPolicy"], flags, "networkpolicies.networking.k8s.io", names[1])
    if names[:1] == ["namespaces"] and flags.get("-o") == "json" and len(names) == 2:
        return one_of(cluster()["Namespace"], dict(flags, **{"-n": None}), "namespaces", names[1])
    if names[:1] != ["pods"] or flags.get("-o") != "json":
        fail("error: the server doesn't have a resource type")
    pods = table["pods"] + table["agents"] + cluster()["Pod"]
    if len(names) == 2:
        one_of(pods, dict({"-n": "shop"}, **flags), "pods", names[1])
    elif len(names) > 2:
        found = [p for p in pods if p["metadata"]["namespace"] == flags.get("-n") and p["metadata"]["name"] in names[1:]]
        print(json.dumps({"apiVersion": "v1", "kind": "List", "items": found}))
    else:
        agents(table, flags)


def one_of(objects, flags, kind, name):
    for o in objects:
        if o["metadata"]["name"] == name and o["metadata"].get("namespace") == flags["-n"]:
            print(json.dumps(o))
            return
    if "--ignore-not-found" not in flags:
        fail('Error from server (NotFound): %s "%s" not found' % (kind, name))


# ---- what test --self makes


def can_i(table, argv):
    flags, words = split(argv)
    right = " ".join(words) + ("/" + flags["--subresource"] if "--subresource" in flags else "")
    print("no" if right in table.get("self", {}).get("forbidden", []) else "yes")
    sys.exit(right in table.get("self", {}).get("forbidden", []))


def create(table, argv):
    flags, words = split(argv)
    o = json.load(sys.stdin) if flags.get("-f") == "-" and not words else fail("error: must specify one of -f and -k")
    made, meta, kind = cluster(), o["metadata"], o["kind"]
    names = [n["metadata"]["name"] for n in made["Namespace"]]
    if kind != "Namespace" and meta["namespace"] not in names:
        fail('Error from server (NotFound): error when creating "STDIN": namespaces "%s" not found' % meta["namespace"])
    if kind == "Pod":
        make_pod(table, made, o)
    made[kind].append(dict(o, metadata=dict(meta, uid="u-" + meta["name"], generation=1)))
    keep(made)
    print("%s/%s created" % (kind.lower(), meta["name"]))


def make_pod(table, made, o):
    """Admission, the scheduler and the kubelet in one."""
    how, ns, name = table.get("self", {}), o["metadata"]["namespace"], o["metadata"]["name"]
    lag = made.setdefault("lag", how.get("lag", 0))
    if lag:
        made["lag"] -= 1
        keep(made)
        fail('Error from server (Forbidden): error when creating "STDIN": pods "%s" is forbidden: error looking up service '
             'account %s/default: serviceaccount "default" not found' % (name, ns))
    spec, box = o["spec"], o["spec"]["containers"][0]["securityContext"]
    if not (spec["securityContext"]["runAsNonRoot"] and spec["securityContext"]["seccompProfile"]["type"] == "RuntimeDefault" and
            box["allowPrivilegeEscalation"] is False and box["capabilities"] == {"drop": ["ALL"]}):
        fail('Error from server (Forbidden): pods "%s" is forbidden: violates PodSecurity "restricted:latest"' % name)
    node = how.get("nodes", {"server": "worker-1", "client": "worker-2"}).get(name)
    ips = how.get("ips", {"server": ["10.244.1.20"], "client": ["10.244.2.31"]})[name]
    o["status"] = {"phase": "Running" if node else "Pending", "podIPs": [{"ip": ip} for ip in ips] if node else []}
    if node:
        spec["nodeName"] = node
        state = how.get("state", {}).get(name, {"running": {"startedAt": "2026-01-01T00:00:00Z"}})
        o["status"]["containerStatuses"] = [{"name": spec["containers"][0]["name"], "state": state}]
    else:
        o["status"]["conditions"] = [{"type": "PodScheduled", "status": "False", "message": "0/2 nodes are available"}]


def delete(table, argv):
    flags, words = split(argv)
    if words[:1] != ["namespace"] or len(words) != 2 or "--wait" not in flags:
        fail("error: resource(s) were provided, but no name was specified")
    if not table.get("self", {}).get("stays"):
        made = cluster()
        made["Namespace"] = [n for n in made["Namespace"] if n["metadata"]["name"] != words[1]]
        for kind in ("Pod", "NetworkPolicy"):
            made[kind] = [o for o in made[kind] if o["metadata"]["namespace"] != words[1]]
        keep(made)
    print('namespace "%s" deleted' % words[1])


def selects(selector, labels):
    return all(labels.get(k) == v for k, v in selector.get("matchLabels", {}).items())


def denied(made, direction, pod, peer, port):
    """Whether policies refuse a pod that flow; peer and pod are pods of one namespace."""
    labels = {p["metadata"]["name"]: p["metadata"]["labels"] for p in made["Pod"]}
    mine = [p["spec"] for p in made["NetworkPolicy"] if selects(p["spec"]["podSelector"], labels[pod]) and
            direction in p["spec"]["policyTypes"]]
    rules = [r for spec in mine for r in spec.get(direction.lower(), [])]
    for r in rules:
        peers = r.get("from", r.get("to"))
        if (not peers or any(selects(x["podSelector"], labels[peer]) for x in peers)) and \
                (not r.get("ports") or any(x["port"] == port for x in r["ports"])):
            return False
    return bool(mine)


def connect(table, made, address, port):
    """As `ripstop __connect` in the client's pod would end."""
    network = table.get("self", {}).get("network")
    server = [p["metadata"]["name"] for p in made["Pod"] if {"ip": address} in p["status"]["podIPs"]]
    drop = not server or denied(made, "Egress", "client", server[0], port) or denied(made, "Ingress", server[0], "client", port)
    code = 3 if network == "refuses" else 1 if network == "dead" or (drop and network != "leaky") else 0
    if network == "dead4":
        code = 1 if "." in address else code
    if code == 0:
        print("ripstop-selftest " + ("impostor" if network == "impostor" else server[0]))
    elif code == 3:
        sys.stderr.write("ripstop: %s port %d: Connection refused\n" % (address, port))
    if code:
        sys.stderr.write("command terminated with exit code %d\n" % code)
    sys.exit(code)


def agents(table, flags):
    if flags.get("-l") != "app.kubernetes.io/name=ripstop,app.kubernetes.io/component=agent":
        fail("error: unable to parse requirement")
    items = [p for p in table["agents"] if p["metadata"]["namespace"] == flags.get("-n")]
    where = flags.get("--field-selector")
    if where is not None:
        field, _, node = where.partition("=")
        items = [p for p in items if field == "spec.nodeName" and p["spec"].get("nodeName") == node]
    print(json.dumps({"apiVersion": "v1", "kind": "List", "metadata": {"resourceVersion": ""}, "items": items}))


def execute(table, argv):
    made, interactive = cluster(), argv[:1] == ["-i"]
    argv = argv[interactive:]
    mine = [p for p in made["Pod"] if [p["metadata"]["namespace"], p["metadata"]["name"]] == argv[1:3]]
    if mine and argv[3:8] == ["-c", "peer", "--", "ripstop", "__connect"] and argv[2] == "client":
        connect(table, made, argv[8], int(argv[9]))
    if argv[:1] != ["-n"] or argv[3:7] != ["-c", "agent", "--", "ripstop"]:
        fail("error: you must specify at least one command for the container")
    pod = [p for p in table["agents"] if (p["metadata"]["namespace"], p["metadata"]["name"]) == (argv[1], argv[2])]
    if not pod:
        fail('Error from server (NotFound): pods "%s" not found' % argv[2])
    rest = argv[7:]
    leash, rest = rest[:rest[0] == "__leash"], rest[rest[0] == "__leash":]
    words = [table["ripstop"]] + leash + [rest[0], "--socket", table["sockets"][argv[2]]] + rest[1:]
    stdin = [] if interactive else [(os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0)]
    pid = os.posix_spawn(table["ripstop"], words, os.environ, file_actions=stdin)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if code:
        sys.stderr.write("command terminated with exit code %d\n" % code)
    sys.exit(code)


def fault(one):
    if one.get("touch"):
        with open(one["touch"], "w", encoding="utf-8"):
            pass
    if one.get("orphan"):  # a child that keeps our stdout and stderr open
        pid = os.spawnlp(os.P_NOWAIT, "sleep", "sleep", "300")
        with open(os.path.join(HERE, "orphans"), "a", encoding="utf-8") as f:
            f.write("%d\n" % pid)
    left = one.get("flood", 0)
    while left > 0:
        left -= os.write(1, b" " * min(left, 65536))
    os.write(1, one.get("stdout", "").encode("utf-8", "surrogateescape"))
    os.write(2, one.get("stderr", "").encode("utf-8", "surrogateescape"))
    while one.get("again") and not os.path.exists(one["until"]):
        os.write(1, one["again"].encode())
    if one.get("ask"):
        return sys.stdin.readline() == "123456\n" or fail("error: wrong code")
    if one.get("slow"):
        return time.sleep(one["slow"])
    if one.get("until"):
        while not os.path.exists(one["until"]):
            time.sleep(0.05)
        if "then" not in one:
            return None
        os.write(1, one["then"].encode())
    if one.get("hang"):  # it is killed before that
        time.sleep(300)
    sys.exit(one.get("code", 0))


def main():
    argv = sys.argv[1:]
    with open(os.path.join(HERE, "calls"), "a", encoding="utf-8") as f:
        f.write(json.dumps(argv) + "\n")
    with open(os.path.join(HERE, "table.json"), encoding="utf-8") as f:
        table = json.load(f)
    for one in table["faults"]:
        if all(w in argv for w in one["when"]):
            fault(one)
            break
    while argv and argv[0].startswith("--"):
        if argv[0] not in BARE and argv[0].partition("=")[0] not in VALUE:
            fail("error: unknown flag: " + argv[0])
        argv.pop(0)
    if argv[:1] == ["get"]:
        get(table, argv[1:])
    elif argv[:1] == ["exec"]:
        execute(table, argv[1:])
    elif argv[:2] == ["auth", "can-i"]:
        can_i(table, argv[2:])
    elif argv[:1] == ["create"]:
        create(table, argv[1:])
    elif argv[:1] == ["delete"]:
        delete(table, argv[1:])
    else:
        fail('error: unknown command "%s" for "kubectl"' % " ".join(argv[:1]))


# Half of a start would be json's import of re, of which it needs one expression: the white space before a document.
START = """import sys
class White:
    VERBOSE = MULTILINE = DOTALL = 0
    def match(self, text, at=0):
        self.at = len(text) - len(text[at:].lstrip())
        return self
    def end(self):
        return self.at
    @classmethod
    def compile(cls, *_):
        return cls()
sys.modules["re"] = White
sys.path.insert(0, %r)
import fake_kubectl
fake_kubectl.main()
"""


class FakeKubectl:
    """In a folder of its own, which goes into PATH."""

    def __init__(self, folder, ripstop):
        self.folder, self.table = folder, {"agents": [], "pods": [], "sockets": {}, "ripstop": ripstop, "faults": []}
        os.makedirs(folder)
        # It is called thousands of times: compiled once, without the modules that site would load or this function needs.
        import py_compile
        py_compile.compile(os.path.abspath(__file__), cfile=os.path.join(folder, "fake_kubectl.pyc"), doraise=True)
        with open(os.path.join(folder, "kubectl"), "w", encoding="utf-8") as f:
            f.write("#!%s -ISB\n%s" % (os.path.realpath(sys.executable), START % folder))
        os.chmod(os.path.join(folder, "kubectl"), 0o755)

    def write(self, /, **more):
        with open(os.path.join(self.folder, "table.json"), "w", encoding="utf-8") as f:
            json.dump(dict(self.table, **more), f)

    def calls(self):
        """Those since it was last asked."""
        path = os.path.join(self.folder, "calls")
        if not os.path.exists(path):
            return []
        with open(path, encoding="utf-8") as f:
            calls = [json.loads(line) for line in f]
        os.unlink(path)
        return calls

    def cluster(self, forget=False):
        """What was created and is there: {kind: [objects]}."""
        path = os.path.join(self.folder, "cluster.json")
        made = {"Namespace": [], "Pod": [], "NetworkPolicy": []}
        if os.path.exists(path):
            with open(path, encoding="utf-8") as f:
                made = json.load(f)
            if forget:
                os.unlink(path)
        return made

    def stop_orphans(self):
        path = os.path.join(self.folder, "orphans")
        if not os.path.exists(path):
            return 0
        with open(path, encoding="utf-8") as f:
            pids = [int(line) for line in f]
        for pid in pids:
            os.kill(pid, 9)
        os.unlink(path)
        return len(pids)
