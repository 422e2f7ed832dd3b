"""Where a search is kept, so that one that was stopped goes on: Optuna's journal in a file."""

from __future__ import annotations

import fcntl
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Literal

from facts.errors import DamagedFile

if TYPE_CHECKING:
    import optuna


@dataclass(frozen=True, slots=True)
class Journal:
    """The studies of one file."""

    path: Path

    @contextmanager
    def study(self, name: str, *, direction: str) -> Iterator[optuna.Study]:
        """Open a study, made at first use; raise DamagedFile where the file is no journal."""
        yield open_study(self.path, name, direction=direction)

    @contextmanager
    def claim(self, _name: str) -> Iterator[None]:
        """Hold the lock that one process of this machine has at a time."""
        lock = _Lock(self.path.with_suffix(".lock"))  # not the journal's own, which every entry takes
        lock.acquire()
        try:
            yield
        finally:
            lock.release()

    @contextmanager
    def turn(self, name: str, *, who: Literal["one alone", "several"]) -> Iterator[None]:
        """Wait while a process of this machine searches a study alone, or, to be alone, while any does; then hold it.

        The lock is the kernel's on one byte of a file, a byte for each study: it ends with its process, and searches of
        other studies do not wait. It says nothing to threads of one process.
        """
        mode = fcntl.LOCK_EX if who == "one alone" else fcntl.LOCK_SH
        with self.path.with_suffix(".turns").open("a+b") as file:
            fcntl.lockf(file, mode, 1, int.from_bytes(hashlib.sha256(name.encode()).digest()[:7]))
            yield


def open_study(journal: Path, name: str, *, direction: str) -> optuna.Study:
    """Open the study of a name in a journal, both made at first use.

    Raises
    ------
    DamagedFile
        The journal holds what is no entry of one.
    """
    import optuna
    from optuna.storages.journal import JournalFileBackend

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    journal.parent.mkdir(parents=True, exist_ok=True)
    lock = _Lock(journal)
    lock.acquire()
    _cut_unfinished(journal)
    lock.release()
    try:
        storage = optuna.storages.JournalStorage(JournalFileBackend(str(journal), lock_obj=lock))
        return optuna.create_study(study_name=name, storage=storage, direction=direction, load_if_exists=True)
    except (ValueError, KeyError, TypeError, AttributeError) as error:  # no JSON, or JSON that is no entry
        raise DamagedFile(journal, "it is no search journal", advice="remove it and train again") from error


def _cut_unfinished(journal: Path) -> None:
    """Cut off what a kill left of a last line, to which Optuna would append the next entry."""
    with journal.open("r+b") as file:
        file.truncate(file.read().rfind(b"\n") + 1)


class _Lock:
    """The kernel's lock on a file: it ends with its process, where Optuna's own outlives a killed one by half a minute.

    It is what `JournalFileBackend` asks of a lock.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._held: list[IO[bytes]] = []

    def acquire(self) -> bool:
        """Wait for the lock and take it."""
        file = self._path.open("ab")
        fcntl.flock(file, fcntl.LOCK_EX)
        self._held.append(file)
        return True

    def release(self) -> None:
        """Give the lock back."""
        self._held.pop().close()
