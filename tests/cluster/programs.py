#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""programs.py - Kubernetes, its end-to-end suite and the images that the suite asks for, built once from source.

Debian has etcd, containerd and runc, but no kube-apiserver and no kubelet. They are ordinary Go programs: the
module go/ beside this file pins them, its go.sum the bytes of every source, and they come through the Go module
proxy that this machine's `go` uses. What is built lies in build/cache/cluster/KEY; KEY is a digest of all that
it is made from, so a changed pin is built anew and nothing old is taken for it. Each thing gets its name only
when it is whole: a build that was cut short goes on where it was, by Go's own build cache.

    programs.py        build what is missing and print what there is
"""
import dataclasses
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
import imagetar  # noqa: E402

ROOT = os.path.dirname(os.path.dirname(HERE))
CACHE = os.path.join(ROOT, "build", "cache", "cluster")
MODULE = os.path.join(HERE, "go")
SOURCES = ("go/go.mod", "go/go.sum", "go/kube/kube.go", "go/e2e/e2e_test.go", "pause.c", "imagetar.py", "programs.py")
NAMES = ("kube-apiserver", "kube-controller-manager", "kube-proxy", "kube-scheduler", "kubectl", "kubelet")
OLDEST_GO = (1, 24)
# What the suite's pods run beside agnhost. Name in the image, and where Debian has it. The shell is not busybox's: that
# one prefers its own nc to the one in the PATH, and a static busybox falls over names.
TOOLS = (("/bin/busybox", "busybox", "busybox-static"), ("/bin/sh", "dash", "dash"), ("/bin/curl", "curl", "curl"),
         ("/bin/wget", "wget", "wget"), ("/bin/nc", "nc.openbsd", "netcat-openbsd"), ("/bin/ss", "ss", "iproute2"),
         ("/bin/getent", "getent", "libc-bin"))
APPLETS = ("awk", "basename", "cat", "chmod", "cp", "cut", "date", "dd", "dirname", "env", "expr", "false", "grep",
           "head", "hostname", "id", "ip", "kill", "ln", "ls", "mkdir", "mv", "ps", "pwd", "rm", "sed", "seq", "sleep",
           "sort", "tail", "test", "timeout", "touch", "tr", "true", "uname", "wc", "xargs")
NSLOOKUP = "#!/bin/sh\nexec getent ahosts \"$1\"\n"


class NoPrograms(Exception):
    """They cannot be built here; the text says why in one line."""


@dataclasses.dataclass
class Programs:
    bin: str            # folder with a link for each of NAMES
    e2e: str            # the end-to-end suite, a test binary
    ginkgo: str         # its runner, for several processes at once
    images: list        # archives for `ctr -n k8s.io images import`
    pause: str          # the name of the sandbox image in them
    agnhost: str        # the name of the suite's own image
    version: str        # of Kubernetes: v1.34.4


def _read(*path):
    with open(os.path.join(*path), encoding="utf-8") as f:
        return f.read()


def _environment():
    """Go's own settings (proxy, cache, checksum database) stay this machine's; what changes a build does not."""
    env = {k: v for k, v in os.environ.items() if k not in ("GOFLAGS", "GOWORK", "GOOS", "GOARCH", "GOEXPERIMENT")}
    env.update(GOTOOLCHAIN="local", GOWORK="off", GOFLAGS="-mod=readonly -buildvcs=false", CGO_ENABLED="0")
    return env


def _run(argv, cwd=MODULE):
    p = subprocess.run(argv, cwd=cwd, env=_environment(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                       stderr=subprocess.PIPE, text=True, check=False)
    if p.returncode:
        lines = [line for line in p.stderr.strip().splitlines() if not line.startswith("go: downloading")]
        raise NoPrograms("%s: %s" % (" ".join(argv[:3]), (lines or ["exit %d" % p.returncode])[-1]))
    return p.stdout


def _check_go():
    if not shutil.which("go"):
        raise NoPrograms("no `go` here: Kubernetes is built from source and needs Go %d.%d or newer" % OLDEST_GO)
    said = _run(["go", "env", "GOVERSION"], cwd="/").strip()
    found = re.match(r"(?:go|devel go)(\d+)\.(\d+)", said)
    if not found or tuple(map(int, found.groups())) < OLDEST_GO:
        raise NoPrograms("`go` is %s; Kubernetes needs Go %d.%d or newer" % ((said or "of no version",) + OLDEST_GO))


def _tools():
    """(name in the image, path here) of each tool; else a line that names the packages to install."""
    missing = [package for _, name, package in TOOLS if not shutil.which(name)]
    if missing:
        raise NoPrograms("the suite's image is made with %s: install %s" %
                         (", ".join(package for _, _, package in TOOLS), " ".join(missing)))
    return [(path, shutil.which(name)) for path, name, _ in TOOLS]


def version():
    return re.search(r"^\s*k8s\.io/kubernetes (v\S+)$", _read(MODULE, "go.mod"), re.M).group(1)


def _key():
    digest = hashlib.sha256(imagetar.ARCH.encode())
    for name in SOURCES:
        digest.update(_read(HERE, name).encode() + b"\0")
    return digest.hexdigest()[:16]


def _link_flags():
    """Without them every program says v0.0.0-master, and the suite skips what a newer server must have."""
    v = version()
    major, minor = v.lstrip("v").split(".")[:2]
    values = {"gitVersion": v, "gitMajor": major, "gitMinor": minor, "gitTreeState": "archive"}
    return "-s -w " + " ".join("-X %s.%s=%s" % (package, name, value) for name, value in sorted(values.items())
                               for package in ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version"))


def _step(what, path, make):
    """make(temporary name), unless `path` is there already."""
    if os.path.exists(path):
        return
    began = time.monotonic()
    print("cluster: %s ..." % what, flush=True)
    if os.path.exists(path + ".new"):
        os.unlink(path + ".new")  # go would not write over what a killed run has left
    make(path + ".new")
    os.replace(path + ".new", path)
    print("cluster: %s: %d s, %d MB" % (what, time.monotonic() - began, os.path.getsize(path) >> 20), flush=True)


def _go_build(out, package):
    _run(["go", "build", "-trimpath", "-ldflags", _link_flags(), "-o", out, package])


def _pause(out):
    _run(["gcc", "-static", "-Os", "-s", "-Wall", "-Werror", "-o", out, os.path.join(HERE, "pause.c")])


def _pause_image(path, program, tags):
    layer = imagetar.Layer()
    layer.file("/pause", program)
    imagetar.write(path, layer, tags, ["/pause"])


def _agnhost_image(path, program, tag):
    """What the upstream image has of files, but with this machine's own shell, curl and nc."""
    layer = imagetar.Layer()
    layer.file("/agnhost", program)
    layer.link("/agnhost-2", "agnhost")
    for name, source in _tools():
        layer.program(name, source)
    for applet in APPLETS:
        layer.link("/bin/" + applet, "busybox")
    layer.text("/bin/nslookup", NSLOOKUP, 0o755)
    layer.text("/etc/wgetrc", "tries = 1\n")
    layer.folder("/tmp", 0o1777)
    layer.folder("/uploads")
    layer.text("/etc/passwd", "root:x:0:0:root:/:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/sh\n")
    layer.text("/etc/group", "root:x:0:\nnogroup:x:65534:\n")
    source = _run(["go", "list", "-m", "-f", "{{.Dir}}", "k8s.io/kubernetes"]).strip()
    for name in ("localhost.crt", "localhost.key"):
        layer.text("/" + name, _read(source, "test/images/agnhost/porter", name))
    imagetar.write(path, layer, [tag], ["/agnhost"], ["pause"])


def _image_name(e2e, name):
    """The name and tag under which the suite itself asks for an image."""
    for line in _run([e2e, "-list-images"], cwd="/").split():
        if re.search(r"/%s:[^/]+$" % name, line):
            return line
    raise NoPrograms("the end-to-end suite names no image %s" % name)


def _build(folder):
    def at(name):
        return os.path.join(folder, name)

    v = version()
    _tools()
    _step("Kubernetes %s, the programs" % v, at("kube"), lambda out: _go_build(out, "./kube"))
    _step("Kubernetes %s, its end-to-end suite" % v, at("e2e.test"), lambda out: _run(
        ["go", "test", "-c", "-trimpath", "-ldflags", _link_flags(), "-o", out, "./e2e"]))
    _step("the suite's runner", at("ginkgo"), lambda out: _go_build(out, "github.com/onsi/ginkgo/v2/ginkgo"))
    _step("agnhost", at("agnhost"), lambda out: _go_build(out, "k8s.io/kubernetes/test/images/agnhost"))
    _step("pause", at("pause"), _pause)
    pause = _image_name(at("e2e.test"), "pause")
    agnhost = _image_name(at("e2e.test"), "e2e-test-images/agnhost")
    _step("the image " + pause, at("pause.tar"), lambda out: _pause_image(out, at("pause"), [pause]))
    _step("the image " + agnhost, at("agnhost.tar"), lambda out: _agnhost_image(out, at("agnhost"), agnhost))
    os.makedirs(at("bin"), exist_ok=True)
    for name in NAMES:
        if not os.path.lexists(at("bin/" + name)):
            os.symlink("../kube", at("bin/" + name))
    with open(at("whole.new"), "w", encoding="ascii") as f:
        f.write("%s %s\n" % (pause, agnhost))
    os.replace(at("whole.new"), at("whole"))  # last: a folder without it is not finished


def _remove_old(kept):
    """What other pins left; but a cluster that runs on it may be under way, so not what is younger than a day."""
    for name in os.listdir(CACHE):
        old = os.path.join(CACHE, name)
        if re.fullmatch(r"[0-9a-f]{16}", name) and old != kept and time.time() - os.stat(old).st_mtime > 86400:
            shutil.rmtree(old)


def ensure():
    """All of it, built first where it is missing. Raises NoPrograms."""
    folder = os.path.join(CACHE, _key())

    def at(name):
        return os.path.join(folder, name)

    if not os.path.exists(at("whole")):
        _check_go()
        os.makedirs(CACHE, exist_ok=True)
        with open(os.path.join(CACHE, "lock"), "w", encoding="ascii") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            os.makedirs(folder, exist_ok=True)
            if not os.path.exists(at("whole")):
                print("cluster: building Kubernetes %s once, from source, into %s: some 15 minutes on two processors, "
                      "and 4 GB of Go's caches" % (version(), folder), flush=True)
                _build(folder)
            _remove_old(folder)
    pause, agnhost = _read(at("whole")).split()
    return Programs(bin=at("bin"), e2e=at("e2e.test"), ginkgo=at("ginkgo"), images=[at("pause.tar"), at("agnhost.tar")],
                    pause=pause, agnhost=agnhost, version=version())


def main():
    try:
        made = ensure()
    except NoPrograms as e:
        print("cluster: %s" % e, file=sys.stderr)
        return 1
    for field in dataclasses.fields(made):
        print("%-8s %s" % (field.name, getattr(made, field.name)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
