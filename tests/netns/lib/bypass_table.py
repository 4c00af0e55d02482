# SPDX-License-Identifier: Apache-2.0
"""bypass_table.py - one row of the bypass suite: a shape of packets, who sends it to whom, and what must come of it.

attack   sent to (or from) an isolated pod under our rules: nobody but its sender may hear it.
control  the same between ends that no policy selects: heard, unless `held` or `refused` says why not.
bare     the attack again, our table taken away: heard, unless `refused` says why the kernel alone drops it.

A reason is a text, or a dict from "4", "6", a way ("att>free"), a receiver (">node") or a family and one of those
("6>node") to a text. A reason that does not hold - the packet arrives all the same - is a failure too.
"""
from bypass_bed import WAYS


class Shape:
    def __init__(self, family, name, build, fams="46", ways=None, refused=None, held=None, ids="XD1",
                 passes=None, anywhere=False):
        self.family, self.name, self.build, self.fams = family, name, build, fams
        self.ways = [w for w in WAYS if ways is None or w.name in ways]
        self.refused, self.held, self.ids = refused or {}, held or {}, ids
        self.passes = passes or set()  # token numbers that the node may hear by design
        self.anywhere = anywhere  # a control is heard by whoever hears it
        self.absent = None  # of a sweep: the parts that do not arrive, by "6", "6/pod" (sent by one), "6/bare"


def reason(table, fam, way):
    """Why a packet is not expected on this way; None when it is."""
    if isinstance(table, str):
        return table
    for key in (fam + way.name, fam + ">" + way.receiver, way.name, ">" + way.receiver, fam):
        if key in table:
            return table[key]
    return None
