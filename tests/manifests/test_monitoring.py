#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""manifests/grafana and manifests/prometheus: every metric and label that they name is told by the real agent, every
expression is one to promtool, and so is what the agent tells.

    test_monitoring.py [--build DIR]

promtool is taken from PROMTOOL or PATH (Debian: the package prometheus; its service need not run). Without it the tests
that need it are skipped. The last line is the count.
"""
import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import urllib.request  # noqa: F401  (imported by the script that runs in the agent's namespace)

sys.dont_write_bytecode = True
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests", "support"))
from real_agent import RealAgent, possible  # noqa: E402

FETCH = "import urllib.request, sys; sys.stdout.write(urllib.request.urlopen('http://127.0.0.1:9412/metrics', timeout=10).read().decode())"
NAME = re.compile(r"\b((?:ripstop|process)_[a-z_]+)(\{[^}]*\})?")
LABEL = re.compile(r'([a-z_]+)\s*(?:=~|!~|!=|=)\s*"([^"]*)"')
BY = re.compile(r"\bby\s*\(([^)]*)\)")
OF_PROMETHEUS = {"job", "instance", "le"}
COUNT = {"passed": 0, "failed": 0, "skipped": 0}


def check(name, holds, detail=""):
    COUNT["passed" if holds else "failed"] += 1
    if not holds:
        print(f"FAIL {name}: {str(detail)[:1200]}", flush=True)


def read(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as f:
        return f.read()


def scrape(build):
    """{metric: {label: values}} of an agent with a pod, and the text."""
    with tempfile.TemporaryDirectory() as folder:
        with open(folder + "/x.yaml", "w", encoding="utf-8") as f:
            f.write("apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: p}\nspec: {podSelector: {}}\n")
        with RealAgent(build, folder, "--metrics-address", "127.0.0.1:9412") as agent:
            agent.attach("default", "web", "app:web")
            text = agent.inside(sys.executable, "-c", FETCH).stdout
    found = {}
    for line in text.splitlines():
        m = re.match(r"([a-z_]+)(\{.*\})? ", line) if not line.startswith("#") else None
        if m:
            labels = found.setdefault(m.group(1), {})
            for key, value in re.findall(r'([a-z_]+)="([^"]*)"', m.group(2) or ""):
                labels.setdefault(key, set()).add(value)
    return found, text


def of_an_api_source():
    """An agent with a folder does not tell these; the words that make them stand in the source, with their one label."""
    return {name: {"resource": {"pods", "namespaces", "networkpolicies", "nodes"}}
            for name in re.findall(r'"(ripstop_source_[a-z_]+)"', read("agent/scrape.c"))}


def expressions():
    dashboard = json.loads(read("manifests/grafana/ripstop.json"))
    for panel in dashboard["panels"]:
        for target in panel["targets"]:
            yield f"panel {panel['title']}", target["expr"]
    for rule in rules(None):
        yield f"alert {rule['alert']}", rule["expr"]


def rules(build):
    tool = os.path.join(build or BUILD, "tests", "yaml2json")
    text = subprocess.run([tool], input=read("manifests/prometheus/ripstop-rules.yaml"), capture_output=True, text=True, check=True).stdout
    (one,) = [o for o in map(json.loads, filter(None, text.split("\n"))) if o]
    return one["spec"]["groups"][0]["rules"]


def names_are_told(told):
    for where, expr in expressions():
        used = NAME.findall(expr)
        check(f"{where} asks for something of ours", bool(used) or "up{" in expr, expr)
        labels_of_all = set()
        for name, selector in used:
            check(f"{where}: {name} is told", name in told, sorted(told))
            labels = told.get(name, {})
            labels_of_all |= set(labels)
            for key, value in LABEL.findall(selector):
                known = key in OF_PROMETHEUS or key in labels
                # A value that is asked for by its word is one that can be.
                word = known and key in labels and re.fullmatch(r"[a-zA-Z-]+", value)
                check(f"{where}: {name}{{{key}}}", known and (not word or value in labels[key]), f"{value} of {labels}")
        for group in BY.findall(expr):
            for key in filter(None, (k.strip() for k in group.split(","))):
                check(f"{where}: by {key}", key in OF_PROMETHEUS or key in labels_of_all, labels_of_all)


def shapes():
    dashboard = json.loads(read("manifests/grafana/ripstop.json"))
    ids = [p["id"] for p in dashboard["panels"]]
    check("panels have numbers of their own", len(set(ids)) == len(ids) > 10)
    taken = set()
    for p in dashboard["panels"]:
        g = p["gridPos"]
        cells = {(x, y) for x in range(g["x"], g["x"] + g["w"]) for y in range(g["y"], g["y"] + g["h"])}
        check(f"panel {p['title']} has its place", not cells & taken and g["x"] + g["w"] <= 24, g)
        taken |= cells
    variables = {v["name"] for v in dashboard["templating"]["list"]}
    used = set(re.findall(r"\$\{?([a-z]+)\b", json.dumps(dashboard["panels"]))) - {"__rate_interval"}
    check("variables are there", used <= variables, used - variables)
    check("no address of anybody's server", not re.search(r"https?://", read("manifests/grafana/ripstop.json")))
    names = [r["alert"] for r in rules(None)]
    check("alerts have names of their own", len(set(names)) == len(names) > 8)
    for r in rules(None):
        check(f"alert {r['alert']} says what and how bad", r["labels"]["severity"] in ("critical", "warning", "info") and
              r["annotations"]["summary"] and r["annotations"]["description"], r)


def by_promtool(metrics):
    tool = os.environ.get("PROMTOOL") or shutil.which("promtool")
    if not tool:
        print("no promtool: expressions are not parsed")
        COUNT["skipped"] += 1
        return
    with tempfile.TemporaryDirectory() as tmp:
        # JSON is YAML.
        alerts = {"groups": [{"name": "a", "rules": rules(None)}]}
        panels = [{"record": f"panel:{i}", "expr": re.sub(r"\$__rate_interval", "5m", e).replace("$job", ".*").replace("$instance", ".*")}
                  for i, (w, e) in enumerate(expressions()) if w.startswith("panel")]
        for name, what in (("alerts", alerts), ("panels", {"groups": [{"name": "p", "rules": panels}]})):
            path = f"{tmp}/{name}.yaml"
            with open(path, "w", encoding="utf-8") as f:
                json.dump(what, f)
            p = subprocess.run([tool, "check", "rules", path], capture_output=True, text=True, check=False)
            check(f"promtool check rules: {name}", p.returncode == 0 and "SUCCESS" in p.stdout, p.stdout + p.stderr)
        p = subprocess.run([tool, "check", "metrics"], input=metrics, capture_output=True, text=True, check=False)
        check("promtool check metrics", p.returncode == 0 and not p.stderr.strip(), p.stdout + p.stderr)
        series = [{"series": 'ripstop_ready{job="ripstop-agent",instance="n1"}', "values": "1 0x20"},
                  {"series": 'ripstop_ipam_addresses{instance="n1",family="4",state="used"}', "values": "240x30"},
                  {"series": 'ripstop_ipam_addresses{instance="n1",family="4",state="free"}', "values": "14x30"},
                  {"series": 'ripstop_drift_total{instance="n1"}', "values": "0x10 3x20"}]
        fired = [("RipstopNotReady", "10m", [{"exp_labels": {"severity": "critical", "job": "ripstop-agent", "instance": "n1"}}]),
                 ("RipstopAddressesShort", "15m", [{"exp_labels": {"severity": "warning", "instance": "n1", "family": "4"}}]),
                 ("RipstopDrift", "9m", []), ("RipstopDrift", "12m", [{"exp_labels": {"severity": "warning", "instance": "n1"}}])]
        notes = {r["alert"]: r["annotations"] for r in rules(None)}
        values = {"RipstopNotReady": {"summary": "The agent on n1 is not ready"},
                  "RipstopAddressesShort": {"summary": "94.49% of the IPv4 addresses of n1 are used"},
                  "RipstopDrift": {"summary": "Somebody changes Ripstop's rules on n1",
                                   "description": "3 differences were found and mended. The agent's log names the program."}}
        for name, _, alerts_of in fired:
            for a in alerts_of:
                a["exp_annotations"] = {**notes[name], **values[name]}
        test = {"rule_files": ["alerts.yaml"], "evaluation_interval": "1m", "tests": [
            {"interval": "1m", "input_series": series,
             "alert_rule_test": [{"alertname": n, "eval_time": t, "exp_alerts": a} for n, t, a in fired]}]}
        with open(f"{tmp}/test.yaml", "w", encoding="utf-8") as f:
            json.dump(test, f)
        p = subprocess.run([tool, "test", "rules", "test.yaml"], cwd=tmp, capture_output=True, text=True, check=False)
        check("alerts come when they should", p.returncode == 0, p.stdout + p.stderr)


def main():
    global BUILD
    ap = argparse.ArgumentParser()
    ap.add_argument("--build", default="build/rel")
    args = ap.parse_args()
    BUILD = os.path.abspath(args.build)
    shapes()
    why = possible()
    if why:
        print("the real agent: " + why)
        COUNT["skipped"] += 1
    else:
        told, text = scrape(BUILD)
        names_are_told({**of_an_api_source(), **told})
        by_promtool(text)
    print("%(passed)d passed, %(failed)d failed, %(skipped)d skipped" % COUNT)
    return 1 if COUNT["failed"] else 0


BUILD = "build/rel"
if __name__ == "__main__":
    sys.exit(main())
