#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""When enforcement begins and ends: a foreign flush and its repair, the start and the stop of pods.

    test_gap.py [--build DIR] [NAME...]        names: foreign, owned, start-stop

The gap after a foreign change is measured and printed, never judged: it is the machine's. Sizes by environment:
RS_GAP_ROUNDS (30) of them; RS_GAP_PODS (40) pods.
"""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
from flow_main import main  # noqa: E402
from gap_foreign import test_foreign, test_owned  # noqa: E402
from gap_pods import test_start_stop  # noqa: E402

TESTS = [("foreign", "F28 a foreign change is noticed and mended", test_foreign),
         ("owned", "F28 a table with an owner cannot be taken away", test_owned),
         ("start-stop", "F1 F23 XA1 nothing forbidden passes from before ADD until after DEL", test_start_stop)]

if __name__ == "__main__":
    sys.exit(main(TESTS, __doc__))
