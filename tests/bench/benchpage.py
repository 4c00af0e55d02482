# SPDX-License-Identifier: Apache-2.0
"""benchpage.py - the report of a run as one page: each figure with its interval against its bar, and the spread of each
series. One file that asks for nothing else; light or dark as the reader has it.
"""
import html
import os

from benchtext import earlier_text, limit, machine_lines, number

WIDTH, PAD = 420, 8
MAX_DOTS = 150
HERE = os.path.dirname(os.path.abspath(__file__))


def esc(text):
    return html.escape(str(text), quote=True)


class Scale:
    """From 0, or from a little below what is negative, to a little above the highest."""

    def __init__(self, values):
        low, high = min(0, *values), max(values)
        self.low, self.span = low, (high - low) * 1.06 or 1

    def __call__(self, v):
        return PAD + (v - self.low) / self.span * (WIDTH - 2 * PAD)


def line(kind, x1, x2, y1, y2):
    return '<line class="%s" x1="%.1f" x2="%.1f" y1="%.1f" y2="%.1f"/>' % (kind, x1, x2, y1, y2)


# ---- bars ------------------------------------------------------------------------------------------------


def mark(verdict, x, y):
    """A figure that is missed has another shape, not only another colour."""
    if verdict == "missed":
        return '<rect class="point" x="%.1f" y="%.1f" width="9" height="9"/>' % (x - 4.5, y - 4.5)
    return '<circle class="point" cx="%.1f" cy="%.1f" r="5"/>' % (x, y)


def bar_plot(b):
    f, early = b["figure"], b["earlier"]
    if not f:
        return ""
    known = [f["low"], f["high"]] + ([b["bar"]] if b["bar"] is not None else []) + ([early["value"]] if early else [])
    x, y = Scale(known), 14
    out = [line("axis", PAD, WIDTH - PAD, y, y), line("interval", x(f["low"]), x(f["high"]), y, y)]
    if b["bar"] is not None:
        out.append(line("bar", x(b["bar"]), x(b["bar"]), 2, 26))
        side = x(b["bar"]) > WIDTH * 0.8
        out.append('<text x="%.1f" y="38" text-anchor="%s">%s %s</text>' % (
            x(b["bar"]), "end" if side else "middle", esc(b["operator"]), esc(limit(b["bar"]))))
    if early:
        out.append('<circle class="early" cx="%.1f" cy="%d" r="5"/>' % (x(early["value"]), y))
    out.append(mark(b["verdict"], x(f["value"]), y))
    name = "%s %s, interval %s to %s" % (number(f["value"]), b["unit"], number(f["low"]), number(f["high"]))
    return '<svg viewBox="0 0 %d 42" role="img" aria-label="%s">%s</svg>' % (WIDTH, esc(name), "".join(out))


def bar_row(b):
    f = b["figure"]
    figure = "%s %s" % (esc(number(f["value"])), esc(b["unit"])) if f else "no figure"
    interval = "%s to %s" % (esc(number(f["low"])), esc(number(f["high"]))) if f else ""
    sub = [esc(b["name"]), esc(earlier_text(b))]
    third = '<td class="%s">%s</td>' % (b["verdict"], bar_plot(b)) if f else '<td class="why">%s</td>' % esc(b["why"])
    first = '<td class="%s">%s</td><td>%s<div class="sub">%s</div></td>' % (
        b["verdict"], b["verdict"], esc(b["words"]), " &middot; ".join(s for s in sub if s))
    return '<tr>%s%s<td class="n">%s<div class="sub">%s</div></td></tr>' % (first, third, figure, interval)


def bars_part(r):
    benches = list(dict.fromkeys(b["numerator"].split(".")[0] for b in r["bars"]))
    for bench in benches:
        yield "<h2>%s</h2><table><tr><th></th><th>figure</th><th>against its bar</th><th></th></tr>" % esc(bench)
        yield from (bar_row(b) for b in r["bars"] if b["numerator"].split(".")[0] == bench)
        yield "</table>"


# ---- series ----------------------------------------------------------------------------------------------


def dots(s, x):
    """Some of the samples, in their order, on four lanes so that they hide each other less."""
    step = max(1, len(s["samples"]) // MAX_DOTS)
    for k, (_, v) in enumerate(s["samples"][::step]):
        yield '<circle class="dot" cx="%.1f" cy="%d" r="2"/>' % (x(v), 4 + k % 4 * 5)


def series_plot(s, x):
    out = [line("whisker", x(s["min"]), x(s["max"]), 11, 11),
           '<rect class="box" x="%.1f" y="5" width="%.1f" height="12"/>' % (x(s["p25"]), max(x(s["p75"]) - x(s["p25"]), 1))]
    out += dots(s, x)
    out.append(line("median", x(s["median"]), x(s["median"]), 2, 20))
    name = "median %s %s, from %s to %s" % (number(s["median"]), s["unit"], number(s["min"]), number(s["max"]))
    return '<svg viewBox="0 0 %d 24" role="img" aria-label="%s">%s</svg>' % (WIDTH, esc(name), "".join(out))


def series_row(s, x):
    end = x.low + x.span
    shown = dict(s, max=min(s["max"], end), samples=[p for p in s["samples"] if p[1] <= end])
    first = '<td>%s<div class="sub">%d samples</div></td><td>%s</td>' % (esc(s["name"]), s["n"], series_plot(shown, x))
    return '<tr>%s<td class="n">%s<div class="sub">%s to %s</div></td></tr>' % (
        first, *(esc(number(s[k])) for k in ("median", "min", "max")))


def family(s):
    """Series that share a scale: those of one figure in one unit."""
    return ".".join(s["name"].split(".")[:2]), s["unit"]


def series_part(r):
    if not r["series"]:
        return
    yield ("<h2>Series</h2><p>Each sample; the box holds the middle half, the upright line is the median. One scale a "
           "table, from 0.</p>")
    for key in dict.fromkeys(family(s) for s in r["series"]):
        group = [s for s in r["series"] if family(s) == key]
        # A few samples far out would press all others into one spot.
        x = Scale([s["p99"] for s in group] + [s["p75"] * 1.5 for s in group])
        yield '<h3>%s, %s</h3><table class="series">' % (esc(key[0]), esc(key[1]))
        yield from (series_row(s, x) for s in group)
        yield "</table>"


# ---- the page --------------------------------------------------------------------------------------------


def list_part(title, lines):
    lines = list(lines)
    return "<h2>%s</h2><ul>%s</ul>" % (title, "".join("<li>%s</li>" % esc(t) for t in lines)) if lines else ""


def page(r):
    with open(os.path.join(HERE, "benchpage.css"), encoding="utf-8") as f:
        style = f.read()
    first, *more = machine_lines(r["machine"], r["baseline"])
    out = ['<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">',
           '<meta name="viewport" content="width=device-width, initial-scale=1">',
           "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">",
           "<title>ripstop bench</title><style>%s</style></head><body><h1>%s</h1>" % (style, esc(first))]
    out += ["<p>%s</p>" % esc(m) for m in more]
    out.append('<p class="count"><span class="held">%d held</span>, <span class="missed">%d missed</span></p>' % (
        r["held"], r["missed"]))
    out.append("<p>A point is a median (or what its words say), the pale line its bootstrap 95 % interval, the dashed line the "
               "bar. A round point held its bar, a square one missed it; a hollow one is the baseline.</p>")
    out.append(list_part("Failures", r["failures"]))
    out += bars_part(r)
    out += series_part(r)
    out.append(list_part("Left out", ("%s: %s" % (s["what"], s["why"]) for s in r["skips"])))
    out.append(list_part("Notes", r["notes"]))
    out.append("</body></html>\n")
    return "\n".join(t for t in out if t)


def write(path, r):
    with open(path, "w", encoding="utf-8") as f:
        f.write(page(r))
