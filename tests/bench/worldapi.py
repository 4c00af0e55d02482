# SPDX-License-Identifier: Apache-2.0
"""worldapi.py - an API server that holds a world W(P, N), for agents that are measured.

Lists, watches, initial events and fresh reads as tests/support/liar.py answers them, over TLS, but of texts that are made
when they are sent, so that 100,000 pods of 8 KB cost neither memory nor seconds here. Pods are told in their recorded shape
(recorded_pod.json). The first pods of W belong to the node `here` and have no address until local() gives them one; the
others lie on nodes e-0000, e-0001, ... with a /24 each.
"""
import json
import os
import re
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "support"))
from liar import VERSIONS, Cut, Liar, alive, status  # noqa: E402
from worldw import LOCAL, NAME_LABEL  # noqa: E402

NODE = "here"
FIRST_RV = 500            # of what is there from the beginning
PIECE = 256 * 1024
INITIAL_END = b'"annotations":{"k8s.io/initial-events-end":"true"}'


def load_shape():
    """recorded_pod.json as a format of Python's."""
    with open(os.path.join(HERE, "recorded_pod.json"), encoding="utf-8") as f:
        text = f.read().strip()
    return re.sub(r"@([A-Z]+)@", r"%(\1)s", text.replace("%", "%%"))


class Event:
    """One change, on its way to the watches."""

    def __init__(self, rv, type_, text):
        self.rv, self.type, self.text = rv, type_, text
        self.told_ns = 0  # CLOCK_MONOTONIC just before its bytes were given to the connection


class WorldApi(Liar):
    def __init__(self, folder, world, **how):
        self.world, self.shape = world, load_shape()
        self.held = {"Namespace": {}, "Pod": {}, "NetworkPolicy": {}, "Node": {}}  # key: bytes, or a number of W
        self.by_ns = {}  # names of policies
        self.fill()
        super().__init__(folder, **how)

    # ---- what is there ----------------------------------------------------------------------------

    def fill(self):
        w = self.world
        for i in range(w.namespaces):
            self.held["Namespace"][None, w.ns(i)] = self.text(w.namespace(i))
        for i in range(w.pods):
            self.held["Pod"][w.ns(i), "pod-%d" % i] = i
        for j in range(w.policies):
            self.keep("NetworkPolicy", (w.ns(j), "policy-%d" % j), self.text(w.policy(j)))
        self.add_node(NODE, "10.128.0.0/24", "172.31.0.1")
        for k in range((max(w.pods - LOCAL, 0) + 255) // 256 + 1):
            self.spare = "e-%04d" % k, "10.%d.%d." % (129 + (k >> 8), k & 255)  # the last has no pods of W
            self.add_node(self.spare[0], self.spare[1] + "0/24", "172.31.%d.%d" % (1 + k // 250, k % 250 + 1))

    def add_node(self, name, cidr, address):
        self.held["Node"][None, name] = self.text({
            "metadata": {"name": name}, "spec": {"podCIDR": cidr, "podCIDRs": [cidr]},
            "status": {"addresses": [{"type": "InternalIP", "address": address}, {"type": "Hostname", "address": name}]}})

    def keep(self, kind, key, text):
        if kind == "NetworkPolicy":
            self.by_ns.setdefault(key[0], {})[key[1]] = None
        self.held[kind][key] = text

    @staticmethod
    def text(o, rv=FIRST_RV):
        """An object as items of lists are, without kind and apiVersion."""
        meta = dict(o["metadata"])
        meta.update(uid="uid-%s" % meta["name"], resourceVersion=str(rv))
        o = {"metadata": meta, **{k: v for k, v in o.items() if k not in ("metadata", "kind", "apiVersion")}}
        return json.dumps(o, separators=(",", ":")).encode()

    def pod_text(self, ns, name, labels, node, ip="", phase="Running", rv=FIRST_RV):
        text = self.shape % {"NS": ns, "NAME": name, "UID": "uid-" + name, "RV": rv, "NODE": node, "IP": ip, "PHASE": phase,
                             "LABELS": json.dumps(labels, separators=(",", ":"))[1:-1]}
        if not ip:
            text = text.replace('"podIP":"","podIPs":[{"ip":""}],', "")
        return text.encode()

    def render(self, key, held):
        if isinstance(held, bytes):
            return held
        i, w = held, self.world
        if i < LOCAL:
            return self.pod_text(*key, w.labels(i), NODE, phase="Pending")
        return self.pod_text(*key, w.labels(i), "e-%04d" % ((i - LOCAL) >> 8), w.address(i))

    # ---- changes ----------------------------------------------------------------------------------

    def change(self, kind, key, make):
        """Put what make(rv) gives, or delete with None; the Event."""
        with self.lock:
            self.rv += 1
            old = self.held[kind].get(key)
            if make is None:
                text = self.render(key, old)
                text = re.sub(rb'"resourceVersion":"\d+"', b'"resourceVersion":"%d"' % self.rv, text, count=1)
                del self.held[kind][key]
                if kind == "NetworkPolicy":
                    del self.by_ns[key[0]][key[1]]
            else:
                text = make(self.rv)
                self.keep(kind, key, text)
            event = Event(self.rv, "DELETED" if make is None else "ADDED" if old is None else "MODIFIED", text)
            self.log[kind].append(event)
            self.lock.notify_all()
        return event

    def pod(self, ns, name, labels, node, ip, phase="Running"):
        return self.change("Pod", (ns, name), lambda rv: self.pod_text(ns, name, labels, node, ip, phase, rv))

    def local(self, i, ip, labels=None):
        """Pod i of this node runs, as its kubelet tells."""
        return self.pod(self.world.ns(i), "pod-%d" % i, labels or self.world.labels(i), NODE, ip)

    def policy(self, o):
        return self.change("NetworkPolicy", (o["metadata"]["namespace"], o["metadata"]["name"]), lambda rv: self.text(o, rv))

    def namespace(self, name):
        return self.change("Namespace", (None, name), lambda rv: self.text(
            {"metadata": {"name": name, "labels": {NAME_LABEL: name}}}, rv))

    def gone(self, kind, ns, name):
        return self.change(kind, (ns, name), None)

    # ---- answers ----------------------------------------------------------------------------------

    def keys(self, req):
        """What the request selects. Finished pods, which a selector leaves out, there are none here."""
        field = req.query.get("fieldSelector", "")
        if field.startswith("metadata.name="):
            return [k for k in [(req.ns, field.split("=", 1)[1])] if k in self.held[req.kind]]
        if req.kind == "NetworkPolicy" and req.ns:
            return [(req.ns, name) for name in self.by_ns.get(req.ns, ())]
        return [k for k in self.held[req.kind] if req.ns in (None, k[0])]

    def list(self, sock, req, how):
        with self.lock:
            rv, held = self.rv, [(k, self.held[req.kind][k]) for k in self.keys(req)]
        body = self.begin(sock, how)
        data = bytearray(b'{"kind":"%sList","apiVersion":"%s","metadata":{"resourceVersion":"%d"},"items":[' % (
            req.kind.encode(), VERSIONS.get(req.kind, "v1").encode(), rv))
        for n, (key, text) in enumerate(held):
            data += (b"," if n else b"") + self.render(key, text)
            if len(data) > PIECE:
                body.write(bytes(data))
                data.clear()
        body.write(bytes(data) + b"]}\n")
        body.end()

    @staticmethod
    def line(kind, type_, text):
        return b'{"type":"%s","object":{"kind":"%s","apiVersion":"%s",%s}\n' % (
            type_.encode(), kind.encode(), VERSIONS.get(kind, "v1").encode(), text[1:])

    def watch(self, sock, req, how):
        since = int(req.query.get("resourceVersion", 0) or 0)
        with self.lock:
            log, held = self.log[req.kind], []
            if since and since < self.oldest:
                return self.refuse(sock, 410, status(410, "too old resource version: %d" % since, "Expired"))
            if not since:
                since = self.rv
                held = [(k, self.held[req.kind][k]) for k in self.keys(req)]
            at = sum(e.rv <= since for e in log)
        body = self.begin(sock, how)
        data = bytearray()
        for key, text in held:
            data += self.line(req.kind, "ADDED", self.render(key, text))
            if len(data) > PIECE:
                body.write(bytes(data))
                data.clear()
        if req.what == "initial":
            data += self.line(req.kind, "BOOKMARK", b'{"metadata":{"resourceVersion":"%d",%s}}' % (since, INITIAL_END))
        if data:
            body.write(bytes(data))
        self.tell(sock, req, body, log, at)
        return None

    def tell(self, sock, req, body, log, at):
        """Events as they come, one chunk and one record of TLS each."""
        end = time.monotonic() + float(req.query.get("timeoutSeconds", 300))
        while not self.stopped and time.monotonic() < end:
            with self.lock:
                new = log[at:]
                if not new:
                    self.lock.wait(1)
                    new = log[at:]
                at += len(new)
            for e in new:
                line = self.line(req.kind, e.type, e.text)
                e.told_ns = time.monotonic_ns()
                body.write(line)
            if not new and not alive(sock):
                raise Cut
        body.end()
