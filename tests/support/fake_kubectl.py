# SPDX-License-Identifier: Apache-2.0
"""A stand-in for kubectl, put into PATH under that name by FakeKubectl: it writes down how it was called, answers
`get pods` from a table and runs the real ripstop for `exec`, against the control socket of that agent's pod.

Beside the program lies table.json:
    agents   pods as an API server has them; pods of users
    pods     likewise; policies: NetworkPolicies
    objects  resource -> objects, for `get RESOURCE -o json [-A]`
    sockets  name of an agent's pod -> socket
    ripstop  the program
    faults   [{"when": [words of the call], "code": N, "stdout": "...", "stderr": "...", "flood": bytes, "hang": true,
             "orphan": true, "ask": true, "slow": seconds, "until": path}]: the first counts whose words are all there;
             "ask" goes on when it is told 123456, "slow" after that time, "until" when that file is there
What has no meaning to kubectl ends as kubectl would end.
"""
import json
import os
import sys
import time

VALUE = ("--context", "--kubeconfig", "--cluster", "--user", "--as", "--as-group", "--as-uid", "--server", "--token",
         "--certificate-authority", "--client-certificate", "--client-key", "--tls-server-name", "--request-timeout",
         "--cache-dir")
BARE = ("--insecure-skip-tls-verify",)


def fail(text):
    sys.stderr.write(text + "\n")
    sys.exit(1)


def get(table, argv):
    words, flags, names = list(argv), {}, []
    while words:
        word = words.pop(0)
        if word == "--":
            names += words
            break
        if word in ("-n", "-l", "-o", "--field-selector"):
            flags[word] = words.pop(0)
        elif word in ("--ignore-not-found", "-A"):
            flags[word] = True
        elif word.startswith("-"):
            fail("error: unknown flag: " + word)
        else:
            names.append(word)
    if len(names) == 1 and "-l" not in flags and names[0] in table.get("objects", {}):
        print(json.dumps({"apiVersion": "v1", "items": table["objects"][names[0]], "kind": "List", "metadata": {}}, indent=4))
        return
    if names[:1] == ["networkpolicies.networking.k8s.io"] and flags.get("-o") == "json" and len(names) == 2:
        return one_policy(table, flags, names[1])
    if names[:1] != ["pods"] or flags.get("-o") != "json" or len(names) > 2:
        fail("error: the server doesn't have a resource type")
    if len(names) == 2:
        one_pod(table, flags, names[1])
    else:
        agents(table, flags)


def one_pod(table, flags, name):
    for pod in table["pods"]:
        if pod["metadata"]["name"] == name and pod["metadata"]["namespace"] == flags.get("-n", "shop"):
            print(json.dumps(pod))
            return
    if "--ignore-not-found" not in flags:
        fail('Error from server (NotFound): pods "%s" not found' % name)


def one_policy(table, flags, name):
    for policy in table.get("policies", []):
        if policy["metadata"]["name"] == name and policy["metadata"]["namespace"] == flags.get("-n"):
            print(json.dumps(policy))
            return
    if "--ignore-not-found" not in flags:
        fail('Error from server (NotFound): networkpolicies.networking.k8s.io "%s" not found' % name)


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
    if argv[:1] != ["-n"] or argv[3:7] != ["-c", "agent", "--", "ripstop"]:
        fail("error: you must specify at least one command for the container")
    pod = [p for p in table["agents"] if (p["metadata"]["namespace"], p["metadata"]["name"]) == (argv[1], argv[2])]
    if not pod:
        fail('Error from server (NotFound): pods "%s" not found' % argv[2])
    rest = argv[7:]
    pid = os.spawnv(os.P_NOWAIT, table["ripstop"], [table["ripstop"], rest[0], "--socket", table["sockets"][argv[2]]] + rest[1:])
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if code:
        sys.stderr.write("command terminated with exit code %d\n" % code)
    sys.exit(code)


def fault(one):
    if one.get("orphan"):  # a child that keeps our stdout and stderr open
        pid = os.spawnlp(os.P_NOWAIT, "sleep", "sleep", "300")
        with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "orphans"), "a", encoding="utf-8") as f:
            f.write("%d\n" % pid)
    left = one.get("flood", 0)
    while left > 0:
        left -= os.write(1, b" " * min(left, 65536))
    os.write(1, one.get("stdout", "").encode("utf-8", "surrogateescape"))
    os.write(2, one.get("stderr", "").encode("utf-8", "surrogateescape"))
    if one.get("ask"):
        return sys.stdin.readline() == "123456\n" or fail("error: wrong code")
    if one.get("slow"):
        return time.sleep(one["slow"])
    if one.get("until"):
        while not os.path.exists(one["until"]):
            time.sleep(0.05)
        return None
    if one.get("hang"):  # it is killed before that
        time.sleep(300)
    sys.exit(one.get("code", 0))


def main():
    here = os.path.dirname(os.path.abspath(__file__))
    argv = sys.argv[1:]
    with open(os.path.join(here, "calls"), "a", encoding="utf-8") as f:
        f.write(json.dumps(argv) + "\n")
    with open(os.path.join(here, "table.json"), encoding="utf-8") as f:
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
    else:
        fail('error: unknown command "%s" for "kubectl"' % " ".join(argv[:1]))


class FakeKubectl:
    """In a folder of its own, which goes into PATH."""

    def __init__(self, folder, ripstop):
        self.folder, self.table = folder, {"agents": [], "pods": [], "sockets": {}, "ripstop": ripstop, "faults": []}
        os.makedirs(folder)
        with open(os.path.abspath(__file__), encoding="utf-8") as f:
            text = f.read()
        with open(os.path.join(folder, "kubectl"), "w", encoding="utf-8") as f:
            f.write("#!%s -SB\n%s" % (sys.executable, text))
        os.chmod(os.path.join(folder, "kubectl"), 0o755)

    def write(self, **more):
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


if __name__ == "__main__":
    main()
