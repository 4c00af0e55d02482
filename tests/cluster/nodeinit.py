#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""nodeinit.py - the first process of a node: gives it file systems of its own, then starts and ends its services.

    nodeinit.py PLAN.json

Runs in mount, pid, uts, ipc and network namespaces that were made for it. PLAN (bednode.py writes it) says what is
mounted where. Then it listens on PLAN's socket: one JSON request a line, one JSON answer a line

    {"start": NAME, "argv": [...], "env": {...}, "log": FILE}    {"stop": NAME, "seconds": N}    {"state": NAME}

and buries what dies in the node. When it ends the whole node ends, with every container: the kernel sees to that.
"""
import contextlib
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import time

BED = "/run/.bed"  # what the node needs of the machine below; gone with the node's /run
CAUGHT = [s for s in range(1, 32) if s not in (signal.SIGKILL, signal.SIGSTOP)]


def mount(*args):
    subprocess.run(["mount"] + list(args), check=True, stdin=subprocess.DEVNULL)


def own_folders(plan):
    """/etc, /opt and the folders below /var begin as the machine's and are the node's own from here on."""
    mount("-t", "tmpfs", "-o", "mode=755", "tmpfs", "/run")
    for folder in ("/run/netns", "/run/lock", BED):
        os.makedirs(folder)
    keep = []
    for i, path in enumerate(plan["keep"]):
        keep.append((os.path.join(BED, "keep%d" % i), path))
        os.makedirs(keep[i][0])
        mount("--rbind", path, keep[i][0])
    for i, folder in enumerate(plan["overlays"]):
        upper, work = (os.path.join(BED, "%s%d" % (which, i)) for which in ("upper", "work"))
        os.makedirs(upper)
        os.makedirs(work)
        mount("-t", "overlay", "-o", "lowerdir=%s,upperdir=%s,workdir=%s" % (folder, upper, work), "overlay", folder)
    for saved, path in keep:
        os.makedirs(path, exist_ok=True)
        mount("--rbind", saved, path)
    for source, path in plan["binds"]:
        os.makedirs(path, exist_ok=True)
        mount("--bind", source, path)
    mount("--make-rshared", "/var/lib/kubelet")
    for path, text in plan["files"].items():
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)


def own_kernel(plan):
    """/proc of this pid namespace, /sys of this network namespace, and kernel settings that only seem to be changed."""
    mount("-t", "proc", "proc", "/proc")
    # A container in a user namespace may mount /proc only while one stands somewhere with nothing laid over it.
    os.makedirs(BED + "/proc")
    mount("-t", "proc", "proc", BED + "/proc")
    for i, (path, text) in enumerate(plan["kernel"].items()):
        if not os.path.exists(path):
            continue
        mine = os.path.join(BED, "kernel%d" % i)
        with open(mine, "w", encoding="ascii") as f:
            f.write(text + "\n")
        mount("--bind", mine, path)
    os.symlink("kernel%d" % list(plan["kernel"]).index("/proc/sys/kernel/random/boot_id"), BED + "/boot_id")
    os.makedirs(BED + "/cgroup")
    mount("--rbind", "/sys/fs/cgroup", BED + "/cgroup")
    mount("-t", "sysfs", "sysfs", "/sys")
    mount("--rbind", BED + "/cgroup", "/sys/fs/cgroup")
    subprocess.run(["umount", "-l", BED + "/cgroup"], check=True)
    if os.path.isdir("/sys/fs/bpf"):
        # shared, as systemd has it: what is mounted later shows in pods
        subprocess.run(["mount", "-t", "bpf", "--make-shared", "bpf", "/sys/fs/bpf"], stderr=subprocess.DEVNULL, check=False)


class Services:
    def __init__(self):
        self.pids, self.ended = {}, {}

    def bury(self):
        """Every corpse of the node: services, and containers' processes that lost their parent."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            for name in [n for n, p in self.pids.items() if p == pid]:
                del self.pids[name]
                self.ended[name] = os.waitstatus_to_exitcode(status)

    def start(self, name, argv, env, log):
        if name in self.pids:
            return {"error": name + " runs already"}
        out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        null = os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC)
        actions = [(os.POSIX_SPAWN_DUP2, null, 0), (os.POSIX_SPAWN_DUP2, out, 1), (os.POSIX_SPAWN_DUP2, out, 2)]
        try:
            program = shutil.which(argv[0], path=env["PATH"]) or argv[0]
            self.pids[name] = os.posix_spawn(program, argv, env, file_actions=actions, setsid=True, setsigmask=[],
                                             setsigdef=CAUGHT)
        except OSError as e:
            return {"error": "%s: %s" % (argv[0], e)}
        finally:
            os.close(out)
            os.close(null)
        return {"pid": self.pids[name]}

    def stop(self, name, seconds):
        for sig, bound in ((signal.SIGTERM, seconds), (signal.SIGKILL, 30)):
            if name not in self.pids:
                break
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pids[name], sig)
            end = time.monotonic() + bound
            while name in self.pids and time.monotonic() < end:
                time.sleep(0.05)
                self.bury()
        return {"error": name + " does not end"} if name in self.pids else {}

    def answer(self, request):
        if "start" in request:
            return self.start(request["start"], request["argv"], request["env"], request["log"])
        if "stop" in request:
            return self.stop(request["stop"], request["seconds"])
        name = request["state"]
        return {"running": name in self.pids, "ended": self.ended.get(name)}


def serve(path):
    services = Services()
    listener = socket.socket(socket.AF_UNIX)
    # By way of a descriptor: the path of a tree may be longer than a socket's name can be.
    folder = os.open(os.path.dirname(path), os.O_PATH)
    listener.bind("/proc/self/fd/%d/%s" % (folder, os.path.basename(path)))
    listener.listen(8)
    while True:
        ready, _, _ = select.select([listener], [], [], 0.5)
        services.bury()
        if not ready:
            continue
        with contextlib.suppress(OSError, ValueError, KeyError):
            conn = listener.accept()[0]
            with conn, conn.makefile("rw") as f:
                conn.settimeout(10)
                f.write(json.dumps(services.answer(json.loads(f.readline()))) + "\n")
                f.flush()


def main():
    # /proc is still the one of the machine below, so this is our number there.
    below = os.readlink("/proc/self")
    with open(sys.argv[1], encoding="utf-8") as f:
        plan = json.load(f)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    socket.sethostname(plan["name"])
    own_folders(plan)
    own_kernel(plan)
    print("node %s: process %s below" % (plan["name"], below), flush=True)
    with open(plan["ready"], "w", encoding="ascii") as f:
        f.write(below)
    serve(plan["socket"])


if __name__ == "__main__":
    main()
