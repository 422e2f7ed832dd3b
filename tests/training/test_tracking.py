"""The code that made a version, and the data that it learned from, can be found again."""

from __future__ import annotations

import subprocess
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd

from training.tracking import _schema, git_commit


def _git(folder: Path, *words: str) -> str:
    identity = ["-c", "user.name=n", "-c", "user.email=n@example.org"]
    command = ["git", "-C", str(folder), *identity, *words]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def test_a_checkout_has_its_commit_and_says_when_files_have_changed(tmp_path):
    assert git_commit(tmp_path) == ""
    _git(tmp_path, "init")
    assert git_commit(tmp_path) == ""  # nothing was committed
    (tmp_path / "file").write_text("one")
    _git(tmp_path, "add", "file")
    _git(tmp_path, "commit", "-m", "first")
    head = _git(tmp_path, "rev-parse", "HEAD")
    assert git_commit(tmp_path) == head
    (tmp_path / "untracked").write_text("no matter")
    assert git_commit(tmp_path) == head
    (tmp_path / "file").write_text("two")
    assert git_commit(tmp_path) == f"{head}-dirty"


def test_the_schema_of_a_table_is_the_one_that_mlflow_finds_in_all_of_it():
    frame = pd.DataFrame({"customer_id": ["a", "b"], "known": np.float32([1, 2]), "label": [0.0, 1.0]})
    frame["cutoff"] = pd.to_datetime(["2024-01-01", "2024-01-08"], utc=True)
    frame["missing_later"] = np.float32([1, np.nan])
    found = _schema(frame)
    assert found == mlflow.data.from_pandas(frame).schema
    assert {spec.name for spec in found if not spec.required} == {"missing_later"}
