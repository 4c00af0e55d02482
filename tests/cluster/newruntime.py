#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""newruntime.py - containerd 2 and runc 1.3, from source: pods with hostUsers: false need them, Debian 12 has older.

go-runtime/ beside this file pins them. They are built once into build/cache/cluster-runtime/KEY, as programs.py does.

    newruntime.py      build what is missing and print the folder
"""
import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
import time

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
import programs  # noqa: E402

CACHE = os.path.join(programs.ROOT, "build", "cache", "cluster-runtime")
MODULE = os.path.join(HERE, "go-runtime")
CONTAINERD = "github.com/containerd/containerd/v2"
RUNC = "github.com/opencontainers/runc"
NAMES = ("containerd", "containerd-shim-runc-v2", "ctr", "runc")


def _versions():
    text = programs._read(MODULE, "go.mod")
    return tuple(re.search(r"^\s*%s (v\S+)" % re.escape(m), text, re.M).group(1) for m in (CONTAINERD, RUNC))


def _key():
    text = "".join(map(programs._read, (os.path.join(MODULE, "go.mod"), os.path.join(MODULE, "go.sum"), __file__)))
    return hashlib.sha256((text + programs.imagetar.ARCH).encode()).hexdigest()[:16]


def _build(out, name):
    """runc is C in its first steps, and without libseccomp it refuses every profile."""
    env, containerd, runc = programs._environment(), *_versions()
    if name == "runc":
        env["CGO_ENABLED"] = "1"
        flags, package = ["-tags", "seccomp", "-ldflags", "-s -w -X main.version=" + runc.lstrip("v")], RUNC
    else:
        flags = ["-ldflags", "-s -w -X %s/version.Version=%s" % (CONTAINERD, containerd)]
        package = "%s/cmd/%s" % (CONTAINERD, name)
    p = subprocess.run(["go", "build", "-trimpath"] + flags + ["-o", out, package], cwd=MODULE, env=env, check=False,
                       stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if p.returncode:
        raise programs.NoPrograms("go build %s: %s" % (name, " ".join(p.stdout.split())[-500:]))


def ensure():
    """The folder that holds NAMES, built first where it is missing. Raises programs.NoPrograms."""
    folder = os.path.join(CACHE, _key())
    if all(os.path.exists(os.path.join(folder, name)) for name in NAMES):
        return folder
    programs._check_go()
    if subprocess.run(["pkg-config", "--exists", "libseccomp"], check=False).returncode:
        raise programs.NoPrograms("runc is built with libseccomp: install libseccomp-dev and pkg-config")
    os.makedirs(CACHE, exist_ok=True)
    with open(os.path.join(CACHE, "lock"), "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        os.makedirs(folder, exist_ok=True)
        print("cluster: containerd %s and runc %s, once, from source: some 4 minutes" % _versions(), flush=True)
        began = time.monotonic()
        for name in NAMES:
            path = os.path.join(folder, name)
            if not os.path.exists(path):
                _build(path + ".new", name)
                os.replace(path + ".new", path)
        print("cluster: containerd and runc: %d s" % (time.monotonic() - began), flush=True)
        for old in os.listdir(CACHE):
            if re.fullmatch(r"[0-9a-f]{16}", old) and old != os.path.basename(folder):
                shutil.rmtree(os.path.join(CACHE, old))
    return folder


if __name__ == "__main__":
    try:
        print(ensure())
    except programs.NoPrograms as error:
        sys.exit("cluster: %s" % error)
