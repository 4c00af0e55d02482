#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What is made of the one table of verbs and flags: every row has its text and an example that is one, help, man pages
and completion (in a real bash; zsh and fish where they are installed).

    tests/cli/run_table.py [--build DIR]

The last line is the count.
"""
import argparse
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
from run import HOSTILE, Runner  # noqa: E402

ROOT = os.path.join(HERE, "..", "..")
SENTENCE = re.compile(r"[^\s].*[^\s.]")


class Table(Runner):
    def __init__(self, build):
        super().__init__(build, False)
        self.build = build
        self.kubectl = os.path.join(build, "kubectl-ripstop")

    def run(self, argv, **more):
        p = subprocess.run(argv, capture_output=True, timeout=30, stdin=subprocess.DEVNULL, check=False, **more)
        return p.returncode, p.stdout.decode("utf-8", "replace"), p.stderr.decode("utf-8", "replace")

    def table(self, program):
        return json.loads(self.run([program, "__table"])[1])

    def example(self, what, example, verbs, flags, common):
        """An example is a command line that would be taken: its verb, its flags and forms exist and go together."""
        words = shlex.split(example.split(" | ")[0].split(" >")[0])
        verb = verbs.get(words[1] if len(words) > 1 else "")
        if len(words) == 2 and words[1].startswith("--"):
            verb = {"flags": [], "forms": []}
        self.check(f"example of {what} names a verb", words[0] == "ripstop" and verb is not None, example)
        for word in (w for w in words[1:] if w.startswith("-") and len(w) > 1 and verb is not None):
            name = word.partition("=")[0]
            flag = next((f for f in flags if name in ("--" + f["name"], "-" + f.get("letter", "?"))), None)
            self.check(f"example of {what}: {word} is a flag of that verb",
                       flag is not None and (flag["name"] in verb["flags"] or flag["name"] in common), example)
        form = re.search(r"(?:-o|--output)[ =](\S+)", example)
        if form and verb is not None:
            self.check(f"example of {what}: -o {form.group(1)}", form.group(1) in verb.get("forms", []), example)

    def page(self):
        """docs/cli.md has a row for each verb and flag, once and in the order of the program."""
        with open(os.path.join(ROOT, "docs", "cli.md"), encoding="utf-8") as f:
            text = f.read()
        t = self.table(self.program)
        verbs = re.findall(r"^\| `(\w+)[^|`]*", text[:text.index("\n## ")], re.M)
        self.check("docs/cli.md: verbs in order, each once", verbs == [v["name"] for v in t["verbs"]], str(verbs))
        part = text[text.index("\n## Flags\n"):text.index("\n## Forms\n")]
        flags = re.findall(r"^\| (?:`-\w`, )?`--([a-z-]+)", part, re.M)
        self.check("docs/cli.md: flags in order, each once", flags == [f["name"] for f in t["flags"]], str(flags))
        letters = dict(re.findall(r"^\| `-(\w)`, `--([a-z-]+)", part, re.M))
        self.check("docs/cli.md: letters", letters == {f["letter"]: f["name"] for f in t["flags"] if "letter" in f}, str(letters))

    def rows(self):
        for program in (self.program, self.kubectl):
            t = self.table(program)
            verbs = {v["name"]: v for v in t["verbs"]}
            common = {f["name"] for f in t["flags"] if f["common"]}
            used = {n for v in t["verbs"] for n in v["flags"]}
            for v in t["verbs"]:
                what = f"{t['program']} {v['name']}"
                self.check(f"{what} has a sentence", SENTENCE.fullmatch(v.get("help") or ""), str(v))
                self.check(f"{what} is in its example", (v.get("example") or "").startswith(f"ripstop {v['name']}"), str(v))
                self.example(what, v.get("example") or "", verbs, t["flags"], common)
                self.check(f"{what}: -o and its forms", ("output" in v["flags"]) == bool(v.get("forms")), str(v))
            for f in t["flags"]:
                what = f"{t['program']} --{f['name']}"
                self.check(f"{what} has a sentence", SENTENCE.fullmatch(f.get("help") or ""), str(f))
                example = f.get("example") or ""
                # Those of kubectl share one.
                spelled = f"--{f['name']}" in example or ("letter" in f and re.search(f"(^| )-{f['letter']}", example))
                self.check(f"{what} is in its example", spelled or (f["ofProgram"] and "--context" in example), example)
                self.example(what, example, verbs, t["flags"], common)
                self.check(f"{what} belongs to a verb", f["common"] or f["name"] in used, str(f))
            names = [f["name"] for f in t["flags"]]
            letters = [f["letter"] for f in t["flags"] if "letter" in f]
            self.check(f"flags of {t['program']} are told apart", len(set(names)) == len(names) and len(set(letters)) == len(letters))

    def help(self):
        for program, before in ((self.program, ""), (self.kubectl, "kubectl ")):
            t = self.table(program)
            for v in t["verbs"]:
                _, out, _ = self.run([program, "help", v["name"]])
                flags = [f for f in t["flags"] if f["common"] or f["name"] in v["flags"]]
                missing = [f["name"] for f in flags if f"--{f['name']}" not in out or f["help"] not in out]
                self.check(f"{before}ripstop help {v['name']}", not missing and f"Usage: {before}ripstop {v['name']}" in out and
                           f"  {before}{v['example']}\n" in out and "Exit codes" in out and
                           all(re.search(rf"\b{form}\b", out) for form in v.get("forms", [])), f"{missing}\n{out}")
                self.check(f"{before}ripstop {v['name']} --help", self.run([program, v["name"], "--help"])[1] == out)

    # ---- completion

    def words(self, line, socket=True):
        """What __complete offers for a line; the directive."""
        argv = shlex.split(line) + ([""] if line.endswith(" ") or not line else [])
        if socket:
            argv = ["--socket", self.socket] + argv
        _, out, err = self.run([self.program, "__complete"] + argv)
        lines = out.splitlines()
        return [x.split("\t")[0] for x in lines[:-1]], lines[-1] if lines and not err else err

    def offers(self):
        agent = self.agent()
        t = self.table(self.program)
        verbs = [v["name"] for v in t["verbs"]]
        pods = ["ops/job-7x", "shop/api-6f7c9-2xk4p", "shop/db-0"]
        for line, want, directive in (
                ("", verbs, ":4"), ("po", ["pods", "policies"], ":4"), ("rules ", pods, ":4"), ("rules shop/d", ["shop/db-0"], ":4"),
                ("rules -n shop ", ["api-6f7c9-2xk4p", "db-0"], ":4"), ("rules --namespace=ops ", ["job-7x"], ":4"),
                ("rules -nops ", ["job-7x"], ":4"), ("rules x ", [], ":4"), ("pods a b ", pods, ":4"),
                ("policies ", ["shop/db-allow-api", "shop/default-deny"], ":4"), ("pods -n ", ["ops", "shop"], ":4"),
                ("explain ", pods + ["node", "world"], ":4"), ("explain a ", pods + ["node", "world"], ":4"),
                ("explain a b t", ["tcp/"], ":6"), ("pods -o js", ["json", "jsonl"], ":4"), ("pods --output=cs", ["--output=csv"], ":4"),
                ("status -o cs", [], ":4"), ("--color al", ["always"], ":4"), ("explain --expect ", ["allow", "deny"], ":4"),
                ("pods --sort", ["--sort-by"], ":4"), ("status --sort", [], ":4"), ("status --socket ", [], ":0"),
                ("help ru", ["rules"], ":4"), ("completion ", ["bash", "zsh", "fish", "kubectl"], ":4"), ("frob ", [], ":4"),
                ("rules -- shop/d", ["shop/db-0"], ":4"), ("rules -- -", [], ":4"),
                (f"-f {ROOT}/examples/three-tier policies production/a", ["production/api-network-policy"], ":4"),
                (f"rules -f {ROOT}/examples/three-tier kube", ["kube-system/dns"], ":4"), ("rules -f /nonexistent ", [], ":4")):
            got = self.words(line)
            self.check(f"completion of {line!r}", got == (want, directive), f"{got}")
        agent.stop()
        for name, answer in (("silent", {"silent": True}), ("refuses", {"error": {"errno": 1, "message": "no"}})):
            agent = self.agent(pods=answer)
            self.check(f"completion, the agent {name}", self.words("--timeout 200ms rules ") == ([], ":4"))
            agent.stop()
        self.check("completion without an agent", self.words("rules ") == ([], ":4"))
        agent = self.agent(pods={"result": {"kind": "PodList", "items": [{"namespace": "n", "name": x} for x in (
            HOSTILE, "$(id)", "`id`", "a b", "-x", "a'", "", "ok")] + [5, {}]}})
        self.check("completion offers no name that a shell could read", self.words("rules ") == (["n/ok"], ":4"))
        agent.stop()

    def scripts(self):
        for shell in ("bash", "zsh", "fish", "kubectl"):
            code, out, err = self.run([self.program, "completion", shell])
            self.check(f"completion {shell}", code == 0 and "__complete" in out and not err, err)
        for shell, argv in (("bash", ["-n"]), ("zsh", ["-n"]), ("fish", ["--no-execute"])):
            if not shutil.which(shell):
                print(f"skipped: syntax of completion {shell}: no {shell} here")
                self.skipped += 1
                continue
            script = os.path.join(self.tmp.name, "script")
            with open(script, "w", encoding="utf-8") as f:
                f.write(self.run([self.program, "completion", shell])[1])
            code, _, err = self.run([shell, *argv, script])
            self.check(f"syntax of completion {shell}", code == 0 and not err, err)
        code, out, err = self.run([self.program, "completion", "tcsh"])
        self.check("completion tcsh", code == 2 and not out and "bash, zsh, fish, kubectl" in err, err)
        code, out, err = self.run([self.program, "completion", "bash", "--install"])
        self.check("completion bash --install", code == 2 and not out and "about kubectl" in err, err)

    def in_bash(self, line):
        """COMPREPLY of a real bash, its words broken as readline would."""
        script = f"""source <({shlex.quote(os.path.abspath(self.program))} completion bash)
            compopt() {{ echo "compopt $*"; }}
            COMP_LINE={shlex.quote(line)}; COMP_POINT=${{#COMP_LINE}}
            _ripstop; printf '%s\\n' "${{COMPREPLY[@]}}"; complete -p ripstop"""
        env = {"PATH": os.path.abspath(self.build) + ":" + os.environ["PATH"], "LC_ALL": "C.UTF-8"}
        env.update({k: v for k, v in os.environ.items() if k.endswith("SAN_OPTIONS")})
        _, out, err = self.run(["bash", "--norc", "-c", script], env=env)
        return out.splitlines(), err

    def bash(self):
        agent = self.agent()
        s = f"--socket {self.socket}"
        for line, want in (("ripstop stat", ["status"]), (f"ripstop {s} rules shop/d", ["shop/db-0"]),
                           ("ripstop pods --output=y", ["yaml"]), ("ripstop pods --outp", ["--output"]),
                           ("ripstop explain a b u", ["compopt -o nospace", "udp/"]), ("ripstop -f ", ["compopt -o default", ""]),
                           ("ripstop frobnicate ", [""]), (f"ripstop {s} rules '$(touch /tmp/x)", [""])):
            got, err = self.in_bash(line)
            self.check(f"bash: {line!r}", got == want + ["complete -F _ripstop ripstop"] and not err, f"{got} {err}")
        agent.stop()

    def install(self):
        folder = os.path.join(self.tmp.name, "bin")
        os.mkdir(folder)
        plugin, target = os.path.join(folder, "kubectl-ripstop"), os.path.join(folder, "kubectl_complete-ripstop")
        shutil.copy(self.kubectl, plugin)
        env = {"PATH": folder + ":" + os.environ["PATH"]}
        for name, program in (("kubectl-ripstop", plugin), ("ripstop", self.program)):
            code, out, err = self.run([program, "completion", "kubectl", "--install"], env=env)
            self.check(f"{name} completion kubectl --install", code == 0 and out == target + "\n" and os.access(target, os.X_OK),
                       f"{code} {out} {err}")
            code, out, err = self.run([target, "sta"], env=env)
            self.check(f"what {name} wrote completes", out.splitlines()[-1:] == [":4"] and out.startswith("status\t"), out + err)
            os.unlink(target)
        os.unlink(plugin)
        code, out, err = self.run([self.program, "completion", "kubectl", "--install"], env={"PATH": folder})
        self.check("--install without the plugin", code == 3 and not out and "nowhere in PATH" in err, f"{code} {err}")
        os.symlink(os.path.abspath(self.kubectl), plugin)
        os.mkdir(target)
        code, out, err = self.run([self.program, "completion", "kubectl", "--install"], env={"PATH": folder})
        self.check("--install that cannot be written", code == 4 and not out and target in err and
                   os.listdir(folder).count("kubectl_complete-ripstop.new") == 0, f"{code} {err}")

    # ---- man pages

    def rendered(self, page):
        """The page as a person reads it, without its layout."""
        if shutil.which("mandoc"):
            argv = ["mandoc", "-Tutf8", page]
        elif shutil.which("groff"):
            argv = ["groff", "-man", "-Tutf8", "-P-c", page]
        else:
            return None
        code, out, err = self.run(argv)
        self.check(f"{os.path.basename(page)} renders", code == 0 and not err and out.strip(), err)
        return re.sub(r"\s+", " ", re.sub("\x1b\\[[0-9;]*m|.\b", "", out)).replace("\u2010 ", "").replace("\u2010", "-")

    def man(self):
        if not shutil.which("scdoc"):
            print("skipped: man pages: no scdoc here")
            self.skipped += 1
            return
        out = os.path.join(self.tmp.name, "man")
        code, _, err = self.run([sys.executable, os.path.join(ROOT, "tools", "mkman.py"), "--build", self.build, "--out", out])
        self.check("tools/mkman.py", code == 0, err)
        if code:
            return
        pages = {name: self.rendered(os.path.join(out, name)) for name in sorted(os.listdir(out))}
        if None in pages.values():
            print("skipped: what man pages say: neither mandoc nor groff here")
            self.skipped += 1
            return
        ours, theirs = self.table(self.program), self.table(self.kubectl)
        for v in ours["verbs"]:
            text = pages.get(f"ripstop-{v['name']}.1", "")
            flags = [f for f in ours["flags"] if f["common"] or f["name"] in v["flags"]]
            self.check(f"ripstop-{v['name']}(1)", all(f"--{f['name']}" in text and f["help"][1:] in text and f["example"] in text for f in flags)
                       and v["help"] in text and v["example"] in text and all(x in text for x in v.get("forms", []))
                       and re.sub(r"\s+", " ", v.get("details", "")) in text, text)
            self.check(f"ripstop(1) names {v['name']}", f"ripstop-{v['name']}(1)" in pages["ripstop.1"], pages["ripstop.1"])
        self.check("ripstop(1) names the flags of every verb", all(f"--{f['name']}" in pages["ripstop.1"] for f in ours["flags"] if f["common"]))
        self.check("kubectl-ripstop(1) names its flags", all(f"--{f['name']}" in pages["kubectl-ripstop.1"] for f in theirs["flags"] if f["ofProgram"]))
        _, text, _ = self.run([os.path.join(self.build, "ripstop-agent"), "--help"])
        names = re.findall(r"^  --([a-z-]+) [^-\s]", text, re.M)
        self.check("ripstop-agent(8) has every option", len(names) > 10 and all(f"--{n} " in pages["ripstop-agent.8"] for n in names), pages["ripstop-agent.8"])
        flags_only = {"config", "force", "stay"}
        self.check("ripstop.conf(5) has every key", all((f" {n} " in pages["ripstop.conf.5"]) == (n not in flags_only) for n in names), pages["ripstop.conf.5"])
        with open(os.path.join(ROOT, "docs", "plugin.md"), encoding="utf-8") as f:
            keys = re.findall(r"^\| `([A-Za-z.]+)` \|", f.read(), re.M)
        self.check("ripstop-cni(8) has every key", len(keys) > 8 and all(f" {k} " in pages["ripstop-cni.8"] for k in keys), pages["ripstop-cni.8"])


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--build", default="build/rel")
    args = ap.parse_args()
    r = Table(args.build)
    for part in (r.page, r.rows, r.help, r.offers, r.scripts, r.bash, r.install, r.man):
        part()
    print(f"{r.passed} passed, {r.failed} failed, {r.skipped} skipped")
    return 1 if r.failed else 0


if __name__ == "__main__":
    sys.exit(main())
