"""Where a search is kept, so that one that was stopped goes on: Optuna's journal in a file."""

from __future__ import annotations

import fcntl
from pathlib import Path
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    import optuna


def open_study(journal: Path, name: str, *, direction: str) -> optuna.Study:
    """Open the study of a name in a journal, both made at first use."""
    import optuna
    from optuna.storages.journal import JournalFileBackend

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    journal.parent.mkdir(parents=True, exist_ok=True)
    backend = JournalFileBackend(str(journal), lock_obj=_Lock(journal))
    storage = optuna.storages.JournalStorage(backend)
    return optuna.create_study(study_name=name, storage=storage, direction=direction, load_if_exists=True)


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
