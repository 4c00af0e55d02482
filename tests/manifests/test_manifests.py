#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""manifests/: what they ask of a cluster and of a node, that they fit the programs, and that the Helm chart says
the same. Asks no cluster.

    test_manifests.py [--build DIR]

The chart is rendered by the few words of the template language that it uses, and by helm itself where that is in
PATH or HELM names it. (With Go 1.24: `go install helm.sh/helm/v3/cmd/helm@v3.17.3`.)
"""
import argparse
import glob
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
MANIFESTS = os.path.join(ROOT, "manifests")
CHART = os.path.join(MANIFESTS, "helm", "ripstop")
BUILD = ""


class Skip(Exception):
    """Why a test does not run here."""


def expect(truth, what):
    if not truth:
        raise AssertionError(what)


def equal(have, want, what):
    expect(have == want, "%s: %r, not %r" % (what, have, want))


def parse(text, where):
    p = subprocess.run([os.path.join(BUILD, "tests", "yaml2json")], input=text, capture_output=True, text=True, check=False)
    expect(p.returncode == 0, "%s is no YAML: %s" % (where, p.stderr.strip()))
    return [o for o in map(json.loads, filter(None, p.stdout.split("\n"))) if o]


def read(path):
    with open(path, encoding="utf-8") as f:
        return f.read()


def objects(pattern="*.yaml"):
    return [o for path in sorted(glob.glob(os.path.join(MANIFESTS, pattern))) for o in parse(read(path), path)]


def of_kind(kind, pattern="*.yaml"):
    return [o for o in objects(pattern) if o["kind"] == kind]


def pod_specs():
    return {o["metadata"]["name"]: o["spec"]["template"]["spec"]
            for o in of_kind("DaemonSet") + of_kind("DaemonSet", "uninstall/*.yaml")}


def ebpf_objects():
    """What is applied in a cluster with the eBPF dataplane: two files take the place of those of the same name."""
    other = by_name(objects("ebpf/*.yaml"))
    equal(sorted(other), [("ConfigMap", "ripstop-config"), ("DaemonSet", "ripstop-agent")], "objects of manifests/ebpf/")
    return [other.get((o["kind"], o["metadata"]["name"]), o) for o in objects()]


def containers(spec):
    return spec.get("initContainers", []) + spec["containers"]


def agent():
    return pod_specs()["ripstop-agent"]["containers"][0]


def config():
    (one,) = of_kind("ConfigMap")
    return one["data"]["ripstop.conf"]


def options():
    """name -> metavar, of ripstop-agent --help."""
    p = subprocess.run([os.path.join(BUILD, "ripstop-agent"), "--help"], capture_output=True, text=True, check=True)
    found = dict(re.findall(r"^  --([a-z-]+)(?: (\S+))?", p.stdout, re.M))
    expect(len(found) > 20, "--help lists no options")
    return found, p.stdout


# ---- the files ------------------------------------------------------------------------------------


def every_file_begins_with_a_document():
    paths = glob.glob(os.path.join(MANIFESTS, "**", "*.yaml"), recursive=True)
    expect(len(paths) >= 10, "only %d files" % len(paths))
    for path in paths:
        if "/templates/" in path:
            continue
        expect(read(path).startswith("---\n"), "%s does not begin with ---" % path)


def every_object_says_what_and_where():
    for o in objects() + objects("ebpf/*.yaml") + objects("uninstall/*.yaml"):
        expect(o.get("apiVersion") and o.get("kind") and o["metadata"].get("name"), "an object without its head: %s" % o)
        if o["kind"] in ("Namespace", "ClusterRole", "ClusterRoleBinding"):
            expect("namespace" not in o["metadata"], "%s in a namespace" % o["kind"])
        else:
            equal(o["metadata"].get("namespace"), "ripstop-system", "%s %s" % (o["kind"], o["metadata"]["name"]))
    equal(objects()[0]["kind"], "Namespace", "the first object (files are applied in their order)")
    equal(sorted(o["kind"] for o in objects()), ["ClusterRole", "ClusterRoleBinding", "ConfigMap", "DaemonSet", "Namespace",
                                                 "ServiceAccount"], "kinds")


def images_are_of_this_version():
    version = read(os.path.join(ROOT, "VERSION")).strip()
    for name, spec in pod_specs().items():
        for c in containers(spec):
            equal(c["image"], "localhost/ripstop:" + version, "image of %s/%s" % (name, c["name"]))
    chart = parse(read(os.path.join(CHART, "Chart.yaml")), "Chart.yaml")[0]
    equal((chart["version"], chart["appVersion"]), (version, version), "the chart's versions")


# ---- what is asked for ----------------------------------------------------------------------------


def xg2_rbac_reads_four_kinds_and_nothing_else():
    (role,) = of_kind("ClusterRole")
    seen = set()
    for rule in role["rules"]:
        equal(sorted(rule), ["apiGroups", "resources", "verbs"], "fields of a rule")
        equal(sorted(rule["verbs"]), ["list", "watch"], "verbs")
        seen |= {(g, r) for g in rule["apiGroups"] for r in rule["resources"]}
    equal(seen, {("", "pods"), ("", "namespaces"), ("", "nodes"), ("networking.k8s.io", "networkpolicies")}, "resources")
    (binding,) = of_kind("ClusterRoleBinding")
    equal(binding["roleRef"]["name"], role["metadata"]["name"], "the role of the binding")
    (account,) = of_kind("ServiceAccount")
    equal([(s["kind"], s["name"], s["namespace"]) for s in binding["subjects"]],
          [("ServiceAccount", account["metadata"]["name"], "ripstop-system")], "whom the binding names")
    equal(of_kind("Role") + of_kind("RoleBinding"), [], "other rights")


def nobody_is_privileged():
    for name, spec in pod_specs().items():
        equal(spec["securityContext"]["seccompProfile"], {"type": "RuntimeDefault"}, "seccomp of " + name)
        expect(not spec.get("hostPID") and not spec.get("hostIPC"), "%s sees the node's processes" % name)
        for c in containers(spec):
            where, s = "%s/%s" % (name, c["name"]), c["securityContext"]
            equal(s["privileged"], False, "privileged of " + where)
            equal(s["allowPrivilegeEscalation"], False, "escalation of " + where)
            equal(s["readOnlyRootFilesystem"], True, "root folder of " + where)
            equal(s["capabilities"]["drop"], ["ALL"], "dropped capabilities of " + where)
            expect(s["capabilities"].get("add", []) in ([], ["NET_ADMIN"]), "capabilities of " + where)
            expect("seccompProfile" not in s, "%s has a seccomp profile of its own" % where)
    spec = pod_specs()["ripstop-agent"]
    expect("add" not in spec["initContainers"][0]["securityContext"]["capabilities"], "the installer has a capability")


def folders_of_the_node_are_mounted_as_narrowly_as_can_be():
    spec = pod_specs()["ripstop-agent"]
    paths = {v["name"]: v["hostPath"]["path"] for v in spec["volumes"] if "hostPath" in v}
    equal(paths, {"state": "/run/ripstop", "cni-conf": "/etc/cni/net.d", "cni-bin": "/opt/cni/bin"}, "folders of the node")
    mounts = {m["name"]: m for m in agent()["volumeMounts"]}
    for name, path in paths.items():
        equal(mounts[name]["mountPath"], path, "where %s is mounted" % name)
    equal(mounts["cni-bin"].get("readOnly"), True, "XG3: the agent can write the plugin's folder: readOnly")
    expect(not mounts["cni-conf"].get("readOnly") and not mounts["state"].get("readOnly"), "a folder that the agent writes")
    (install,) = spec["initContainers"]
    equal(sorted(m["name"] for m in install["volumeMounts"] if not m.get("readOnly")), ["cni-bin"], "what the installer writes")


def only_the_agent_has_a_credential():
    for name, spec in pod_specs().items():
        equal(spec["automountServiceAccountToken"], False, "automount of " + name)
        for c in containers(spec):
            has = any(m["name"] == "token" for m in c["volumeMounts"])
            equal(has, name == "ripstop-agent" and c["name"] == "agent", "token in %s/%s" % (name, c["name"]))
    (account,) = of_kind("ServiceAccount")
    equal(account["automountServiceAccountToken"], False, "automount of the account")


def it_runs_on_every_node_and_first():
    for name, spec in pod_specs().items():
        equal(spec["hostNetwork"], True, "hostNetwork of " + name)
        equal(spec["tolerations"], [{"operator": "Exists"}], "tolerations of " + name)
        equal(spec["priorityClassName"], "system-node-critical", "priority of " + name)
        for c in containers(spec):
            expect(c["resources"]["requests"]["cpu"] and c["resources"]["requests"]["memory"], "requests of " + c["name"])
            expect(c["resources"]["limits"]["memory"] and "cpu" not in c["resources"]["limits"], "limits of " + c["name"])


def probes_stay_on_the_node():
    for which, path in (("livenessProbe", "/livez"), ("readinessProbe", "/readyz")):
        probe = agent()[which]["httpGet"]
        equal((probe["host"], probe["port"], probe["path"]), ("127.0.0.1", 9412, path), which)
    expect("[127.0.0.1:9412]" in options()[1], "the probes' address is not the default of --metrics-address")
    expect("metrics-address" not in config(), "the configuration moves the address of the probes")


# ---- do they fit the programs? ----------------------------------------------------------------------


def every_setting_is_an_option():
    known = options()[0]
    flags = [a for s in pod_specs().values() for c in containers(s) for a in c.get("args", []) if a.startswith("--")]
    expect(flags, "no flag is used at all")
    for flag in flags:
        expect(flag[2:].split("=")[0] in known, "%s is no option" % flag)
    for s in pod_specs().values():
        for c in containers(s):
            for e in c.get("env", []):
                expect(e["name"].replace("RIPSTOP_", "").lower().replace("_", "-") in known, "%s is no option" % e["name"])
            words = [a for a in c.get("args", []) if not a.startswith("-")]
            expect(words in ([], ["install"], ["uninstall"]), "command %s" % words)
    keys = re.findall(r"^([a-z-]+):", config(), re.M)
    expect("install-conflist" in keys, "the conflist is not kept")
    for key in keys:
        expect(key in known, "%s in ripstop.conf is no option" % key)


def takes_configuration(text):
    """By way of `install` into a folder of our own: it reads the whole file first."""
    with tempfile.TemporaryDirectory() as folder:
        conf = os.path.join(folder, "ripstop.conf")
        with open(conf, "w", encoding="utf-8") as f:
            f.write(text)
        p = subprocess.run([os.path.join(BUILD, "ripstop-agent"), "install", "--config", conf, "--cni-bin-dir", folder],
                           capture_output=True, text=True, check=False)
        equal(p.returncode, 0, "exit code (%s)" % p.stderr.strip())
        expect(os.access(os.path.join(folder, "ripstop"), os.X_OK), "no plugin")


def the_agent_takes_the_configuration():
    takes_configuration(config())


def optional_policies_are_good():
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(os.path.join(MANIFESTS, "optional", "namespace-baseline.yaml"), folder)
        kinds = [o["kind"] for o in parse(read(os.path.join(folder, "namespace-baseline.yaml")), "baseline")]
        equal(kinds, ["NetworkPolicy"] * 2, "kinds of the baseline")


def kubectl_ripstop_rights_are_optional_and_few():
    """Nobody gets them by `kubectl apply -f manifests/`: see xg2."""
    role, binding = objects("optional/kubectl-ripstop-rbac.yaml")
    equal((role["kind"], binding["kind"]), ("Role", "RoleBinding"), "kinds: rights in one namespace only")
    equal({o["metadata"]["namespace"] for o in (role, binding)}, {"ripstop-system"}, "namespace")
    equal([(r["apiGroups"], r["resources"], sorted(r["verbs"])) for r in role["rules"]],
          [([""], ["pods"], ["get", "list"]), ([""], ["pods/exec"], ["create", "get"])], "rights")
    equal((binding["roleRef"]["kind"], binding["roleRef"]["name"]), ("Role", role["metadata"]["name"]), "the role of the binding")
    equal([s["kind"] for s in binding["subjects"]], ["Group"], "whom it names: people")


def events_are_optional_and_only_made():
    """Nobody gets the right by `kubectl apply -f manifests/` (see xg2), and no setting asks for it."""
    expect(not re.search(r"^events:", config(), re.M), "the configuration switches Events on")
    role, binding = objects("optional/events.yaml")
    equal((role["kind"], binding["kind"]), ("ClusterRole", "ClusterRoleBinding"), "kinds")
    equal(role["rules"], [{"apiGroups": ["events.k8s.io"], "resources": ["events"], "verbs": ["create"]}], "rights")
    equal(binding["roleRef"], {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role["metadata"]["name"]}, "the role")
    equal(binding["subjects"], [{"kind": "ServiceAccount", "name": "ripstop-agent", "namespace": "ripstop-system"}], "whom it names")
    expect(role["metadata"]["name"] not in [o["metadata"]["name"] for o in objects()], "it takes the place of another role")
    head = read(os.path.join(MANIFESTS, "optional", "events.yaml")).split("apiVersion:")[0]
    for word in ("kubectl apply -f manifests/optional/events.yaml", "events: on", "rollout restart daemonset/ripstop-agent"):
        expect(word in head, "its head does not say %r" % word)
    expect("events" in options()[0], "no such option")


def readers_may_list_what_worlds_are_made_of():
    role, binding = objects("optional/kubectl-ripstop-reader.yaml")
    kinds = {r for rule in role["rules"] for r in rule["resources"]}
    text = read(os.path.join(ROOT, "cli", "kubectl", "kubelive.c"))
    asked = {m.split(".")[0] for m in re.findall(r'\[PART_[A-Z]+\] = \{ "([a-z0-9.]+)"', text)}
    equal(kinds, asked, "what is listed, and what kubectl ripstop asks for")
    equal({v for r in role["rules"] for v in r["verbs"]}, {"list"}, "verbs")
    equal((binding["roleRef"]["name"], [s["kind"] for s in binding["subjects"]]), (role["metadata"]["name"], ["Group"]), "binding")


# ---- the eBPF dataplane -----------------------------------------------------------------------------


def ebpf_adds_two_rights_a_folder_and_memory():
    """And nothing else to what every node has."""
    plain, more = by_name(objects()), by_name(ebpf_objects())
    conf = more["ConfigMap", "ripstop-config"]["data"]["ripstop.conf"]
    said = re.compile(r"^dataplane: (.*)$", re.M)
    equal((said.findall(config()), said.findall(conf)), (["nft"], ["ebpf"]), "what the two configurations say")
    cut = re.compile(r"^#[^\n]*enforce[^\n]*\ndataplane:[^\n]*\n", re.M)
    equal(cut.sub("", conf), cut.sub("", config()), "the rest of the configuration")
    want = plain["DaemonSet", "ripstop-agent"]["spec"]["template"]["spec"]
    have = more["DaemonSet", "ripstop-agent"]["spec"]["template"]["spec"]
    want["containers"][0]["securityContext"]["capabilities"]["add"] += ["BPF", "PERFMON"]
    folder = {"name": "bpffs", "hostPath": {"path": "/sys/fs/bpf", "type": "Directory"}}
    mount = {"name": "bpffs", "mountPath": "/sys/fs/bpf", "mountPropagation": "HostToContainer"}
    want["volumes"].insert(-1, folder)
    want["containers"][0]["volumeMounts"].insert(-1, mount)
    want["containers"][0]["resources"] = {"requests": {"cpu": "20m", "memory": "48Mi"}, "limits": {"memory": "384Mi"}}
    found = differs(have, want)
    expect(not found, "the agent: %s" % found)


def uninstall_sees_the_pins():
    for c in containers(pod_specs()["ripstop-uninstall"]):
        expect("/sys/fs/bpf" in [m["mountPath"] for m in c["volumeMounts"]], "no bpffs in " + c["name"])


def the_agent_takes_the_ebpf_configuration():
    (one,) = of_kind("ConfigMap", "ebpf/*.yaml")
    takes_configuration(one["data"]["ripstop.conf"])


# Settings of the unit and its drop-in that add up; of all others the last one counts.
ADDED = ("CapabilityBoundingSet", "SystemCallFilter", "RequiresMountsFor", "ReadWritePaths", "ReadOnlyPaths")


def the_drop_in_adds_to_the_unit():
    """And a systemd that is here takes both."""
    unit, more = (read(os.path.join(ROOT, "tools", f)) for f in ("ripstop-agent.service", "ripstop-agent-ebpf.conf"))
    keys = dict(re.findall(r"^([A-Z]\w+)=(.*)$", more, re.M))
    equal(keys.pop("CapabilityBoundingSet").split(), ["CAP_BPF", "CAP_PERFMON"], "capabilities")
    equal(keys.pop("SystemCallFilter"), "bpf", "system calls")
    for key in keys:
        expect(key in ADDED or re.search("^%s=" % key, unit, re.M), "%s is in the drop-in alone" % key)
    expect("\nSystemCallErrorNumber=EPERM\n" in unit, "without the drop-in a call of bpf() is the agent's end")
    analyze = shutil.which("systemd-analyze")
    if not analyze:
        raise Skip("no systemd-analyze here")
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "ripstop-agent.service")
        os.mkdir(path + ".d")
        shutil.copy(os.path.join(ROOT, "tools", "ripstop-agent-ebpf.conf"), path + ".d/ebpf.conf")
        with open(path, "w", encoding="utf-8") as f:
            f.write(unit.replace("@BINDIR@", BUILD))
        p = subprocess.run([analyze, "verify", "--recursive-errors=no", path], capture_output=True, text=True, check=False, timeout=60)
        expect("ripstop-agent" not in p.stderr, p.stderr.strip())


# ---- rules for Falco --------------------------------------------------------------------------------


def falco():
    """kind -> name -> item, of the rule file."""
    found = {"list": {}, "macro": {}, "rule": {}}
    (items,) = parse(read(os.path.join(MANIFESTS, "optional", "falco-rules.yaml")), "falco-rules.yaml")
    for item in items:
        kind = next((k for k in found if k in item), None)
        expect(kind or "required_plugin_versions" in item, "what is %r" % item)
        if kind:
            found[kind][item[kind]] = item
    return found


def at(record, pointer):
    """json.value[POINTER] as text, or None."""
    for part in pointer.strip("/").split("/"):
        record = record.get(part) if isinstance(record, dict) else None
    return None if record is None else str(record)


class Condition:
    """Falco's conditions as far as our rules use them; any other word is an error."""

    def __init__(self, text, rules, record):
        self.words = re.findall(r'json\.value\[[^]]*\]|"[^"]*"|[()=,]|[^\s()=,]+', text)
        self.rules, self.record = rules, record

    def take(self, word=None):
        expect(self.words and word in (None, self.words[0]), "condition: %r at %r" % (word, self.words[:5]))
        return self.words.pop(0)

    def whole(self):
        truth = self.conjunction()
        expect(not self.words, "condition: what is %r" % self.words)
        return truth

    def conjunction(self):
        truth = self.term()
        while self.words and self.words[0] == "and":
            self.take()
            truth = self.term() and truth
        return truth

    def term(self):
        word = self.take()
        if word == "(":
            truth = self.conjunction()
            self.take(")")
            return truth
        if not word.startswith("json.value["):
            return Condition(self.rules["macro"][word]["condition"], self.rules, self.record).whole()
        value, op = at(self.record, word[len("json.value["):-1]), self.take()
        if op == "exists":
            return value is not None
        if op == "=":
            return value == self.take().strip('"')
        expect(op == "in", "condition: operator %s" % op)
        self.take("(")
        items = self.rules["list"][self.take()]["items"]
        self.take(")")
        return value in items


def falco_flags(rules, **fields):
    record = {"v": 1, "id": 1, "verdict": "DROPPED", "backend": "nft", "reason": "policy-egress", "traffic_direction": "EGRESS",
              "node_name": "n", "IP": {"source": "10.0.0.1", "destination": "10.0.0.2"}, "source": {}, "destination": {}}
    record.update(fields)
    return sorted(name for name, r in rules["rule"].items() if Condition(r["condition"], rules, record).whole())


def falco_rules_flag_what_they_say():
    rules = falco()
    bad = rules["list"]["ripstop_suspicious_addresses"]["items"]
    for address in bad:
        out = {"source": "10.0.0.1", "destination": address}
        equal(falco_flags(rules, IP=out), ["Pod tried to reach a suspicious address"], "towards " + address)
        equal(falco_flags(rules, IP=out, traffic_direction="INGRESS"), [], "another direction")
        equal(falco_flags(rules, IP=out, verdict="FORWARDED"), [], "not dropped")
        equal(falco_flags(rules, IP={"source": address, "destination": "10.0.0.2"}, traffic_direction="INGRESS"),
              ["Suspicious address tried to reach a pod"], "from " + address)
    equal(falco_flags(rules), [], "an address that is not in the list")
    equal(falco_flags(rules, reason="spoofed"), ["Pod sent packets with a forged source"], "forged")


def falco_rules_read_fields_that_records_have():
    with open(os.path.join(ROOT, "docs", "schema", "flow-record.json"), encoding="utf-8") as f:
        schema = json.load(f)
    text = read(os.path.join(MANIFESTS, "optional", "falco-rules.yaml"))
    pointers = set(re.findall(r"json\.value\[(/[^]]*)\]", text))
    expect(len(pointers) > 8, "control: pointers %r" % pointers)
    for pointer in pointers:
        node = schema
        for part in pointer.strip("/").split("/"):
            node = node["properties"].get(part, {})
            node = schema["$defs"][node["$ref"].rsplit("/", 1)[1]] if "$ref" in node else node
            expect(node, "no record has %s" % pointer)
    for name, rule in falco()["rule"].items():
        equal(rule["source"], "collector", name)
        expect(rule["priority"] in ("WARNING", "NOTICE") and rule["output"] and rule["desc"], name)


# ---- the chart --------------------------------------------------------------------------------------


def lookup(values, path):
    for word in path.split(".")[1:]:
        values = values[word]
    return values


def render(text, values):
    """The template words that the chart uses; any other is an error."""
    out, showing = [], [True]
    for line in text.split("\n"):
        m = re.fullmatch(r"\{\{- (if (ne )?(\S+)(?: \"(\w+)\")?|else|end) \}\}", line)
        if m and m.group(3):
            value = lookup(values, m.group(3))
            showing.append(showing[-1] and (value != m.group(4) if m.group(2) else bool(value)))
        elif m and m.group(1) == "else":
            showing[-1] = showing[-2] and not showing[-1]
        elif m:
            showing.pop()
        elif showing[-1]:
            out.append(re.sub(r"\{\{ (\.\S+)(?: \| indent (\d+))? \}\}", lambda m: put(values, m), line))
            expect("{{" not in out[-1], "a template word that is not known here: " + line)
    return "\n".join(out)


def put(values, m):
    text = str(lookup(values, m.group(1)))
    return "\n".join(" " * int(m.group(2)) + line for line in text.split("\n")) if m.group(2) else text


def by_name(all_objects):
    return {(o["kind"], o["metadata"]["name"]): o for o in all_objects}


def differs(have, want, path=""):
    """Where two objects differ first, or None."""
    if isinstance(want, dict) and isinstance(have, dict):
        for key in sorted(set(want) | set(have)):
            if key not in want or key not in have:
                return "%s.%s is in one only" % (path, key)
            found = differs(have[key], want[key], path + "." + key)
            if found:
                return found
        return None
    return None if have == want else "%s: %r, not %r" % (path, have, want)


def hold_against(rendered, wanted):
    have, want = by_name(rendered), by_name(wanted)
    equal(sorted(have), sorted(want), "objects")
    for key, obj in want.items():
        found = differs(have[key], obj)
        expect(not found, "%s %s: %s" % (*key, found))


def templates():
    return sorted(glob.glob(os.path.join(CHART, "templates", "*.yaml")))


def values():
    return {"Values": parse(read(os.path.join(CHART, "values.yaml")), "values.yaml")[0]}


def the_chart_renders_to_the_manifests():
    hold_against([o for t in templates() for o in parse(render(read(t), values()), t)], objects())


def the_charts_values_arrive():
    v = values()
    v["Values"]["cni"] = {"confDir": "/var/lib/rancher/k3s/agent/etc/cni/net.d", "binDir": "/data/cni"}
    v["Values"]["extraConfig"] = "cluster-cidr: [10.42.0.0/16]\nlog-level: debug"
    v["Values"]["namespace"] = {"name": "net", "create": False}
    found = by_name(o for t in templates() for o in parse(render(read(t), v), t))
    expect(("Namespace", "net") not in found, "a namespace that was not asked for")
    conf = found["ConfigMap", "ripstop-config"]["data"]["ripstop.conf"]
    expect("\ncluster-cidr: [10.42.0.0/16]\nlog-level: debug" in conf and "cni-bin-dir: /data/cni\n" in conf, conf)
    spec = found["DaemonSet", "ripstop-agent"]["spec"]["template"]["spec"]
    equal({x["hostPath"]["path"] for x in spec["volumes"] if "hostPath" in x},
          {"/run/ripstop", "/data/cni", "/var/lib/rancher/k3s/agent/etc/cni/net.d"}, "folders of the node")
    expect(all(o["metadata"].get("namespace", "net") == "net" for o in found.values()), "another namespace")


def the_chart_with_events_has_their_right_and_setting():
    v = values()
    v["Values"]["events"] = True
    found = by_name(o for t in templates() for o in parse(render(read(t), v), t))
    wanted = by_name(objects() + objects("optional/events.yaml"))
    conf = found["ConfigMap", "ripstop-config"]["data"]
    equal(re.findall(r"^events:.*", conf["ripstop.conf"], re.M), ["events: on"], "the setting")
    conf["ripstop.conf"] = conf["ripstop.conf"].replace("\nevents: on\n", "\n")
    hold_against(found.values(), wanted.values())


def ebpf_values():
    v = values()
    v["Values"]["dataplane"] = "ebpf"
    v["Values"]["resources"].update(memory="48Mi", memoryLimit="384Mi")
    return v


def without_comments(rendered):
    """The settings alone: what is said about them differs."""
    for o in rendered:
        if o["kind"] == "ConfigMap":
            o["data"]["ripstop.conf"] = re.sub(r"^#.*\n", "", o["data"]["ripstop.conf"], flags=re.M)
    return rendered


def the_chart_with_ebpf_renders_to_those_manifests():
    v = ebpf_values()
    hold_against(without_comments([o for t in templates() for o in parse(render(read(t), v), t)]), without_comments(ebpf_objects()))


def helm_renders_to_the_manifests():
    helm = os.environ.get("HELM") or shutil.which("helm")
    if not helm:
        raise Skip("no helm in PATH and HELM is not set (Debian has none)")
    for what in (["lint", CHART], ["template", "ripstop", CHART]):
        p = subprocess.run([helm] + what, capture_output=True, text=True, check=False, timeout=120)
        equal(p.returncode, 0, "helm %s (%s)" % (what[0], (p.stdout + p.stderr).strip()))
    hold_against(parse(p.stdout, "helm template"), objects())
    p = subprocess.run([helm, "template", "ripstop", CHART, "--set", "dataplane=ebpf,resources.memory=48Mi,resources.memoryLimit=384Mi"],
                       capture_output=True, text=True, check=False, timeout=120)
    hold_against(without_comments(parse(p.stdout, "helm template")), without_comments(ebpf_objects()))


TESTS = [
    every_file_begins_with_a_document, every_object_says_what_and_where, images_are_of_this_version,
    xg2_rbac_reads_four_kinds_and_nothing_else, nobody_is_privileged, folders_of_the_node_are_mounted_as_narrowly_as_can_be,
    only_the_agent_has_a_credential, it_runs_on_every_node_and_first, probes_stay_on_the_node, every_setting_is_an_option,
    the_agent_takes_the_configuration, optional_policies_are_good, kubectl_ripstop_rights_are_optional_and_few,
    events_are_optional_and_only_made, readers_may_list_what_worlds_are_made_of,
    ebpf_adds_two_rights_a_folder_and_memory, uninstall_sees_the_pins, the_agent_takes_the_ebpf_configuration,
    the_drop_in_adds_to_the_unit,
    falco_rules_flag_what_they_say, falco_rules_read_fields_that_records_have,
    the_chart_renders_to_the_manifests, the_chart_with_ebpf_renders_to_those_manifests, the_charts_values_arrive, the_chart_with_events_has_their_right_and_setting,
    helm_renders_to_the_manifests,
]


def main():
    global BUILD
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--build", default=os.path.join(ROOT, "build", "rel"))
    BUILD = os.path.abspath(ap.parse_args().build)
    ok = bad = skipped = 0
    for test in TESTS:
        try:
            test()
            ok += 1
        except Skip as e:
            skipped += 1
            print("skipped %s: %s" % (test.__name__, e))
        except (AssertionError, KeyError, ValueError, TypeError, OSError) as e:
            bad += 1
            print("FAILED %s: %s: %s" % (test.__name__, type(e).__name__, e))
    print("%d passed, %d failed, %d skipped" % (ok, bad, skipped))
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
