# SPDX-License-Identifier: Apache-2.0
"""bedlib.py - what the cluster's bed is made with: commands, conditions, processes, network namespaces, cgroups.

Everything has a name of ours (PREFIX-CLUSTER-...) and a pid file of ours, so that whatever a crash left behind is found
again and nothing else is ever touched.
"""
import contextlib
import json
import os
import shutil
import signal
import subprocess
import time

PREFIX = "rsc"
NETNS_DIR = "/run/netns"
CGROUPS = "/sys/fs/cgroup"
NICE = 5  # below what people do on this machine
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
HERE = os.path.dirname(os.path.abspath(__file__))
BASE_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class BedError(Exception):
    """The test bed itself failed: says nothing about Ripstop."""


class Hopeless(BedError):
    """Waiting is of no use any more."""


def run(argv, check=True, timeout=120, **kw):
    """Run a command; returns the CompletedProcess with text output. A time-out is an error like any other."""
    if "input" not in kw:
        kw.setdefault("stdin", subprocess.DEVNULL)
    try:
        p = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, errors="replace",
                           timeout=timeout, check=False, **kw)
    except subprocess.TimeoutExpired as e:
        raise BedError("%s: no end after %d s" % (" ".join(argv), timeout)) from e
    if check and p.returncode:
        raise BedError("%s: exit %d: %s" % (" ".join(argv), p.returncode, (p.stderr or p.stdout).strip()[-2000:]))
    return p


def wait_for(what, seconds, condition, pause=0.3):
    """Ask until condition() is true, and return what it said. The bound is wide: it is for what never comes."""
    end, why = time.monotonic() + seconds, ""
    while True:
        try:
            said = condition()
            if said:
                return said
        except Hopeless:
            raise
        except BedError as e:
            why = ": %s" % e
        if time.monotonic() > end:
            raise BedError("%s: not within %d s%s" % (what, seconds, why))
        time.sleep(pause)


def write(path, text, mode=0o644):
    """Put a file there whole."""
    with open(path + ".new", "w", encoding="utf-8") as f:
        f.write(text)
    os.chmod(path + ".new", mode)
    os.rename(path + ".new", path)
    return path


def write_json(path, value):
    return write(path, json.dumps(value, indent=1) + "\n")


def read(path, default=None):
    try:
        with open(path, encoding="utf-8", errors="replace") as f:
            return f.read()
    except OSError:
        return default


def tail(path, lines=20):
    return "\n".join((read(path) or "").splitlines()[-lines:])


# ---- processes: known by pid and by when they began, so that a pid used again is not ours ---------------------------


def began(pid):
    """When a process began, in ticks since boot; None when it is gone or only a corpse."""
    text = read("/proc/%d/stat" % pid)
    if not text:
        return None
    fields = text.rpartition(")")[2].split()
    return None if fields[0] == "Z" else int(fields[19])


def note_pid(path, pid):
    write(path, "%d %s\n" % (pid, began(pid)))


def noted_pid(path):
    """The pid in a file of note_pid(), while that very process lives; else None."""
    try:
        pid, since = (read(path) or "").split()
        return int(pid) if began(int(pid)) == int(since) else None
    except ValueError:
        return None


def end_process(path, sig=signal.SIGTERM, seconds=15):
    """End the process of a pid file: asked first, then not."""
    pid = noted_pid(path)
    for how, bound in ((sig, seconds), (signal.SIGKILL, 15)):
        if not pid:
            break
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, how)
        with contextlib.suppress(BedError):
            wait_for("end of process %d" % pid, bound, lambda: not noted_pid(path) or _reap(pid), 0.05)
        pid = noted_pid(path)
    if pid:
        raise BedError("process %d of %s does not end" % (pid, path))
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)


def _reap(pid):
    """A child of this very process leaves a corpse until somebody asks for it."""
    with contextlib.suppress(ChildProcessError):
        return os.waitpid(pid, os.WNOHANG)[0] == pid
    return False


def spawn(argv, log, pid_path, env=None):
    """Start a process of the bed in a session of its own, its words in a log, its pid in a file."""
    with open(log, "ab") as out:
        p = subprocess.Popen(["nice", "-n", str(NICE)] + argv, stdin=subprocess.DEVNULL, stdout=out,
                             stderr=subprocess.STDOUT, start_new_session=True, env=env)
    note_pid(pid_path, p.pid)
    return p.pid


# ---- network namespaces ---------------------------------------------------------------------------------------------


class NetNs:
    """A named network namespace."""

    def __init__(self, name):
        self.name, self.path = name, os.path.join(NETNS_DIR, name)

    def make(self):
        run(["ip", "netns", "add", self.name])
        self.ip("link set lo up")

    def exists(self):
        return os.path.exists(self.path)

    def argv(self, argv):
        # not `ip netns exec`: that one remounts /sys and hides the cgroups
        return ["nsenter", "--net=" + self.path, "--"] + list(argv)

    def run(self, argv, check=True, **kw):
        return run(self.argv(argv), check=check, **kw)

    def ip(self, *lines):
        """Several `ip` commands in one call."""
        p = run(["ip", "-n", self.name, "-batch", "-"], check=False, input="\n".join(lines) + "\n")
        if p.returncode:
            raise BedError("ip in %s: %s\n%s" % (self.name, p.stderr.strip(), "\n".join(lines)))

    def sysctl(self, *settings):
        self.run(["sysctl", "-qw"] + list(settings))

    def pids(self):
        """Processes that are in it; by inode, for `ip netns pids` sees only what has a name in /proc."""
        try:
            inode = os.stat(self.path).st_ino
        except OSError:
            return []
        out = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            with contextlib.suppress(OSError):
                if os.stat("/proc/%s/ns/net" % pid).st_ino == inode:
                    out.append(int(pid))
        return out

    def delete(self):
        """The processes in it, then the namespace."""
        for _ in range(50):
            pids = [p for p in self.pids() if p != os.getpid()]
            for pid in pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            if not pids:
                break
            time.sleep(0.1)
        if self.exists():
            run(["ip", "netns", "del", self.name], check=False)


def named_netns(prefix):
    with contextlib.suppress(FileNotFoundError):
        return sorted(n for n in os.listdir(NETNS_DIR) if n.startswith(prefix))
    return []


# ---- cgroups: one folder a node, in every hierarchy (v1), or one (v2) ------------------------------------------------


def hierarchies():
    if os.path.exists(os.path.join(CGROUPS, "cgroup.controllers")):
        return [CGROUPS]
    return [os.path.join(CGROUPS, c) for c in sorted(os.listdir(CGROUPS))
            if os.path.exists(os.path.join(CGROUPS, c, "cgroup.procs"))]


def make_cgroup(name):
    for top in hierarchies():
        path = os.path.join(top, name)
        os.makedirs(path, exist_ok=True)
        # A v1 cpuset is born empty, and nothing can run in it.
        for key in ("cpuset.cpus", "cpuset.mems"):
            if top != CGROUPS and os.path.exists(os.path.join(path, key)):
                with open(os.path.join(path, key), "w", encoding="ascii") as f:
                    f.write(read(os.path.join(top, key)))


def remove_cgroup(name):
    """Its processes are ended, its folders removed, deepest first."""
    for top in hierarchies():
        base = os.path.join(top, name)
        for _ in range(50):
            if not os.path.isdir(base):
                break
            for folder, _, files in os.walk(base, topdown=False):
                procs = read(os.path.join(folder, "cgroup.procs"), "") if "cgroup.procs" in files else ""
                for pid in map(int, (procs or "").split()):
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
                with contextlib.suppress(OSError):
                    os.rmdir(folder)
            if os.path.isdir(base):
                time.sleep(0.1)


def missing(tools):
    return [t for t in tools if not shutil.which(t, path=BASE_PATH)]
