"""What a version was trained on, in small: kept with its run, so that later rows can be held against it."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from facts.errors import NotYet
from scoring.model import TaskModel
from training.dataset import TrainingSet
from training.metrics import Floats

if TYPE_CHECKING:
    from facts.home import Home

MOST_ROWS = 5_000
FOLDER, FEATURES_FILE, SCORES_FILE = "reference", "features.parquet", "scores.parquet"


@dataclass(frozen=True, slots=True)
class Reference:
    """A sample of a version's training rows, a column per feature, and the scores that it gave on its test rows.

    Not on its training rows: there a model is surer of itself than it will be of anybody else.
    """

    features: pd.DataFrame
    scores: Floats


def build_reference(model: TaskModel, train: TrainingSet, test: TrainingSet, *, seed: int) -> Reference:
    """Sample at most 5,000 rows of each, the same for the same seed."""
    columns = list(model.features)
    known, unseen = (
        rows.frame[columns].astype(np.float32).sample(min(MOST_ROWS, len(rows.frame)), random_state=seed)
        for rows in (train, test)
    )
    return Reference(known.reset_index(drop=True), model.score(unseen.to_numpy(dtype=np.float32)))


def log_reference(reference: Reference) -> None:
    """Log a reference with the active run."""
    import mlflow

    with tempfile.TemporaryDirectory() as folder:
        reference.features.to_parquet(Path(folder) / FEATURES_FILE, index=False)
        pd.DataFrame({"score": reference.scores}).to_parquet(Path(folder) / SCORES_FILE, index=False)
        mlflow.log_artifacts(folder, FOLDER)


def read_reference(home: Home, model: TaskModel) -> Reference:
    """Read the reference of a registered version; raise NotYet where it was trained without one."""
    from scoring.registry import run_folder

    folder = run_folder(home, model.task, model.version) / FOLDER
    if not (folder / SCORES_FILE).is_file():
        advice = f"it was trained before one was kept: `regulars train {model.task} --force`, then promote that version"
        raise NotYet(f"sample of the rows that {model.label} was trained on", advice=advice)
    scores = pd.read_parquet(folder / SCORES_FILE)["score"].to_numpy(dtype=np.float64)
    return Reference(pd.read_parquet(folder / FEATURES_FILE), scores)
