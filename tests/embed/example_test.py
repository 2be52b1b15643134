#!/usr/bin/env python3
"""The examples of docs/embedding.md are the ones that run here, and say what they should.

example_test.py MOAT EXAMPLE [LIBRARY]    with a library the Python example runs too
"""

import os
import re
import subprocess
import sys
import tempfile

here = os.path.dirname(os.path.abspath(__file__))
SETUP = """CREATE VIEW orders AS SELECT i AS id, CASE WHEN i % 4 = 0 THEN 'EU' ELSE 'US' END AS region, i AS amount FROM range(100) r(i);
CREATE USER amelia PASSWORD 'correct horse'; GRANT SELECT ON orders TO USER amelia ROWS WHERE region = 'EU'"""


def example(language, path):
    """The page's block in this language must be the file."""
    with open(os.path.join(here, "../../docs/embedding.md")) as page, open(path) as source:
        blocks = re.findall(rf"```{language}\n(.*?)```", page.read(), re.S)
        assert source.read().strip() in [block.strip() for block in blocks], f"docs/embedding.md has another {path}"


def run(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.split("\n")


with tempfile.TemporaryDirectory(prefix="moat-embed-") as folder:
    warehouse, moat = folder + "/warehouse", os.path.abspath(sys.argv[1])
    run(moat, "--warehouse", warehouse, "-q", "init")
    run(moat, "--warehouse", warehouse, "-c", SETUP)
    example("c", here + "/example.c")
    said = run(os.path.abspath(sys.argv[2]), warehouse, "amelia", "correct horse")
    assert len(said) == 3 and said[0].endswith(": 90 orders") and said[1] == "amelia: 22 orders", said
    wrong = subprocess.run([os.path.abspath(sys.argv[2]), warehouse, "amelia", "wrong"], capture_output=True, text=True)
    assert wrong.returncode == 1 and "28P01" in wrong.stderr, wrong
    if len(sys.argv) > 3:
        example("python", here + "/example.py")
        said = run(sys.executable, here + "/example.py", os.path.abspath(sys.argv[3]), warehouse, "amelia", "correct horse")
        assert said[0] == "amelia: 22 orders", said
print("1 passed, 0 failed")
