# SPDX-License-Identifier: Apache-2.0
"""api_refused.py - configurations that cannot be, missing rights, strangers' certificates: told, with what to do."""
import os
import shutil
import subprocess

from apibed import ALWAYS, SERVER, PORT, expect, never, passes, test, test_with, until
from harness import patience


def start_fails(node, code, *words, source=None, env=None):
    """The agent ends by itself, with one message that holds the words."""
    argv = node.agent_argv()
    if source is not None:
        argv = [argv[0], *source, *argv[1 + len(node.source):]]
    p = subprocess.run(node.argv(argv), capture_output=True, text=True, timeout=patience(30), check=False,
                       stdin=subprocess.DEVNULL, env={**os.environ, **(env or {})})
    good = p.returncode == code and all(w in p.stderr for w in words)
    expect(good, code, words, "but it said", p.returncode, p.stderr)
    expect("Traceback" not in p.stderr and len(p.stderr) < 1000, p.stderr)
    return p.stderr


def write(node, text):
    path = os.path.join(node.dir, "bad.kubeconfig")
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)
    return path


@test_with(start=False)
def test_kubeconfigs_that_cannot_be(bed):
    """file:line:column, what is wrong, and the exit code of "it could not run"."""
    node = bed.node(1)
    with open(node.kubeconfig, encoding="ascii") as f:
        good = f.read()
    for text, where, words in (
            ("apiVersion: v1\nclusters: [\n  {name: c\n", "bad.kubeconfig:", ()),
            ("a: b\n  c: d\n", "bad.kubeconfig:2:4", ()),
            ("\x00\x01\x02", "bad.kubeconfig:1:", ()),
            (good.replace("current-context: here", "current-context: there"), "bad.kubeconfig:4:1", ("there",)),
            (good.replace("token: t", "exec: {command: aws}"), "bad.kubeconfig:6:", ("exec", "not supported")),
            (good.replace("token: t", "token: 5"), "bad.kubeconfig:6:", ("token", "string")),
            (good.replace("https://", "http://"), "http://%s:%d" % (SERVER, PORT), ("is not https",)),
            ("", "bad.kubeconfig", ())):
        start_fails(node, 1, where, *words, source=["--kubeconfig", write(node, text)])
    start_fails(node, 1, "/nowhere/kubeconfig", "No such file", source=["--kubeconfig", "/nowhere/kubeconfig"])
    expect(not bed.liar.requests, "something was asked")


@test_with(start=False)
def test_sources_that_are_two_or_none(bed):
    node = bed.node(1)
    two = ["--manifests", node.manifests, "--kubeconfig", node.kubeconfig]
    start_fails(node, 2, "two sources", "manifests", "kubeconfig", source=two)
    two = ["--manifests", node.manifests, "--api-server", "https://x"]
    start_fails(node, 2, "two sources", "api-server", source=two)
    start_fails(node, 2, "nowhere to take policies from", "--kubeconfig", source=[])
    said = start_fails(node, 2, "events: on", node.manifests, "no API server", source=["--manifests", node.manifests, "--events"])
    expect(said.count("\n") == 2, said)
    # In a pod by its environment, but without the service account's files.
    env = {"KUBERNETES_SERVICE_HOST": SERVER, "KUBERNETES_SERVICE_PORT": str(PORT)}
    start_fails(node, 1, "ca.crt", source=[], env=env)


@test_with(start=False, token="first")
def test_in_a_pod_with_a_service_account(bed):
    """The mounted token and CA, and a token that is replaced by the kubelet's symlinks."""
    node = bed.node(1)
    sa = os.path.join(node.dir, "sa")
    os.makedirs(sa)
    shutil.copy(os.path.join(bed.certificates(), "ca.crt"), sa)

    def token(text):
        data = os.path.join(sa, "..%s" % text)
        with open(data, "w", encoding="ascii") as f:
            f.write(text)
        os.symlink(data, os.path.join(sa, "new"))
        os.rename(os.path.join(sa, "new"), os.path.join(sa, "token"))
    token("first")
    inside = ("mount -t tmpfs none /run && mkdir -p /run/secrets/kubernetes.io/serviceaccount /tmp && "
              "mount --bind %s /run/secrets/kubernetes.io/serviceaccount && exec \"$@\"" % sa)
    node.source, plain = [], node.agent_argv
    node.agent_argv = lambda *extra: [
        "env", "KUBERNETES_SERVICE_HOST=" + SERVER, "KUBERNETES_SERVICE_PORT=%d" % PORT,
        "unshare", "--mount", "sh", "-c", inside, "sh", *plain(*extra)]
    node.start_agent()
    status = node.status()
    expect(status["source"]["path"] == "%s:%d" % (SERVER, PORT), status["source"])
    web = bed.pod("web")
    bed.liar.token = "second"
    bed.liar.drop_connections()
    until(lambda: "401" in node.status()["source"].get("error", ""), lambda: str(node.status()["source"]))
    passes(bed.world, web)
    token("second")
    until(lambda: not node.status()["source"].get("error"), lambda: str(node.status()["source"]))
    bed.pod("late")


@test_with(start=False)
def test_the_servers_address_by_option(bed):
    """--api-server goes before what the kubeconfig says."""
    node = bed.node(1)
    with open(node.kubeconfig, encoding="ascii") as f:
        text = f.read().replace("https://%s:%d" % (SERVER, PORT), "https://192.0.2.99:1")
    node.source = ["--kubeconfig", write(node, text), "--api-server", "https://%s:%d" % (SERVER, PORT)]
    node.start_agent()
    expect(node.status()["source"]["path"] == "https://%s:%d" % (SERVER, PORT), node.status()["source"])


@test_with(start=False)
def test_a_server_of_another_authority(bed):
    """Nothing is told to a stranger, nothing is taken from one."""
    node = bed.node(1)
    bed.kubeconfig(node.kubeconfig, ca="other")
    node.start_agent(wait=False)
    until(lambda: "certificate" in node.try_status().get("source", {}).get("error", ""), lambda: str(node.try_status()))
    expect(not bed.liar.requests, "a stranger was asked")
    expect(not node.status()["ready"] and "certificate" in node.status()["notReadyReason"], node.status())
    bed.pod_object("web", uid="uid-web")
    bed.add("web", timeout=2).refused(11)
    expect(not node.folder("endpoints"), node.folder("endpoints"))


def shows(node, *words):
    """`ripstop status`, the table and the object, and the condition's log line."""
    until(lambda: words[0] in node.try_status().get("source", {}).get("error", ""), lambda: str(node.try_status()))
    text, answer = node.cli("status").stdout, str(node.status()["source"])
    expect(all(w in text for w in words), "status does not say", words, "but", text)
    expect(all(w in answer for w in words), "the object does not say", words, "but", answer)


RULE = ("list and watch", "networkpolicies", "networking.k8s.io")


@test
def test_a_missing_rule_is_named_before_and_after_the_start(bed):
    """403: which verbs on what of which API group, where a person looks and in the ADD's error."""
    node = bed.nodes[1]
    bed.policy("shut", subject="web", ingress=[])
    web = bed.pod("web")
    for what in ("initial", "list", "watch", "fresh"):
        bed.liar.fault("NetworkPolicy", what, times=ALWAYS, status=403,
                       message='networkpolicies.networking.k8s.io is forbidden: User "x:y" cannot list')
    bed.liar.drop_connections()
    shows(node, "403", *RULE)
    bed.pod_object("db", uid="uid-db")
    bed.add("db", timeout=3).refused(11, "shop/db", "403", *RULE)
    never(bed.world, web)
    expect(node.status()["ready"], "what was known is in force:", node.status())
    node.kill_agent()
    node.start_agent(wait=False)
    shows(node, "403", *RULE)
    bed.add("db", timeout=3).refused(11, "403", *RULE)
    never(bed.world, web)
    bed.mend()
    node.wait_ready(60)
    bed.add("db").good()


@test_with(token="t")
def test_a_refused_token_is_named(bed):
    """401: in the status and in the ADD's error; the state stays, a good token heals."""
    node = bed.nodes[1]
    bed.policy("shut", subject="web", ingress=[])
    web = bed.pod("web")
    bed.liar.token = "another"
    bed.liar.drop_connections()
    shows(node, "401", "does not take our token")
    bed.pod_object("db", uid="uid-db")
    bed.add("db", timeout=3).refused(11, "shop/db", "401", "does not take our token")
    never(bed.world, web)
    bed.liar.token = "t"
    until(lambda: not node.status()["source"].get("error"), lambda: str(node.status()["source"]))
    bed.add("db").good()


@test
def test_a_server_that_asks_for_patience(bed):
    """429 with Retry-After, for a kind and for an ADD's question."""
    node = bed.nodes[1]
    fault = bed.liar.fault("Pod", "fresh", times=2, status=429, headers="Retry-After: 1\r\n")
    bed.pod_object("web", uid="uid-web")
    passes(bed.world, bed.add("web", timeout=30).good())
    expect(fault.used == 2 and node.status()["ready"], fault.used)


@test_with(start=False)
def test_an_older_server(bed):
    """One that knows no sendInitialEvents: lists by pages, then watches."""
    bed.liar.stream = False
    node = bed.node(1)
    node.start_agent()
    bed.policy("web", subject="web", ingress=[])
    web, free = bed.pod("web"), bed.pod("free")
    bed.settle()
    never(bed.world, web)
    passes(bed.world, free)
    expect(len(bed.liar.asked("NetworkPolicy", "initial")) == 1 and bed.liar.asked("Pod", "list"), "how it asked")
