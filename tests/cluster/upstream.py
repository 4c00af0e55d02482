# SPDX-License-Identifier: Apache-2.0
"""upstream.py - runs cases of Kubernetes' own end-to-end suite against the cluster, and says what became of each.

The suite itself names its cases (a dry run), so none can be forgotten: what was asked for and did not run has
failed, also when it skipped itself. A case that cannot run here is taken out beforehand, with its reason.
"""
import dataclasses
import json
import os
import re
import signal
import socket
import subprocess
import time

PROCESSES = 4            # most of a case is waiting for pods and for time-outs of what must be denied
SEED = "1"               # one order for all runs
AT_ONCE = 60             # seconds between two lines of progress
NO_SCTP = "this machine's kernel has no SCTP sockets (make check-kernels covers SCTP)"


class SuiteError(Exception):
    """The suite could not be asked or started: nothing is known about any case."""


@dataclasses.dataclass
class Case:
    name: str           # as the suite's -ginkgo.focus sees it
    place: tuple        # (file, line): the order in the sources
    state: str = ""     # ginkgo's word: passed, failed, skipped, timedout, ...; "" when nothing is known
    why: str = ""
    seconds: float = 0


def sctp_sockets():
    """Whether this machine's kernel has SCTP; asking loads the module where there is one."""
    try:
        socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_SCTP).close()
        return True
    except OSError:
        return False


def needs_sctp(name):
    return "[Feature:SCTPConnectivity]" in name


def plain(name):
    """A name as people write it: some have spaces at their end."""
    return " ".join(name.split())


def _name(spec):
    return " ".join(t for t in (spec.get("ContainerHierarchyTexts") or []) + [spec.get("LeafNodeText") or ""] if t)


def _place(spec):
    where = spec.get("LeafNodeLocation") or {}
    return os.path.basename(where.get("FileName") or ""), where.get("LineNumber") or 0


def _why(spec):
    failure = spec.get("Failure") or {}
    where = failure.get("Location") or {}
    text = " ".join((failure.get("Message") or "").split())
    if where.get("FileName"):
        text += " (%s:%d)" % (os.path.basename(where["FileName"]), where.get("LineNumber") or 0)
    return text.strip()


def read_report(path):
    """(cases, what ailed the suite as a whole) of ginkgo's JSON report."""
    with open(path, encoding="utf-8") as f:
        reports = json.load(f)
    cases, ails = [], []
    for report in reports:
        ails += report.get("SpecialSuiteFailureReasons") or []
        for spec in report.get("SpecReports") or []:
            if spec.get("LeafNodeType") == "It":
                cases.append(Case(_name(spec), _place(spec), spec.get("State") or "", _why(spec),
                                  (spec.get("RunTime") or 0) / 1e9))
            elif spec.get("State") != "passed" and _why(spec):
                ails.append(_why(spec))
    return cases, list(dict.fromkeys(ails))


def quote(text):
    """For Go's regular expressions, which refuse some of the backslashes that re.escape() makes."""
    return re.sub(r"([\\.+*?()|\[\]{}^$])", r"\\\1", text)


def listed(programs, pattern, folder):
    """The suite's own list of the cases whose name matches `pattern`, in the order of its sources."""
    os.makedirs(folder, exist_ok=True)
    report = os.path.join(folder, "list.json")
    argv = [programs.e2e, "-ginkgo.dry-run", "-ginkgo.json-report=" + report, "-ginkgo.no-color", "-ginkgo.succinct"]
    # A dry run asks no server; but the suite wants to be told of one. Without a focus it would leave cases out.
    p = subprocess.run(argv + ["-ginkgo.focus=.", "-provider=skeleton", "-host=https://127.0.0.1:1"],
                       stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                       cwd=folder, timeout=300, check=False)
    if p.returncode:
        raise SuiteError("the suite cannot list its cases: " + " ".join(p.stdout.split())[-500:])
    found = {c.name: c for c in read_report(report)[0] if re.search(pattern, c.name)}
    if not found:
        raise SuiteError("the suite has no case like " + pattern)
    return sorted(found.values(), key=lambda c: c.place)


def _end(process):
    """Ask the whole group to end: the suite then still clears away and writes its report."""
    for how, seconds in ((signal.SIGINT, 90), (signal.SIGKILL, 15)):
        if process.poll() is not None:
            return
        try:
            os.killpg(process.pid, how)
            process.wait(seconds)
        except (ProcessLookupError, subprocess.TimeoutExpired):
            continue


def _progress(log):
    """How many cases have ended, whatever came of them: ginkgo writes a dot for each."""
    with open(log, encoding="utf-8", errors="replace") as f:
        return f.read().count("\u2022")


def run(cluster, names, folder, seconds, say):
    """Run these cases; {name: Case}, where one that nothing is known of is missing; and what ailed the suite.

    The log and the report stay in `folder`.
    """
    os.makedirs(folder, exist_ok=True)
    report, log = os.path.join(folder, "report.json"), os.path.join(folder, "log")
    for old in (report, log):
        if os.path.exists(old):
            os.unlink(old)
    focus = ["--focus=" + quote(name) + "$" for name in names]
    argv = [cluster.programs.ginkgo, "run", "--procs=%d" % PROCESSES, "--seed=" + SEED, "--no-color",
            "--timeout=%ds" % max(60, seconds - 120), "--output-dir=" + folder, "--json-report=report.json"] + focus
    # Of several processes only the first would count the nodes by itself.
    argv += [cluster.programs.e2e, "--", "-provider=skeleton", "-kubeconfig=" + cluster.kubeconfig,
             "-num-nodes=%d" % len(cluster.nodes), "-kubectl-path=" + os.path.join(cluster.programs.bin, "kubectl")]
    began = told = time.monotonic()
    with open(log, "wb") as out:
        process = cluster.popen(argv, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, cwd=folder,
                                start_new_session=True)
        try:
            while process.poll() is None and time.monotonic() - began < seconds:
                time.sleep(0.5)
                if time.monotonic() - told > AT_ONCE:
                    told = time.monotonic()
                    say("%d of %d cases after %d s" % (_progress(log), len(names), told - began))
        finally:
            _end(process)
    if not os.path.exists(report):
        with open(log, encoding="utf-8", errors="replace") as f:
            return {}, ["no report; its last words: " + " ".join(f.read().split())[-500:]]
    cases, ails = read_report(report)
    wanted = set(names)
    # ginkgo reports every case of the binary; those outside the focus are skipped and no word is said of why.
    return {c.name: c for c in cases if c.name in wanted}, ails


def judge(result, shown, case, ails):
    """Count one case that was asked for."""
    if case is None or case.state in ("", "pending"):
        result.failed(shown, "did not run; " + ("; ".join(ails) or "the suite's report does not hold it"))
    elif case.state == "passed":
        result.passed(shown)
    elif case.state == "skipped":
        result.failed(shown, "did not run: " + (case.why or "; ".join(ails) or "no reason given"))
    else:
        result.failed(shown, "%s after %d s: %s" % (case.state, case.seconds, case.why))
