#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A stand-in for ripstop-agent's control socket: answers frames from a table, for tests of its clients.

    fake_agent.py SOCKET ANSWERS.json

The table maps an operation to an answer, or to a list of them of which the first counts whose "match" is part of
the request. An answer is one of
    {"result": {...}}        ok
    {"error": {...}}         not ok
    {"raw": "hex"}           these bytes instead of a frame
    {"silent": true}         nothing, ever
    {"drip": true}           a frame that never ends
    {"close": true}          hang up
It is no acceptance of anything: it knows no policy.
"""
import json
import os
import socket
import struct
import sys
import threading
import time


def read_exactly(conn, n):
    data = b""
    while len(data) < n:
        chunk = conn.recv(n - len(data))
        if not chunk:
            return None
        data += chunk
    return data


class FakeAgent:
    def __init__(self, path, answers):
        self.path, self.answers, self.requests = path, answers, []
        self.stopped = threading.Event()
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.bind(path)
        os.chmod(path, 0o600)
        self.sock.listen(16)
        self.thread = threading.Thread(target=self.accept, daemon=True)
        self.thread.start()

    def accept(self):
        while not self.stopped.is_set():
            try:
                conn, _ = self.sock.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(conn,), daemon=True).start()

    def find(self, request):
        answer = self.answers.get(request.get("op"), {"error": {"errno": 95, "message": "no such operation"}})
        if isinstance(answer, dict):
            return answer
        for one in answer:
            if one.get("match", {}).items() <= request.items():
                return one
        return {"error": {"errno": 2, "message": "not found"}}

    def serve(self, conn):
        with conn:
            try:
                while self.one(conn):
                    pass
            except OSError:
                pass

    def one(self, conn):
        head = read_exactly(conn, 4)
        if head is None:
            return False
        body = read_exactly(conn, struct.unpack(">I", head)[0])
        if body is None:
            return False
        request = json.loads(body)
        self.requests.append(request)
        answer = self.find(request)
        if "raw" in answer:
            conn.sendall(bytes.fromhex(answer["raw"]))
            return False
        if "silent" in answer:
            self.stopped.wait(60)
            return False
        if "drip" in answer:
            conn.sendall(b"\0\0\1\0")
            while not self.stopped.wait(0.05):
                conn.sendall(b" ")
            return False
        if "close" in answer:
            return False
        out = {"protocol": 1, "ok": "result" in answer}
        out.update({k: answer[k] for k in ("result", "error") if k in answer})
        data = json.dumps(out).encode()
        conn.sendall(struct.pack(">I", len(data)) + data)
        return True

    def stop(self):
        self.stopped.set()
        self.sock.shutdown(socket.SHUT_RDWR)  # wakes accept(); a mere close() would leave it to the next owner of the fd
        self.thread.join()
        self.sock.close()
        os.unlink(self.path)


def main():
    with open(sys.argv[2], encoding="utf-8") as f:
        agent = FakeAgent(sys.argv[1], json.load(f))
    try:
        while True:
            time.sleep(3600)
    except KeyboardInterrupt:
        agent.stop()


if __name__ == "__main__":
    main()
