# SPDX-License-Identifier: Apache-2.0
"""Posting to the API server: what arrives, what answers mean, and that a source by itself never writes."""
import json
import os
import threading

from apitest import need, seed

PATH = "/apis/events.k8s.io/v1/namespaces/%s/events"


def event(name, ns="shop", **fields):
    return {"apiVersion": "events.k8s.io/v1", "kind": "Event", "metadata": {"name": name, "namespace": ns},
            "eventTime": "2026-11-22T16:00:00.000001Z", "type": "Warning", "reason": "PolicyDrop", "action": "Drop", "note": "n \u2603",
            "reportingController": "ripstop.dev/agent", "reportingInstance": "n1",
            "regarding": {"apiVersion": "v1", "kind": "Pod", "namespace": ns, "name": "web", "uid": "u"}, **fields}


def begin(w, *argv, **how):
    liar = w.liar(**how)
    liar.writable = True
    seed(liar)
    s = w.source(liar, *argv)
    s.synced()
    return liar, s


def post(s, name="e1", ns="shop", **fields):
    s.tell(f"post {PATH % ns} {json.dumps(event(name, ns, **fields))}")
    return s.line("post")


def test_post_arrives(w):
    liar, s = begin(w)
    r = post(s)
    need(r == {"post": 201, "retry_after": 0, "error": None}, r)
    need(liar.events[("shop", "e1")] == event("e1"), liar.events)
    (req,) = liar.asked("Event")
    need(req.headers["authorization"] == "Bearer t0ken" and "expect" not in req.headers, req.headers)
    need(req.headers["content-type"] == req.headers["accept"] == "application/json", req.headers)
    need(post(s, "e2")["post"] == 201 and post(s, "e2")["post"] == 409, "one name, one object")
    for taken in (200, 202):
        liar.fault("Event", taken=taken)
        r = post(s, f"e{taken}")
        need(r["post"] == taken and not r["error"], r)


def test_post_with_a_long_answer(w):
    """More than is read of an answer that says why not."""
    liar, s = begin(w)
    liar.fault("Event", padding=100000)
    r = post(s)
    need(r["post"] == 201 and not r["error"], r)
    need(post(s, "e2")["post"] == 201, "the next")
    one, two = liar.asked("Event")
    need(one.connection is two.connection, "the connection is still good")


def test_post_that_is_refused(w):
    liar, s = begin(w)
    for status, words, headers, after in ((403, "no rule for you", "", 0), (500, "etcd is tired", "", 0), (404, "gone", "", 0),
                                          (429, "slowly", "Retry-After: 7\r\n", 7), (503, "later", "Retry-After: 999\r\n", 300)):
        liar.fault("Event", status=status, message=words, headers=headers)
        r = post(s)
        need(r["post"] == status and words in r["error"] and r["retry_after"] == after, r)
    need(not liar.events and post(s)["post"] == 201, "and then it is taken", liar.events)


def test_post_that_is_cut(w):
    """Before the status there was no answer; behind it the object is taken."""
    liar, s = begin(w)
    liar.fault("Event", times=2, raw=b"HT")
    r = post(s)
    need(r["post"] == 0 and r["error"], r)
    with liar.lock:
        liar.faults.clear()
    liar.fault("Event", raw=b"HTTP/1.1 201 Created\r\nContent-Type: application/json\r\nContent-Length: 50\r\n\r\n{")
    r = post(s)
    need(r["post"] == 201 and not r["error"], r)


def test_post_one_at_a_time_and_the_source_goes_on(w):
    liar, s = begin(w, "--answer-ms", "60000")
    slow = threading.Event()
    liar.fault("Event", wait=slow)
    s.tell(f"post {PATH % 'shop'} {json.dumps(event('e1'))}")
    r = post(s, "e2")
    need(r["post"] == -16 and "on its way" in r["error"], r)
    liar.put("Pod", "late", "shop", spec={"nodeName": "n1"}, status={})
    s.has("Pod", {"shop/web", "shop/db", "shop/late"})
    need(s.fresh("shop", "late")["rc"] == 0, "a fresh read beside it")
    slow.set()
    need(s.line("post")["post"] == 201 and set(liar.events) == {("shop", "e1")}, liar.events)


def test_post_that_is_never_answered(w):
    liar, s = begin(w, "--answer-ms", "700")
    never = threading.Event()
    liar.fault("Event", wait=never)
    r = post(s)
    need(r["post"] == 0 and "long" in r["error"], r)
    never.set()
    need(post(s, "e2")["post"] == 201, "the next")


def test_post_while_the_server_is_away(w):
    liar, s = begin(w)
    liar.leave()
    r = post(s)
    need(r["post"] == 0 and r["error"], r)
    liar.come()
    need(post(s)["post"] == 201, "and then it is taken")


def test_post_with_a_token_that_changes(w):
    liar = w.liar(token="one")
    liar.writable = True
    seed(liar)
    path = os.path.join(w.dir, "token")

    def write(text):
        with open(path + ".new", "w", encoding="ascii") as f:
            f.write(text)
        os.rename(path + ".new", path)
    write("one")
    s = w.source(liar, config=w.kubeconfig(liar, user=f"tokenFile: {path}"))
    s.synced()
    need(post(s)["post"] == 201, "with the first")
    liar.token = "two"
    r = post(s, "e2")
    need(r["post"] == 401 and "Unauthorized" in r["error"], r)
    write("two")
    need(post(s, "e2")["post"] == 201, "with the second")


def test_post_to_a_stranger(w):
    """Nothing is told to a server of another authority."""
    liar = w.liar(ca="other")
    liar.writable = True
    seed(liar)
    s = w.source(liar)
    r = post(s)
    need(r["post"] == 0 and "certificate" in r["error"] and not liar.requests, r)


def test_a_source_writes_nothing_by_itself(w):
    """Each test's end looks at that; here it is seen to look."""
    liar = w.liar()
    seed(liar)
    s = w.source(liar)
    s.synced()
    need(not liar.unasked, liar.unasked)
    r = post(s)
    need(r["post"] == 403 and liar.unasked == [f"POST {PATH % 'shop'}"], r, liar.unasked)
    liar.unasked.clear()


TESTS = {n: f for n, f in globals().items() if n.startswith("test_")}
