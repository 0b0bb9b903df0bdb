"""`make bench`: Facet's figures beside those of the alternatives, measured in turn in one run.

Prints a Markdown table and writes bench.json. Everything is drawn: nothing has to be downloaded.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")  # child processes need some of the GPU's memory too

from tests.bench import backbones, detection, frozen, loading, memory, predicting, searching, startup, training
from tests.bench.measuring import Row, Setting, compare, table

SUBJECTS = (loading, training, frozen, searching, startup, memory, backbones, detection, predicting)


def main() -> None:
    """Measure the rows that are asked for, and report."""
    options = argparse.ArgumentParser(prog="make bench", description=__doc__)
    options.add_argument("--quick", action="store_true", help="fewer rounds and pictures: three minutes in all")
    options.add_argument("--only", nargs="+", metavar="WORDS", help="rows whose name holds these words")
    options.add_argument("--out", type=Path, default=Path("bench.json"))
    chosen = options.parse_args()
    words = " ".join(chosen.only or [])
    with tempfile.TemporaryDirectory() as folder:
        rows = all_rows(Setting(Path(folder), chosen.quick))
        wanted = [row for row in rows if words.lower() in row.name.lower()]
        if not wanted:
            options.error(f"no row has {words!r} in its name; there are: {'; '.join(row.name for row in rows)}")
        found = measured(wanted, 2 if chosen.quick else 5, chosen.out)
    print(table(found))


def all_rows(setting: Setting) -> list[Row]:
    """Every row, in the order of the table."""
    return [row for subject in SUBJECTS for row in subject.rows(setting)]


def measured(rows: list[Row], rounds: int, out: Path) -> list[dict[str, object]]:
    """What `compare` finds, kept in a file after every row: a long run that is stopped has not been for nothing."""
    found: list[dict[str, object]] = []
    for row in rows:
        began = time.perf_counter()
        found += compare(row, rounds)
        out.write_text(json.dumps(found, indent=1) + "\n")
        print(f"{row.name}: measured in {time.perf_counter() - began:.0f} s", file=sys.stderr)
    return found


if __name__ == "__main__":
    main()
