#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Man pages out of the programs' own tables: `make man`.

    tools/mkman.py --build DIR --out DIR

ripstop(1), a page for each verb and kubectl-ripstop(1) come from `ripstop __table` and `kubectl-ripstop __table`; the
texts of docs/man/ have the options of ripstop-agent where they say @OPTIONS@. scdoc makes pages of them.
"""
import argparse
import json
import os
import re
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))


def run(argv, **more):
    p = subprocess.run(argv, stdout=subprocess.PIPE, text=True, check=False, **more)
    if p.returncode:
        sys.exit(f"mkman: {' '.join(argv)}: exit code {p.returncode}")
    return p.stdout


def esc(text):
    """Text as scdoc takes it for nothing but text."""
    return re.sub(r"([\\*_`#\[\]<>|~])", r"\\\1", text)


def paragraphs(text):
    """Lines that flow together, but for what is laid out by spaces."""
    if re.search(r"^ |\S {2,}\S", text, re.M):
        return "```\n" + text + "\n```"
    return "\n".join(re.sub(r"^([-.;])", r"\\\1", esc(line)) for line in text.split("\n"))


def capital(text):
    return text[:1].upper() + text[1:]


def synopsis(table, verb):
    return f"*{table['before']}ripstop {verb['name']}*" + (f" {esc(verb['operands'])}" if verb["operands"] else "") + " [FLAG...]"


def flag_entry(flag, before):
    letter = f"*-{flag['letter']}*, " if "letter" in flag else ""
    arg = f" _{esc(flag['arg'])}_" if "arg" in flag else ""
    example = f"++\n\t{esc(before + flag['example'])}" if "example" in flag else ""
    return f"{letter}*--{flag['name']}*{arg}\n\t{esc(capital(flag['help']))}.{example}\n"


def exit_status(table):
    return "# EXIT STATUS\n\n" + "\n".join(f"*{code}*\n\t{esc(capital(text))}.\n" for code, text in table["exitCodes"].items())


def page_of_verb(table, verb):
    title = f"ripstop-{verb['name']}"
    flags = [f for f in table["flags"] if f["name"] in verb["flags"]] + [f for f in table["flags"] if f["common"] and not f["ofProgram"]]
    text = f"{title}(1)\n\n# NAME\n\n{title} - {esc(verb['help'])}\n\n# SYNOPSIS\n\n{synopsis(table, verb)}\n\n# DESCRIPTION\n\n"
    text += esc(capital(verb["help"])) + ".\n\n"
    if "details" in verb:
        text += paragraphs(verb["details"]) + "\n\n"
    text += "# FLAGS\n\n" + "\n".join(flag_entry(f, table["before"]) for f in flags)
    if "forms" in verb:
        text += "\n# FORMS\n\nWords of *--output*: " + ", ".join(f"*{x}*" for x in verb["forms"]) + ".\n"
    text += f"\n# EXAMPLE\n\n```\n{table['before']}{verb['example']}\n```\n\n"
    return text + exit_status(table) + "\n# SEE ALSO\n\n*ripstop*(1), *kubectl-ripstop*(1)\n"


def page_of_program(table, seen):
    name, before = table["program"], table["before"]
    flags = [f for f in table["flags"] if f["common"]] if not before else [f for f in table["flags"] if f["ofProgram"]]
    brief = "what is enforced for pods, and why" if not before else "ripstop asked of a whole cluster, through kubectl"
    text = f"{name}(1)\n\n# NAME\n\n{name} - {brief}\n\n# SYNOPSIS\n\n*{before}ripstop* VERB [OPERAND...] [FLAG...]\n\n# DESCRIPTION\n\n"
    text += esc(table["about"]) + "\n\n# VERBS\n\n"
    text += "\n".join(f"*{v['name']}*" + (f" {esc(v['operands'])}" if v["operands"] else "") + f"\n\t{esc(capital(v['help']))}; see "
                      f"*ripstop-{v['name']}*(1).\n" for v in table["verbs"])
    text += "\n# FLAGS\n\n" + ("Besides those of *ripstop*(1) and of its verbs:\n\n" if before else "Of every verb:\n\n")
    text += "\n".join(flag_entry(f, before) for f in flags) + "\n" + exit_status(table)
    return text + f"\n# SEE ALSO\n\n{seen}\n"


def agent_options(build):
    """The options of ripstop-agent --help: name, value, text, default."""
    text = run([os.path.join(build, "ripstop-agent"), "--help"])
    found = re.findall(r"^  --([a-z-]+) (\S+)\s+(.*?)(?: \[([^\]]*)\])?$", text, re.M)
    found = [f for f in found if f[0] not in ("help", "version")]
    if len(found) < 10:
        sys.exit("mkman: the options of ripstop-agent --help cannot be read")
    return found


def options(found, prefix):
    return "\n".join(f"*{prefix}{name}* _{esc(arg)}_\n\t{esc(capital(text))}." + (f" [{esc(default)}]" if default else "") + "\n"
                     for name, arg, text, default in found)


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--build", default="build/rel")
    ap.add_argument("--out", default="build/man")
    args = ap.parse_args()
    os.makedirs(args.out, exist_ok=True)
    ours = json.loads(run([os.path.join(args.build, "ripstop"), "__table"]))
    theirs = json.loads(run([os.path.join(args.build, "kubectl-ripstop"), "__table"]))
    verbs = ", ".join(f"*ripstop-{v['name']}*(1)" for v in ours["verbs"])
    pages = {f"ripstop-{v['name']}.1": page_of_verb(ours, v) for v in ours["verbs"]}
    pages["ripstop.1"] = page_of_program(ours, verbs + ", *kubectl-ripstop*(1), *ripstop-agent*(8)")
    pages["kubectl-ripstop.1"] = page_of_program(theirs, "*ripstop*(1), *kubectl*(1)")
    found = agent_options(args.build)
    for name in sorted(os.listdir(os.path.join(HERE, "..", "docs", "man"))):
        with open(os.path.join(HERE, "..", "docs", "man", name), encoding="utf-8") as f:
            page = name.removesuffix(".scd")
            only_file = [o for o in found if o[0] not in ("config", "force", "stay")]
            pages[page] = f.read().replace("@OPTIONS@", options(*((only_file, "") if page.endswith(".5") else (found, "--"))))
    for old in os.listdir(args.out):
        if old not in pages:
            os.unlink(os.path.join(args.out, old))
    env = dict(os.environ, SOURCE_DATE_EPOCH=os.environ.get("SOURCE_DATE_EPOCH", "0"))
    for name, text in pages.items():
        made = run(["scdoc"], input=text, env=env)
        with open(os.path.join(args.out, name), "w", encoding="utf-8") as f:
            f.write(made)
    print(f"mkman: {len(pages)} pages in {args.out}")


if __name__ == "__main__":
    main()
