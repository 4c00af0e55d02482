#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The arithmetic, the table of bars, the runner and the report of `make bench`, with programs that only pretend to measure.

    tests/bench/test_bench.py [--build DIR] [NAME...]

The last line is the count.
"""
import argparse
import html.parser
import json
import os
import random
import re
import subprocess
import sys
import tempfile
import traceback

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, HERE)
import barfile  # noqa: E402
import barstats  # noqa: E402
import bench  # noqa: E402
import benchpage  # noqa: E402
import benchrun  # noqa: E402
import benchtext  # noqa: E402
from barstats import Figure, Missing  # noqa: E402
from worldw import World  # noqa: E402

INFO = {"cpu": "Pretended", "processors": 2, "memoryGB": 4.0, "kernel": "Linux 6", "governor": "none", "commit": "abc",
        "begun": "now", "loadBefore": 0.0, "seconds": 1}
BUILD = ""


def expect(truth, *what):
    if not truth:
        raise AssertionError(" ".join(str(w) for w in what))


def equal(have, want, what=""):
    expect(have == want, what, "%r, not %r" % (have, want))


def missing(call, *words):
    """The words of the reason why there is no figure."""
    try:
        got = call()
    except (Missing, barfile.BadBars) as e:
        expect(all(w in str(e) for w in words), words, "but it says:", e)
        return
    raise AssertionError("a figure where there is none: %r" % (got,))


def rounds(values):
    return list(enumerate(values))


# ---- arithmetic ------------------------------------------------------------------------------------------


def test_median_and_percentile():
    equal(barstats.median([3, 1, 2]), 2)
    equal(barstats.median([4, 1, 2, 3]), 2.5)
    equal(barstats.percentile(range(1, 101), 0.99), 99)
    equal(barstats.percentile(range(1, 1001), 0.99), 990)
    equal(barstats.percentile([5], 0.99), 5)
    equal(barstats.percentile([1, 2, 3, 4], 0.25), 1)


def test_rounds_are_paired_by_number_and_not_by_order():
    a, b = [(2, 20), (1, 10), (3, 99)], [(1, 5), (2, 4)]
    equal(barstats.paired(a, b), [2, 5])


def test_samples_of_one_round_are_their_median():
    a = [(1, 10), (1, 30), (1, 20), (None, 5)]
    equal(barstats.by_round(a), {1: 20})
    equal(barstats.paired(a, [(1, 10)]), [2])


def test_a_ratio_is_the_median_of_the_rounds_ratios():
    # The medians of both sides are 2 and 2; of the ratios it is not 1.
    a = rounds([1, 2, 9] * 7)
    b = rounds([2, 9, 1] * 7)
    got = barstats.ratio(a, b, "s")
    equal(got.value, 0.5)
    equal(got.rounds, 21)


def test_a_ratio_of_too_few_rounds_is_none():
    missing(lambda: barstats.ratio(rounds([1] * 20), rounds([1] * 21), "s"), "20 rounds", "21")
    missing(lambda: barstats.ratio(rounds([1] * 30), [(100 + i, 1) for i in range(30)], "s"), "0 rounds")


def test_a_denominator_of_zero_is_told():
    missing(lambda: barstats.ratio(rounds([1] * 21), rounds([0] * 21), "s"), "denominator of 0")


def test_interval_is_the_same_for_the_same_seed_and_holds_the_median():
    rng = random.Random(1)
    v = [rng.gauss(10, 2) for _ in range(40)]
    one = barstats.bootstrap(v, barstats.median, "a")
    equal(barstats.bootstrap(v, barstats.median, "a"), one)
    expect(one[0] < barstats.median(v) < one[1], one)
    equal(barstats.bootstrap([7] * 30, barstats.median, "a"), (7, 7))


def test_interval_holds_the_truth_about_95_times_in_100():
    rng, hits = random.Random(2), 0
    for n in range(120):
        low, high = barstats.bootstrap([rng.gauss(0, 1) for _ in range(31)], barstats.median, n)
        hits += low <= 0 <= high
    expect(102 <= hits <= 119, hits)


def test_interval_is_narrower_with_more_rounds():
    rng = random.Random(3)
    few, many = ([rng.gauss(0, 1) for _ in range(n)] for n in (21, 400))
    width = [high - low for low, high in (barstats.bootstrap(v, barstats.median, "w") for v in (few, many))]
    expect(width[1] < width[0] / 2, width)


def test_p99_is_of_raw_samples_and_asks_for_a_thousand():
    samples = [(0, v) for v in range(1, 1001)]
    got = barstats.absolute(samples, "p99", "s")
    equal(got.value, 990)
    expect(980 <= got.low <= 990 <= got.high <= 1000, got)
    missing(lambda: barstats.absolute(samples[1:], "p99", "s"), "999 samples", "1000")


def test_an_absolute_figure_counts_a_round_once():
    got = barstats.absolute([(0, 1), (0, 1), (0, 1), (1, 5), (None, 9)], "median", "s")
    equal((got.value, got.rounds), (5, 3))
    equal(barstats.absolute([(None, 4)], "median", "s"), Figure(4, 4, 4, 1))


def test_a_bar_is_missed_when_the_whole_interval_is_on_the_wrong_side():
    for low, high, operator, want in ((1.4, 1.6, "<=", True), (1.51, 1.6, "<=", False), (1.5, 1.6, "<=", True),
                                      (0.8, 0.9, ">=", True), (0.8, 0.87, ">=", False), (0.8, 0.88, ">=", True)):
        equal(barstats.held(Figure(0, low, high, 21), operator, 1.5 if operator == "<=" else 0.88), want, (low, high, operator))


def test_comparison_with_a_baseline():
    f = Figure(1.2, 1.1, 1.3, 21)
    for low, high, operator, want in ((1.25, 1.4, "<=", "same"), (1.31, 1.4, "<=", "better"), (0.9, 1.0, "<=", "worse"),
                                      (0.9, 1.0, ">=", "better"), (1.31, 1.4, ">=", "worse"), (1.0, 1.1, ">=", "same")):
        equal(barstats.compare(f, Figure(0, low, high, 0), operator), want, (low, high, operator))


def test_spread_of_a_series():
    got = barstats.spread([(0, 1), (0, 3), (1, 2), (None, 10)])
    equal((got["n"], got["rounds"], got["min"], got["median"], got["max"]), (4, 2, 1, 2.5, 10))


# ---- the table of bars -----------------------------------------------------------------------------------


def bars_of(text):
    with tempfile.NamedTemporaryFile("w", suffix="-bars", encoding="utf-8") as f:
        f.write(text)
        f.flush()
        return barfile.read(f.name)


def test_the_table_of_the_tree_can_be_read():
    bars = barfile.read(os.path.join(HERE, "bars"))
    equal({barfile.bench_of(b) for b in bars}, set(bench.PROGRAMS))
    expect(sum(b.limit is not None for b in bars) >= 30, len(bars))


def test_wrong_tables_are_refused_with_their_line():
    good = "a | x.a | x.b | median | <= | 1 | x | words\n"
    equal(len(bars_of("# comment\n\n" + good)), 1)
    for line, words in (("a | x.a | median", ":2: 3 cells"), (good.replace("<=", "<"), ":2: statistic median, operator <"),
                        (good.replace("| 1 |", "| much |"), ":2: the bar much"),
                        (good.replace("median", "p99"), "a ratio is a median"),
                        (good.replace("median", "mean"), "statistic mean"), (good.replace("words", ""), "8 cells"),
                        (good, "more than one bar is called a")):
        missing(lambda line=line: bars_of(good + line), words)


# ---- programs --------------------------------------------------------------------------------------------


def run_script(text, seconds=5, name="pretend", too_long=None):
    """A run of one program, which is this Python text."""
    run = benchrun.Run()
    old = benchrun.TOO_LONG, benchrun.GRACE
    if too_long is not None:
        benchrun.TOO_LONG, benchrun.GRACE = too_long
    try:
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "program.py")
            with open(path, "w", encoding="utf-8") as f:
                f.write("import json, os, signal, sys, time\ndef say(**o): print(json.dumps(o), flush=True)\n" + text)
            benchrun.program(run, "x", name, [sys.executable, path], seconds, os.path.join(folder, "log"))
    finally:
        benchrun.TOO_LONG, benchrun.GRACE = old
    return run


GOOD = """for r in range(30):
    say(series="x.a", round=r, value=2 + r % 3 / 10, unit="ms")
    say(series="x.b", round=r, value=4, unit="ms")
"""
TABLE = ("half | x.a | x.b | median | <= | 0.6 | x | the half\n"
         "time | x.a | - | median | <= | 1 | ms | the time\n"
         "more | x.a | x.b | median | - | - | x | told only\n")


def judged(run, table=TABLE, baseline=None):
    return {o.bar.name: o for o in barfile.judge(bars_of(table), ["x"], run, baseline or {})}


def test_a_good_program():
    run = run_script(GOOD + "say(note='hello')\nsay(skip='x.c', why='no kernel')\nprint()\n")
    equal((run.failures, run.notes, run.skips), ([], ["hello"], [("x.c", "no kernel")]))
    got = judged(run)
    equal({n: o.verdict for n, o in got.items()}, {"half": "held", "time": "missed", "more": "told"})
    expect(abs(got["half"].figure.value - 0.525) < 1e-9, got["half"])


def test_a_missing_series_is_missed_and_says_why():
    run = run_script(GOOD)
    got = judged(run, "gone | x.none | x.b | median | <= | 1 | x | w\nden | x.a | x.none | median | - | - | x | w\n")
    equal(got["gone"].verdict, "missed")
    expect("x.none: no program measured it" in got["gone"].why, got["gone"].why)
    equal(got["den"].verdict, "told")
    expect("x.none" in got["den"].why, got["den"].why)


def test_a_skipped_series_or_group_is_missed_with_its_reason():
    run = run_script(GOOD + "say(skip='x.deep', why='no such device')\n")
    got = judged(run, "g | x.deep.er | - | median | <= | 1 | ms | w\nh | x.deeper | - | median | <= | 1 | ms | w\n")
    expect("no such device" in got["g"].why, got["g"].why)
    expect("no program measured it" in got["h"].why, got["h"].why)


def test_another_unit_is_no_measurement():
    got = judged(run_script(GOOD), "u | x.a | - | median | <= | 1 | s | w\n")
    expect(got["u"].verdict == "missed" and "in ms, not in s" in got["u"].why, got["u"])


def test_a_program_that_dies_tells_its_last_words_and_keeps_what_it_told():
    run = run_script(GOOD.replace("30", "25") + "print('the kernel said no', file=sys.stderr)\nsys.exit(3)\n")
    expect("ended with code 3: the kernel said no" in run.failures[0][1], run.failures)
    got = judged(run, TABLE + "gone | x.none | - | median | <= | 1 | ms | w\n")
    equal(got["half"].verdict, "held")
    expect("code 3" in got["gone"].why, got["gone"].why)


def test_a_program_that_is_killed():
    run = run_script("os.kill(os.getpid(), signal.SIGKILL)\n")
    expect("signal 9" in run.failures[0][1] and "told nothing" in run.failures[0][1], run.failures)


def test_an_empty_output_is_a_failure():
    run = run_script("")
    expect("told nothing" in run.failures[0][1], run.failures)
    equal(judged(run)["half"].verdict, "missed")


def test_a_program_that_is_not_there():
    run = benchrun.Run()
    benchrun.program(run, "x", "none", ["/nonexistent/program"], 1, "/dev/null")
    expect("No such file" in run.failures[0][1], run.failures)
    equal(run.programs[0][3], 127)


def test_lines_that_are_none_are_counted_and_the_others_taken():
    bad = ["print('nonsense')", "print('[1]')", "say(series='x.a', value='5', unit='ms')", "say(series='x.a', value=1)",
           "say(series='x.a', value=1, unit='s', round=1)", "say(series='x.a', value=1, unit='ms', round='one')",
           "print('{\"series\":\"x.a\",\"value\":NaN,\"unit\":\"ms\"}')", "say(series='x.a', value=True, unit='ms')",
           "say(other=1)",
           "sys.stdout.buffer.write(b'\\xff\\n')"]
    run = run_script(GOOD + "\n".join(bad) + "\nsys.stdout.flush()\n")
    expect("%d lines are not as they should be, the first: line 61" % len(bad) in run.failures[0][1], run.failures)
    equal(len(run.series["x.a"].samples), 30)


def test_a_last_line_without_its_end_is_taken():
    run = run_script("sys.stdout.write(json.dumps({'series': 'x.a', 'value': 1, 'unit': 'ms'}))\n")
    equal((len(run.series["x.a"].samples), run.failures), (1, []))


def test_a_program_that_takes_far_too_long_is_ended():
    run = run_script(GOOD + "time.sleep(60)\n", seconds=2, too_long=(1.5, 0.5))
    expect("it was ended after" in run.failures[0][1], run.failures)
    equal(judged(run)["half"].verdict, "held")


def test_a_program_that_does_not_listen_is_killed():
    run = run_script("signal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + GOOD + "time.sleep(60)\n", 2, too_long=(1.5, 0.5))
    expect("it was ended after" in run.failures[0][1] and run.programs[0][3] == -9, run.failures, run.programs)


def test_a_child_that_holds_the_pipe_keeps_nobody():
    # It waits until the folder of the program is gone, which is when the runner has done with it.
    run = run_script(GOOD + "if os.fork() == 0:\n    while os.path.exists(sys.argv[0]): time.sleep(0.05)\n", seconds=30)
    equal(run.failures, [])


# ---- the report ------------------------------------------------------------------------------------------


def made_report(baseline=None, table=TABLE):
    baseline = baseline or {"machine": {}, "bars": {}}
    run = run_script(GOOD + "say(note='<script>alert(1)</script>')\n")
    return benchtext.report(INFO, run, barfile.judge(bars_of(table), ["x"], run, baseline["bars"]), baseline)


def test_the_last_lines_are_one_a_bar_and_the_count():
    lines = benchtext.ending(made_report(), "out").splitlines()
    equal(lines[-1], "1 held, 1 missed")
    equal([line.split()[0:2] for line in lines[-3:-1]], [["held", "half"], ["missed", "time"]])
    expect("<= 0.6" in lines[-3] and "0.525 x" in lines[-3] and "the half" in lines[-3], lines[-3])
    equal(benchtext.text(made_report()).splitlines()[-1], "1 held, 1 missed")


def test_a_report_with_a_baseline():
    then = {"value": 0.9, "low": 0.85, "high": 0.95, "unit": "x"}
    earlier = {"half": then, "more": then}
    r = made_report({"machine": dict(INFO, cpu="Another"), "bars": earlier})
    change = {b["name"]: b["change"] for b in r["bars"]}
    equal(change, {"half": "better", "time": "", "more": ""})
    text = benchtext.text(r)
    expect("was 0.900: better" in text and "only ratios can be compared" in text, text)


def test_a_baseline_is_written_and_read_again():
    run = run_script(GOOD)
    outcomes = barfile.judge(bars_of(TABLE), ["x"], run, {})
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "baseline.json")
        equal(bench.read_baseline(path), {"machine": {}, "bars": {}})
        old = {"machine": {}, "bars": {"other": {"value": 1, "low": 1, "high": 1, "unit": "x"}}}
        bench.write_baseline(path, old, INFO, outcomes)
        new = bench.read_baseline(path)
    equal(sorted(new["bars"]), ["half", "more", "other", "time"])
    equal(new["machine"]["cpu"], "Pretended")
    equal(judged(run, TABLE, new["bars"])["half"].change, "same")


class Page(html.parser.HTMLParser):
    def __init__(self):
        super().__init__()
        self.tags, self.asked, self.open = [], [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.asked += [v for k, v in attrs if k in ("src", "href", "xlink:href", "srcset", "action")]
        if tag not in ("meta", "line", "circle", "rect", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in ("line", "circle", "rect"):
            equal(self.open.pop(), tag, "closed")


def test_the_page_is_whole_asks_for_nothing_and_escapes():
    text = benchpage.page(made_report(table=TABLE + "gone | x.none | - | p99 | <= | 1 | ms | <b>not</b> there\n"))
    p = Page()
    p.feed(text)
    equal((p.open, p.asked), ([], []))
    equal(p.tags.count("svg"), 3 + 2, "a plot for each figure and each series")
    expect("script" not in p.tags and "&lt;script&gt;" in text and "&lt;b&gt;not&lt;/b&gt;" in text, "escaped")
    expect("url(" not in text and "http:" not in text and "prefers-color-scheme: dark" in text, "one file, light and dark")


def test_the_page_plots_where_the_figures_are():
    text = benchpage.page(made_report())
    svg = re.search(r'<svg viewBox="0 0 420 42".*?</svg>', text, re.S).group(0)
    bar = float(re.search(r'class="bar" x1="([0-9.]+)"', svg).group(1))
    point = float(re.search(r'class="point" cx="([0-9.]+)"', svg).group(1))
    # 0 at 8; the bar 0.6 is the highest.
    expect(abs((point - 8) / (bar - 8) - 0.525 / 0.6) < 0.01, point, bar)


def test_numbers_for_people():
    for v, want in ((0, "0.000"), (0.0123, "0.0123"), (1.5, "1.500"), (15.25, "15.25"), (150.04, "150.0"), (12345.6, "12,346")):
        equal(benchtext.number(v), want)


# ---- the world -------------------------------------------------------------------------------------------


def keyed(objects):
    return {(o["kind"], o["metadata"].get("namespace"), o["metadata"]["name"]): o for o in objects}


def test_world_w_is_one_in_c_and_python():
    for size in ((10, 100), (1000, 700), (3, 20)):
        program = os.path.join(BUILD, "tests", "bench", "bench_world")
        p = subprocess.run([program, *map(str, size)], capture_output=True, text=True, check=True)
        c, python = keyed(map(json.loads, p.stdout.splitlines())), keyed(World(*size).objects())
        equal(sorted(map(str, c)), sorted(map(str, python)), size)
        for key, o in python.items():
            equal(c[key], o, key)


def test_no_two_policies_of_w_are_equal():
    world = World(1000, 1)
    equal(len({world.ns(j) + json.dumps(world.policy(j)["spec"]) for j in range(1000)}), 1000)


# ---- all -------------------------------------------------------------------------------------------------


def main():
    global BUILD
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--build", default=os.path.join(ROOT, "build", "rel"))
    ap.add_argument("name", nargs="*")
    args = ap.parse_args()
    BUILD = os.path.abspath(args.build)
    good = bad = 0
    for name, fn in sorted(globals().items()):
        if not name.startswith("test_") or (args.name and not any(n in name for n in args.name)):
            continue
        try:
            fn()
            good += 1
            print("passed " + name[5:])
        except Exception as e:  # pylint: disable=broad-except
            bad += 1
            why = str(e) if isinstance(e, AssertionError) else traceback.format_exc()
            print("failed %s: %s" % (name[5:], why.replace("\n", "\n    ")))
    print("%d passed, %d failed, 0 skipped" % (good, bad))
    return 1 if bad or not good else 0


if __name__ == "__main__":
    sys.exit(main())
