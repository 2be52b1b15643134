#!/usr/bin/env python3
"""moat iceberg inspect|validate over the sample of real tables, whole and damaged.

iceberg_test.py MOAT    ends with "N passed, N failed"; exits 1 if any failed.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import traceback
from pathlib import Path

MOAT = os.path.abspath(sys.argv[1])
SAMPLE = Path("tests/data/iceberg")
VECTORS = "warehouse/hadoop/core/v3_bucket_id_dv_eq"


def run(*arguments):
    done = subprocess.run([MOAT, "iceberg", *map(str, arguments)], capture_output=True, text=True, check=False)
    return done.returncode, done.stdout, done.stderr


def whole_tables(root):
    """Every table of the sample that could be moved is without a problem."""
    tables = sorted(path.parent for path in root.glob("warehouse/hadoop/*/*/metadata"))
    assert len(tables) > 20, tables
    for table in tables:
        code, out, err = run("validate", table, "--format", "json")
        assert code == 0, (table, out, err)
        report = json.loads(out)
        assert report["problems"] == 0 and report["checks"] > 0, (table, report)


def inspect_tells(root):
    """What inspect prints is what the snapshot's summary says."""
    code, out, err = run("inspect", root / VECTORS, "--format", "json")
    assert code == 0, err
    table = json.loads(out)
    path = table["metadata_location"]
    metadata = json.loads(Path(path).read_text())
    current = next(s for s in metadata["snapshots"] if s["snapshot-id"] == metadata["current-snapshot-id"])
    assert table["files"]["data_files"] == int(current["summary"]["total-data-files"])
    assert table["files"]["data_rows"] == int(current["summary"]["total-records"])
    assert table["files"]["deletion_vectors"] > 0
    assert table["schema"]["fields"] == metadata["schemas"][-1]["fields"]
    code, out, err = run("inspect", path)
    assert code == 0 and "deletion" not in err and "Partition specs" in out and "bucket" in out, out
    assert "\x1b" not in out
    assert "\x1b[1m" in run("inspect", path, "--color", "always")[1]


def damage_is_told(root):
    """A file cut short and a flipped byte are problems, with exit code 6."""
    table = root / VECTORS
    data = sorted(table.glob("data/**/*.parquet"))[0]
    data.write_bytes(data.read_bytes()[:-1])
    puffin = bytearray((file := sorted(table.glob("data/**/*.puffin"))[0]).read_bytes())
    puffin[30] ^= 1
    file.write_bytes(puffin)
    code, out, _ = run("validate", table)
    assert code == 6 and "PROBLEM  file-size:" in out and "PROBLEM  vector:" in out, out


def ask(house, sql, person=None):
    """The lines of a statement's answer; an error's text."""
    who = ["--as", person] if person else []
    done = subprocess.run([MOAT, "--warehouse", str(house), *who, "--format", "csv", "--no-header", "-c", sql],
                          capture_output=True, text=True, check=False)
    return done.stdout if done.returncode == 0 else done.stderr


def make_house(root):
    """A warehouse with the sample attached; ann sees some rows, ben some columns, cid everything."""
    house = root / "house"
    if not house.exists():
        subprocess.run([MOAT, "--warehouse", str(house), "init"], check=True, capture_output=True)
        ask(house, f"ATTACH '{root}/warehouse/hadoop' AS h (TYPE hadoop); CREATE USER ann; CREATE USER ben; CREATE USER cid")
        for table in ("v2_bucket_id_pos_eq", "v3_bucket_id_dv_eq"):
            ask(house, f"GRANT SELECT ON h.core.{table} TO USER ann ROWS WHERE id < 5; GRANT SELECT (id) ON h.core.{table} TO USER ben; "
                       f"GRANT SELECT ON h.core.{table} TO USER cid")
        ask(house, "GRANT SELECT ON h.core.v2_none_pos_partition TO USER ann")
    return house


EXPLAINS = ("EXPLAIN", "EXPLAIN ANALYZE", "EXPLAIN (ANALYZE)")


def explain_counts(root):
    """Those who see all of a table see what planning it came to."""
    house = make_house(root)
    for person in (None, "cid"):
        for explain in EXPLAINS:
            text = ask(house, f"{explain} SELECT * FROM h.core.v2_bucket_id_pos_eq WHERE id = 17", person)
            assert "Scan h.core.v2_bucket_id_pos_eq" in text and "3 manifests: 0 skipped, 3 read; 2 delete manifests: 0 skipped" in text, text
            assert "12 files: 9 skipped by partition, 2 by bounds, 1 matched (7 rows, " in text, text
            assert "1 position delete file, 0 deletion vectors, 1 equality delete file" in text, text
            assert ("opened: 5 files" in text) == ("ANALYZE" in explain), text
    text = ask(house, "EXPLAIN (PHYSICAL) SELECT * FROM h.core.v3_bucket_id_dv_eq WHERE id = 17")
    assert "moat_scan(" in text and "0 position delete files, 1 deletion vector, 1 equality delete file" in text, text
    text = ask(house, "EXPLAIN SELECT * FROM h.core.v3_bucket_id_dv_eq WHERE id = -5")
    assert "0 matched (0 rows, 0 bytes)" in text and "deletes:" not in text, text


def explain_hides(root):
    """Whoever a policy binds learns nothing of other rows from EXPLAIN: the same text whatever is asked for, of every table in it."""
    house = make_house(root)
    told = re.compile(r"manifest|skipped|matched|deletes:|opened|bytes|\d rows?\b|Scan|MOAT_SCAN|Cardinality")
    ask(house, "CREATE VIEW moat.main.peek SECURITY DEFINER AS SELECT * FROM h.core.v2_bucket_id_pos_eq WHERE id < 5; GRANT SELECT ON moat.main.peek TO USER ann")
    for explain in EXPLAINS:
        for table, person in (("v2_bucket_id_pos_eq", "ann"), ("v3_bucket_id_dv_eq", "ann"), ("v3_bucket_id_dv_eq", "ben")):
            texts = set()
            for value in (-5, 3, 17, 39, 1000000):
                text = ask(house, f"{explain} SELECT id FROM h.core.{table} WHERE id = {value}", person)
                assert ("policy applies" in text) == (person == "ann") and not told.search(text), (explain, person, text)
                texts.add("\n".join(line for line in text.splitlines() if not line.startswith("Total:")))
            assert len(texts) == 1, texts
        # An open table beside a bound one: what the join learns of the bound one would choose files of the open one.
        text = ask(house, f"{explain} SELECT count(*) FROM h.core.v2_none_pos_partition AS a JOIN h.core.v2_bucket_id_pos_eq AS b "
                          "ON a.id = b.id AND b.k > 0", "ann")
        assert "Read h.core.v2_none_pos_partition" in text and not told.search(text), text
        text = ask(house, f"{explain} SELECT count(*) FROM h.core.v2_none_pos_partition WHERE id IN (SELECT id FROM h.core.v2_bucket_id_pos_eq)", "ann")
        assert not told.search(text), text
        text = ask(house, f"{explain} SELECT * FROM moat.main.peek WHERE id = 17", "ann")
        assert "View moat.main.peek" in text and not told.search(text), text
    for person in ("ann", "ben"):
        text = ask(house, "EXPLAIN (PHYSICAL) SELECT id FROM h.core.v2_bucket_id_pos_eq", person)
        assert "physical plan is for the owner" in text and not told.search(text), text
    text = ask(house, "EXPLAIN SELECT count(*) FROM h.core.v2_none_pos_partition", "ann")
    assert "Scan h.core.v2_none_pos_partition" in text, text


def usage_is_clear(root):
    """Wrong paths and formats say what to do."""
    assert run("validate", root / "none")[0] == 1
    assert run("inspect")[0] == 2
    code, _, err = run("inspect", root / VECTORS, "--format", "csv")
    assert code == 1 and "table or json" in err, err
    code, out, _ = run("--help")
    assert code == 0 and "PATH is the folder of an Iceberg table" in out


def main():
    prefix = (SAMPLE / "prefix").read_text().strip()
    root = Path(f"{prefix[:-8]}{os.getpid() % 100000000:08d}")
    subprocess.run([sys.executable, "tests/interop/iceberg/relocate.py", SAMPLE, prefix, root], check=True,
                   stdout=subprocess.DEVNULL)
    passed, failed = 0, 0
    try:
        for case in (whole_tables, inspect_tells, explain_counts, explain_hides, damage_is_told, usage_is_clear):
            try:
                case(root)
                passed += 1
            except Exception:  # pylint: disable=broad-except
                failed += 1
                print(f"FAILED {case.__name__}: {case.__doc__}")
                traceback.print_exc(file=sys.stdout)
    finally:
        shutil.rmtree(root, ignore_errors=True)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
