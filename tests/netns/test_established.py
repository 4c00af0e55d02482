#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Established flows: a tightened policy cuts them on the next packet, whatever tightened it; others lose nothing; a
loosened one heals; also while the stamps wrap round.

    test_established.py [--build DIR] [NAME...]        names: causes, wrap, half-open, successor

The prober numbers every packet. "Cut" means: of the packets sent after the agent said that the change is in force,
not one arrived, in either direction.
"""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
from flow_causes import test_causes  # noqa: E402
from flow_main import main  # noqa: E402
from flow_more import test_half_open, test_successor  # noqa: E402
from flow_wrap import test_wrap  # noqa: E402

TESTS = [("causes", "E_1 established flows work both ways", test_causes),
         ("wrap", "F7 revoked flows stay cut while the stamps wrap round", test_wrap),
         ("half-open", "F11 a denied SYN leaves nothing behind", test_half_open),
         ("successor", "F6 the flows of an address belong to its pod", test_successor)]

if __name__ == "__main__":
    sys.exit(main(TESTS, __doc__))
