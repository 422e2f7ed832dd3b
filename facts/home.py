"""Where all embedded state lies: one folder, `REGULARS_HOME`."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from facts.errors import DamagedFile

PROJECT = Path(__file__).resolve().parent.parent


SQLITE_HEADER = b"SQLite format 3\0"


@dataclass(frozen=True, slots=True)
class Home:
    """The folder of one shop's state and the places in it; deleting it is a clean start."""

    folder: Path

    @classmethod
    def from_environment(cls) -> Home:
        """Return the home that `REGULARS_HOME` names, `.regulars` in the working folder by default."""
        return cls(Path(os.environ.get("REGULARS_HOME") or ".regulars").absolute())

    @property
    def lake(self) -> Path:
        """Folder of validated tables and feature snapshots (Parquet)."""
        return self.folder / "lake"

    @property
    def registry(self) -> Path:
        """Feast's registry."""
        return self.folder / "registry.db"

    @property
    def online_store(self) -> Path:
        """Feast's online store (SQLite)."""
        return self.folder / "online.db"

    @property
    def shelf(self) -> Path:
        """Folder of what recommendations are made of, written every night."""
        return self.folder / "shelf"

    @property
    def feed(self) -> Path:
        """The last product feed: which products may be offered."""
        return self.folder / "feed.parquet"

    @property
    def search(self) -> Path:
        """Folder of Optuna's journals, so that a search can be resumed."""
        return self.folder / "search"

    @property
    def artifacts(self) -> Path:
        """Folder of MLflow's artifacts."""
        return self.folder / "artifacts"

    @property
    def tracking_uri(self) -> str:
        """MLflow's tracking and registry address."""
        return f"sqlite:///{self.folder / 'mlflow.db'}"

    @property
    def has_tracking(self) -> bool:
        """Whether MLflow's store is there; opening one that is not would make it."""
        return (self.folder / "mlflow.db").is_file()


def require_sqlite(path: Path, *, advice: str) -> None:
    """Raise DamagedFile where a file stands that is no SQLite database; none, or an empty one, is a clean start."""
    if path.is_file() and path.stat().st_size:
        with path.open("rb") as file:
            if file.read(len(SQLITE_HEADER)) != SQLITE_HEADER:
                raise DamagedFile(path, "it is no SQLite database", advice=advice)
