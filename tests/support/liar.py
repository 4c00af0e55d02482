# SPDX-License-Identifier: Apache-2.0
"""An API server that lies when told to.

Left alone it is honest: it lists (by pages), watches, sends initial events and bookmarks for the four kinds over TLS and
HTTP/1.1, and counts one resourceVersion for all of them. A Fault changes the answer to one request, or to a number of them.

Nobody may write, unless `writable` is set: then Events are taken, and refused as a real server refuses them. Any other
request than a GET is kept in `unasked`, which a test that ends well finds empty.
"""
import json
import os
import re
import socket
import ssl
import subprocess
import threading
import time
import urllib.parse

PATHS = {"/api/v1/pods": "Pod", "/api/v1/namespaces": "Namespace", "/api/v1/nodes": "Node",
         "/apis/networking.k8s.io/v1/networkpolicies": "NetworkPolicy"}
PLURALS = {"pods": "Pod", "networkpolicies": "NetworkPolicy"}
VERSIONS = {"NetworkPolicy": "networking.k8s.io/v1"}
KINDS = ("Namespace", "Pod", "NetworkPolicy", "Node")
EVENTS = re.compile(r"/apis/events\.k8s\.io/v1/namespaces/([a-z0-9-]+)/events")
REASONS = {200: "OK", 201: "Created", 302: "Found", 400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 409: "Conflict", 410: "Gone",
           422: "Unprocessable Entity", 429: "Too Many Requests", 500: "Internal Server Error", 503: "Service Unavailable"}


class Cut(Exception):
    """The connection ends here."""


class Fault:
    """What to do with a request. kind and what (list, watch, initial, fresh; Event, create) choose which; None is any GET.

    status, body, headers: answer this; cut, stall, garbage: at that byte of the body end the connection, say nothing more, or
    send nonsense; events: the watch says these and ends; hold: a watch that tells nothing; raw: these bytes are the answer;
    ctype, encoding: headers that a good answer does not have; piece: bytes a chunk; keep: the watch goes on behind `events`;
    hide: names that a list leaves out; wait: an Event to wait for, with an answer that was true before; about: only a POST
    with this word in it; taken: the status of an object that is taken; padding: bytes more in its answer.
    """

    def __init__(self, kind=None, what=None, times=1, **how):
        self.kind, self.what, self.times, self.how = kind, what, times, how
        self.used = 0

    def takes(self, req):
        if req.method != "GET" and (self.kind != "Event" or self.how.get("about", "").encode() not in req.body):
            return False
        return self.used < self.times and self.kind in (None, req.kind) and self.what in (None, req.what)


class Request:
    def __init__(self, method, path, query, headers, body=b""):
        self.method, self.path, self.query, self.headers, self.body = method, path, query, headers, body
        self.kind, self.ns, self.at = PATHS.get(path), None, time.monotonic()
        if method != "GET":
            found = EVENTS.fullmatch(path)
            self.kind, self.ns, self.what = "Event" if found else None, found and found[1], "create" if method == "POST" else method
            return
        part = path.split("/")
        if not self.kind and len(part) > 4 and part[-3] == "namespaces":
            self.kind, self.ns = PLURALS.get(part[-1]), part[-2]
        self.what = "fresh" if self.ns else "list"
        if query.get("watch"):
            self.what = "initial" if query.get("sendInitialEvents") else "watch"


def status(code, message="", reason=""):
    return {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "message": message, "reason": reason}


SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
MICRO_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")
EVENT_FIELDS = {"apiVersion", "kind", "metadata", "eventTime", "series", "reportingController", "reportingInstance", "action", "reason",
                "regarding", "related", "note", "type"}


def event_faults(ns, e):
    """What an API server has against an Event: ValidateEventCreate() for events.k8s.io/v1, and fields of its schema."""
    meta, about = e.get("metadata", {}), e.get("regarding", {})
    return [what for what, holds in (
        ("kind", (e.get("apiVersion"), e.get("kind")) == ("events.k8s.io/v1", "Event")), ("fields", set(e) <= EVENT_FIELDS),
        ("metadata.namespace", meta.get("namespace") == ns),
        ("metadata.name", SUBDOMAIN.fullmatch(meta.get("name", "")) and len(meta["name"]) <= 253),
        ("eventTime", MICRO_TIME.fullmatch(e.get("eventTime", ""))), ("type", e.get("type") in ("Normal", "Warning")),
        ("reportingController", e.get("reportingController") == "ripstop.dev/agent"),
        ("reportingInstance", 0 < len(e.get("reportingInstance", "").encode()) <= 128),
        ("action", 0 < len(e.get("action", "")) <= 128), ("reason", 0 < len(e.get("reason", "")) <= 128),
        ("note", 0 < len(e.get("note", "").encode()) <= 1024),
        ("regarding", set(about) <= {"apiVersion", "kind", "namespace", "name", "uid"} and about.get("name") and about.get("kind")),
        ("regarding.namespace", about["namespace"] == ns if "namespace" in about else ns in ("default", "kube-system")),
        ("series", "series" not in e or (set(e["series"]) == {"count", "lastObservedTime"} and e["series"]["count"] >= 2 and
                                         MICRO_TIME.fullmatch(e["series"]["lastObservedTime"])))) if not holds]


def make_ca(folder, name="ca", hosts="IP:127.0.0.1,DNS:localhost"):
    """A certificate authority, a server certificate and a client certificate: name.crt, name-server.*, name-client.*"""
    def run(*argv):
        subprocess.run(["openssl", *argv], check=True, capture_output=True, cwd=folder)
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    run("req", "-x509", *curve, "-keyout", f"{name}.key", "-out", f"{name}.crt", "-subj", f"/CN={name}", "-days", "2")
    for who, ext in (("server", f"subjectAltName={hosts}"), ("client", "extendedKeyUsage=clientAuth")):
        stem = f"{name}-{who}"
        run("req", *curve, "-keyout", f"{stem}.key", "-out", f"{stem}.csr", "-subj", f"/CN={who}")
        with open(os.path.join(folder, f"{stem}.ext"), "w", encoding="ascii") as f:
            f.write(ext)
        run("x509", "-req", "-in", f"{stem}.csr", "-CA", f"{name}.crt", "-CAkey", f"{name}.key", "-CAcreateserial",
            "-days", "2", "-out", f"{stem}.crt", "-extfile", f"{stem}.ext")


def selects(req, obj):
    """Whether the request's field selector takes the object: by metadata.name, or all but finished pods."""
    field = req.query.get("fieldSelector", "")
    if field.startswith("metadata.name="):
        return obj["metadata"].get("name") == field.split("=", 1)[1]
    return not field or obj.get("status", {}).get("phase") not in ("Succeeded", "Failed")


class Body:
    """The chunked body of one answer, with its fault."""

    def __init__(self, sock, how, stop):
        self.sock, self.how, self.sent, self.stop = sock, how, 0, stop
        self.quiet = False

    def chunk(self, data):
        size = self.how.get("piece", 1 << 20)
        for i in range(0, len(data), size):
            piece = data[i:i + size]
            self.sock.sendall(b"%x\r\n" % len(piece) + piece + b"\r\n")

    def write(self, data):
        if self.quiet:
            return
        for name in ("cut", "stall", "garbage"):
            at = self.how.get(name)
            if at is None or self.sent + len(data) < at:
                continue
            self.chunk(data[:at - self.sent])
            self.sent = at
            if name == "cut":
                raise Cut
            if name == "garbage":
                self.chunk(self.how.get("with", b'\x00\xff{"]}garbage'))
                raise Cut
            self.quiet = True
            return
        self.chunk(data)
        self.sent += len(data)

    def say(self, value):
        self.write(json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode() + b"\n")

    def end(self):
        while self.quiet and not self.stop():
            if not alive(self.sock):
                raise Cut
            time.sleep(0.02)
        self.sock.sendall(b"0\r\n\r\n")


def alive(sock):
    """False once the client has gone."""
    try:
        sock.settimeout(0.001)
        return sock.recv(1) != b""
    except (TimeoutError, ssl.SSLWantReadError):
        return True
    except OSError:
        return False
    finally:
        try:
            sock.settimeout(60)
        except OSError:
            pass


class Liar:
    def __init__(self, folder, ca="ca", tls=True, client_ca=None, token=None, port=0, host="127.0.0.1"):
        self.lock = threading.Condition()
        self.objects = {k: {} for k in KINDS}
        self.log = {k: [] for k in KINDS}
        self.rv, self.oldest = 1000, 0
        self.faults, self.requests, self.snapshots = [], [], {}
        self.writable, self.unasked = False, []
        self.events, self.refused_events = {}, []  # by (namespace, name); (faults, object)
        self.stream = True     # sendInitialEvents: True, False (refused) or "ignored" as by an old server
        self.token = token
        self.stopped = False
        self.conns = set()
        self.ctx = None
        if tls:
            self.ctx = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.ctx.load_cert_chain(f"{folder}/{ca}-server.crt", f"{folder}/{ca}-server.key")
            if client_ca:
                self.ctx.verify_mode = ssl.CERT_REQUIRED
                self.ctx.load_verify_locations(f"{folder}/{client_ca}.crt")
        self.host, self.port = host, port
        self.come()
        self.url = f"{'https' if tls else 'http'}://{host}:{self.port}"

    # ---- the state --------------------------------------------------------------------------------

    def put(self, kind, name, ns=None, uid=None, rv=None, quiet=False, **fields):
        """Create or change an object; quiet: it is not told to watches."""
        with self.lock:
            self.rv += 1
            key = (ns, name)
            old = self.objects[kind].get(key)
            meta = {"name": name, "uid": uid or (old["metadata"]["uid"] if old else f"uid-{name}-{self.rv}"),
                    "resourceVersion": str(rv or self.rv), "labels": fields.pop("labels", {})}
            meta.update(fields.pop("meta", {}))
            if ns:
                meta["namespace"] = ns
            obj = {"metadata": meta, **fields}
            self.objects[kind][key] = obj
            if not quiet:
                self.log[kind].append((self.rv, "MODIFIED" if old else "ADDED", obj))
            self.lock.notify_all()
            return obj

    def delete(self, kind, name, ns=None, quiet=False):
        with self.lock:
            self.rv += 1
            obj = json.loads(json.dumps(self.objects[kind].pop((ns, name))))
            obj["metadata"]["resourceVersion"] = str(self.rv)
            if not quiet:
                self.log[kind].append((self.rv, "DELETED", obj))
            self.lock.notify_all()

    def bookmark(self, kind, rv=None):
        with self.lock:
            self.log[kind].append((self.rv, "BOOKMARK", {"metadata": {"resourceVersion": str(rv or self.rv)}}))
            self.lock.notify_all()

    def say(self, kind, type_, obj):
        """An event as it stands, whatever it is."""
        with self.lock:
            self.log[kind].append((self.rv, type_, obj))
            self.lock.notify_all()

    def compact(self):
        """Forget all history: older watches get a 410."""
        with self.lock:
            self.rv += 1
            self.oldest = self.rv
            self.log = {k: [] for k in KINDS}
            self.lock.notify_all()

    def fault(self, *args, **how):
        f = Fault(*args, **how)
        with self.lock:
            self.faults.append(f)
        return f

    def asked(self, kind=None, what=None):
        with self.lock:
            return [r for r in self.requests if kind in (None, r.kind) and what in (None, r.what)]

    def drop_connections(self):
        with self.lock:
            conns = list(self.conns)
        for c in conns:
            try:
                c.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def come(self):
        """Listen, in the network namespace of the caller."""
        self.away = False
        self.listener = socket.create_server((self.host, self.port), backlog=64)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, args=(self.listener,), daemon=True).start()

    def leave(self):
        """No server here, until it comes again."""
        self.away = True
        try:
            self.listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.listener.close()
        self.drop_connections()

    def stop(self):
        self.stopped = True
        self.leave()
        with self.lock:
            self.lock.notify_all()

    # ---- connections ------------------------------------------------------------------------------

    def accept(self, listener):
        while not self.stopped:
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(sock,), daemon=True).start()

    def serve(self, raw):
        sock = raw
        try:
            raw.settimeout(60)
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock = self.ctx.wrap_socket(raw, server_side=True) if self.ctx else raw
            with self.lock:
                self.conns.add(sock)
            while not self.stopped and not self.away:
                req = self.read(sock)
                if not req:
                    break
                req.connection = sock
                self.answer(sock, req)
        except (OSError, Cut):
            pass
        finally:
            with self.lock:
                self.conns.discard(sock)
            sock.close()

    def read(self, sock):
        text = b""
        while b"\r\n\r\n" not in text:
            data = sock.recv(65536)
            if not data:
                return None
            text += data
        head, _, body = text.partition(b"\r\n\r\n")
        lines = head.decode().split("\r\n")
        target = urllib.parse.urlsplit(lines[0].split(" ")[1])
        query = {k: v[0] for k, v in urllib.parse.parse_qs(target.query).items()}
        headers = {k.lower(): v for k, v in (line.split(": ", 1) for line in lines[1:] if ": " in line)}
        length = int(headers.get("content-length", 0))
        while len(body) < length:
            data = sock.recv(65536)
            if not data:
                return None
            body += data
        return Request(lines[0].split(" ")[0], target.path, query, headers, body)

    def answer(self, sock, req):
        with self.lock:
            self.requests.append(req)
            if req.method != "GET" and not (self.writable and req.kind == "Event" and req.what == "create"):
                self.unasked.append(f"{req.method} {req.path}")
            fault = next((f for f in self.faults if f.takes(req)), None)
            if fault:
                fault.used += 1
        how = fault.how if fault else {}
        if "raw" in how:
            sock.sendall(how["raw"])
            raise Cut
        if self.token and req.headers.get("authorization") != f"Bearer {self.token}":
            return self.refuse(sock, 401, status(401, "Unauthorized", "Unauthorized"))
        if "status" in how:
            return self.refuse(sock, how["status"], how.get("body", status(how["status"], how.get("message", ""))),
                               how.get("headers", ""))
        if req.method != "GET":
            return self.write(sock, req, how)
        if not req.kind:
            return self.refuse(sock, 404, status(404, "not found"))
        if req.what == "initial" and self.stream is False:
            return self.refuse(sock, 422, status(422, "sendInitialEvents is forbidden for watch", "Invalid"))
        if req.what in ("list", "fresh"):
            return self.list(sock, req, how)
        return self.watch(sock, req, how)

    def refuse(self, sock, code, body, headers=""):
        text = body if isinstance(body, bytes) else json.dumps(body).encode()
        sock.sendall(f"HTTP/1.1 {code} {REASONS.get(code, 'No')}\r\nContent-Type: application/json\r\n{headers}"
                     f"Content-Length: {len(text)}\r\n\r\n".encode() + text)

    def write(self, sock, req, how):
        """Take an Event, or say why not."""
        if not (self.writable and req.kind == "Event" and req.what == "create"):
            return self.refuse(sock, 403, status(403, "forbidden here", "Forbidden"))
        if "wait" in how:
            how["wait"].wait(60)
        with self.lock:
            try:
                event = json.loads(req.body)
                faults = event_faults(req.ns, event) + (["content-type"] if req.headers.get("content-type") != "application/json" else [])
            except (ValueError, AttributeError, TypeError) as e:
                event, faults = None, [repr(e)]
            key = (req.ns, event and event.get("metadata", {}).get("name"))
            if faults:
                self.refused_events.append((faults, event))
                return self.refuse(sock, 422, status(422, "Event is invalid: " + ", ".join(faults), "Invalid"))
            if req.ns != "default" and (None, req.ns) not in self.objects["Namespace"]:
                return self.refuse(sock, 404, status(404, f'namespaces "{req.ns}" not found', "NotFound"))
            if key in self.events:
                return self.refuse(sock, 409, status(409, f'events.events.k8s.io "{key[1]}" already exists', "AlreadyExists"))
            self.events[key] = event
            self.lock.notify_all()
        return self.refuse(sock, how.get("taken", 201), dict(event, padding="x" * how.get("padding", 0)))

    def begin(self, sock, how):
        if "wait" in how:
            how["wait"].wait(60)
        sock.sendall(f"HTTP/1.1 200 OK\r\nContent-Type: {how.get('ctype', 'application/json')}\r\n"
                     f"{how.get('encoding', '')}Transfer-Encoding: chunked\r\n\r\n".encode())
        return Body(sock, how, lambda: self.stopped)

    # ---- answers ----------------------------------------------------------------------------------

    def list(self, sock, req, how):
        with self.lock:
            cont = req.query.get("continue")
            if cont and cont not in self.snapshots:
                return self.refuse(sock, 410, status(410, "The provided continue parameter is too old", "Expired"))
            if cont:
                rv, items = self.snapshots[cont]
            else:
                rv = self.rv
                items = [o for (ns, _), o in sorted(self.objects[req.kind].items(), key=str) if req.ns in (None, ns)]
            items = [o for o in items if selects(req, o) and o["metadata"]["name"] not in how.get("hide", ())]
            limit = int(req.query.get("limit", 0)) or len(items)
            page, rest = items[:limit], items[limit:]
            meta = {"resourceVersion": str(how.get("rv", rv))}
            if rest:
                meta["continue"] = f"token/{len(self.snapshots)}=+&"
                self.snapshots[meta["continue"]] = (rv, rest)
        body = self.begin(sock, how)
        head = {"kind": req.kind + "List", "apiVersion": VERSIONS.get(req.kind, "v1"), "metadata": meta}
        head.update(how.get("head", {}))
        body.write(json.dumps(head)[:-1].encode() + b', "items": [')
        for i, o in enumerate(page):
            body.write((b"," if i else b"") + json.dumps(o, ensure_ascii=False).encode())
        body.write(b"]}\n")
        body.end()
        return None

    def whole(self, kind, obj):
        if "kind" in obj:
            return obj
        return {"kind": kind, "apiVersion": VERSIONS.get(kind, "v1"), **obj}

    def watch(self, sock, req, how):
        since = int(req.query.get("resourceVersion", 0) or 0)
        initial = []
        with self.lock:
            log = self.log[req.kind]
            if since and since < self.oldest:
                return self.refuse(sock, 410, status(410, f"too old resource version: {since}", "Expired"))
            if not since:
                since = self.rv
                initial = [o for o in self.objects[req.kind].values() if selects(req, o)]
            at = len([e for e in log if e[0] <= since])
        body = self.begin(sock, how)
        for o in initial:
            body.say({"type": "ADDED", "object": self.whole(req.kind, o)})
        if req.what == "initial" and self.stream is True and not how.get("no_end"):
            body.say({"type": "BOOKMARK", "object": self.whole(req.kind, {"metadata": {
                "resourceVersion": str(how.get("rv", since)), "annotations": {"k8s.io/initial-events-end": "true"}}})})
        for type_, o in how.get("events", []):
            body.say({"type": type_, "object": self.whole(req.kind, o)})
        if ("events" in how and not how.get("keep")) or how.get("empty"):
            return body.end()
        self.follow(sock, req, how, body, log, at)
        return None

    def follow(self, sock, req, how, body, log, at):
        """Tell what happens until the time is up or the client has gone."""
        end = time.monotonic() + float(req.query.get("timeoutSeconds", 300))
        while not self.stopped and time.monotonic() < end:
            with self.lock:
                if log is not self.log[req.kind]:
                    log, at = self.log[req.kind], 0
                new = [] if how.get("hold") else log[at:]
                at += len(new)
                if not new:
                    self.lock.wait(0.05)
            for _, type_, o in new:
                if type_ in ("ADDED", "MODIFIED") and not selects(req, o):
                    type_ = "DELETED"  # what a watch hears of an object that no longer fits
                body.say({"type": type_, "object": self.whole(req.kind, o) if type_ != "ERROR" else o})
            if not new and not alive(sock):
                raise Cut
        body.end()
