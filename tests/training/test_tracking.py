"""The code that made a version can be found again."""

from __future__ import annotations

import subprocess
from pathlib import Path

from training.tracking import git_commit


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
