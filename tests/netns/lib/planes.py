# SPDX-License-Identifier: Apache-2.0
"""planes.py - the dataplanes that the agents of the netns circle may have, and what tests ask of each in its own way.

PLANES is the table. Everything else asks the programs; here is what no program does: take the rules away without an
agent, and delete one element of them.
"""
import contextlib
import ctypes
import errno
import ipaddress
import json
import os
import platform
import re
import shutil
import struct
import time


def strip_counters(elem):
    if isinstance(elem, dict) and "elem" in elem:
        return json.dumps(elem["elem"]["val"], sort_keys=True)
    if isinstance(elem, list):
        return json.dumps([strip_counters(e) for e in elem], sort_keys=True)
    return json.dumps(elem, sort_keys=True)


class Nft:
    """table inet ripstop"""
    bpffs = False
    stamps = True  # verdicts are kept in ct mark
    tells = True  # the kernel tells the agent what others change
    named = 4  # at least so many elements name the two addresses of a pod
    refuses = False  # UDP that may not reach a socket of the node behind DNAT is refused, not silent
    listed = ("table inet ripstop", " goto judge")  # in `nft list ruleset`, wherever it is in force

    def __init__(self, name):
        self.name = name

    def why_not(self):
        """Why this kernel cannot, in one line; None when it can. Found out without our programs."""
        return None

    def options(self, folder):
        """Of the agent; folder: of this node's pins."""
        return []

    def in_force(self, node):
        return node.nft("list", "table", "inet", "ripstop").returncode == 0

    def take_away(self, node):
        """As somebody else would; what is wrong, in words."""
        return node.nft("delete", "table", "inet", "ripstop").stderr.strip()

    def mended(self, node):
        """See to it that the agent looks for what has been changed."""

    def elements(self, node, address):
        """[(map or set, key)] of the elements that name an address."""
        out = []
        for entry in json.loads(node.nft("-j", "list", "table", "inet", "ripstop").stdout)["nftables"]:
            for kind in ("set", "map"):
                for elem in entry.get(kind, {}).get("elem", []):
                    key = key_text(elem[0] if kind == "map" and isinstance(elem, list) else elem)
                    if address in key.split(" . "):
                        out.append((entry[kind]["name"], key))
        return out

    def held(self, node):
        """Every element of every set and map, without counters."""
        out = []
        for entry in json.loads(node.nft("-j", "list", "table", "inet", "ripstop").stdout)["nftables"]:
            for kind in ("set", "map"):
                body = entry.get(kind, {})
                # a set that packets fill (who was logged lately) is no state of ours, and the stamp moves on
                if body.get("timeout") or "dynamic" in (body.get("flags") or []) or "stamp" in body.get("name", ""):
                    continue
                out += ["%s %s" % (body["name"], strip_counters(elem)) for elem in body.get("elem", [])]
        return sorted(out)

    def delete(self, node, name, key):
        """What is wrong, in words."""
        return node.nft("delete", "element", "inet", "ripstop", name, "{ %s }" % key).stderr.strip()


def key_text(key):
    """An element's key from nft's JSON as nft reads it back."""
    if isinstance(key, dict) and "elem" in key:
        return key_text(key["elem"]["val"])
    if isinstance(key, dict) and "concat" in key:
        return " . ".join(key_text(k) for k in key["concat"])
    if isinstance(key, dict) and "range" in key:
        return "-".join(key_text(k) for k in key["range"])
    if isinstance(key, dict) and "prefix" in key:
        return "%s/%s" % (key["prefix"]["addr"], key["prefix"]["len"])
    return str(key)


# ---- eBPF --------------------------------------------------------------------------------------------------

BPF_CALL = {"x86_64": 321, "aarch64": 280}
LOOKUP, DELETE, NEXT_KEY, OBJ_GET, INFO, QUERY, LINK_BY_ID = 1, 3, 4, 7, 15, 16, 30
TCX_INGRESS = 46
BTF = "/sys/kernel/btf/vmlinux"
_libc = ctypes.CDLL(None, use_errno=True)


def bpf(command, attributes):
    """The system call; its result, or an OSError. Buffers are named by their address and are the caller's."""
    attr = ctypes.create_string_buffer(attributes, 128)
    got = _libc.syscall(BPF_CALL[platform.machine()], command, attr, len(attr))
    if got < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return got


def has_tcx():
    """Programs at devices that are up are links, and no clsact comes (6.6)."""
    try:
        bpf(QUERY, struct.pack("=4IQ2I", 1, TCX_INGRESS, 0, 0, 0, 0, 0))
    except OSError as e:
        return e.errno == errno.ENOENT  # 6.6, of a device where nothing stands
    return True


@contextlib.contextmanager
def pinned(path):
    """What is pinned there, as a descriptor."""
    name = ctypes.create_string_buffer(path.encode())
    fd = bpf(OBJ_GET, struct.pack("=QII", ctypes.addressof(name), 0, 0))
    try:
        yield fd
    finally:
        os.close(fd)


def info(fd, size=256):
    """The kernel's struct bpf_map_info or bpf_link_info: [32-bit words]."""
    buf = ctypes.create_string_buffer(size)
    bpf(INFO, struct.pack("=IIQ", fd, size, ctypes.addressof(buf)))
    return struct.unpack("=%dI" % (size // 4), buf.raw)


def map_elements(fd):
    """[(key, value)] of a hash."""
    key_size, value_size = info(fd)[2:4]
    key, following = None, ctypes.create_string_buffer(key_size)
    value, out = ctypes.create_string_buffer(value_size), []
    while True:
        try:
            bpf(NEXT_KEY, struct.pack("=IIQQQ", fd, 0, ctypes.addressof(key) if key else 0, ctypes.addressof(following), 0))
        except FileNotFoundError:
            return out
        key = ctypes.create_string_buffer(following.raw, key_size)
        with contextlib.suppress(FileNotFoundError):
            bpf(LOOKUP, struct.pack("=IIQQQ", fd, 0, ctypes.addressof(key), ctypes.addressof(value), 0))
            out.append((key.raw, value.raw))


def bpf_addr(address):
    """struct rs_bpf_addr"""
    ip = ipaddress.ip_address(address)
    return struct.pack("=I", ip.version) + ip.packed.ljust(16, b"\0")


class Ebpf:
    """Maps, programs and links, pinned in a folder of the node's own; and filters at devices, which need no pins."""
    bpffs = True
    stamps = False
    tells = False
    named = 3  # an end each, and their link
    refuses = False
    listed = ("table inet ripstop-ct",)

    def __init__(self, name):
        self.name = name

    def why_not(self):
        try:
            with open(BTF, "rb") as f:
                if b"\0bpf_nf_link_attach\0" not in f.read():
                    return "kernel %s has no programs at netfilter hooks (6.4)" % platform.release()
        except OSError as e:
            return "kernel %s: %s: %s" % (platform.release(), BTF, e)
        return None

    def options(self, folder):
        return ["--dataplane", self.name, "--bpf-dir", folder]

    @staticmethod
    def pins(node, form):
        folder = node.lab.bpf_dir(node)
        return sorted(os.path.join(at, n) for at, _, names in os.walk(folder) for n in names if re.match(form, n))

    def in_force(self, node):
        return bool(self.pins(node, "link_"))

    @staticmethod
    def filters(node):
        """[(device, direction, priority)] of ours."""
        out = []
        for line in node.run(["ip", "-o", "link"]).stdout.splitlines():
            device = line.split(": ")[1].split("@")[0]
            for way in ("ingress", "egress"):
                text = node.run(["tc", "filter", "show", "dev", device, way], check=False).stdout
                out += [(device, way, p) for p in re.findall(r"pref (\d+) bpf .*\brs_tc_", text)]
        return out

    def take_away(self, node):
        links = []
        for device, way, priority in self.filters(node):
            node.run(["tc", "filter", "del", "dev", device, way, "pref", priority], check=False)
        for path in self.pins(node, "link_"):
            with pinned(path) as fd:
                links.append(info(fd)[1])
        shutil.rmtree(node.lab.bpf_dir(node), ignore_errors=True)
        # The kernel detaches them a moment later; an agent that lives has them open all the same, and pins them again.
        end = time.monotonic() + (10 if node.agent is None else 0)
        while any(alive(n) for n in links) and time.monotonic() < end:
            time.sleep(0.01)
        time.sleep(0.02)
        if not links:
            return "there are no links"
        if node.agent is None and (self.in_force(node) or any(alive(n) for n in links) or self.filters(node)):
            return "of %d links and of filters some stay: %s" % (len(links), self.filters(node))
        return node.nft("delete", "table", "inet", "ripstop-ct").stderr.strip()

    def mended(self, node):
        node.ctl("verify", repair=True)

    def elements(self, node, address):
        out, want = [], bpf_addr(address)
        for path in self.pins(node, "rs_(ends|links)$"):
            with pinned(path) as fd:
                for key, value in map_elements(fd):
                    if want == key or (path.endswith("links") and want in value):
                        out.append((os.path.relpath(path, node.lab.bpf_dir(node)), key.hex()))
        return out

    def held(self, node):
        """What is in force, and the pins. (In the maps is more: what is not in force any longer goes with a later commit.)

        Those of devices that are gone go within the two seconds of a look; then there is one for each pod."""
        end = time.monotonic() + 8
        while self.stale(node) and time.monotonic() < end:
            time.sleep(0.1)
        objects = node.ctl("verify")["objects"]
        return ["%s %s" % (o["object"], o["kernel"]) for o in objects] + [os.path.basename(p) for p in self.pins(node, "")]

    def stale(self, node):
        there = {line.split(":")[0] for line in node.run(["ip", "-o", "link"]).stdout.splitlines()}
        return [p for p in self.pins(node, "link_tc_") if p.split("_")[-2] not in there]

    def delete(self, node, name, key):
        try:
            with pinned(os.path.join(node.lab.bpf_dir(node), name)) as fd:
                buf = ctypes.create_string_buffer(bytes.fromhex(key))
                bpf(DELETE, struct.pack("=IIQQQ", fd, 0, ctypes.addressof(buf), 0, 0))
        except OSError as e:
            return str(e)
        return ""


class EbpfTc(Ebpf):
    """The same maps; the verdict at devices, and where sockets of the node are looked up."""
    refuses = True

    def why_not(self):
        if tuple(int(n) for n in re.findall(r"\d+", platform.release())[:2]) < (6, 2):
            return "kernel %s: its verifier takes no function's argument as a map's key (6.2)" % platform.release()
        for path in (BTF, os.path.join(os.path.dirname(BTF), "nf_conntrack")):
            with contextlib.suppress(OSError), open(path, "rb") as f:
                if b"\0bpf_skb_ct_lookup\0" in f.read():
                    return None
        return "kernel %s has no look-up of conntrack entries for programs at tc (5.18)" % platform.release()


def alive(link):
    """Is there a link with that number?"""
    try:
        os.close(bpf(LINK_BY_ID, struct.pack("=I", link)))
    except OSError:
        return False
    return True


PLANES = {p.name: p for p in (Nft("nft"), Ebpf("ebpf"), EbpfTc("ebpf-tc"))}
