# SPDX-License-Identifier: Apache-2.0
"""Policies that outlive their end at the API server, because their namespace is being deleted (lib/source/apihold.c).

Whether something stays is asked behind something that was told later: `barrier`.
"""
import itertools
import json
import os
import re
import signal
import threading

from apitest import need, pod, policy, seed

NS, SECOND, DENY = "5e0b5a0e-0000-4000-8000-000000000001", "5e0b5a0e-0000-4000-8000-000000000002", "de40-01"
ALWAYS = 10 ** 9
SPEC = {"podSelector": {"matchLabels": {"app": "a/b"}}, "policyTypes": ["Egress"]}
numbers = itertools.count(1)


def start(w, *argv, ns="shop", **how):
    """`shop` with a policy `deny`, and a source that saves in w.dir/state."""
    liar = w.liar(**how)
    seed(liar)
    liar.put("Namespace", ns, uid=NS)
    liar.put("NetworkPolicy", "deny", ns, uid=DENY, spec=SPEC)
    return liar, again(w, liar, *argv)


def again(w, liar, *argv):
    s = w.source(liar, "--state-dir", os.path.join(w.dir, "state"), "--ask-ms", "60000", *argv)
    s.synced()
    return s


def folder(w):
    path = os.path.join(w.dir, "state", "held")
    return sorted(os.listdir(path)) if os.path.isdir(path) else []


def going(liar, ns="shop", uid=None):
    return liar.put("Namespace", ns, uid=uid, meta={"deletionTimestamp": "2030-01-01T00:00:00Z"})


def ends(liar, *names, ns="shop", **how):
    for name in names or ("deny",):
        liar.delete("NetworkPolicy", name, ns, **how)


def policies(d):
    return set(d["NetworkPolicy"]["objects"])


def asked(liar):
    return [r for r in liar.asked("Namespace", "list") if "metadata.name=" in r.query.get("fieldSelector", "")]


def barrier(s, liar, kind="NetworkPolicy"):
    """All that the watch of a kind was to tell has been taken."""
    name = f"marker-{next(numbers)}"
    if kind == "Namespace":
        liar.put("Namespace", name)
    else:
        policy(liar, name, "infra")
        name = f"infra/{name}"
    return s.until(name, lambda d: name in d[kind]["objects"])


def stays(s, liar, name="shop/deny"):
    need(name in policies(barrier(s, liar)), name, "is not in force any more")


def goes(s, name="shop/deny"):
    return s.until(f"{name} is no longer in force", lambda d: name not in policies(d))


def known_to_go(s, liar):
    """The source knows that the namespace is being deleted."""
    going(liar)
    barrier(s, liar, "Namespace")


def held(s, liar, w, n=1):
    """It is known why it stays: it has been saved."""
    s.until("it is saved", lambda d: len(folder(w)) == n)
    stays(s, liar)


def silent(s, liar, kind, times=ALWAYS):
    """The watch of a kind tells nothing from now on."""
    before = s.dump()[kind]["watches"]
    f = liar.fault(kind, "watch", times=times, hold=True)
    liar.drop_connections()
    s.until(f"{kind} is silent", lambda d: f.used and d[kind]["watches"] > before and not d["error"])
    return f


def heard_again(liar, *faults):
    for f in faults:
        f.times = 0
    liar.drop_connections()


def kill(s):
    s.p.send_signal(signal.SIGKILL)
    s.p.wait()


# ---- from end to end ---------------------------------------------------------------------------------------------


def test_A18_a_policy_stays_until_its_namespace_is_gone(w):
    liar, s = start(w)
    known_to_go(s, liar)
    ends(liar)
    held(s, liar, w)
    need(folder(w) == [f"{NS}_{DENY}.json"] and not asked(liar), folder(w), asked(liar))
    liar.delete("Namespace", "shop")
    goes(s)
    need(not folder(w), folder(w))


def test_A18_an_ordinary_deletion_is_not_held(w):
    liar, s = start(w)
    known_to_go(s, liar)
    policy(liar, "other", "infra")
    s.until("it is there", lambda d: "infra/other" in policies(d))
    ends(liar, "other", ns="infra")
    goes(s, "infra/other")
    need(len(asked(liar)) == 1 and not folder(w), len(asked(liar)), folder(w))
    stays(s, liar)


def test_A18_the_end_of_the_policy_is_told_first(w):
    """No watch has told that the namespace is being deleted: the server is asked."""
    liar, s = start(w)
    f = silent(s, liar, "Namespace")
    going(liar)
    ends(liar)
    held(s, liar, w)
    need("deletionTimestamp" not in json.dumps(s.dump()["Namespace"]) and len(asked(liar)) == 1, len(asked(liar)))
    heard_again(liar, f)
    barrier(s, liar, "Namespace")
    stays(s, liar)
    liar.delete("Namespace", "shop")
    goes(s)
    need(not folder(w), folder(w))


def test_A18_the_end_of_the_namespace_is_told_first(w):
    liar, s = start(w)
    f = silent(s, liar, "NetworkPolicy")
    known_to_go(s, liar)
    ends(liar)
    liar.delete("Namespace", "shop")
    s.has("Namespace", {k[1] for k in liar.objects["Namespace"]})
    heard_again(liar, f)
    goes(s)
    need(not folder(w) and not asked(liar), folder(w), asked(liar))


def test_A18_only_pods_of_this_node_make_it_ask(w):
    liar, s = start(w, "--node-name", "n9")
    silent(s, liar, "Namespace")
    going(liar)
    ends(liar)
    goes(s)
    need(not asked(liar), "it asked for a namespace in which it has no pod")
    here = again(w, liar, "--node-name", "n1")
    policy(liar, "second")
    here.until("it is there", lambda d: "shop/second" in policies(d))
    ends(liar, "second")
    stays(here, liar, "shop/second")


# ---- the question ------------------------------------------------------------------------------------------------


def test_A18_an_answer_that_is_older_than_the_end_does_not_count(w):
    """Between two ends the namespace begins to go; the first answer does not tell."""
    liar, s = start(w)
    policy(liar, "first")
    s.until("it is there", lambda d: "shop/first" in policies(d))
    silent(s, liar, "Namespace")
    gate = threading.Event()
    f = liar.fault("Namespace", "list", wait=gate)
    ends(liar, "first")
    s.until("it asks", lambda d: f.used)
    going(liar)
    ends(liar)
    barrier(s, liar)
    gate.set()
    goes(s, "shop/first")
    held(s, liar, w)
    need(len(asked(liar)) == 2, len(asked(liar)))


def test_A18_a_namesake_that_comes_before_the_answer_stays(w):
    liar, s = start(w)
    gate = threading.Event()
    f = liar.fault("Namespace", "list", wait=gate)
    ends(liar)
    s.until("it asks", lambda d: f.used)
    liar.put("NetworkPolicy", "deny", "shop", uid="de40-02", spec=SPEC)
    s.until("the new one", lambda d: d["NetworkPolicy"]["objects"]["shop/deny"]["uid"] == "de40-02")
    gate.set()
    policy(liar, "last")
    s.until("it is there", lambda d: "shop/last" in policies(d))
    ends(liar, "last")
    goes(s, "shop/last")
    stays(s, liar)


def test_A18_a_server_that_does_not_answer_stalls_no_deletion_for_long(w):
    for how in ({"status": 503}, {"status": 403}, {"stall": 20}, {"garbage": 30}, {"head": {"kind": "Status"}}, {"cut": 5}):
        liar, s = start(w, "--ask-ms", "300")
        f = liar.fault("Namespace", "list", times=ALWAYS, **how)
        ends(liar)
        goes(s)
        need(f.used and not folder(w), how, f.used, folder(w))
        w.open.pop()()
        liar.stop()


def test_A18_nothing_opens_while_nobody_tells_of_namespaces(w):
    liar, s = start(w, "--ask-ms", "100")
    faults = [liar.fault("Namespace", what, times=ALWAYS, status=503) for what in ("watch", "initial", "list")]
    liar.drop_connections()
    s.until("it notices", lambda d: "503" in (d["Namespace"]["error"] or ""))
    ends(liar)
    # Each question waits longer than the one before; these take more time than an end may wait.
    s.until("it has asked often", lambda d: len(asked(liar)) >= 6)
    stays(s, liar)
    for f in faults:
        f.times = 0
    goes(s)


def test_A18_nothing_opens_before_namespaces_are_known(w):
    """The policy ends while the first list of namespaces is still on its way."""
    liar = w.liar()
    seed(liar)
    going(liar, uid=NS)
    gate = threading.Event()
    f = liar.fault("Namespace", "initial", wait=gate)
    s = w.source(liar, "--state-dir", os.path.join(w.dir, "state"), "--ask-ms", "60000")
    s.until("policies", lambda d: d["NetworkPolicy"]["synced"] and f.used)
    liar.put("NetworkPolicy", "deny", "shop", uid=DENY, spec=SPEC)
    s.until("told", lambda d: d["NetworkPolicy"]["objects"].get("shop/deny", {}).get("uid") == DENY)
    ends(liar)
    barrier(s, liar)
    gate.set()
    s.synced()
    held(s, liar, w)


# ---- lists and fresh reads ---------------------------------------------------------------------------------------


def test_A18_what_a_list_lost_stays_too(w):
    liar, s = start(w)
    known_to_go(s, liar)
    ends(liar, quiet=True)
    for n in (2, 3):
        liar.compact()
        liar.drop_connections()
        s.until("a list", lambda d, n=n: all(d[k]["lists"] == n for k in ("Namespace", "NetworkPolicy")))
        stays(s, liar)
    need(not folder(w), "nobody knows what it was", folder(w))
    liar.delete("Namespace", "shop", quiet=True)
    liar.compact()
    liar.drop_connections()
    goes(s)


def test_A18_lists_that_lost_an_ordinary_policy(w):
    liar, s = start(w)
    ends(liar, quiet=True)
    liar.compact()
    liar.drop_connections()
    goes(s)


def test_A18_what_a_fresh_read_misses_stays_and_is_saved_later(w):
    liar, s = start(w)
    known_to_go(s, liar)
    f = silent(s, liar, "NetworkPolicy")
    ends(liar)
    need(s.fresh("shop", "web")["rc"] == 0, "the read")
    need("shop/deny" in policies(s.dump()) and not folder(w), s.dump()["NetworkPolicy"], folder(w))
    heard_again(liar, f)
    held(s, liar, w)
    liar.delete("Namespace", "shop")
    goes(s)
    need(not folder(w), folder(w))


# ---- namesakes of the namespace ----------------------------------------------------------------------------------


def test_A18_the_next_namespace_of_that_name_has_none_of_it(w):
    liar, s = start(w)
    known_to_go(s, liar)
    ends(liar)
    held(s, liar, w)
    with liar.lock:
        liar.objects["Namespace"].pop((None, "shop"))
    liar.put("Namespace", "shop", uid=SECOND)
    goes(s)
    need(not folder(w), folder(w))


def test_A18_policies_of_the_next_namespace_are_told_before_it(w):
    liar, s = start(w)
    known_to_go(s, liar)
    ends(liar)
    held(s, liar, w)
    f = silent(s, liar, "Namespace")
    liar.delete("Namespace", "shop")
    liar.put("Namespace", "shop", uid=SECOND)
    liar.put("NetworkPolicy", "deny", "shop", uid="de40-02", spec=SPEC)
    barrier(s, liar)
    heard_again(liar, f)
    s.until("the next one", lambda d: d["Namespace"]["objects"]["shop"]["uid"] == SECOND)
    barrier(s, liar, "Namespace")
    need(s.dump()["NetworkPolicy"]["objects"].get("shop/deny", {}).get("uid") == "de40-02", s.dump()["NetworkPolicy"])
    need(not folder(w), folder(w))
    ends(liar)
    goes(s)


# ---- restarts and files ------------------------------------------------------------------------------------------


def test_A18_it_stays_over_a_restart(w):
    liar, s = start(w)
    known_to_go(s, liar)
    ends(liar)
    held(s, liar, w)
    for stream in (True, False):
        kill(s)
        liar.stream = stream
        s = w.source(liar, "--state-dir", os.path.join(w.dir, "state"), "--ask-ms", "60000")
        d = s.synced()
        need("shop/deny" in policies(d) and d["changes"] == 1, "it is there from the beginning", d["NetworkPolicy"], d["changes"])
        stays(s, liar)
    liar.delete("Namespace", "shop")
    goes(s)
    need(not folder(w), folder(w))


def test_A18_the_namespace_went_while_nobody_looked(w):
    liar, s = start(w)
    known_to_go(s, liar)
    ends(liar)
    held(s, liar, w)
    kill(s)
    liar.delete("Namespace", "shop")
    liar.put("Namespace", "shop", uid=SECOND)
    s = again(w, liar)
    need("shop/deny" not in policies(s.dump()) and not folder(w), s.dump()["NetworkPolicy"], folder(w))
    kill(s)
    # The next one goes as well: it is another.
    going(liar)
    with open(os.path.join(w.dir, "state", "held", f"{NS}_{DENY}.json"), "w", encoding="ascii") as f:
        json.dump({"metadata": {"name": "deny", "namespace": "shop", "uid": DENY}, "spec": SPEC}, f)
    s = again(w, liar)
    need("shop/deny" not in policies(s.dump()) and not folder(w), s.dump()["NetworkPolicy"], folder(w))


def test_A18_files_that_are_none(w):
    liar, s = start(w)
    known_to_go(s, liar)
    policy(liar, "live", uid="a1", spec=SPEC)
    s.until("it is there", lambda d: "shop/live" in policies(d))
    ends(liar)
    held(s, liar, w)
    kill(s)
    path = os.path.join(w.dir, "state", "held")
    outside = os.path.join(w.dir, "outside")

    def write(name, meta=None, text=None):
        body = json.dumps({"metadata": {"namespace": "shop", **(meta or {})}, "spec": SPEC})
        with open(os.path.join(path, name), "w", encoding="latin-1") as f:
            f.write(body if text is None else text)
    write(f"{NS}_b1.json", text="")
    write(f"{NS}_b2.json", text="\x00\xff{")
    write(f"{NS}_b3.json", text='{"metadata":{"name":"b3","namespace":"shop","uid":"b3"},"spec":"' + "x" * 9000000 + '"}')
    write(f"{NS}_b4.json", {"name": "b5", "uid": "b5"})
    write(f"{NS}_b6.json", {"name": "b6", "namespace": "infra", "uid": "b6"})
    write(f"{NS}_b7.json", {"name": "b7", "namespace": "nowhere", "uid": "b7"})
    write(f"{NS}_b8.json", {"name": "b8"})
    write(f"{NS}_a1.json", {"name": "live", "uid": "a2"})
    write(f"{NS}_a2.json", {"name": "live", "uid": "a2"})
    write(f"{NS}_c1.json", {"name": "c1", "uid": "c1", "labels": {"a": "b"}})
    write(".0123.tmp", text="half")
    with open(outside, "w", encoding="ascii") as f:
        f.write("hello")
    os.symlink(outside, os.path.join(path, f"{NS}_d1.json"))
    os.symlink("/dev/zero", os.path.join(path, f"{NS}_d2.json"))
    os.mkfifo(os.path.join(path, f"{NS}_d3.json"))
    os.mkdir(os.path.join(path, f"{NS}_d4.json"))
    s = again(w, liar)
    d = s.dump()
    need(policies(d) == {"shop/deny", "shop/live", "shop/c1"} | {p for p in policies(d) if "marker" in p}, policies(d))
    need(d["NetworkPolicy"]["objects"]["shop/live"]["uid"] == "a1", "what the server has goes before", d["NetworkPolicy"])
    need(folder(w) == sorted([f"{NS}_{DENY}.json", f"{NS}_c1.json", f"{NS}_d4.json"]), folder(w))
    need(os.path.exists(outside), "it removed what a link meant")


def test_A18_a_folder_that_is_none(w):
    """Nothing can be saved: it is held all the same, and said once."""
    for n, make in enumerate((lambda p, o: os.symlink(o, p), lambda p, o: open(p, "x", encoding="ascii").close(),
                              lambda p, o: (os.mkdir(p), os.chmod(p, 0o777)))):
        state, other = os.path.join(w.dir, f"s{n}"), os.path.join(w.dir, f"other{n}")
        os.mkdir(state)
        os.mkdir(other)
        with open(os.path.join(other, "precious.json"), "w", encoding="ascii") as f:
            f.write("{}")
        make(os.path.join(state, "held"), other)
        liar, s = start(w, "--state-dir", state)
        for i in range(20):
            policy(liar, f"p{i}", uid=f"{i}")
        known_to_go(s, liar)
        ends(liar, "deny", *(f"p{i}" for i in range(20)))
        stays(s, liar)
        d = s.dump()
        need({f"shop/p{i}" for i in range(20)} <= policies(d), policies(d))
        said = [t for t in d["warnings"] if "not safe from a restart" in t]
        need(len(said) == 1 and "held" in said[0], d["warnings"])
        need(os.listdir(other) == ["precious.json"], os.listdir(other))
        liar.delete("Namespace", "shop")
        goes(s)


def test_A18_strange_names(w):
    """No uid and no name makes another file than it should be."""
    liar, s = start(w)
    uids = ["../../x", "a/b", "", ".", "..", "a" * 65, "%s%n", "\u2603", "g", "a.json", "a\\b"]
    for i, uid in enumerate(uids):
        liar.put("NetworkPolicy", f"p{i}", "shop", meta={"uid": uid}, spec=SPEC)
    known_to_go(s, liar)
    ends(liar, *(f"p{i}" for i in range(len(uids))))
    stays(s, liar)
    need({f"shop/p{i}" for i in range(len(uids))} <= policies(s.dump()) and not folder(w), policies(s.dump()), folder(w))
    need(set(os.listdir(w.dir)) <= {"config", "state"}, os.listdir(w.dir))
    liar.delete("Namespace", "shop")
    s.until("all go", lambda d: not any(p.startswith("shop/p") for p in policies(d)))


def test_A18_only_what_counts_is_saved(w):
    liar, s = start(w)
    known_to_go(s, liar)
    liar.put("NetworkPolicy", "deny", "shop", spec=SPEC, meta={"annotations": {"a": "x" * 1400000}, "managedFields": [{"b": "y" * 9}]})
    ends(liar)
    held(s, liar, w)
    with open(os.path.join(w.dir, "state", "held", folder(w)[0]), encoding="utf-8") as f:
        text = f.read()
    need(json.loads(text)["spec"] == SPEC and len(text) < 400 and "\\/" not in text, text[:400])


def test_A18_thousands(w):
    """What is saved is bounded; what is held is not, and all of it goes."""
    liar, s = start(w)
    n = 4300
    for i in range(n):
        policy(liar, f"p{i}", uid=f"{i:x}", spec=SPEC)
    s.until("all are there", lambda d: len(policies(d)) >= n)
    before = s.dump()
    known_to_go(s, liar)
    ends(liar, "deny", *(f"p{i}" for i in range(n)))
    d = barrier(s, liar)
    need(len([p for p in policies(d) if p.startswith("shop/")]) == n + 1, len(policies(d)))
    need(len(folder(w)) == 4096 and any("too many" in t for t in d["warnings"]), len(folder(w)), d["warnings"])
    print(f"     {n + 1} held: {d['rss_kb'] - before['rss_kb']} kB more, {d['cpu_ms'] - before['cpu_ms']} ms of processor")
    kill(s)
    s = again(w, liar)
    need(len([p for p in policies(s.dump()) if p.startswith("shop/")]) == 4096, len(policies(s.dump())))
    liar.delete("Namespace", "shop")
    s.until("all go", lambda d: not any(re.match("shop/", p) for p in policies(d)))
    need(not folder(w), len(folder(w)))


def test_A18_many_namespaces_at_once(w):
    """Forty ordinary deletions in forty namespaces, and forty that are none."""
    liar = w.liar()
    seed(liar)
    for i in range(80):
        liar.put("Namespace", f"n{i}", uid=f"{i}")
        policy(liar, "p", f"n{i}", uid=f"a{i}")
        pod(liar, "x", f"n{i}", ip=f"10.1.1.{i + 1}")
    s = again(w, liar, "--node-name", "n1")
    silent(s, liar, "Namespace")
    for i in range(40, 80):
        going(liar, f"n{i}")
    for i in range(80):
        ends(liar, "p", ns=f"n{i}")
    s.until("forty stay", lambda d: {p for p in policies(d) if p.endswith("/p")} == {f"n{i}/p" for i in range(40, 80)}
            and len(folder(w)) == 40)


TESTS = {n: f for n, f in globals().items() if n.startswith("test_")}
