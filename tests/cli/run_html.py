#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The page and the picture of `ripstop matrix` in a real headless Chromium: drawn, looked at, used by hand and by keys.

    tests/cli/run_html.py [--build DIR] [--keep FOLDER] [--only PART] [--bench]

Worlds of 20, 200 and 2,000 endpoints. What the page works out is held against `-o json`, and its colours, in the
screenshot, against what it works out. --keep leaves pages and screenshots there. --bench looks at nothing but sizes and
times, and fails where a bar is missed; without it times are printed only. The last line is the count.
"""
import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.join(HERE, "..", "..")
sys.path.insert(0, HERE)
import browser  # noqa: E402
import gen_world  # noqa: E402
from browser import Browser, DOWN, END, ENTER, ESCAPE, HOME, RIGHT, UP  # noqa: E402

WORLDS = {20: (10, 19), 200: (20, 199), 2000: (200, 1999)}  # endpoints, the world outside among them: policies, pods
MAX_BYTES, MAX_PAINT_MS, MAX_MATRIX_S = 5 << 20, 2000, 2.0
KINDS = ("none", "some", "all", "open", "self")
# Kinds of all cells, a digit each, row by row; and the parties of the rows and columns.
READ_ALL = """
const r = window.ripstop, name = (l) => r.parties[l.party].text, rows = r.axis.from.lines, cols = r.axis.to.lines;
return {rows: rows.map(name), cols: cols.map(name),
	cells: rows.map((_, i) => cols.map((_, k) => r.kindAt(i, k)).join("")),
	state: r.state(), colors: Object.fromEntries(r.KINDS.concat(["page", "mark"]).map((k) =>
		[k, getComputedStyle(document.documentElement).getPropertyValue("--" + k).trim()]))};
"""


def rgb(text):
    return tuple(int(text[i:i + 2], 16) for i in (1, 3, 5))


def near(a, b):
    return max(abs(x - y) for x, y in zip(a, b)) <= 2


class Expected:
    """What -o json says, as kinds of the page."""

    def __init__(self, o):
        self.row, self.alone = {}, set()
        for item in o["items"]:
            for e in item["endpoints"]:
                self.row[e["text"]] = item["row"]
            e = item["endpoints"][0]
            if len(item["endpoints"]) == 1 and e.get("pods", 1) == 1 and not e.get("template"):
                self.alone.add(item["row"])
        self.open = [(not i["egressIsolated"], not i["ingressIsolated"]) for i in o["items"]]
        self.reach = {(i["row"], row): to["reach"] for i in o["items"] for to in i["to"] for row in to["rows"]}

    def kind(self, a, b):
        i, k = self.row[a], self.row[b]
        if i == k and i in self.alone:
            return "self"
        reach = self.reach.get((i, k), "none")
        return "open" if reach == "all" and self.open[i][0] and self.open[k][1] else reach


class Runner:
    def __init__(self, build, keep):
        self.program = os.path.join(build, "ripstop")
        self.dir = keep or tempfile.mkdtemp(prefix="ripstop-html-")
        os.makedirs(self.dir, exist_ok=True)
        self.passed = self.failed = 0
        self.random = random.Random(6)

    def check(self, name, ok, why=""):
        self.passed += bool(ok)
        self.failed += not ok
        print(f"{'passed' if ok else 'FAILED'}: {name}" + ("" if ok else f": {why}"), flush=True)

    def make(self, name, *argv):
        path = os.path.join(self.dir, name)
        with open(path, "wb") as f:
            subprocess.run([self.program, "matrix", *argv], stdout=f, cwd=ROOT, check=True, timeout=120)
        return path

    def world(self, n):
        path = os.path.join(self.dir, f"world-{n}.yaml")
        gen_world.write(*WORLDS[n], path)
        return path

    def keep(self, name, image):
        with open(os.path.join(self.dir, name), "wb") as f:
            f.write(image.png)
        return image

    # ---- the page ----------------------------------------------------------------------------------

    def cell_middle(self, b, r, c):
        """Where in the window the middle of a cell is; None when it is out of view."""
        return b.run("""
const s = window.ripstop.state(), box = document.getElementById("scroll").getBoundingClientRect();
const x = box.left + (arguments[1] + 0.5) * s.size - s.left, y = box.top + (arguments[0] + 0.5) * s.size - s.top;
return x < box.right - 1 && y < box.bottom - 1 && x > box.left && y > box.top ? [x, y] : null;
""", r, c)

    def colors_agree(self, name, b, seen, image, count=60):
        """Sampled cells in view have the colour of what they are; each kind in view is sampled."""
        found, bad, kinds = 0, [], set()
        cells = [(r, c) for r in range(len(seen["rows"])) for c in range(len(seen["cols"]))
                 if self.cells_in_view(seen, r, c, image)]
        self.random.shuffle(cells)
        cells.sort(key=lambda rc: seen["cells"][rc[0]][rc[1]] in "24")
        # Of each kind some, else the rare ones are never met.
        chosen = []
        for kind in "01234":
            chosen += [rc for rc in cells if seen["cells"][rc[0]][rc[1]] == kind][:count // 5]
        for r, c in chosen:
            at = self.cell_middle(b, r, c)
            if not at or [r, c] == seen["state"]["active"]:
                continue  # out of view, or under the ring of the focus
            kind = KINDS[int(seen["cells"][r][c])]
            found += 1
            kinds.add(kind)
            # Off the middle, where a ring or a bar may be.
            got = image.at(at[0] - seen["state"]["size"] * 0.3, at[1] + seen["state"]["size"] * 0.1)
            if not near(got, rgb(seen["colors"][kind])):
                bad.append((r, c, kind, got))
        self.check(f"{name}: colours of {found} cells", found >= 8 and {"none", "some", "open"} <= kinds and not bad,
                   f"{sorted(kinds)}, {bad[:4]}")

    @staticmethod
    def cells_in_view(seen, r, c, image):
        s = seen["state"]
        return (c + 1) * s["size"] + s["headWidth"] < image.width and (r + 1) * s["size"] + s["headHeight"] < image.height

    def page(self, n):
        name = f"{n} endpoints"
        source = self.world(n)
        path = self.make(f"{n}.html", "-f", source, "--by", "pod", "-o", "html")
        o = json.loads(open(self.make(f"{n}.json", "-f", source, "--by", "pod", "-o", "json"), encoding="utf-8").read())
        want, size = Expected(o), os.path.getsize(path)
        self.check(f"{name}: file below 5 MB", size < MAX_BYTES, f"{size} bytes")
        with Browser(1280, 860) as b:
            b.open("about:blank")
            b.requests()
            b.open(path)
            b.settle()
            seen, image = b.run(READ_ALL), self.keep(f"{n}.png", b.screenshot())
            paint = b.first_paint()
            print(f"  {name}: {size} bytes, {len(seen['rows'])} rows, first paint {paint:.0f} ms")
            self.check(f"{name}: every end is there once", len(want.row) == n and len(seen["rows"]) == len(o["items"]),
                       f"{len(want.row)} ends, {len(seen['rows'])} rows of {len(o['items'])}")
            bad = [(a, z) for i, a in enumerate(seen["rows"]) for k, z in enumerate(seen["cols"])
                   if KINDS[int(seen["cells"][i][k])] != want.kind(a, z)]
            self.check(f"{name}: {len(seen['rows']) ** 2} cells are those of -o json", not bad,
                       [(p, want.kind(*p)) for p in bad[:4]])
            colors = [rgb(seen["colors"][k]) for k in KINDS[:4]]
            self.check(f"{name}: the colours differ", len(set(colors)) == 4, colors)
            self.colors_agree(name, b, seen, image)
            self.filter(name, b, want, n)
            self.fold(name, b, o)
            dark = self.dark(name, b)
            self.keep(f"{n}-dark.png", dark)
            self.check(f"{name}: nothing is asked of a network", not b.requests(), b.requests())
            self.check(f"{name}: the console is empty", not (log := b.console()), log[:3])

    def filter(self, name, b, want, n):
        b.keys("#from", "ns-0000 tier-1")
        hit = b.run("""return {rows: document.getElementById("scroll").getAttribute("aria-rowcount"),
			names: window.ripstop.axis.from.lines.flatMap((l) => l.hit.map((i) => window.ripstop.parties[i].text)),
			all: window.ripstop.parties.filter((p) => p.ns === "ns-0000" && p.labels.includes("tier-1"))
				.map((p) => p.text)}""")
        rows = len({want.row[t] for t in hit["all"]})
        self.check(f"{name}: the filter hides rows", hit["all"] and sorted(hit["names"]) == sorted(hit["all"]) and
                   int(hit["rows"]) == rows < len(set(want.row.values())), f"{hit['rows']} rows, not {rows}")
        seen, image = b.run(READ_ALL), self.keep(f"{n}-filter.png", b.screenshot())
        s = seen["state"]
        top = b.run("return document.getElementById('scroll').getBoundingClientRect().top")
        below = image.at(s["headWidth"] + 20, top + rows * s["size"] + 12)
        self.check(f"{name}: below the filtered rows is the page", near(below, rgb(seen["colors"]["page"])), below)
        bad = [(a, z) for i, a in enumerate(seen["rows"]) for k, z in enumerate(seen["cols"])
               if KINDS[int(seen["cells"][i][k])] not in (want.kind(a, z), "self")]
        self.check(f"{name}: filtered cells are those of -o json", not bad, bad[:4])
        b.keys("#from", "zzz")
        self.check(f"{name}: a filter without a match says so", not b.run("return document.getElementById('empty').hidden"))
        b.keys("#from", ESCAPE)
        self.check(f"{name}: Escape takes the filter back", b.run(
            "return window.ripstop.axis.from.lines.length") == len(set(want.row.values())))

    def fold(self, name, b, o):
        folded = [i for i in o["items"] if len(i["endpoints"]) > 1]
        if not folded:
            self.check(f"{name}: rows fold", len(o["items"]) < 30, "none does")
            return
        b.run("document.getElementById('scroll').focus()")
        before = b.run("return window.ripstop.axis.from.lines.length")
        b.press(*([DOWN] * folded[0]["row"]), "e")
        after = b.run("return window.ripstop.axis.from.lines.length")
        self.check(f"{name}: e unfolds a row", after == before + len(folded[0]["endpoints"]), f"{before}, {after}")
        b.press("e")
        self.check(f"{name}: and folds it", b.run("return window.ripstop.axis.from.lines.length") == before)

    def dark(self, name, b):
        light = rgb(b.run(READ_ALL)["colors"]["page"])
        b.dark_mode(True)
        seen, image = b.run(READ_ALL), b.screenshot()
        page = rgb(seen["colors"]["page"])
        self.check(f"{name}: dark where the reader wants it dark", near(image.at(4, 4), page) and sum(page) < 150 < sum(light),
                   f"{image.at(4, 4)}, {page}, {light}")
        self.colors_agree(f"{name}, dark", b, seen, image)
        b.click("#theme")
        self.check(f"{name}: the switch turns it light", near(b.screenshot().at(4, 4), light))
        b.dark_mode(False)
        b.dark_mode(True)
        self.check(f"{name}: what the switch said stays", near(b.screenshot().at(4, 4), light))
        return image

    # ---- its explanations --------------------------------------------------------------------------

    def explanations(self):
        path = self.make("example.html", "-f", "examples/three-tier", "--by", "pod", "-o", "html")
        with Browser(1280, 860) as b:
            b.open(path)
            b.settle()
            names = b.run(READ_ALL)["rows"]

            def cell(a, z):
                return names.index(a), names.index(z)

            def why():
                return b.run("const w = document.getElementById('why'); return w.hidden ? null : w.innerText")

            self.check("no explanation before it is asked for", why() is None)
            b.click_at(*self.cell_middle(b, *cell("production/api", "production/database")))
            self.keep("example.png", b.screenshot())
            text = why() or ""
            self.check("a click explains what is allowed", all(w in text for w in (
                "production/api \u2192 production/database", "ALLOWED on tcp/5432 only",
                "production/api-network-policy spec.egress[0]", "production/database-network-policy spec.ingress[0]",
                "32-database.yaml:14:7", "ripstop explain production/api production/database tcp/5432")), text)
            b.click_at(*self.cell_middle(b, *cell("production/frontend", "production/database")))
            text = why() or ""
            self.check("and what is denied, with the closest rules", all(w in text for w in (
                "DENIED on every port", "Isolated by production/database-network-policy and production/default-deny-all",
                "Closest: production/database-network-policy spec.ingress[0] allows tcp/5432 from ns/production pods app=api",
                "production/frontend has app=frontend", "32-database.yaml:14:7")), text)
            self.keep("example-denied.png", b.screenshot())
            b.press(ESCAPE)
            self.check("Escape closes it and the grid has the focus", why() is None and b.run(
                "return document.activeElement.id") == "scroll")
            self.keys(b, names, why)
            self.roles(b)
            self.check("the console is empty", not (log := b.console()), log[:3])

    def as_explain(self):
        """What the page says of a port is what `ripstop explain` says: verdict, rule that allows, rule that comes closest."""
        for name, source, port, few in (("close rules", "tests/cli/worlds/closest.yaml", "443", None),
                                        ("close rules", "tests/cli/worlds/closest.yaml", "22", None),
                                        ("a large world", self.world(200), "8081", 6)):
            path = self.make("port.html", "-f", source, "--by", "pod", "--port", port, "-o", "html")
            with Browser(1280, 860) as b:
                b.open(path)
                b.settle()
                seen = b.run(READ_ALL)
                chosen = []
                for kind in "0123":  # a few of each
                    cells = [(i, k) for i, row in enumerate(seen["cells"]) for k, c in enumerate(row) if c == kind]
                    chosen += self.random.sample(cells, min(few or len(cells), len(cells)))
                met, bad = {"allowed": 0, "denied": 0, "rule": 0, "miss": 0}, []
                for i, k in chosen:
                    bad += self.one_pair(b, source, port, i, k, met)
            self.check(f"the page says what explain says: {name}, port {port}, {len(chosen)} pairs",
                       not bad and met["denied"] >= 3 and met["miss"] >= 3 and met["allowed"] >= 3, f"{met}, {bad[:3]}")

    def one_pair(self, b, source, port, i, k, met):
        title, text = b.run("window.ripstop.go(arguments[0], arguments[1]); const w = document.getElementById('why');"
                            "return [w.querySelector('h2').innerText, w.innerText]", i, k)
        p = subprocess.run([self.program, "explain", "-f", source, *title.split(" \u2192 "), port, "-o", "json"],
                           capture_output=True, cwd=ROOT, check=False)
        o = json.loads(p.stdout)
        met[o["verdict"]] += 1
        out, _, into = text.partition("Ingress of")
        said = [("ALLOWED" in text, o["verdict"] == "allowed")]
        for half, part in (("egress", out), ("ingress", into)):
            rule, miss = o[half].get("rule"), o[half].get("miss", {}).get("rule")
            met["rule"] += bool(rule)
            met["miss"] += bool(miss)
            closest = part.split("Closest: ")[1].split(" allows ")[0] if "Closest: " in part else None
            said += [(closest, miss), (not rule or rule in part, True)]
        return [(title, said)] if any(x != y for x, y in said) else []

    def small(self):
        """Every form of the question: the page's cells are those of -o json."""
        for source in ("tests/cli/worlds/kinds.yaml", "tests/cli/worlds/closest.yaml"):
            for args in (["--by", "pod"], ["--by", "workload"], ["--by", "ns"], ["--port", "http"], ["-n", "shop"],
                         ["--port", "tcp/20-100", "--by", "pod"], ["--by", "ns", "--port", "icmp"]):
                path = self.make("small.html", "-f", source, *args, "-o", "html")
                o = json.loads(open(self.make("small.json", "-f", source, *args, "-o", "json"), encoding="utf-8").read())
                want = Expected(o)
                with Browser(900, 700) as b:
                    b.open(path)
                    b.settle()
                    seen = b.run(READ_ALL)
                    bad = [(a, z, KINDS[int(seen["cells"][i][k])], want.kind(a, z)) for i, a in enumerate(seen["rows"])
                           for k, z in enumerate(seen["cols"]) if KINDS[int(seen["cells"][i][k])] != want.kind(a, z)]
                    said = b.run("""const r = window.ripstop, n = r.axis.from.lines.length, out = [];
for (let i = 0; i < n; i++) for (let k = 0; k < n; k++) { r.go(i, k); out.push(document.getElementById("why").innerText); }
return out""")
                    self.check(f"{source.split('/')[-1]} {' '.join(args)}: cells are those of -o json, and each is explained",
                               not bad and all(len(t) > 20 for t in said) and not b.console(), f"{bad[:4]}")

    def keys(self, b, names, why):
        n = len(names)
        b.press(UP, UP, UP, UP, UP, UP, HOME)
        b.press(DOWN, RIGHT, RIGHT, RIGHT)
        said = b.run("return document.getElementById('cell').getAttribute('aria-label')")
        self.check("arrows move", said == f"{names[1]} to {names[3]}: denied", said)
        seen, image = b.run(READ_ALL), b.screenshot()
        x, y = self.cell_middle(b, 1, 3)
        edge = image.at(x + seen["state"]["size"] / 2 - 2, y)
        self.check("the focus is visible", near(edge, rgb(seen["colors"]["mark"])), f"{edge}, {seen['colors']['mark']}")
        b.press(ENTER)
        self.check("Enter explains", f"{names[1]} \u2192 {names[3]}" in (why() or ""), why())
        b.press(DOWN)
        self.check("the explanation follows the arrows", f"{names[2]} \u2192 {names[3]}" in (why() or ""), why())
        b.press(ESCAPE, END, DOWN, DOWN, DOWN, DOWN)
        said = b.run("return window.ripstop.state().active")
        self.check("End and the last row", said == [n - 1, n - 1], said)
        b.press("/")
        self.check("/ goes to the filter", b.run("return document.activeElement.id") == "from")
        b.press("d", "a", "t", "a", "b", ENTER)
        self.check("typed there, back with Enter", b.run("return [document.activeElement.id, document.getElementById("
                                                         "'scroll').getAttribute('aria-rowcount')]") == ["scroll", "1"])
        size = b.run("return window.ripstop.state().size")
        b.press("-")
        self.check("- makes cells smaller", b.run("return window.ripstop.state().size") < size)

    def roles(self, b):
        tree = b.run("""
const g = document.getElementById("scroll"), c = document.getElementById(g.getAttribute("aria-activedescendant"));
return [g.getAttribute("role"), g.tabIndex, c.getAttribute("role"), c.parentElement.getAttribute("role"),
	c.parentElement.querySelector("[role=rowheader]").textContent !== "", c.parentElement.getAttribute("aria-rowindex"),
	c.getAttribute("aria-colindex") !== null, g.contains(c),
	[...document.querySelectorAll("button")].every((x) => x.textContent.trim() || x.getAttribute("aria-label"))]""")
        self.check("the grid has its roles", tree == ["grid", 0, "gridcell", "row", True, "1", True, True, True], tree)

    def hostile(self):
        """A folder whose name is markup: shown as text, never run."""
        # A "/" comes from the path itself: "</script>" stands in it.
        folder = os.path.join(self.dir, "<", "script ><img src=x onerror=window.pwned=1>")
        shutil.copytree(os.path.join(ROOT, "examples/three-tier"), folder, ignore=shutil.ignore_patterns("tighter", "expected"),
                        dirs_exist_ok=True)
        path = self.make("hostile.html", "-f", folder, "--by", "pod", "-o", "html")
        picture = self.make("hostile.svg", "-f", folder, "--by", "pod", "-o", "svg")
        with Browser(1000, 700) as b:
            b.open(path)
            b.settle()
            b.press(DOWN, RIGHT, RIGHT, ENTER)
            found = b.run("return [window.pwned, document.images.length, document.scripts.length, "
                          "document.getElementById('about').textContent.includes('<img src=x'), "
                          "document.getElementById('why').innerText.includes('<img src=x')]")
            self.check("markup in names stays text", found == [None, 0, 2, True, True], found)
            b.open(picture)
            found = b.run("return [window.pwned, document.querySelectorAll('img,script').length, "
                          "document.documentElement.textContent.includes('<img src=x')]")
            self.check("in the picture too", found == [None, 0, True], found)
            self.check("hostile: the console is empty", not (log := b.console()), log[:3])

    def picture(self):
        o = json.loads(open(self.make("pic.json", "-f", "examples/three-tier", "--by", "pod", "-o", "json"),
                            encoding="utf-8").read())
        want = Expected(o)
        path = self.make("pic.svg", "-f", "examples/three-tier", "--by", "pod", "-o", "svg")
        with Browser(1000, 800) as b:
            b.open(path)
            b.settle()
            image, bad, n = self.keep("pic.png", b.screenshot()), [], 0
            cells = b.run("""return [...document.querySelectorAll("rect")].filter((r) => r.querySelector("title")).map((r) => {
	const b = r.getBoundingClientRect();
	return [r.querySelector("title").textContent, b.left + b.width / 2, b.top + b.height / 2,
		getComputedStyle(r).fill.match(/\\d+/g).map(Number), r.getAttribute("class")]; })""")
            for title, x, y, fill, look in cells:
                a, z = title.split(": ")[0].split(" \u2192 ")
                n += 1
                if KINDS[int(look[1:])] != want.kind(a, z) or not near(image.at(x, y), tuple(fill)):
                    bad.append((title, look, image.at(x, y), fill))
            self.check("svg: every cell has its title and colour", n == 25 and not bad, f"{n} cells, {bad[:3]}")
            b.dark_mode(True)
            self.check("svg: dark where the reader wants it dark", sum(b.screenshot().at(2, 2)) < 150)

    # ---- times -------------------------------------------------------------------------------------

    def bench(self):
        source = self.world(2000)
        path = self.make("2000.html", "-f", source, "--by", "pod", "-o", "html")
        paints = []
        with Browser(1280, 860) as b:
            for _ in range(5):
                b.open("about:blank")
                b.open(path)
                b.settle()
                paints.append(b.first_paint())
        paint = sorted(paints)[2]
        size = os.path.getsize(path)
        self.check(f"page of 2,000 endpoints: first paint {paint:.0f} ms, at most {MAX_PAINT_MS}", paint <= MAX_PAINT_MS)
        self.check(f"page of 2,000 endpoints: {size} bytes, at most {MAX_BYTES}", size <= MAX_BYTES)
        large = os.path.join(self.dir, "large.yaml")
        gen_world.write(1000, 10000, large)

        def seconds(*argv):
            best = []
            for _ in range(5):
                start = time.monotonic()
                subprocess.run([self.program, "matrix", "-f", large, *argv], stdout=subprocess.DEVNULL, check=False,
                               stderr=subprocess.DEVNULL)
                best.append(time.monotonic() - start)
            return sorted(best)[2]

        # A namespace that is not there is told as soon as everything is read.
        read, whole = seconds("-n", "no-such-namespace"), seconds("--by", "ns")
        self.check(f"matrix --by ns, 10,000 pods, 1,000 policies: {whole - read:.2f} s beyond {read:.2f} s of reading, at most "
                   f"{MAX_MATRIX_S:.0f}", whole - read <= MAX_MATRIX_S)


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--build", default="build/rel")
    ap.add_argument("--keep")
    ap.add_argument("--only", help="explanations, as_explain, small, hostile, picture, or a number of endpoints")
    ap.add_argument("--bench", action="store_true")
    args = ap.parse_args()
    r = Runner(os.path.abspath(args.build), args.keep and os.path.abspath(args.keep))
    if not os.access(r.program, os.X_OK):
        print(f"{r.program} is not there: make it first\n0 passed, 1 failed, 0 skipped")
        return 1
    why = browser.missing()
    if why:
        print(f"skipped: {why}\n0 passed, 0 failed, 1 skipped")
        return 0
    parts = {name: getattr(r, name) for name in ("explanations", "as_explain", "small", "hostile", "picture")}
    parts.update({str(n): lambda n=n: r.page(n) for n in WORLDS})
    try:
        for part in [r.bench] if args.bench else [parts[args.only]] if args.only else parts.values():
            part()
    finally:
        if not args.keep:
            shutil.rmtree(r.dir, ignore_errors=True)
    if args.bench:
        print(f"{r.passed} held, {r.failed} missed")
    print(f"{r.passed} passed, {r.failed} failed, 0 skipped")
    return 1 if r.failed else 0


if __name__ == "__main__":
    sys.exit(main())
