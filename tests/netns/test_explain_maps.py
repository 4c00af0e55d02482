#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""`explain --kernel` with the eBPF dataplane: objects, maps and real packets agree; broken on purpose, they do not.

    test_explain_maps.py [--build DIR] [NAME...]
"""
import ipaddress
import os
import re
import struct
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
import bpfcall  # noqa: E402
import harness  # noqa: E402
import test_explain_kernel as nft  # noqa: E402
from test_explain_kernel import addresses, expect  # noqa: E402

harness.PLANE = harness.planes.PLANES["ebpf"]
IN, OUT, DEFAULT = 1, 2, 0xffffffff


class Bed(nft.Bed):
    """One node, whose agent mends nothing by itself."""

    def __init__(self, build, nodes=(1,)):
        super().__init__(build, nodes=nodes, options=("--repair", "off"))
        self.sets = {}
        for n, node in self.nodes.items():
            pins = self.lab.bpf_dir(node)
            self.sets[n], = [os.path.join(pins, d) for d in os.listdir(pins)]
        self.set = self.sets[1]

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()

    def agrees(self, *flow):
        code, o = self.explain(1, *flow)
        kernel, = o["kernels"]
        expect(kernel.get("agrees") is True and kernel["verdict"] == o["verdict"] and code == (o["verdict"] != "allowed"), flow, o)
        return kernel

    def differs(self, *flow):
        """Whatever is expected, and told on the screen."""
        for more in ((), ("--expect", "deny"), ("--expect", "allow")):
            code, o = self.explain(1, *flow, more=more)
            expect(code == 7 and o["kernels"][0]["agrees"] is False, flow, "no difference is seen:", code, o["kernels"])
        p = self.ripstop(1, "explain", *flow, "--kernel")
        expect(p.returncode == 7 and "DISAGREES" in p.stdout and "ripstop bundle" in p.stderr, p.stdout, p.stderr)
        return p.stdout

    def mended(self, *flow):
        code, o = self.verify(1, "--repair")
        expect(code in (0, 1) and o["repaired"], code, o)
        self.agrees(*flow)


def end_key(address):
    a = ipaddress.ip_address(address)
    return struct.pack("=I", a.version) + a.packed.ljust(16, b"\0")


@nft.test
def what_decided_is_named(build):
    with Bed(build) as bed:
        p = bed.ripstop(1, "explain", "shop/web", "shop/db", "5432", "--kernel")
        expect(p.returncode == 1, p.returncode, p.stderr)
        for words in ("Kernel of n1 agrees: it drops the flow", "prerouting accept by program rs_nf_guard\n",
                      "postrouting drop by program rs_nf_forwarded (policy-ingress)\n",
                      "found rs_ends { %s : class " % addresses("db")[0], "found rs_cells { ingress . group "):
            expect(words in p.stdout, words, "is not in", p.stdout)
        kernel = bed.agrees("shop/web", "shop/db", "5432")
        expect(kernel["pins"] == bed.lab.bpf_dir(bed.nodes[1]) and "table" not in kernel, kernel)


def verified(bed, code, *words):
    """The screen of `verify`, which is what it shows of nft with other objects."""
    p = bed.ripstop(1, "verify", "--explain")
    expect(p.returncode == code, p.returncode, p.stdout, p.stderr)
    for word in words:
        expect(re.search(word, p.stdout), word, "is not in", p.stdout)


@nft.test
def verify_shows_maps_and_links(build):
    with Bed(build) as bed:
        verified(bed, 0, r"links +\d+ +\d+ +ok", r"maps +\d+ +\d+ +ok", r"elements +\d+ +\d+ +ok", "in sync")
        bpfcall.delete(bed.set + "/rs_ends", end_key(addresses("db")[0]))
        verified(bed, 1, "elements .*DRIFT", "missing +rs_ends %s +shop/db .*not programmed" % addresses("db")[0],
                 "1 difference")
        expect(bed.verify(1, "--repair")[1]["repaired"], "it cannot be mended")
        os.unlink(bed.set + "/link_forwarded4")
        verified(bed, 1, "links .*DRIFT", "as long as this agent lives")
        expect(bed.verify(1, "--repair")[1]["repaired"], "it cannot be mended")
        verified(bed, 0, "in sync")


@nft.test
def a_lost_address_is_seen(build):
    flow = ("shop/api", "shop/db", "5432")
    with Bed(build) as bed:
        bed.agrees(*flow)
        bpfcall.delete(bed.set + "/rs_ends", end_key(addresses("db")[0]))
        expect("(not-programmed)" in bed.differs(*flow), "why is not told")
        bed.mended(*flow)


@nft.test
def a_lost_cell_is_seen(build):
    flow = ("shop/api", "shop/db", "5432")
    with Bed(build) as bed:
        lost = [k for k in bpfcall.keys(bed.set + "/rs_cells", 12)
                if struct.unpack("=III", k)[0] == IN and struct.unpack("=III", k)[2] != DEFAULT]
        expect(lost, "no cell")
        for key in lost:
            bpfcall.delete(bed.set + "/rs_cells", key)
        expect("(policy-ingress)" in bed.differs(*flow), "why is not told")
        bed.mended(*flow)


@nft.test
def a_lost_pin_is_seen(build):
    flow = ("shop/web", "shop/db", "5432")
    with Bed(build) as bed:
        os.unlink(bed.set + "/link_forwarded4")
        expect("the pin of its link is gone" in bed.differs(*flow), "what is missing is not told")
        bed.agrees("shop/job", "node", "22")
        bed.mended(*flow)


@nft.test
def where_it_cannot_be_asked(build):
    """Another user, another layout, no pins, another node's: an error or a note, never a guess."""
    flow = ("explain", "shop/web", "shop/db", "5432", "--kernel")
    with Bed(build, nodes=(1, 2)) as bed:
        aside = os.path.join(os.path.dirname(os.path.dirname(bed.set)), "aside")
        p = bed.ripstop(1, *flow, before=["setpriv", "--bounding-set", "-all", "--inh-caps", "-all"])
        expect(p.returncode == 1 and "agrees" in p.stdout, p.stdout, p.stderr)  # root needs no capability for it
        os.rename(bed.set, bed.set.replace("/v", "/v9"))
        p = bed.ripstop(1, *flow)
        expect(p.returncode == 4 and not p.stdout and "another layout" in p.stderr, p.stdout, p.stderr)
        os.rename(bed.set.replace("/v", "/v9"), aside)
        code, o = bed.explain(1, *flow[1:4])
        expect(code == 7 and "no programs are pinned" in o["kernels"][0]["note"], code, o["kernels"])
        os.rename(bed.sets[2], bed.set)
        p = bed.ripstop(1, *flow)
        expect(p.returncode == 4 and not p.stdout and "another network namespace" in p.stderr, p.stdout, p.stderr)


@nft.test
def a_map_of_another_shape_is_refused(build):
    """A pin of that name may hold anything."""
    with Bed(build) as bed:
        os.unlink(bed.set + "/rs_ends")
        bpfcall.pin_small_map(bed.set + "/rs_ends")
        p = bed.ripstop(1, "explain", "shop/web", "shop/db", "5432", "--kernel")
        expect(p.returncode == 4 and not p.stdout and "not of the shape" in p.stderr, p.stdout, p.stderr)


# As with nft, by the same flows.
nft.TESTS[:] = [nft.kernel_objects_and_packets_agree] + [t for t in nft.TESTS if t.__module__ == __name__]

if __name__ == "__main__":
    sys.exit(nft.main())
