# SPDX-License-Identifier: Apache-2.0
"""Answers that lead libcurl to what it was not asked for: encodings, HTTP/2, Kerberos, cookies, upgrades, schemes.

Libraries for them may not even be linked (docs/decisions/0012). Whatever is answered, the source lives and says why.
"""
import ctypes
import os
import socket
import threading

from apitest import need, pod, seed

HEAD = "HTTP/1.1 %s\r\nContent-Type: application/json\r\n%s\r\n"
OK = "200 OK"
CHUNK = "5\r\n\x1b\x03\x00\xf8%\r\n0\r\n\r\n"
SESSION = "id=1; Domain=example.com; Path=/"

ANSWERS = {
    "brotli on the way": HEAD % (OK, "Transfer-Encoding: br, chunked\r\n") + CHUNK,
    "zstd on the way": HEAD % (OK, "Transfer-Encoding: zstd, chunked\r\n") + CHUNK,
    "brotli to the end": HEAD % (OK, "Transfer-Encoding: br\r\n") + "\x1b\x03\x00\xf8%",
    "zstd to the end": HEAD % (OK, "Transfer-Encoding: zstd\r\n") + "\x28\xb5\x2f\xfd",
    "brotli": HEAD % (OK, "Content-Encoding: br\r\nContent-Length: 3\r\n") + "abc",
    "zstd": HEAD % (OK, "Content-Encoding: zstd\r\nContent-Length: 3\r\n") + "abc",
    "Kerberos": HEAD % ("401 Unauthorized", "WWW-Authenticate: Negotiate YII=\r\nContent-Length: 2\r\n") + "{}",
    "Kerberos of a proxy": HEAD % ("407 No", "Proxy-Authenticate: Negotiate\r\nContent-Length: 2\r\n") + "{}",
    "NTLM": HEAD % ("401 Unauthorized", "WWW-Authenticate: NTLM\r\nContent-Length: 2\r\n") + "{}",
    "a cookie": HEAD % ("500 No", f"Set-Cookie: {SESSION}\r\nContent-Length: 2\r\n") + "{}",
    "other ports": HEAD % ("500 No", 'Alt-Svc: h3=":1", h2=":1"\r\nContent-Length: 2\r\n') + "{}",
    "TLS only": HEAD % ("500 No", "Strict-Transport-Security: max-age=9\r\nContent-Length: 2\r\n") + "{}",
    "an upgrade": "HTTP/1.1 101 No\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00",
    "HTTP/2": "HTTP/2 200\r\ncontent-type: application/json\r\n\r\n{}",
    **{f"a redirect to {to}": HEAD % ("302 Found", f"Location: {to}\r\nContent-Length: 2\r\n") + "{}" for to in (
        "ldap://127.0.0.1/", "scp://127.0.0.1/x", "rtmp://127.0.0.1/", "ftp://127.0.0.1/", "http://b\u00fc.example/")},
}


def test_answers_that_were_not_asked_for(w):
    liar = w.liar()
    liar.stream = False
    seed(liar)
    s = w.source(liar)
    s.synced()
    for n, (what, raw) in enumerate(ANSWERS.items()):
        old = s.dump()["Pod"]
        f = liar.fault("Pod", "watch", raw=raw.encode("latin-1"))
        liar.drop_connections()
        d = s.until(f"{what} is no answer", lambda d, f=f, old=old: f.used and d["Pod"]["failures"] > old["failures"])
        need(set(d["Pod"]["objects"]) >= {"shop/web"}, what, "and the state is gone")
        pod(liar, f"n{n}")
        s.until(f"{what} is forgotten", lambda d, n=n: f"shop/n{n}" in d["Pod"]["objects"])


class Chooser:
    """Says over TLS that HTTP/2 it is, whatever was offered: Python's own ssl chooses among what was."""

    CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.POINTER(ctypes.c_char_p),
                                ctypes.POINTER(ctypes.c_ubyte), ctypes.c_void_p, ctypes.c_uint, ctypes.c_void_p)

    def __init__(self, pki):
        self.ssl = ctypes.CDLL("libssl.so.3")
        for name in ("TLS_server_method", "SSL_CTX_new", "SSL_new"):
            getattr(self.ssl, name).restype = ctypes.c_void_p
        self.ctx = ctypes.c_void_p(self.ssl.SSL_CTX_new(ctypes.c_void_p(self.ssl.TLS_server_method())))
        stem = os.path.join(pki, "ca-server")
        need(self.ssl.SSL_CTX_use_certificate_chain_file(self.ctx, f"{stem}.crt".encode()) == 1, "a certificate")
        need(self.ssl.SSL_CTX_use_PrivateKey_file(self.ctx, f"{stem}.key".encode(), 1) == 1, "a key")
        self.choose = self.CALLBACK(self.chosen)
        self.ssl.SSL_CTX_set_alpn_select_cb(self.ctx, self.choose, None)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"https://127.0.0.1:{self.listener.getsockname()[1]}"
        self.choices = self.accepted = 0
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def chosen(self, _ssl, out, length, *_offered):
        self.choices += 1
        out[0], length[0] = b"h2", 2
        return 0

    def serve(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            with sock:
                sock.settimeout(None)
                ssl = ctypes.c_void_p(self.ssl.SSL_new(self.ctx))
                self.ssl.SSL_set_fd(ssl, sock.fileno())
                if self.ssl.SSL_accept(ssl) == 1:
                    self.accepted += 1
                    self.ssl.SSL_read(ssl, ctypes.create_string_buffer(4096), 4096)
                self.ssl.SSL_free(ssl)

    def stop(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.thread.join(30)


def test_a_server_that_chooses_http2(w):
    chooser = Chooser(w.pki)
    w.open.append(chooser.stop)
    s = w.source(chooser)
    d = s.until("it is tried more than once", lambda d: d["Pod"]["failures"] > 1)
    need(chooser.choices and not d["synced"] and d["error"], d)
    print(f"     {chooser.accepted} connections; {d['error']}")


TESTS = {name: test for name, test in globals().items() if name.startswith("test_")}
