# SPDX-License-Identifier: Apache-2.0
"""barstats.py - the arithmetic of `make bench`: pairing, medians, bootstrap intervals, verdicts. Pure: no clock, no files.

A figure is (value, low, high): the median (or 99th percentile) and its bootstrap 95 % interval, from a generator that is
seeded by the bar's name, so that the same samples give the same figure.
"""
import random
from collections import namedtuple

MIN_ROUNDS = 21       # of a ratio
MIN_P99 = 1000        # samples of a 99th percentile
RESAMPLES = 2000
TAIL = 0.025

Figure = namedtuple("Figure", "value low high rounds")


class Missing(Exception):
    """Why there is no figure."""


def median(values):
    v = sorted(values)
    n = len(v)
    return v[n // 2] if n % 2 else (v[n // 2 - 1] + v[n // 2]) / 2


def percentile(values, share):
    """The smallest value that is not exceeded by that share of them."""
    v = sorted(values)
    rank = -int(-share * len(v) // 1)
    return v[max(rank, 1) - 1]


def p99(values):
    return percentile(values, 0.99)


def bootstrap(values, statistic, seed):
    """95 % interval of a statistic, by drawing from the values with replacement."""
    values = list(values)
    rng = random.Random(seed)
    n = len(values)
    # The 99th percentile of thousands is slow and steady: fewer draws will do.
    draws = RESAMPLES if n < 500 else RESAMPLES // 4
    seen = sorted(statistic(rng.choices(values, k=n)) for _ in range(draws))
    return seen[int(TAIL * draws)], seen[draws - 1 - int(TAIL * draws)]


def by_round(samples):
    """{round: median of its samples}; samples are (round or None, value), and those of no round are left out."""
    rounds = {}
    for r, value in samples:
        if r is not None:
            rounds.setdefault(r, []).append(value)
    return {r: median(v) for r, v in rounds.items()}


def paired(numerator, denominator):
    """The ratio of each round that has both."""
    a, b = by_round(numerator), by_round(denominator)
    common = sorted(a.keys() & b.keys())
    if any(b[r] == 0 for r in common):
        raise Missing("a denominator of 0")
    return [a[r] / b[r] for r in common]


def ratio(numerator, denominator, seed):
    ratios = paired(numerator, denominator)
    if len(ratios) < MIN_ROUNDS:
        raise Missing("%d rounds that have both, %d are asked for" % (len(ratios), MIN_ROUNDS))
    return Figure(median(ratios), *bootstrap(ratios, median, seed), len(ratios))


def absolute(samples, statistic, seed):
    """Of a series by itself: what belongs to one round counts once; the 99th percentile is of the samples as they are."""
    if statistic == "p99":
        values = [v for _, v in samples]
        if len(values) < MIN_P99:
            raise Missing("%d samples, a 99th percentile asks for %d" % (len(values), MIN_P99))
        fn = p99
    else:
        values = list(by_round(samples).values()) + [v for r, v in samples if r is None]
        fn = median
    return Figure(fn(values), *bootstrap(values, fn, seed), len(values))


def held(figure, operator, bar):
    """A bar is missed when the whole interval lies on its wrong side."""
    return figure.low <= bar if operator == "<=" else figure.high >= bar


def compare(figure, earlier, operator):
    """'better', 'worse' or 'same' (the intervals touch) than an earlier figure."""
    if figure.low <= earlier.high and earlier.low <= figure.high:
        return "same"
    higher = figure.low > earlier.high
    return "better" if higher == (operator == ">=") else "worse"


def spread(samples):
    """For the table and the plot of one series."""
    values = [v for _, v in samples]
    return {"n": len(values), "rounds": len(by_round(samples)), "min": min(values), "p25": percentile(values, 0.25),
            "median": median(values), "p75": percentile(values, 0.75), "p99": p99(values), "max": max(values)}
