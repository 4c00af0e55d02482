#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The API source against an API server that lies (tests/support/liar.py), over TLS on the loopback of a namespace of its own.

XB1 to XB15 in names are the classes of failure of an API feed; F15 to F17 findings about syncing.
"""
import argparse
import itertools
import os
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import api_held  # noqa: E402
import api_post  # noqa: E402
import api_unasked  # noqa: E402
from apitest import need, pod, policy, run_all, seed  # noqa: E402
from liar import status  # noqa: E402

KINDS = ("Namespace", "Pod", "NetworkPolicy", "Node")
PODS = {"shop/web", "shop/db"}


def known(d):
    return {k: {n: o["rv"] for n, o in d[k]["objects"].items()} for k in KINDS}


def truth(liar):
    with liar.lock:
        return {k: {(f"{ns}/{n}" if ns else n): o["metadata"]["resourceVersion"] for (ns, n), o in liar.objects[k].items()}
                for k in KINDS}


def start(w, *argv, stream=True, **how):
    liar = w.liar(**how)
    liar.stream = stream
    seed(liar)
    s = w.source(liar, *argv)
    s.synced()
    return liar, s


def agree(s, liar, what="the source knows what the server holds"):
    return s.until(what, lambda d: d["synced"] and known(d) == truth(liar) and not d["error"])


# ---- honest servers ----------------------------------------------------------------------------------------------


def test_sync_by_initial_events(w):
    liar, s = start(w)
    d = agree(s, liar)
    need(not liar.asked(what="list"), "no list was needed")
    need(d["changes"] >= 1 and d["age"] >= 0, d)
    pod(liar, "late", ip="10.1.0.9")
    liar.delete("Pod", "db", "shop")
    agree(s, liar, "a pod came, a pod went")


def test_sync_by_pages(w):
    liar = w.liar()
    liar.stream = False
    seed(liar)
    for i in range(25):
        pod(liar, f"p{i}", ip=f"10.1.0.{i + 10}")
    s = w.source(liar, "--page", "4")
    agree(s, liar)
    lists = liar.asked("Pod", "list")
    need(len(lists) == 7 and all(r.query["limit"] == "4" for r in lists), [r.query for r in lists])
    need(len(liar.asked("Pod", "initial")) == 1, "asked once for what the server does not know")
    policy(liar, "p2")
    agree(s, liar)


def test_sync_with_an_old_server_that_ignores_the_question(w):
    liar, s = start(w, "--answer-ms", "600", stream="ignored")
    agree(s, liar)
    need(liar.asked("Pod", "list"), "read by list")


def test_sync_with_a_server_whose_etcd_cannot_tell_initial_events_XB4(w):
    liar = w.liar()
    seed(liar)
    no = status(500, "the required storage feature RequestWatchProgress is disabled", "InternalError")
    for kind in KINDS:
        liar.fault(kind, "initial", times=10 ** 6, no_end=True, events=[("ERROR", no)])
    s = w.source(liar)
    agree(s, liar)
    need(all(liar.asked(kind, "list") for kind in KINDS), "read by list")


def test_finished_pods_are_not_asked_for_XB6(w):
    liar, s = start(w, stream=False)
    for r in liar.asked("Pod"):
        need(r.query["fieldSelector"] == "status.phase!=Succeeded,status.phase!=Failed", r.query)
    # What the server does when a pod no longer fits the selector.
    liar.delete("Pod", "web", "shop")
    s.has("Pod", {"shop/db"})
    need(all("fieldSelector" not in r.query for k in KINDS if k != "Pod" for r in liar.asked(k)), "others are not selected")


def test_client_certificate_and_data(w):
    liar = w.liar(client_ca="ca")
    seed(liar)
    inline = w.kubeconfig(liar, f", certificate-authority-data: {w.data('ca.crt')}",
                          f"client-certificate-data: {w.data('ca-client.crt')}, client-key-data: {w.data('ca-client.key')}")
    agree(w.source(liar, config=inline), liar)
    files = w.kubeconfig(liar, "", f"client-certificate: {w.pki}/ca-client.crt, client-key: {w.pki}/ca-client.key", "files")
    agree(w.source(liar, config=files), liar)


def service_account(w, token):
    sa = os.path.join(w.dir, "sa")
    os.makedirs(os.path.join(sa, "..1"), exist_ok=True)
    with open(os.path.join(w.pki, "ca.crt"), encoding="ascii") as f, open(os.path.join(sa, "ca.crt"), "w", encoding="ascii") as g:
        g.write(f.read())
    name = os.path.join(sa, f"token-{token}")
    with open(name, "w", encoding="ascii") as f:
        f.write(token + "\n")
    os.symlink(name, os.path.join(sa, "new"))
    os.rename(os.path.join(sa, "new"), os.path.join(sa, "token"))
    return sa


def test_in_cluster_and_token_that_changes(w):
    liar = w.liar(token="one")
    seed(liar)
    sa = service_account(w, "one")
    env = {"KUBERNETES_SERVICE_HOST": "127.0.0.1", "KUBERNETES_SERVICE_PORT": str(liar.port)}
    s = type(w.source(liar))(w.runner, "--sa-dir", sa, "--backoff-ms", "20", "--backoff-max-ms", "100", env=env)
    w.open.append(s.close)
    agree(s, liar)
    liar.token = "two"
    liar.drop_connections()
    d = s.until("refused", lambda d: d["error"] and "401" in d["error"])
    need("token" in d["hint"], d["hint"])
    need(known(d) == truth(liar), "the last state stays")
    service_account(w, "two")
    pod(liar, "late")
    agree(s, liar)


def test_api_server_option_overrides(w):
    liar = w.liar()
    seed(liar)
    nowhere = w.kubeconfig(type("Nowhere", (), {"url": "https://127.0.0.1:1"}))
    agree(w.source(liar, "--api-server", liar.url, config=nowhere), liar)


# ---- refused at start --------------------------------------------------------------------------------------------


def test_kubeconfigs_that_are_refused(w):
    liar = w.liar()
    for user, words in (("exec: {command: aws}", "exec: is not supported"), ("auth-provider: {name: gcp}", "auth-provider"),
                        ("username: a, password: b", "username"), ("tokenFile: gone", "gone"),
                        ("client-certificate: /x.crt", "client-key: missing"), ("token: 5", "token: a string")):
        err = w.refused("--kubeconfig", w.kubeconfig(liar, user=user))
        need(words in err and "config:" in err or "gone" in words, user, "->", err)
    for cluster, words in ((", insecure-skip-tls-verify: true", "insecure-skip-tls-verify: is not supported"),
                           (", certificate-authority-data: '%%%'", "certificate-authority-data: not base64"),
                           (", certificate-authority-data: aGVsbG8=", "no PEM text"),
                           (", certificate-authority: nothing", "nothing"), (", proxy-url: http://x", "proxy-url")):
        err = w.refused("--kubeconfig", w.kubeconfig(liar, cluster))
        need(words in err, cluster, "->", err)
    need("no certificate authority" in w.refused("--kubeconfig", w.kubeconfig(liar, " ")), "a server without CA")
    plain = w.liar(tls=False)
    need("not https" in w.refused("--kubeconfig", w.kubeconfig(plain, " ")), "a token in the clear")
    need("KUBERNETES_SERVICE_HOST" in w.refused("--sa-dir", w.dir, env={"KUBERNETES_SERVICE_HOST": ""}), "no server known")


def test_wrong_ca(w):
    liar = w.liar()
    seed(liar)
    s = w.source(liar, config=w.kubeconfig(liar, f", certificate-authority: {w.pki}/other.crt"))
    s.until("refused", lambda d: d["error"] and "certificate" in d["error"])
    need(not s.dump()["synced"] and not liar.requests, "nothing was asked of a stranger")


def test_wrong_name_in_the_certificate(w):
    liar = w.liar()
    seed(liar)
    s = w.source(liar, "--api-server", f"https://127.0.0.2:{liar.port}")
    d = s.until("an error", lambda d: d["error"])
    need("127.0.0.2" in d["error"] or "refused" in d["error"].lower(), d["error"])


# ---- XB1, XB2, XB3: what a watch may be answered -----------------------------------------------------------------


def test_410_as_status_XB1(w):
    liar, s = start(w)
    lists = s.dump()["Pod"]["lists"]
    liar.put("Pod", "hidden", "shop", quiet=True, status={})
    liar.compact()
    liar.drop_connections()
    d = agree(s, liar)
    need(d["Pod"]["lists"] == lists + 1, "one relist", d["Pod"])


def test_410_as_event_XB1(w):
    liar, s = start(w)
    for n in range(3):
        for i in range(n):
            pod(liar, f"before-{n}-{i}")
        liar.put("Pod", f"hidden-{n}", "shop", quiet=True, status={})
        liar.delete("Pod", f"hidden-{n - 1}", "shop", quiet=True) if n else None
        liar.say("Pod", "ERROR", {"kind": "Status", "apiVersion": "v1", "code": 410, "reason": "Expired", "message": "too old"})
        agree(s, liar, f"after a 410 behind {n} events")


def test_empty_answers_XB2(w):
    liar, s = start(w, "--backoff-max-ms", "100", stream=False)
    f = liar.fault("Pod", "watch", times=10 ** 6, empty=True)
    before, cpu = time.monotonic(), s.dump()["cpu_ms"]
    liar.drop_connections()
    d = s.until("relists", lambda d: d["Pod"]["lists"] >= 5)
    spent = time.monotonic() - before
    # Each try but the first of a series waits at least 15 ms (20 ms less a quarter).
    need(f.used <= spent / 0.015 + 10, f.used, "requests in", spent)
    print(f"     {f.used} empty answers in {spent:.1f} s, {d['cpu_ms'] - cpu} ms of processor")
    need(known(d) == truth(liar), "the state stays")
    f.times = 0
    pod(liar, "late")
    agree(s, liar)


def test_other_objects_never_change_the_state_XB3(w):
    liar, s = start(w, stream=False)
    before = known(s.dump())["Pod"]
    strange = [("ADDED", {"kind": "Status", "apiVersion": "v1", "metadata": {"name": "x", "namespace": "shop"}}),
               ("ADDED", {"kind": "Node", "apiVersion": "v1", "metadata": {"name": "x", "resourceVersion": "99999"}}),
               ("ADDED", {"kind": "Pod", "apiVersion": "v9", "metadata": {"name": "x", "namespace": "shop"}}),
               ("DELETED", {"kind": "PodList", "apiVersion": "v1", "metadata": {"name": "web", "namespace": "shop"}}),
               ("ADDED", {"metadata": {"namespace": "shop"}}), ("ADDED", {"metadata": {"name": "x"}}), ("ADDED", {}),
               ("DROPPED", {"metadata": {"name": "web", "namespace": "shop"}}), ("BOOKMARK", {"metadata": {}}),
               ("ERROR", {"kind": "Pod", "metadata": {"name": "web", "namespace": "shop"}}),
               ("ERROR", {"kind": "Status", "code": 500, "message": "etcd"})]
    for n, event in enumerate(strange):
        old = s.dump()["Pod"]
        f = liar.fault("Pod", "watch", events=[event])
        liar.drop_connections()
        d = s.until(f"event {n} is refused", lambda d, f=f, old=old: f.used and d["Pod"]["events"] > old["events"]
                    and d["Pod"]["failures"] > old["failures"])
        need(known(d)["Pod"] == before, event, "changed", known(d))
    agree(s, liar)


# ---- XB4, XB12: streams that end or lie at any byte --------------------------------------------------------------


def test_list_cut_anywhere_XB4(w):
    liar = w.liar()
    liar.stream = False
    seed(liar)
    s = w.source(liar, "--page", "1")
    s.synced()
    cuts = [liar.fault("Pod", "list", cut=n) for n in range(0, 300, 17)]
    # Each relist meets the next of them.
    liar.put("Pod", "hidden", "shop", quiet=True, status={})
    liar.delete("Pod", "web", "shop", quiet=True)
    before = known(s.dump())["Pod"]
    liar.compact()
    liar.drop_connections()

    def whole(d):
        need(known(d)["Pod"] in (before, truth(liar)["Pod"]), "a mixture of two states:", known(d)["Pod"])
        return cuts[-1].used
    s.until("all are met", whole)
    agree(s, liar)
    need(all(c.used for c in cuts), "each cut was met")


def test_initial_events_cut_anywhere_XB4(w):
    liar = w.liar()
    seed(liar)
    cuts = [liar.fault("Pod", "initial", cut=n) for n in range(0, 500, 29)]
    s = w.source(liar)
    agree(s, liar)
    need(all(c.used for c in cuts), "each cut was met")


def test_watch_cut_anywhere_XB4(w):
    liar, s = start(w)
    for n in range(0, 220, 43):
        liar.fault("Pod", "watch", cut=n)
        liar.drop_connections()
        pod(liar, f"n{n}")
        agree(s, liar, f"after a cut at byte {n}")


def test_relist_fails_after_410_XB4(w):
    liar, s = start(w)
    liar.put("Pod", "hidden", "shop", quiet=True, status={})
    for status in (500, 503, 404, 429):
        liar.fault("Pod", "initial", status=status)
        liar.fault("Pod", "initial", garbage=40)
    liar.compact()
    liar.drop_connections()
    agree(s, liar)


def test_garbage_anywhere_XB12(w):
    liar, s = start(w, stream=False)
    for k, n in enumerate(range(0, 200, 37)):
        with_ = (b"\x00", b"]", b"}}", b"null", b"\xff\xfe", b"[1]")[k]
        f = liar.fault("Pod", "watch", garbage=n, **{"with": with_ + b"\n"})
        liar.drop_connections()
        s.until("it is met", lambda d, f=f, n=n: f.used or not pod(liar, "web", ip=f"10.1.0.{n + 1}"))
        pod(liar, "web", ip=f"10.1.1.{n + 1}")
        agree(s, liar, f"after {with_} at byte {n}")


def test_slow_and_small_pieces_XB12(w):
    liar = w.liar()
    seed(liar)
    pod(liar, "snow", meta={"annotations": {"a": "\u2603\U0001F409 " * 5}}, ip="10.1.0.8")
    for k in KINDS:
        liar.fault(k, "initial", piece=1)
    agree(w.source(liar), liar)
    liar.stream = False
    for k in KINDS:
        liar.fault(k, "list", piece=1)
    agree(w.source(liar, "--page", "2"), liar)


def test_huge_objects_XB12(w):
    liar, s = start(w)
    pod(liar, "fat", meta={"annotations": {"a": "x" * 1500000}}, ip="10.1.0.8")
    d = agree(s, liar)
    need("shop/fat" in d["Pod"]["objects"], "1.5 MB are taken")
    rss = d["rss_kb"]
    pod(liar, "obese", meta={"annotations": {"a": "x" * 9000000}}, ip="10.1.0.9")
    d = s.until("refused", lambda d: d["error"] and "larger than 8 MiB" in d["error"])
    need("shop/fat" in d["Pod"]["objects"], "the last state stays")
    print(f"     peak {rss} kB with 1.5 MB, {d['rss_kb']} kB with 9 MB")
    need(d["rss_kb"] < 120000, "memory is bounded", d["rss_kb"])
    liar.delete("Pod", "obese", "shop")
    liar.compact()
    agree(s, liar)


def test_strange_text_XB12(w):
    liar, s = start(w)
    liar.put("Pod", "odd", "shop", meta={"annotations": {"nul": "a\u0000b", "half": "\ud800".encode("utf-16", "surrogatepass")
                                                         .decode("utf-16", "replace")}}, status={"podIPs": [{"ip": "10.1.0.7"}]})
    d = agree(s, liar)
    need(d["Pod"]["objects"]["shop/odd"]["ips"] == ["10.1.0.7"], "one NUL in an annotation hides no pod")
    # Two fields of one name: the last counts, as in Go.
    body = (b'{"kind":"PodList","apiVersion":"v1","metadata":{"resourceVersion":"5000"},"items":'
            b'[{"metadata":{"name":"a","name":"twice","namespace":"shop","resourceVersion":"1"}}]}')
    liar.fault("Pod", "list", raw=b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"
               % (len(body), body))
    liar.stream = False
    liar.compact()
    liar.drop_connections()
    s.until("twice", lambda d: "shop/twice" in d["Pod"]["objects"])


def test_wrong_content_type_and_compression_XG11(w):
    liar = w.liar()
    seed(liar)
    liar.fault("Pod", "initial", times=3, ctype="application/vnd.kubernetes.protobuf")
    s = w.source(liar, "--backoff-ms", "300", "--backoff-max-ms", "300")
    s.until("refused", lambda d: "protobuf" in (d["Pod"]["error"] or ""))
    agree(s, liar)
    liar.fault("Pod", "watch", times=3, encoding="Content-Encoding: gzip\r\n")
    liar.drop_connections()
    s.until("refused", lambda d: "compressed" in (d["Pod"]["error"] or ""))
    agree(s, liar)


def test_redirect_is_refused(w):
    liar = w.liar()
    thief = w.liar()
    seed(liar)
    liar.fault("Pod", times=3, status=302, headers=f"Location: {thief.url}/api/v1/pods\r\n")
    s = w.source(liar, "--backoff-ms", "300", "--backoff-max-ms", "300")
    s.until("refused", lambda d: d["error"] and "redirect" in d["error"])
    agree(s, liar)
    need(not thief.requests, "nobody followed it")


def test_missing_rights_are_named(w):
    liar = w.liar()
    seed(liar)
    f = liar.fault("NetworkPolicy", times=10 ** 6, status=403, message="networkpolicies is forbidden: User \"x\" cannot list")
    s = w.source(liar)
    d = s.until("refused", lambda d: d["error"] and "403" in d["error"])
    need("networkpolicies" in d["error"] and "cannot list" in d["error"], d["error"])
    need("list and watch on networkpolicies" in d["hint"] and "networking.k8s.io" in d["hint"], d["hint"])
    f.times = 0
    agree(s, liar)


def test_retry_after_is_respected(w):
    liar = w.liar()
    seed(liar)
    liar.fault("Pod", "initial", status=429, headers="Retry-After: 2\r\n")
    agree(w.source(liar), liar)
    a, b = liar.asked("Pod", "initial")[:2]
    need(b.at - a.at >= 1.9, "it came back after", b.at - a.at, "s")


def test_silent_watch_is_opened_again(w):
    liar = w.liar()
    seed(liar)
    s = w.source(liar, "--idle-ms", "400")
    agree(s, liar)
    liar.fault("Pod", "watch", times=2, stall=0)
    liar.drop_connections()
    pod(liar, "late")
    d = agree(s, liar)
    need(d["Pod"]["lists"] == 1, "without a list")


# ---- XB5: order --------------------------------------------------------------------------------------------------


def test_reordered_and_repeated_events_XB5(w):
    liar, s = start(w)
    for n, order in enumerate(itertools.permutations(range(4))):
        name = f"p{n}"
        base = liar.rv
        one = dict(liar.put("Pod", name, "shop", quiet=True, status={}, labels={"v": "1"}))
        two = dict(liar.put("Pod", name, "shop", quiet=True, status={}, labels={"v": "2"}))
        liar.delete("Pod", name, "shop", quiet=True)
        gone = {"metadata": {**two["metadata"], "resourceVersion": str(base + 3)}}
        again = dict(liar.put("Pod", name, "shop", uid=f"other{n}", quiet=True, status={}, labels={"v": "3"}))
        events = [("ADDED", one), ("MODIFIED", two), ("DELETED", gone), ("ADDED", again)]
        for i in order:
            liar.say("Pod", *events[i])
        liar.say("Pod", *events[order[-1]])
        d = agree(s, liar, f"order {order}")
        need(d["Pod"]["objects"][f"shop/{name}"]["labels"] == "v=3", order, d["Pod"]["objects"])


def test_another_uid_is_another_object_XB5(w):
    liar, s = start(w)
    liar.put("Pod", "web", "shop", uid="second", status={"podIPs": [{"ip": "10.1.0.2"}]})
    d = agree(s, liar)
    need(d["Pod"]["objects"]["shop/web"]["uid"] == "second", d["Pod"])


# ---- XB7, XB8, XB9, XB13: objects --------------------------------------------------------------------------------


def test_two_pods_with_one_address_XB7(w):
    liar, s = start(w)
    pod(liar, "twin", ip="10.1.0.2")
    d = agree(s, liar)
    need(d["Pod"]["objects"]["shop/twin"]["ips"] == d["Pod"]["objects"]["shop/web"]["ips"], "both are known")
    liar.delete("Pod", "twin", "shop")
    d = agree(s, liar)
    need(d["Pod"]["objects"]["shop/web"]["ips"] == ["10.1.0.2"], "the other keeps it")


def test_pods_without_address_XB8(w):
    liar, s = start(w)
    liar.put("Pod", "a", "shop")
    liar.put("Pod", "b", "shop", status={"podIPs": []})
    liar.put("Pod", "c", "shop", status={"podIPs": [{}, {"ip": ""}]})
    liar.put("Pod", "d", "shop", status={"podIPs": None, "podIP": "10.1.0.4", "hostIPs": [{}]})
    liar.put("Pod", "e", "shop", status={"podIPs": [{"ip": "10.1.0.5"}, {"ip": "10.1.0.5"}, {"ip": "fd00::5"}]})
    d = agree(s, liar)
    need(d["Pod"]["objects"]["shop/d"]["ips"] == ["10.1.0.4"], d)
    need(d["Pod"]["objects"]["shop/e"]["ips"] == ["10.1.0.5", "fd00::5"], d)


def test_one_bad_object_stops_nobody_XB9(w):
    liar, s = start(w)
    good = {"shop/web", "shop/db", "shop/late"}
    liar.put("Pod", "broken", "shop", labels=["a"])
    liar.put("Pod", "web", "shop", spec={"containers": 5})
    liar.put("NetworkPolicy", "odd", "shop", spec={"podSelector": {"matchLabels": 7}})
    pod(liar, "late")
    d = s.has("Pod", good)
    need(d["Pod"]["objects"]["shop/web"]["ips"] == ["10.1.0.2"], "what was last readable stays")
    need(d["Pod"]["unreadable"] == 2 and not d["error"], d["Pod"])
    need("shop/odd" in d["NetworkPolicy"]["objects"], "a policy with a bad subject is taken (it isolates its namespace)")
    liar.compact()
    liar.drop_connections()
    d = s.until("a relist", lambda d: d["Pod"]["lists"] > 1)
    need(set(d["Pod"]["objects"]) == good, "a list does not drop it either", d["Pod"])
    need(any("broken" in text for text in d["warnings"]), d["warnings"])


def test_forged_names_have_no_effect_XB13(w):
    liar, s = start(w)
    pod(liar, "liar", labels={"kubernetes.io/metadata.name": "kube-system", "namespace": "infra"})
    d = agree(s, liar)
    need("shop/liar" in d["Pod"]["objects"], d["Pod"])
    need(d["Namespace"]["objects"]["shop"]["labels"] == "kubernetes.io/metadata.name=shop", d["Namespace"])


# ---- F15, F16, F17, XB11, XB14: syncing --------------------------------------------------------------------------


def test_nothing_counts_before_all_kinds_are_there_F15(w):
    liar = w.liar()
    seed(liar)
    f = liar.fault("Node", times=10 ** 6, status=500)
    s = w.source(liar)
    d = s.until("three kinds", lambda d: all(d[k]["synced"] for k in KINDS if k != "Node") and f.used > 3)
    need(not d["synced"] and d["changes"] == 0, d["changes"])
    need(d["age"] == -1, "it never heard of one kind", d["age"])
    f.times = 0
    d = agree(s, liar)
    need(d["changes"] >= 1, d["changes"])


def test_list_in_place_of_list_F16(w):
    liar, s = start(w, stream=False)
    liar.delete("Pod", "web", "shop", quiet=True)
    liar.put("Pod", "new", "shop", quiet=True, status={})
    liar.delete("NetworkPolicy", "deny", "shop", quiet=True)
    s.tell("resync")
    agree(s, liar)


def test_silent_drift_ends_with_a_resync_XB14(w):
    liar, s = start(w)
    d = s.dump()
    with liar.lock:
        liar.objects["Pod"].clear()
    s.tell("resync")
    s.has("Pod", set())
    need(d["Pod"]["lists"] == 1, d["Pod"])


def test_outage_keeps_the_state_XB11_F17(w):
    liar, s = start(w)
    before = known(s.dump())
    changes = s.dump()["changes"]
    port = liar.port
    liar.stop()
    d = s.until("an error", lambda d: d["error"] and d["Pod"]["failures"] >= 3)
    need(known(d) == before and d["synced"] and d["changes"] == changes, "the last state stays")
    need("last good state stays" in d["error"], d["error"])
    back = w.liar(port=port)
    seed(back)
    back.rv += 5000
    with back.lock:
        back.oldest = back.rv
    for i in range(3000):
        pod(back, f"p{i}", ip=f"10.2.{i // 250}.{i % 250 + 1}")
    with back.lock:
        back.oldest = back.rv
        back.log = {k: [] for k in KINDS}
    seen = set()

    def settled(d):
        seen.add(len(d["Pod"]["objects"]))
        return known(d) == truth(back)
    d = s.until("all is as the server has it", settled)
    need(seen <= {2, 3002}, "states in between:", seen)
    print(f"     changes told: {d['changes'] - changes}")


def test_version_that_goes_back_XB15(w):
    liar, s = start(w)
    liar.bookmark("Pod", rv=5)
    s.until("a relist", lambda d: d["Pod"]["lists"] == 2)
    agree(s, liar)
    # etcd came back from a backup: what a list says is the truth.
    with liar.lock:
        liar.rv = 300
        liar.objects["Pod"].clear()
    pod(liar, "web", uid="restored", rv=200)
    liar.compact()
    liar.rv = 310
    liar.stream = False
    s.tell("resync")
    agree(s, liar)


def test_bookmarks_move_the_watch_on_XB15(w):
    liar, s = start(w)
    liar.rv += 500
    liar.bookmark("Pod")
    s.until("the bookmark is taken", lambda d: d["Pod"]["events"] >= 4)
    liar.drop_connections()
    pod(liar, "late")
    d = agree(s, liar)
    need(int(liar.asked("Pod", "watch")[0].query["resourceVersion"]) >= 1500, liar.asked("Pod", "watch")[0].query)
    need(d["Pod"]["lists"] == 1, "no list was needed")


def test_a_deletion_moves_the_watch_on_XB15(w):
    """Else the watch would be opened anew before it, and be told it again."""
    liar, s = start(w)
    liar.rv += 500
    liar.delete("Pod", "db", "shop")
    agree(s, liar)
    gone = liar.rv
    liar.drop_connections()
    pod(liar, "late")
    agree(s, liar)
    need(int(liar.asked("Pod", "watch")[0].query["resourceVersion"]) >= gone, liar.asked("Pod", "watch")[0].query, gone)


def test_bookmark_inside_the_initial_events_XB15(w):
    liar = w.liar()
    seed(liar)
    liar.fault("Pod", "initial", no_end=True, keep=True, events=[("BOOKMARK", {"metadata": {"resourceVersion": "1001"}})])
    s = w.source(liar)
    d = agree(s, liar)
    need(liar.asked("Pod", "list") and d["Pod"]["lists"] == 2, "read by list instead")


def test_expired_continue_XB15(w):
    liar = w.liar()
    liar.stream = False
    seed(liar)
    for i in range(9):
        pod(liar, f"p{i}")
    f = liar.fault("Pod", "list", times=0)
    taken = f.takes
    f.takes = lambda req: "continue" in req.query and taken(req)
    f.times, f.how = 3, {"status": 410, "message": "The provided continue parameter is too old"}
    s = w.source(liar, "--page", "3")
    d = agree(s, liar)
    # The first question was for initial events.
    need(f.used == 3 and d["Pod"]["lists"] == 5, f.used, d["Pod"]["lists"])


def test_lists_that_are_none_XB15(w):
    liar = w.liar()
    liar.stream = False
    seed(liar)
    heads = [{"kind": "Status"}, {"kind": "NodeList"}, {"apiVersion": "v2"}, {"metadata": {}}, {"metadata": None}, {"kind": None}]
    faults = [liar.fault("Pod", "list", head=h) for h in heads]
    faults += [liar.fault("Pod", "list", raw=b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"
                          % (len(text), text))
               for text in (b"", b"{}", b"[]", b"null", b'{"kind":"PodList","apiVersion":"v1","metadata":{"resourceVersion":"9"}}',
                            b'{"kind":"PodList","apiVersion":"v1","metadata":{"resourceVersion":"9"},"items":{}}',
                            b'{"kind":"PodList","apiVersion":"v1","metadata":{"resourceVersion":"9"},"\\u0069tems":[{}]}')]
    s = w.source(liar)
    agree(s, liar)
    need(all(f.used for f in faults), "each was met")


# ---- fresh reads -------------------------------------------------------------------------------------------------


def test_fresh_read_passes_a_watch_that_lags_XB10(w):
    liar, s = start(w)
    for kind in ("Pod", "NetworkPolicy"):
        liar.fault(kind, "watch", times=1, hold=True)
    liar.drop_connections()
    s.until("the watches lag", lambda d: d["Pod"]["watches"] and d["NetworkPolicy"]["watches"])
    pod(liar, "new", ip="10.1.0.20", labels={"app": "x"})
    policy(liar, "fresh")
    policy(liar, "elsewhere", ns="infra")
    liar.delete("NetworkPolicy", "deny", "shop")
    need(s.fresh("shop", "new")["rc"] == 0, "the read")
    d = s.dump()
    need(d["Pod"]["objects"]["shop/new"]["labels"] == "app=x", d["Pod"])
    need("shop/fresh" in d["NetworkPolicy"]["objects"], d["NetworkPolicy"])
    s.has("NetworkPolicy", {"shop/fresh"})  # as the server has it, in this namespace
    # Its own news arrive late and change nothing; what came after them does.
    policy(liar, "last")
    liar.drop_connections()
    agree(s, liar)


def test_late_news_do_not_undo_a_fresh_read(w):
    liar, s = start(w)
    liar.fault("NetworkPolicy", "watch", times=1, hold=True)
    liar.drop_connections()
    s.until("it lags", lambda d: d["NetworkPolicy"]["watches"])
    a = policy(liar, "a")
    b = policy(liar, "b")
    liar.delete("NetworkPolicy", "a", "shop")
    need(s.fresh("shop", "web")["rc"] == 0, "the read")
    s.has("NetworkPolicy", {"shop/deny", "shop/b"})
    liar.fault("NetworkPolicy", "watch", times=1, hold=True, keep=True, events=[("ADDED", a), ("ADDED", b)])
    liar.drop_connections()
    d = s.until("late news", lambda d: d["NetworkPolicy"]["watches"] >= 2 and d["NetworkPolicy"]["events"] >= 4)
    need(set(d["NetworkPolicy"]["objects"]) == {"shop/deny", "shop/b"}, "a is not back", d["NetworkPolicy"])


def test_fresh_read_of_no_pod(w):
    liar, s = start(w)
    r = s.fresh("shop", "nobody")
    need(r["rc"] == -2 and "no pod shop/nobody" in r["error"], r)


def test_fresh_read_fails(w):
    liar, s = start(w, "--answer-ms", "700")
    for how in ({"status": 403, "message": "no"}, {"cut": 30}, {"stall": 30}, {"garbage": 30}, {"head": {"kind": "Status"}}):
        liar.fault("NetworkPolicy", "fresh", **how)
        r = s.fresh("shop", "web")
        need(r["rc"] < 0 and "networkpolicies" in r["error"], how, r)
    need(s.fresh("shop", "web")["rc"] == 0, "and then it works")
    need(known(s.dump()) == truth(liar), "nothing changed")


def test_many_fresh_reads_at_once(w):
    liar, s = start(w)
    for i in range(60):
        s.tell("fresh shop web")
    need(all(s.line("fresh")["rc"] == 0 for _ in range(60)), "all are served")
    agree(s, liar)


def test_fresh_read_needs_a_synced_source(w):
    liar = w.liar()
    seed(liar)
    liar.fault("Node", times=10 ** 6, status=500)
    r = w.source(liar).fresh("shop", "web")
    need(r["rc"] < 0 and "not told all" in r["error"], r)


if __name__ == "__main__":
    ap = argparse.ArgumentParser(description=__doc__)
    ap.add_argument("--build", default="build/rel")
    ap.add_argument("--only", default="")
    args = ap.parse_args()
    tests = sorted({**globals(), **api_held.TESTS, **api_post.TESTS, **api_unasked.TESTS}.items())
    sys.exit(run_all([f for n, f in tests if n.startswith("test_")], os.path.abspath(args.build), args.only))
