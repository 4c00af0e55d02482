# SPDX-License-Identifier: Apache-2.0
"""bpfpins.py - the eBPF dataplane's pins, read and damaged by bare system calls: what the kernel says, and not what our
own programs say of it."""
import ctypes
import os
import struct

from planes import LOOKUP, OBJ_GET, bpf

UPDATE, DETACH = 2, 34
REASONS = ("policy-ingress", "policy-egress", "not-programmed", "spoofed", "invalid", "malformed")
QUIET, LOGGED = "n_quiet", "n_logged"


class Pin:
    def __init__(self, path):
        name = ctypes.create_string_buffer(path.encode())
        self.fd = bpf(OBJ_GET, struct.pack("=QII", ctypes.addressof(name), 0, 0))

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        os.close(self.fd)

    def look_up(self, key, size):
        k, v = ctypes.create_string_buffer(key, len(key)), ctypes.create_string_buffer(size)
        bpf(LOOKUP, struct.pack("=IIQQQ", self.fd, 0, ctypes.addressof(k), ctypes.addressof(v), 0))
        return v.raw

    def update(self, key, value):
        k, v = ctypes.create_string_buffer(key, len(key)), ctypes.create_string_buffer(value, len(value))
        bpf(UPDATE, struct.pack("=IIQQQ", self.fd, 0, ctypes.addressof(k), ctypes.addressof(v), 0))

    def detach(self):
        bpf(DETACH, struct.pack("=I", self.fd))


def folder(top):
    """Of the set in force; None where there is none."""
    sets = sorted(n for n in os.listdir(top) if n.startswith("v")) if os.path.isdir(top) else []
    return os.path.join(top, sets[-1]) if sets else None


def possible_cpus():
    with open("/sys/devices/system/cpu/possible", encoding="ascii") as f:
        return int(f.read().strip().split("-")[-1].split(",")[-1]) + 1


def drops(top):
    """{"policy-ingress 0": packets, ...}: 1 where a pod's own sending was refused; and the two that are no drops."""
    path = folder(top)
    if not path:
        return {}
    names = ["%s %d" % (r, d) for r in REASONS for d in (0, 1)] + [QUIET, LOGGED]
    out = {}
    with Pin(os.path.join(path, "rs_counts")) as counts:
        for i, name in enumerate(names):
            raw = counts.look_up(struct.pack("=I", i), 16 * possible_cpus())
            out[name] = sum(struct.unpack_from("=Q", raw, at)[0] for at in range(0, len(raw), 16))
    return out
