# SPDX-License-Identifier: Apache-2.0
"""bpfcall.py - the bpf() system call for tests: another program's hook in a node, and a kernel that lacks a part."""
import contextlib
import ctypes
import errno
import os
import struct
import sys

MAP_CREATE, MAP_DELETE, MAP_NEXT_KEY, PROG_LOAD, OBJ_PIN, OBJ_GET, LINK_CREATE = 0, 3, 4, 5, 6, 7, 28
KILLED = 0
TYPE_NETFILTER, ATTACH_NETFILTER = 32, 45
CALL = {"x86_64": (0xC000003E, 321), "aarch64": (0xC00000B7, 280)}.get(os.uname().machine)
HOOKS = {"prerouting": 0, "input": 1, "postrouting": 4}
_libc = ctypes.CDLL(None, use_errno=True)


def _bpf(cmd, attr):
    buf = ctypes.create_string_buffer(attr, len(attr))
    fd = _libc.syscall(CALL[1], cmd, buf, len(attr))
    if fd < 0:
        n = ctypes.get_errno()
        raise OSError(n, "bpf(%d): %s" % (cmd, os.strerror(n)))
    return fd


def accept_all():
    """A program that lets everything pass: r0 = 1; exit."""
    code = ctypes.create_string_buffer(bytes.fromhex("b7000000010000009500000000000000"), 16)
    text = ctypes.create_string_buffer(b"GPL")
    attr = struct.pack("=IIQQ", TYPE_NETFILTER, 2, ctypes.addressof(code), ctypes.addressof(text))
    attr += bytes(68 - len(attr)) + struct.pack("=I", ATTACH_NETFILTER) + bytes(48)  # expected_attach_type at 68
    return _bpf(PROG_LOAD, attr)


def keys(path, size):
    """All keys of the hash that is pinned there."""
    name = ctypes.create_string_buffer(os.fsencode(path))
    fd = _bpf(OBJ_GET, struct.pack("=QII", ctypes.addressof(name), 0, 0))
    key, found, following = None, [], ctypes.create_string_buffer(size)
    try:
        while True:
            at = ctypes.create_string_buffer(key, size) if key else None
            _bpf(MAP_NEXT_KEY, struct.pack("=I4xQQQ", fd, ctypes.addressof(at) if at else 0, ctypes.addressof(following), 0))
            key = following.raw
            found.append(key)
    except OSError as e:
        if e.errno != errno.ENOENT:
            raise
    finally:
        os.close(fd)
    return found


def delete(path, key):
    """As somebody would who has root and bpftool."""
    name, at = ctypes.create_string_buffer(os.fsencode(path)), ctypes.create_string_buffer(key, len(key))
    fd = _bpf(OBJ_GET, struct.pack("=QII", ctypes.addressof(name), 0, 0))
    try:
        _bpf(MAP_DELETE, struct.pack("=I4xQQQ", fd, ctypes.addressof(at), 0, 0))
    finally:
        os.close(fd)


def pin_small_map(path):
    """A hash of keys like those of rs_ends to values that are shorter, under a name of ours."""
    fd = _bpf(MAP_CREATE, struct.pack("=IIIII", 1, 20, 4, 1, 0) + bytes(52))
    name = ctypes.create_string_buffer(os.fsencode(path))
    _bpf(OBJ_PIN, struct.pack("=QII", ctypes.addressof(name), fd, 0))
    os.close(fd)


@contextlib.contextmanager
def foreign_programs(ns, places):
    """Programs of somebody else at (hook, priority) of this namespace, IPv4; gone at the end."""
    held = []
    try:
        with ns.inside():
            for hook, priority in places:
                prog = accept_all()
                held.append(prog)
                held.append(_bpf(LINK_CREATE, struct.pack("=IIIIIIiI", prog, 0, ATTACH_NETFILTER, 0, 2, HOOKS[hook], priority, 0) +
                                 bytes(32)))
        yield
    finally:
        for fd in held:
            os.close(fd)


def refuse(cmd, number):
    """From here on this process's bpf(cmd) fails, as on a kernel that does not know it. KILLED: any is its end."""
    how = 0x80000000 if number == KILLED else 0x00050000 | number
    # struct seccomp_data: nr 0, arch 4, args[0] 16; a jump of 0 goes on with the next
    code = [(0x20, 0, 0, 4), (0x15, 0, 5, CALL[0]), (0x20, 0, 0, 0), (0x15, 0, 3, CALL[1]), (0x20, 0, 0, 16),
            (0x15, 0, 0 if number == KILLED else 1, cmd), (0x06, 0, 0, how), (0x06, 0, 0, 0x7FFF0000)]
    raw = b"".join(struct.pack("HBBI", *c) for c in code)
    buf = ctypes.create_string_buffer(raw, len(raw))
    prog = struct.pack("HxxxxxxP", len(code), ctypes.addressof(buf))
    if _libc.prctl(38, 1, 0, 0, 0) or _libc.prctl(22, 2, prog, 0, 0):
        sys.exit("seccomp: " + os.strerror(ctypes.get_errno()))


if __name__ == "__main__":  # bpfcall.py CMD ERRNO PROGRAM ARG...: run it with that call refused
    refuse(int(sys.argv[1]), int(sys.argv[2]))
    os.execvp(sys.argv[3], sys.argv[3:])
