"""The small sample that is kept in the tree, for tests that have no JVM."""

import json
import shutil
from pathlib import Path

ROOT = Path("/tmp/moat-iceberg-11111111")
LIST = Path(__file__).with_name("sample.txt")


def globs():
    return [line for line in LIST.read_text().splitlines() if line and not line.startswith("#")]


def keep(root, target):
    """Copies tables, expected rows and the index; old contents of `target` go. Only the current metadata file of each table is kept,
    and the heads of cases are in the index alone."""
    lines = [json.loads(line) for line in (root / "index.jsonl").read_text(encoding="utf-8").splitlines()]
    current = {line["metadata_file"].removeprefix("file:") for line in lines}
    for path in (*root.glob("warehouse/**/*.metadata.json"), *root.glob("expected/*/*.json")):
        if str(path) not in current:
            path.unlink()
    for name in ("warehouse", "expected", "elsewhere", "plain"):
        shutil.rmtree(target / name, ignore_errors=True)
        if (root / name).exists():
            shutil.copytree(root / name, target / name)
    shutil.copy(root / "catalog.sqlite", target / "catalog.sqlite") if (root / "catalog.sqlite").exists() else None
    with open(target / "index.jsonl", "w", encoding="utf-8") as index:
        for line in sorted(lines, key=lambda l: (l["table"], l["case"])):
            index.write(json.dumps(line, ensure_ascii=False) + "\n")
    (target / "prefix").write_text(f"{root}\n")
