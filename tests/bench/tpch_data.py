"""TPC-H at scale factor 1, one Parquet file a table, made once by tpchgen-cli (tools/deps check) and shared by the measurements."""

import os
import shutil
import subprocess
from pathlib import Path

CACHE = Path(os.environ.get("MOAT_CACHE", Path(__file__).resolve().parent.parent.parent / ".cache/deps")).resolve()
DATA = CACHE / "tpch-sf1"
LINEITEM = DATA / "lineitem.parquet"


def make():
    """The folder of the files; $PYTHON is the interpreter that tpchgen-cli was installed beside."""
    if not (DATA / ".complete").exists():
        shutil.rmtree(DATA, ignore_errors=True)
        generator = Path(os.environ["PYTHON"]).parent / "tpchgen-cli"
        subprocess.run([generator, "parquet", "-s", "1", "-o", DATA], check=True, stdout=subprocess.DEVNULL)
        (DATA / ".complete").touch()
    return DATA
