"""Every notebook runs from top to bottom over a trained home, and is kept without its outputs."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from facts.home import PROJECT, Home

NOTEBOOKS = sorted((PROJECT / "notebooks").glob("*.ipynb"))
CELL_TIMEOUT_SECONDS = 180

each_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def test_there_are_notebooks():
    assert NOTEBOOKS


@each_notebook
def test_it_runs(path: Path, trained_home: Home, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("REGULARS_HOME", str(trained_home.folder))  # the kernel inherits it
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(
        notebook,
        timeout=CELL_TIMEOUT_SECONDS,
        kernel_name="python3",
        resources={"metadata": {"path": str(PROJECT)}},  # the kernel's working folder
    )
    client.execute()
    shown = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    assert not [output for output in shown if output.output_type == "error"]
    assert [output for output in shown if "image/png" in output.get("data", {})], "it draws nothing"


@each_notebook
def test_it_is_kept_without_outputs(path: Path):
    for number, cell in enumerate(nbformat.read(path, as_version=4).cells):
        if cell.cell_type == "code":
            assert not cell.outputs, f"cell {number} of {path.name} has outputs; clear them before saving"
            assert cell.execution_count is None, f"cell {number} of {path.name} was saved after a run"


@each_notebook
def test_it_opens_with_its_question(path: Path):
    first = nbformat.read(path, as_version=4).cells[0]
    assert first.cell_type == "markdown"
    assert "?" in first.source.splitlines()[0]
