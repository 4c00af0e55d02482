# SPDX-License-Identifier: Apache-2.0
"""imagetar.py - an image archive of one layer, made from files, for `ctr images import`. No registry, no base image."""
import hashlib
import io
import json
import os
import platform
import re
import subprocess
import tarfile

ARCH = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())


class Layer:
    """Files for an image. The same files make the same bytes: nothing of this machine's times and users is in it."""

    def __init__(self):
        self.entries = {}

    def _put(self, path, mode, kind=tarfile.REGTYPE, data=b"", link=""):
        info = tarfile.TarInfo(path.lstrip("/"))
        info.mode, info.type, info.linkname, info.size = mode, kind, link, len(data)
        self.entries[info.name] = (info, data)

    def folder(self, path, mode=0o755):
        self._put(path, mode, tarfile.DIRTYPE)

    def link(self, path, target):
        self._put(path, 0o777, tarfile.SYMTYPE, link=target)

    def text(self, path, text, mode=0o644):
        self._put(path, mode, data=text.encode())

    def file(self, path, source, mode=0o755):
        with open(source, "rb") as f:
            self._put(path, mode, data=f.read())

    def program(self, path, source):
        """A program of this machine with the libraries that it loads, each where the program looks for it."""
        self.file(path, source)
        said = subprocess.run(["ldd", source], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL, text=True, check=False).stdout
        for library in re.findall(r"(?:=> |^\s+)(/\S+) \(0x", said, re.M):
            if library.lstrip("/") not in self.entries:
                self.file(library, os.path.realpath(library))

    def tar(self):
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w") as archive:
            for name in sorted(self.entries):
                info, data = self.entries[name]
                archive.addfile(info, io.BytesIO(data))
        return out.getvalue()


def write(path, layer, tags, entrypoint, command=()):
    """The archive at `path`, known by all of `tags`."""
    data = layer.tar()
    digest = hashlib.sha256(data).hexdigest()
    config = {"Entrypoint": list(entrypoint), "Cmd": list(command), "WorkingDir": "/",
              "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]}
    image = json.dumps({"architecture": ARCH, "os": "linux", "config": config,
                        "rootfs": {"type": "layers", "diff_ids": ["sha256:" + digest]}}).encode()
    name = hashlib.sha256(image).hexdigest() + ".json"
    manifest = json.dumps([{"Config": name, "RepoTags": list(tags), "Layers": [digest + "/layer.tar"]}]).encode()
    with tarfile.open(path, "w") as archive:
        for member, content in ((name, image), (digest + "/layer.tar", data), ("manifest.json", manifest)):
            info = tarfile.TarInfo(member)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
