#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Pages that show what the programs print are run: README.md, docs/why-blocked.md.

    tests/cli/run_docs.py [--build DIR] [--update]

In a page, ```console blocks hold commands behind "$ " and what each prints on stdout; ```yaml file=NAME and append=NAME write a
file before what follows. --update puts the real answers there; look at the difference before you keep it. The last
line is the count.
"""
import argparse
import os
import re
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.abspath(os.path.join(HERE, "..", ".."))
PAGES = ["README.md", "docs/why-blocked.md"]
BLOCK = re.compile(r"^```(\w+)([^\n]*)\n(.*?)^```$", re.M | re.S)


class Page:
    def __init__(self, build, folder):
        self.folder = folder
        self.env = {"PATH": os.path.abspath(build) + ":" + os.environ["PATH"], "LC_ALL": "C.UTF-8"}
        self.env.update({k: v for k, v in os.environ.items() if k.endswith("SAN_OPTIONS")})
        os.symlink(os.path.join(ROOT, "examples"), os.path.join(folder, "examples"))
        self.commands = 0

    def console(self, text):
        """The block as it should be."""
        out = ""
        for line in text.split("\n"):
            if line.startswith("$ "):
                p = subprocess.run(["bash", "--norc", "-c", line[2:]], cwd=self.folder, env=self.env, stdin=subprocess.DEVNULL,
                                   stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=60, check=False)
                out += line + "\n" + p.stdout.decode("utf-8", "replace")
                self.commands += 1
        return out

    def block(self, m):
        kind, words, text = m.group(1), m.group(2), m.group(3)
        target = re.search(r" (file|append)=([\w.-]+)", words)
        if kind == "console":
            text = self.console(text)
        elif target:
            with open(os.path.join(self.folder, target.group(2)), "a" if target.group(1) == "append" else "w", encoding="utf-8") as f:
                f.write(text)
        return f"```{kind}{words}\n{text}```"


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--build", default="build/rel")
    ap.add_argument("--update", action="store_true")
    args = ap.parse_args()
    passed = failed = 0
    for name in PAGES:
        path = os.path.join(ROOT, name)
        with open(path, encoding="utf-8") as f:
            text = f.read()
        with tempfile.TemporaryDirectory(prefix="rs-docs-") as folder:
            page = Page(args.build, folder)
            real = BLOCK.sub(page.block, text)
        if args.update:
            with open(path, "w", encoding="utf-8") as f:
                f.write(real)
            text = real
        good = real == text and page.commands > 0
        passed, failed = passed + good, failed + (not good)
        if not good:
            wrong = [(a, b) for a, b in zip(text.split("\n"), real.split("\n")) if a != b]
            print(f"FAIL {name}: {page.commands} commands; first difference: {wrong[:1]}")
    print(f"{passed} passed, {failed} failed, 0 skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
