# SPDX-License-Identifier: Apache-2.0
"""debkernel.py - Debian's kernels, unpacked for the emulator into build/cache/kernels/SERIES.

The packages come by `apt-get download`. Where this machine's own package lists do not know a series (trixie
has no 6.1), lists of bookworm are kept beside the kernels, taken from the mirrors that this machine uses
already; its own sources, lists and installed packages are never changed.
"""
import glob
import os
import re
import shutil
import subprocess

# Both are in bookworm: the release's own kernel, and the newer one that its security archive keeps.
META = {"6.1": "linux-image-amd64", "6.12": "linux-image-6.12-amd64"}
SUITES = (("bookworm", False), ("bookworm-security", True), ("bookworm-backports", False))
KEYS = "/usr/share/keyrings/debian-archive-keyring.gpg"


class NoKernel(Exception):
    """There is no kernel to run on; the text says why in one line."""


def _run(argv, **kw):
    p = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **kw)
    if p.returncode:
        line = (p.stderr.strip().splitlines() or ["exit %d" % p.returncode])[-1]
        raise NoKernel("%s: %s" % (" ".join(argv[:2]), line))
    return p.stdout


def _image(series, options):
    """The package that holds the kernel itself, or None where these lists do not know it."""
    try:
        text = _run(["apt-cache"] + options + ["depends", META[series]])
    except (NoKernel, FileNotFoundError):
        return None
    for name in re.findall(r"Depends: (linux-image-\S+)", text):
        if name.startswith("linux-image-%s." % series):
            return name
    return None


def _own_lists(folder):
    """apt options for lists of bookworm that live in `folder`."""
    for sub in ("state/lists/partial", "cache/archives/partial", "etc"):
        os.makedirs(os.path.join(folder, sub), exist_ok=True)
    form = "$(REPO_URI) $(ORIGIN) $(LABEL)"
    sites = sorted({line for line in _run(["apt-get", "indextargets", "--format", form, "Identifier: Packages"])
                    .splitlines() if " Debian" in line})
    lines = []
    for site in sites:
        uri, option = site.split(" ")[0], " [signed-by=%s]" % KEYS if os.path.exists(KEYS) else ""
        security = "Debian-Security" in site or "security" in uri
        lines += ["deb%s %s %s main" % (option, uri, suite) for suite, of_security in SUITES
                  if of_security == security]
    if not lines:
        raise NoKernel("this machine's apt names no mirror of Debian to take a kernel from")
    source = os.path.join(folder, "etc", "sources.list")
    with open(source, "w", encoding="ascii") as f:
        f.write("\n".join(lines) + "\n")
    options = ["-o", "Dir::Etc::sourcelist=" + source, "-o", "Dir::Etc::sourceparts=/dev/null",
               "-o", "Dir::State=" + os.path.join(folder, "state"), "-o", "Dir::Cache=" + os.path.join(folder, "cache"),
               "-o", "APT::Architecture=amd64"]
    # A mirror that lacks one of the suites is no reason to stop: the others may hold the package.
    subprocess.run(["apt-get"] + options + ["update", "-q"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL, check=False)
    return options


def _find(series, cache):
    """(package, apt options), from this machine's lists or else from lists of our own."""
    package, options = _image(series, []), []
    if not package:
        print("kernels: this machine's package lists have no %s; reading bookworm's" % META[series], flush=True)
        options = _own_lists(os.path.join(cache, "apt"))
        package = _image(series, options)
    if not package:
        raise NoKernel("no %s in this machine's package lists (apt-get update?), nor in bookworm's" % META[series])
    return package, options


def unpacked(tree):
    """(release, package version) of a whole tree, else None."""
    try:
        with open(os.path.join(tree, "version"), encoding="ascii") as f:
            release, version = f.read().split()
        return release, version
    except (OSError, ValueError):
        return None


def get(series, cache):
    """The folder of an unpacked kernel; downloads it at its first use. `rm -r` of the folder fetches it anew."""
    tree = os.path.join(cache, series)
    if unpacked(tree):
        return tree
    shutil.rmtree(tree, ignore_errors=True)
    fresh = tree + ".new"
    shutil.rmtree(fresh, ignore_errors=True)
    os.makedirs(fresh)
    package, options = _find(series, cache)
    print("kernels: fetching %s (70 to 110 MB) into %s, once; perhaps a minute" % (package, tree), flush=True)
    _run(["apt-get"] + options + ["-q", "-o", "APT::Sandbox::User=root", "download", package], cwd=fresh)
    deb = glob.glob(os.path.join(fresh, "*.deb"))[0]
    _run(["dpkg-deb", "-x", deb, fresh])
    release = os.listdir(os.path.join(fresh, "lib", "modules"))[0]
    _run(["depmod", "-b", fresh, release])
    version = _run(["dpkg-deb", "-f", deb, "Version"]).strip()
    os.unlink(deb)
    # Last: a tree without it is a download that was cut short.
    with open(os.path.join(fresh, "version"), "w", encoding="ascii") as f:
        f.write("%s %s\n" % (release, version))
    os.rename(fresh, tree)
    return tree
