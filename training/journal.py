"""Where a search is kept, so that one that was stopped goes on: Optuna's journal in a file, every line with its CRC."""

from __future__ import annotations

import fcntl
import json
import os
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from facts.errors import DamagedFile

if TYPE_CHECKING:
    import optuna
    from optuna.storages.journal import BaseJournalBackend


def open_study(journal: Path, name: str, *, direction: str) -> optuna.Study:
    """Open the study of a name in a journal, both made at first use; raise DamagedFile where it is no such journal."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    journal.parent.mkdir(parents=True, exist_ok=True)
    storage = optuna.storages.JournalStorage(cast("BaseJournalBackend", _Journal(journal)))
    return optuna.create_study(study_name=name, storage=storage, direction=direction, load_if_exists=True)


class _Journal:
    """What Optuna asks of a journal: one line of JSON and its CRC per entry.

    A last line without an end is what a kill leaves in the middle of a write: it is passed over, and cut off by the
    next write. Writers keep each other out by the kernel's lock on the file, which ends with its process, where
    Optuna's own lock outlives a killed one by half a minute.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._starts = [0]  # where each entry begins that was read so far, and the one after it
        path.touch()

    def read_logs(self, log_number_from: int) -> Iterator[dict[str, Any]]:
        """Give the entries from one on, counted from 0."""
        first = min(log_number_from, len(self._starts) - 1)
        with self._path.open("rb") as file:
            file.seek(self._starts[first])
            for number, line in enumerate(file, start=first):
                if not line.endswith(b"\n"):
                    return
                if number + 1 == len(self._starts):
                    self._starts.append(self._starts[number] + len(line))
                if number >= log_number_from:
                    yield self._entry(line, number=number)

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Write entries behind those that stand."""
        lines = [json.dumps(log, separators=(",", ":")).encode() for log in logs]
        with self._path.open("r+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            file.truncate(file.read().rfind(b"\n") + 1)
            file.seek(0, os.SEEK_END)
            file.write(b"".join(line + b"\t%08x\n" % zlib.crc32(line) for line in lines))
            file.flush()
            os.fsync(file.fileno())

    def _entry(self, line: bytes, *, number: int) -> dict[str, Any]:
        content, _tab, crc = line.removesuffix(b"\n").rpartition(b"\t")
        if crc != b"%08x" % zlib.crc32(content):
            reason = f"it is no search journal: line {number + 1} is not as it was written"
            raise DamagedFile(self._path, reason, advice="remove it and train again")
        entry: dict[str, Any] = json.loads(content)
        return entry
