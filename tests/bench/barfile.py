# SPDX-License-Identifier: Apache-2.0
"""barfile.py - the table tests/bench/bars, and what a run says about each line of it."""
from collections import namedtuple

import barstats
from barstats import Figure, Missing

Bar = namedtuple("Bar", "name numerator denominator statistic operator limit unit words")
# verdict: held, missed or told (a line without a bar); figure: None when there is none, and why says so; earlier: of the
# baseline, None without; change: better, worse, same or "".
Outcome = namedtuple("Outcome", "bar verdict figure why earlier change")


class BadBars(Exception):
    """FILE:LINE: what is wrong."""


def parse_line(where, line):
    cells = [c.strip() for c in line.split("|")]
    if len(cells) != 8 or not all(cells):
        raise BadBars("%s: %d cells, not 8" % (where, len(cells)))
    name, num, den, statistic, operator, limit, unit, words = cells
    if statistic not in ("median", "p99") or operator not in ("<=", ">=", "-"):
        raise BadBars("%s: statistic %s, operator %s" % (where, statistic, operator))
    if den != "-" and statistic != "median":
        raise BadBars("%s: a ratio is a median" % where)
    try:
        limit = None if operator == "-" else float(limit)
    except ValueError as e:
        raise BadBars("%s: the bar %s is no number" % (where, limit)) from e
    return Bar(name, num, None if den == "-" else den, statistic, operator, limit, unit, words)


def read(path):
    bars = []
    with open(path, encoding="utf-8") as f:
        for n, line in enumerate(f, 1):
            if line.strip() and not line.startswith("#"):
                bars.append(parse_line("%s:%d" % (path, n), line))
    names = [b.name for b in bars]
    twice = sorted({n for n in names if names.count(n) > 1})
    if twice:
        raise BadBars("%s: more than one bar is called %s" % (path, ", ".join(twice)))
    return bars


def bench_of(bar):
    return bar.numerator.split(".")[0]


# ---- what a run says -------------------------------------------------------------------------------------


def why_missing(series, run):
    """Why a series has no samples: it was skipped, or a program of its bench failed."""
    for what, why in run.skips:
        if series == what or series.startswith(what + "."):
            return why
    failed = [why for bench, why in run.failures if bench == series.split(".")[0]]
    return "; ".join(failed) or "no program measured it"


def samples(series, unit, run):
    got = run.series.get(series)
    if not got or not got.samples:
        raise Missing("%s: %s" % (series, why_missing(series, run)))
    if unit and got.unit != unit:
        raise Missing("%s is in %s, not in %s" % (series, got.unit, unit))
    return got.samples


def figure(bar, run):
    if bar.denominator:
        return barstats.ratio(samples(bar.numerator, None, run), samples(bar.denominator, None, run), bar.name)
    return barstats.absolute(samples(bar.numerator, bar.unit, run), bar.statistic, bar.name)


def judge_one(bar, run, baseline):
    try:
        f, why = figure(bar, run), ""
    except Missing as e:
        f, why = None, str(e)
    earlier = baseline.get(bar.name)
    earlier = Figure(earlier["value"], earlier["low"], earlier["high"], 0) if earlier else None
    change = barstats.compare(f, earlier, bar.operator) if f and earlier and bar.operator != "-" else ""
    if bar.operator == "-":
        verdict = "told"
    else:
        verdict = "held" if f and barstats.held(f, bar.operator, bar.limit) else "missed"
    return Outcome(bar, verdict, f, why, earlier, change)


def judge(bars, benches, run, baseline):
    """Outcomes of the bars of those benches."""
    return [judge_one(b, run, baseline) for b in bars if bench_of(b) in benches]
