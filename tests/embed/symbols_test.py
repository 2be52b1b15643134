#!/usr/bin/env python3
"""What libmoat gives to the linker: moat_* and Adbc*, and all that moat.h declares.

symbols_test.py LIBRARY
"""

import os
import re
import subprocess
import sys

here = os.path.dirname(os.path.abspath(__file__))
listed = subprocess.run(["nm", "-D", "--defined-only", sys.argv[1]], check=True, capture_output=True, text=True).stdout
symbols = {line.split()[-1].split("@")[0] for line in listed.splitlines()}
with open(os.path.join(here, "../../src/embed/moat.h")) as header:
    declared = set(re.findall(r"MOAT_API[^;]*?\b(moat_\w+)\(", header.read()))
foreign = {name for name in symbols if not re.match(r"moat_|Adbc", name)}
assert not foreign, foreign
assert declared and {name for name in symbols if name.startswith("moat_")} == declared, declared ^ symbols
assert {"AdbcDriverInit", "AdbcMoatInit"} <= symbols
print("1 passed, 0 failed")
