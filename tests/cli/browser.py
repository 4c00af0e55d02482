# SPDX-License-Identifier: Apache-2.0
"""A real Chromium without a screen, over chromedriver's HTTP protocol (W3C WebDriver), and PNG files read by hand.

    with Browser(width, height, dark) as b:
        b.open(path); b.run("return 1+1"); b.keys("#scroll", ENTER); b.click_at(x, y); b.screenshot() -> Image

Nothing but Python's own library. The browser has an empty profile and its background traffic is off.
"""
import base64
import http.client
import json
import os
import shutil
import socket
import struct
import subprocess
import tempfile
import time
import zlib

ENTER, ESCAPE, TAB = "\ue007", "\ue00c", "\ue004"
LEFT, UP, RIGHT, DOWN, END, HOME = "\ue012", "\ue013", "\ue014", "\ue015", "\ue010", "\ue011"
ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync", "--disable-default-apps", "--disable-dev-shm-usage",
         "--disable-extensions", "--hide-scrollbars", "--force-device-scale-factor=1", "--force-color-profile=srgb"]


def missing():
    """What is not installed, or None."""
    for names in (("chromedriver",), ("chromium", "chromium-browser", "google-chrome")):
        if not any(shutil.which(n) for n in names):
            return f"no {names[0]} (make deps check installs it)"
    return None


class Image:
    """A PNG of 8 bits a channel, RGB or RGBA, as Chromium writes them."""

    def __init__(self, data):
        self.png, at, packed = data, 8, b""
        while at < len(data):
            size, kind = struct.unpack(">I4s", data[at:at + 8])
            body = data[at + 8:at + 8 + size]
            if kind == b"IHDR":
                self.width, self.height, depth, color, _, _, laced = struct.unpack(">IIBBBBB", body)
                if depth != 8 or color not in (2, 6) or laced:
                    raise ValueError(f"PNG of depth {depth}, colour type {color}")
                self.n = 3 if color == 2 else 4
            elif kind == b"IDAT":
                packed += body
            at += size + 12
        self.rows = self.unfilter(zlib.decompress(packed))

    def unfilter(self, raw):
        n, stride, rows = self.n, self.width * self.n, []
        before = bytearray(stride)
        for y in range(self.height):
            kind, line = raw[y * (stride + 1)], bytearray(raw[y * (stride + 1) + 1:(y + 1) * (stride + 1)])
            for x in range(stride if kind else 0):
                a = line[x - n] if x >= n else 0
                b, c = before[x], before[x - n] if x >= n else 0
                if kind == 1:
                    add = a
                elif kind == 2:
                    add = b
                elif kind == 3:
                    add = (a + b) // 2
                else:
                    p = a + b - c
                    pa, pb, pc = abs(p - a), abs(p - b), abs(p - c)
                    add = a if pa <= pb and pa <= pc else b if pb <= pc else c
                line[x] = (line[x] + add) & 255
            rows.append(line)
            before = line
        return rows

    def at(self, x, y):
        return tuple(self.rows[int(y)][int(x) * self.n:int(x) * self.n + 3])


class Browser:
    def __init__(self, width=1280, height=800, dark=False):
        self.size, self.dark = (width, height), dark

    def __enter__(self):
        self.home = tempfile.mkdtemp(prefix="ripstop-browser-")
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            self.port = s.getsockname()[1]
        self.driver = subprocess.Popen(["chromedriver", f"--port={self.port}"], stdout=subprocess.DEVNULL,
                                       stderr=subprocess.DEVNULL, env=dict(os.environ, HOME=self.home))
        try:
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def start(self):
        args = FLAGS + [f"--user-data-dir={self.home}/profile", f"--window-size={self.size[0]},{self.size[1]}"]
        if self.dark:
            args.append("--force-dark-mode")
        options = {"args": args}
        binary = shutil.which("chromium") or shutil.which("chromium-browser")
        if binary:
            options["binary"] = binary
        caps = {"browserName": "chrome", "goog:chromeOptions": options,
                "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"}}
        for _ in range(300):
            try:
                self.session = self.ask("POST", "/session", {"capabilities": {"alwaysMatch": caps}})["sessionId"]
                return
            except ConnectionRefusedError:
                time.sleep(0.1)
        raise TimeoutError("chromedriver does not listen")

    def __exit__(self, *_):
        try:
            if hasattr(self, "session"):
                self.ask("DELETE", f"/session/{self.session}")
        finally:
            self.driver.terminate()
            self.driver.wait()
            shutil.rmtree(self.home, ignore_errors=True)

    def ask(self, method, path, body=None):
        c = http.client.HTTPConnection("127.0.0.1", self.port, timeout=180)
        c.request(method, path, json.dumps(body) if body is not None else None, {"Content-Type": "application/json"})
        answer = json.loads(c.getresponse().read())["value"]
        c.close()
        if isinstance(answer, dict) and "error" in answer:
            raise RuntimeError(f"{path}: {answer['error']}: {answer.get('message', '')[:500]}")
        return answer

    def do(self, path, body):
        return self.ask("POST", f"/session/{self.session}{path}", body)

    def open(self, path):
        self.do("/url", {"url": path if path.startswith("about:") else "file://" + os.path.abspath(path)})

    def run(self, script, *args):
        return self.do("/execute/sync", {"script": script, "args": list(args)})

    def settle(self):
        """Until what was asked for is drawn: two frames."""
        self.do("/execute/async", {"args": [], "script": "const done = arguments[0];"
                                   "requestAnimationFrame(() => requestAnimationFrame(() => done(1)))"})

    def first_paint(self):
        """Milliseconds from the beginning of the load; it may be told a little later than it happens."""
        for _ in range(200):
            found = self.run("return performance.getEntriesByName('first-contentful-paint')[0]?.startTime")
            if found is not None:
                return found
            time.sleep(0.05)
        raise TimeoutError("the page is never painted")

    def keys(self, selector, text):
        found = self.do("/element", {"using": "css selector", "value": selector})[ELEMENT]
        self.do(f"/element/{found}/value", {"text": text})
        self.settle()

    def press(self, *keys):
        """To whatever has the focus."""
        actions = [{"type": kind, "value": k} for k in keys for kind in ("keyDown", "keyUp")]
        self.do("/actions", {"actions": [{"type": "key", "id": "k", "actions": actions}]})
        self.settle()

    def click_at(self, x, y):
        move = {"type": "pointerMove", "duration": 0, "x": int(x), "y": int(y)}
        self.do("/actions", {"actions": [{"type": "pointer", "id": "m", "parameters": {"pointerType": "mouse"}, "actions": [
            move, {"type": "pointerDown", "button": 0}, {"type": "pointerUp", "button": 0}]}]})
        self.settle()

    def click(self, selector):
        found = self.do("/element", {"using": "css selector", "value": selector})[ELEMENT]
        self.do(f"/element/{found}/click", {})
        self.settle()

    def screenshot(self):
        return Image(base64.b64decode(self.ask("GET", f"/session/{self.session}/screenshot")))

    def dark_mode(self, dark):
        self.do("/goog/cdp/execute", {"cmd": "Emulation.setEmulatedMedia", "params": {
            "features": [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]}})
        self.settle()

    def console(self):
        return [e["message"] for e in self.do("/se/log", {"type": "browser"})]

    def requests(self):
        """Addresses that the pages asked for, but for files and data in the page itself."""
        found = []
        for e in self.do("/se/log", {"type": "performance"}):
            m = json.loads(e["message"])["message"]
            if m["method"] == "Network.requestWillBeSent":
                found.append(m["params"]["request"]["url"])
        return [u for u in found if not u.startswith(("file:", "data:"))]
