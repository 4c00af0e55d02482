# SPDX-License-Identifier: Apache-2.0
"""emulator.py - boot another kernel in QEMU, on this machine's own programs, and run one command there.

No KVM is needed. The guest's root is this machine's root, read-only through 9p, under a tmpfs: what the
guest writes is gone with it. It has no network device. Its kernel talks on the first serial port (kept in
a file), the command on the second, which is what Guest.lines() yields. Modules are loaded by the guest's
own modprobe from the unpacked kernel.
"""
import contextlib
import ctypes
import glob
import lzma
import os
import re
import secrets
import selectors
import shutil
import signal
import subprocess
import tempfile
import time

FIRST_MODULES = ("virtio_pci", "9p", "9pnet_virtio", "overlay")
MOUNT_9P = "-t 9p -o trans=virtio,version=9p2000.L,ro,msize=512000,cache=loose"

INIT = """#!/bin/busybox sh
B=/bin/busybox
$B mount -t proc p /proc; $B mount -t sysfs s /sys; $B mount -t devtmpfs d /dev
for m in $($B cat /modules/order); do $B insmod /modules/$m || echo "insmod $m failed"; done
$B mount MOUNT_9P host /ro
$B mount -t tmpfs -o size=70% t /rw
$B mkdir /rw/up /rw/work
$B mount -t overlay -o lowerdir=/ro,upperdir=/rw/up,workdir=/rw/work o /root
$B mkdir -p /root/usr/lib/modules
$B mount MOUNT_9P mods /root/usr/lib/modules
for d in proc sys dev; do $B mount --move /$d /root/$d; done
$B mount -t tmpfs t /root/run
$B mount -t bpf b /root/sys/fs/bpf
$B mount -t cgroup2 c /root/sys/fs/cgroup
$B mkdir -p /root/dev/shm; $B mount -t tmpfs t /root/dev/shm
$B cp /command /root/run/guest-command
exec $B switch_root /root /bin/sh /run/guest-command
""".replace("MOUNT_9P", MOUNT_9P)

COMMAND = """export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 %(env)s
stty -F /dev/ttyS1 raw -echo
exec >/dev/ttyS1 2>&1 </dev/null
ip link set lo up
cd %(folder)s && ( %(command)s )
echo "%(mark)s $?"
exec sleep 600
"""


def _cpio(files):
    """A newc archive. files: [(path, mode, data)], folders before what they hold."""
    out = bytearray()
    for number, (path, mode, data) in enumerate(files + [("TRAILER!!!", 0, b"")], 1):
        name = path.encode() + b"\0"
        head = (number, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name), 0)
        out += b"070701" + b"".join(b"%08x" % n for n in head) + name
        out += bytes(-len(out) % 4) + data
        out += bytes(-len(out) % 4)
    return bytes(out)


def _module(path):
    """(base name, bytes) of a module, decompressed."""
    with open(path, "rb") as f:
        data = f.read()
    name = os.path.basename(path)
    return (name[:-3], lzma.decompress(data)) if name.endswith(".xz") else (name, data)


def _first_modules(tree):
    """What must be in place before the root is: files in the order in which they are to be loaded."""
    folder = glob.glob(os.path.join(tree, "lib", "modules", "*"))[0]
    needs, paths, order = {}, {}, []
    with open(os.path.join(folder, "modules.dep"), encoding="ascii") as f:
        for line in f:
            path, _, deps = line.strip().partition(":")
            key = re.sub(r"\.ko.*$", "", os.path.basename(path)).replace("-", "_")
            needs[key], paths[key] = deps.split(), path

    for name in FIRST_MODULES:
        if name in paths:  # else it is built in
            for path in reversed([paths[name]] + needs[name]):
                if path not in order:
                    order.append(path)
    return [_module(os.path.join(folder, path)) for path in order]


def _initramfs(tree, busybox, command):
    with open(busybox, "rb") as f:
        program = f.read()
    modules = _first_modules(tree)
    folders = ["bin", "modules", "proc", "sys", "dev", "root", "ro", "rw"]
    return _cpio([(d, 0o040755, b"") for d in folders] + [("bin/busybox", 0o100755, program)] +
                 [("modules/" + name, 0o100644, data) for name, data in modules] +
                 [("modules/order", 0o100644, " ".join(name for name, _ in modules).encode()),
                  ("command", 0o100644, command.encode()), ("init", 0o100755, INIT.encode())])


def _die_with_parent():
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


class Guest:
    """One boot. Use as a context manager: leaving it ends the emulator, whatever happened."""

    def __init__(self, tree, folder, command, env=None, seconds=1800, memory="3G", cpus=2, console=None):
        self.mark = "guest-" + secrets.token_hex(8)
        self.end = time.monotonic() + seconds
        self.status = None  # exit status of the command; None when the guest never got to it
        self.timed_out = False
        self.dir = tempfile.mkdtemp(prefix="ripstop-guest-")
        self.console = console or os.path.join(self.dir, "console")
        text = COMMAND % {"env": " ".join("%s=%s" % kv for kv in (env or {}).items()), "folder": folder,
                          "command": command, "mark": self.mark}
        initramfs = os.path.join(self.dir, "initramfs")
        with open(initramfs, "wb") as f:
            f.write(_initramfs(tree, shutil.which("busybox"), text))
        share = "local,path=%s,mount_tag=%s,security_model=none,readonly=on%s"
        argv = ["qemu-system-x86_64", "-accel", "tcg,thread=multi,tb-size=512", "-cpu", "max", "-smp", str(cpus),
                "-m", memory, "-nodefaults", "-no-user-config", "-no-reboot", "-display", "none", "-monitor", "none",
                "-nic", "none", "-kernel", glob.glob(os.path.join(tree, "boot", "vmlinuz-*"))[0],
                "-initrd", initramfs, "-append",
                "console=ttyS0 loglevel=5 panic=-1 oops=panic watchdog_thresh=60 softlockup_panic=1 edd=off mitigations=off",
                "-serial", "file:" + self.console, "-serial", "stdio",
                "-virtfs", share % ("/", "host", ",multidevs=remap"),
                "-virtfs", share % (os.path.join(tree, "lib", "modules"), "mods", "")]
        self.process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        stderr=subprocess.STDOUT, start_new_session=True, preexec_fn=_die_with_parent)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        shutil.rmtree(self.dir, ignore_errors=True)

    def lines(self):
        """What the command prints, line by line, until it ends, the guest dies or the time is over."""
        fd = self.process.stdout.fileno()
        rest = b""
        with selectors.DefaultSelector() as poll:
            poll.register(fd, selectors.EVENT_READ)
            while True:
                left = self.end - time.monotonic()
                if left <= 0:
                    self.timed_out = True
                    return
                if not poll.select(left):
                    continue
                data = os.read(fd, 65536)
                *whole, rest = (rest + data).split(b"\n")
                for line in whole if data else [rest]:
                    text = line.decode("utf-8", "replace").rstrip("\r")
                    if text.startswith(self.mark):
                        self.status = int(text.split()[1])
                        return
                    elif text or data:
                        yield text
                if not data:
                    return

    def console_tail(self, lines=25):
        """The kernel's last words."""
        with contextlib.suppress(OSError):
            with open(self.console, encoding="utf-8", errors="replace") as f:
                return "".join(f.readlines()[-lines:])
        return ""
