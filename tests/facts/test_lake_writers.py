"""Several writers, and writers that die: real processes on one lake."""

from __future__ import annotations

import shutil
import subprocess
import sys

from facts.home import PROJECT
from facts.ingest import ingest
from facts.lake import MANIFEST, Lake
from facts.merge import TOUCHED
from tests.builders import Event, at
from tests.facts.deliveries import Told, bytes_in, rows_in, told

DEADLINE_SECONDS = 120
WRITERS, DELIVERY_COUNT = ("ann", "bob"), 3
TABLE_COUNT = 7
DEATHS = (0, 4, TABLE_COUNT)

# Delivers one order after the other, as soon as it is told to start.
WRITER = """
import sys
from pathlib import Path
from facts.ingest import ingest
from facts.lake import Lake
from tests.builders import Event, at
from tests.facts.deliveries import Told, told

lake, name, count = Lake(Path(sys.argv[1])), sys.argv[2], int(sys.argv[3])
print("ready", flush=True)
sys.stdin.readline()
for number in range(count):
    key = f"{name} {number}"
    ingest(told([Told(id=key, customer=name)], {key: Event(customer=name, at=at(1))}, until=at(10)), lake, at=at(11))
"""

# In a process each, an ingest that is killed after it has written so many tables, or then, before the manifest.
DYING = """
import os, signal, sys
from pathlib import Path
from facts.ingest import ingest
from facts.lake import Lake
from tests.builders import at
from tests.facts.test_lake_writers import second

class Dying(Lake):
    def _write_by_content(self, name, table):
        global left
        if not left:
            os.kill(os.getpid(), signal.SIGKILL)
        left -= 1
        return super()._write_by_content(name, table)

    def _replace_manifest(self, manifest):
        os.kill(os.getpid(), signal.SIGKILL)

for left in map(int, sys.argv[2:]):
    if not (child := os.fork()):
        ingest(second(), Dying(Path(sys.argv[1]) / str(left)), at=at(12), mode="replace")
    assert os.waitpid(child, 0)[1] == signal.SIGKILL
"""


def second():
    """A delivery that changes what the lake holds of orders, lines, events, customers and who was touched."""
    return told([Told(id="changed", nets=("2.00",)), Told(id="new", customer="bob")], {"m1": Event(at=at(3))})


def started(script: str, *arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-W", "ignore", "-c", script, *map(str, arguments)]
    return subprocess.Popen(command, cwd=PROJECT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def test_two_writers_at_once_are_both_in(tmp_path):
    lake = Lake(tmp_path / "lake")
    writers = [started(WRITER, lake.folder, name, DELIVERY_COUNT) for name in WRITERS]
    assert [writer.stdout.readline() for writer in writers] == ["ready\n"] * len(WRITERS)
    for writer in writers:
        writer.stdin.write("go\n")
        writer.stdin.flush()
    assert [writer.wait(DEADLINE_SECONDS) for writer in writers] == [0] * len(WRITERS)
    keys = {f"{name} {number}" for name in WRITERS for number in range(DELIVERY_COUNT)}
    assert {row["order_id"] for row in rows_in(lake, "orders")} == keys
    assert {row["order_id"] for row in rows_in(lake, "order_lines")} == keys
    assert {row["message_id"] for row in rows_in(lake, "events")} == keys
    assert {row["customer_id"] for row in rows_in(lake, "customers")} == set(WRITERS)
    assert lake.commit_count() == len(keys)
    assert sorted(row["commit"] for row in rows_in(lake, TOUCHED)) == list(range(2, len(keys) + 1))
    assert not lake.damages()
    assert len(lake.listed()) == len(list(lake.folder.glob("*.parquet"))) == TABLE_COUNT


def test_a_writer_that_is_killed_leaves_the_old_lake(tmp_path):
    lake = Lake(tmp_path / "lake")
    ingest(told([Told(id="changed"), Told(id="gone")], {"m0": Event(at=at(2))}, until=at(10)), lake, at=at(10))
    before = bytes_in(lake)
    copies = {n: Lake(shutil.copytree(lake.folder, tmp_path / "copies" / str(n))) for n in DEATHS}
    assert started(DYING, tmp_path / "copies", *DEATHS).wait(DEADLINE_SECONDS) == 0
    ingest(second(), lake, at=at(12), mode="replace")
    assert (lake.folder / MANIFEST).read_bytes() != before[MANIFEST]
    left_behind = [len(bytes_in(copy)) - len(before) for copy in copies.values()]
    assert left_behind[0] == 0 < left_behind[1] < left_behind[2]
    for copy in copies.values():
        assert before.items() <= bytes_in(copy).items()
        assert [row["order_id"] for row in rows_in(copy, "orders")] == ["changed", "gone"]
        ingest(second(), copy, at=at(12), mode="replace")
        assert bytes_in(copy) == bytes_in(lake)
