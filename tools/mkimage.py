#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Pack the three programs and the libraries they link into an OCI image archive FROM scratch.

    mkimage.py --build DIR --out FILE [--name NAME[:TAG]]

No base image, no registry, no container tool: ldd says which libraries, the archive is written here. The same
programs and libraries give the same bytes (times are SOURCE_DATE_EPOCH, or 0). What ctr, nerdctl and podman
load: `ctr -n k8s.io images import FILE`. Prints the compressed size and what the image is made of.
"""
import argparse
import gzip
import hashlib
import io
import json
import os
import platform
import re
import subprocess
import sys
import tarfile
import time

PROGRAMS = ("ripstop-agent", "ripstop", "ripstop-cni")
ARCH = {"x86_64": "amd64", "aarch64": "arm64", "riscv64": "riscv64", "ppc64le": "ppc64le", "s390x": "s390x"}
EPOCH = int(os.environ.get("SOURCE_DATE_EPOCH") or 0)
LDD = re.compile(r"^\s*(?:\S+ => )?(/\S+) \(0x[0-9a-f]+\)$")


def run(argv, **kw):
    return subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False, **kw)


def stripped(path):
    """The program without its debugging symbols; as it is where there is no strip."""
    with open(path, "rb") as f:
        whole = f.read()
    temp = path + ".stripped"
    try:
        p = run(["strip", "-o", temp, path])
        if p.returncode:
            return whole
        with open(temp, "rb") as f:
            return f.read()
    except FileNotFoundError:
        return whole
    finally:
        if os.path.exists(temp):
            os.unlink(temp)


def libraries(program):
    """Paths of what a program loads, its loader among them, as ldd names them."""
    p = run(["ldd", program], text=True)
    if "statically linked" in p.stdout or "not a dynamic executable" in p.stdout + p.stderr:
        return []
    if p.returncode or "not found" in p.stdout:
        sys.exit("mkimage: ldd %s: %s" % (program, (p.stdout + p.stderr).strip()))
    return [m.group(1) for m in map(LDD.match, p.stdout.split("\n")) if m]


def licences(paths):
    """package -> its copyright file, of the libraries, where dpkg knows them."""
    # A merged /usr has two names for a library, and dpkg knows one.
    names = sorted({n for p in paths for n in (p, os.path.realpath(p), "/usr" + p)})
    try:
        p = run(["dpkg-query", "-S"] + names, text=True)
    except FileNotFoundError:
        return {}
    found = {line.split(":")[0]: "/usr/share/doc/%s/copyright" % line.split(":")[0] for line in p.stdout.split("\n") if ": /" in line}
    return {package: path for package, path in found.items() if os.path.exists(path)}


def linked_in(build):
    """Libraries that the agent has in itself, for their licences: libcurl, where the build took its archive."""
    if not os.path.exists(os.path.join(build, "lib", "libcurl.a")):
        return set()
    try:
        p = run(["dpkg-query", "-S", "*/libcurl.a"], text=True)
    except FileNotFoundError:
        return set()
    return {line.split(": ", 1)[1] for line in p.stdout.split("\n") if ": /" in line}


def contents(build, root):
    """name in the image -> (mode, bytes); and the libraries' packages."""
    files, libs = {}, set()
    for name in PROGRAMS:
        path = os.path.join(build, name)
        if not os.access(path, os.X_OK):
            sys.exit("mkimage: %s is not built" % path)
        files["usr/bin/" + name] = (0o755, stripped(path))
        libs.update(libraries(path))
    packages = licences(libs | linked_in(build)) if libs else {}
    for path, mode in [(lib, 0o755) for lib in libs] + [(text, 0o644) for text in packages.values()]:
        with open(path, "rb") as f:
            files[path.lstrip("/")] = (mode, f.read())
    for name in ("LICENSE", "NOTICE"):
        with open(os.path.join(root, name), "rb") as f:
            files["usr/share/doc/ripstop/" + name] = (0o644, f.read())
    files["etc/passwd"] = (0o644, b"root:x:0:0:root:/:/sbin/nologin\n")
    files["etc/group"] = (0o644, b"root:x:0:\n")
    return files, packages


def info(name, mode, kind, size=0):
    t = tarfile.TarInfo(name)
    t.mode, t.type, t.size, t.mtime = mode, kind, size, EPOCH
    return t


def layer(files):
    """The one layer, as an uncompressed tar: folders, then files, by name."""
    out = io.BytesIO()
    folders = {"run", "run/ripstop", "etc/ripstop", "etc/cni", "etc/cni/net.d", "opt", "opt/cni", "opt/cni/bin", "tmp"}
    for name in files:
        parts = name.split("/")[:-1]
        folders.update("/".join(parts[:i + 1]) for i in range(len(parts)))
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name in sorted(folders):
            tar.addfile(info(name, 0o755, tarfile.DIRTYPE))
        for name in sorted(files):
            mode, data = files[name]
            tar.addfile(info(name, mode, tarfile.REGTYPE, len(data)), io.BytesIO(data))
    return out.getvalue()


def digest(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def dumps(value):
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def descriptor(media, data, **more):
    return dict({"mediaType": media, "digest": digest(data), "size": len(data)}, **more)


def archive(files, name, version, out):
    """Write the archive; returns the size of the compressed layer."""
    arch = ARCH.get(platform.machine(), platform.machine())
    plain = layer(files)
    packed = gzip.compress(plain, 9, mtime=0)
    when = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(EPOCH))
    labels = {"org.opencontainers.image.title": "ripstop", "org.opencontainers.image.version": version,
              "org.opencontainers.image.licenses": "Apache-2.0 AND GPL-3.0-or-later"}
    config = dumps({"architecture": arch, "os": "linux", "created": when,
                    "config": {"Entrypoint": ["/usr/bin/ripstop-agent"], "Env": ["PATH=/usr/bin"], "Labels": labels,
                               "WorkingDir": "/"},
                    "rootfs": {"type": "layers", "diff_ids": [digest(plain)]},
                    "history": [{"created": when, "created_by": "tools/mkimage.py"}]})
    manifest = dumps({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
                      "config": descriptor("application/vnd.oci.image.config.v1+json", config),
                      "layers": [descriptor("application/vnd.oci.image.layer.v1.tar+gzip", packed)]})
    tag = name.rpartition(":")[2]
    index = dumps({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": [
        descriptor("application/vnd.oci.image.manifest.v1+json", manifest, platform={"architecture": arch, "os": "linux"},
                   annotations={"io.containerd.image.name": name, "org.opencontainers.image.ref.name": tag})]})
    entries = {"index.json": index, "oci-layout": dumps({"imageLayoutVersion": "1.0.0"})}
    for data in (config, manifest, packed):
        entries["blobs/sha256/" + digest(data).split(":")[1]] = data
    with tarfile.open(out + ".new", "w", format=tarfile.USTAR_FORMAT) as tar:
        for folder in ("blobs", "blobs/sha256"):
            tar.addfile(info(folder, 0o755, tarfile.DIRTYPE))
        for entry in sorted(entries):
            tar.addfile(info(entry, 0o644, tarfile.REGTYPE, len(entries[entry])), io.BytesIO(entries[entry]))
    os.rename(out + ".new", out)
    return len(packed), digest(manifest)


def main():
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    with open(os.path.join(root, "VERSION"), encoding="utf-8") as f:
        version = f.read().strip()
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--build", default=os.path.join(root, "build", "rel"))
    ap.add_argument("--out", default=None)
    ap.add_argument("--name", default="localhost/ripstop:" + version)
    args = ap.parse_args()
    name = args.name if ":" in args.name.rpartition("/")[2] else args.name + ":" + version
    out = args.out or os.path.join(args.build, "ripstop-image.tar")
    files, packages = contents(args.build, root)
    size, ident = archive(files, name, version, out)
    for path, (_, data) in sorted(files.items(), key=lambda kv: (-len(kv[1][1]), kv[0])):
        print("%9d  /%s" % (len(data), path))
    print("%s: %s %s\n%d files, %d packages' libraries, %.1f MB, compressed %.2f MB" %
          (out, name, ident, len(files), len(packages), sum(len(d) for _, d in files.values()) / 1e6, size / 1e6))


if __name__ == "__main__":
    main()
