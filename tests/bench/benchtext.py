# SPDX-License-Identifier: Apache-2.0
"""benchtext.py - the report of a run as one object, as JSON and as text."""
import json
import os

import barstats


def number(v):
    """Three or four figures, however large."""
    size = abs(v)
    if size >= 1000:
        return "{:,.0f}".format(v)
    return "%.1f" % v if size >= 100 else "%.2f" % v if size >= 10 else "%.3f" % v if size >= 0.1 or not v else "%.3g" % v


def limit(v):
    return "{:,g}".format(v)


def figure_json(f):
    return {"value": f.value, "low": f.low, "high": f.high, "rounds": f.rounds} if f else None


def outcome_json(o):
    b = o.bar
    return {"name": b.name, "words": b.words, "verdict": o.verdict, "figure": figure_json(o.figure), "operator": b.operator,
            "bar": b.limit, "unit": b.unit, "statistic": b.statistic, "numerator": b.numerator, "denominator": b.denominator,
            "why": o.why, "earlier": figure_json(o.earlier), "change": o.change}


def report(info, run, outcomes, baseline):
    """All that is told, in plain lists and maps."""
    return {
        "machine": info,
        "programs": [{"bench": b, "program": p, "seconds": round(s, 1), "code": c} for b, p, s, c in run.programs],
        "failures": [why for _, why in run.failures],
        "skips": [{"what": what, "why": why} for what, why in run.skips],
        "notes": run.notes,
        "bars": [outcome_json(o) for o in outcomes],
        "held": sum(o.verdict == "held" for o in outcomes),
        "missed": sum(o.verdict == "missed" for o in outcomes),
        "baseline": baseline["machine"],
        "series": [{"name": name, "unit": s.unit, **barstats.spread(s.samples), "samples": s.samples}
                   for name, s in sorted(run.series.items())],
    }


# ---- text ------------------------------------------------------------------------------------------------


def columns(rows, right=()):
    width = [max(len(r[i]) for r in rows) for i in range(len(rows[0]))]
    return ["  ".join(c.rjust(w) if i in right else c.ljust(w) for i, (c, w) in enumerate(zip(r, width))).rstrip() for r in rows]


def earlier_text(b):
    if not b["earlier"]:
        return ""
    return "was %s%s" % (number(b["earlier"]["value"]), ": " + b["change"] if b["change"] else "")


def bar_cells(b):
    f = b["figure"]
    figure = "%s %s" % (number(f["value"]), b["unit"]) if f else "no figure"
    interval = "[%s, %s]" % (number(f["low"]), number(f["high"])) if f else ""
    bar = "%s %s" % (b["operator"], limit(b["bar"])) if b["bar"] is not None else ""
    words = b["words"] + (", 99th percentile" if b["statistic"] == "p99" and "percentile" not in b["words"] else "")
    return [b["verdict"], b["name"], figure, interval, bar, words + ("; " + b["why"] if b["why"] else ""), earlier_text(b)]


def bar_lines(bars):
    rows = [bar_cells(b) for b in bars]
    # Words last: they are the longest.
    return columns([r[:5] + [r[6], r[5]] for r in rows], right=(2,)) if rows else []


def machine_lines(m, base):
    yield "ripstop bench, commit %s, %s, %d s" % (m["commit"], m["begun"], m.get("seconds", 0))
    yield "machine: %s, %d processors, %s GB; %s; governor: %s; load average before the run: %s" % (
        m["cpu"], m["processors"], m["memoryGB"], m["kernel"], m["governor"], m["loadBefore"])
    if base:
        yield "baseline: commit %s, %s, on %s, %s" % (base["commit"], base["begun"], base["cpu"], base["kernel"])
        if base["cpu"] != m["cpu"] or base["kernel"] != m["kernel"]:
            yield "the baseline is of another machine or kernel: only ratios can be compared with it"


def series_lines(series):
    head = ["series", "unit", "n", "min", "p25", "median", "p75", "p99", "max"]
    rows = [[s["name"], s["unit"], str(s["n"])] + [number(s[k]) for k in head[3:]] for s in series]
    return columns([head] + rows, right=range(2, 9))


def part(title, lines):
    lines = list(lines)
    return ["", title] + ["  " + line for line in lines] if lines else []


def verdict_lines(r):
    """What a run ends with."""
    judged = [b for b in r["bars"] if b["verdict"] != "told"]
    return bar_lines(judged) + ["%d held, %d missed" % (r["held"], r["missed"])]


def text(r):
    out = list(machine_lines(r["machine"], r["baseline"]))
    out += part("Programs", ("%s: %s s, exit code %d" % (p["program"], p["seconds"], p["code"]) for p in r["programs"]))
    out += part("Failures", r["failures"])
    out += part("Left out", ("%s: %s" % (s["what"], s["why"]) for s in r["skips"]))
    out += part("Notes", r["notes"])
    out += part("Series", series_lines(r["series"]) if r["series"] else [])
    out += part("Told, without a bar", bar_lines([b for b in r["bars"] if b["verdict"] == "told"]))
    out += ["", "Bars"] + verdict_lines(r)
    return "\n".join(out) + "\n"


def ending(r, out):
    """What is printed: failures, what is told, where the report is, the bars."""
    lines = ["failed: %s" % why for why in r["failures"]]
    lines += bar_lines([b for b in r["bars"] if b["verdict"] == "told"])
    lines += ["report: %s/report.txt, report.json, report.html" % out] + verdict_lines(r)
    return "\n".join(lines)


def write(out, r):
    with open(os.path.join(out, "report.txt"), "w", encoding="utf-8") as f:
        f.write(text(r))
    with open(os.path.join(out, "report.json"), "w", encoding="utf-8") as f:
        json.dump(r, f, indent=1)
        f.write("\n")
