"""Every customer of the lake scored as of one instant: the same judgement and figures as the endpoint's."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd

from facts.errors import NotYet, RegularsError
from facts.lake import Lake
from features.build import ADVICE, snapshot_cutoffs
from features.catalog import NAMES, feature_hash
from features.store import SNAPSHOTS
from scoring.answers import FeatureRows, answer
from scoring.model import TaskModel


class UnwritableOutput(RegularsError):  # noqa: N818 - reads as the sentence it prints
    """A place that scores cannot be written to."""


def known_rows(lake: Lake, *, as_of: datetime) -> FeatureRows:
    """Return what was known of every customer at an instant: the last snapshot at or before it.

    Raises
    ------
    NotYet
        No snapshot is that old.
    """
    cutoffs = [cutoff for cutoff in snapshot_cutoffs(lake) if cutoff <= as_of]
    if not cutoffs:
        raise NotYet(f"snapshot at or before {as_of.isoformat()}", advice="choose a later instant")
    with lake.connect() as connection:
        rows = lake.table(connection, SNAPSHOTS, advice=ADVICE)
        frame: pd.DataFrame = rows.filter(rows.cutoff == max(cutoffs)).order_by("customer_id").execute()
    return FeatureRows(
        customer_ids=frame["customer_id"].tolist(),
        features=NAMES,
        feature_hash=feature_hash(),
        matrix=frame[list(NAMES)].to_numpy(dtype=np.float32),
        features_as_of=[max(cutoffs)] * len(frame),
    )


def score_table(rows: FeatureRows, models: Mapping[str, TaskModel], *, as_of: datetime, ttl: timedelta) -> pd.DataFrame:
    """Build one row per customer: customer_id, status, detail, features_as_of, as_of, and of every task its score.

    The score's column is `<task>_probability` or `<task>_amount`, missing where the status is not ok; `<task>_model`
    names the version.
    """
    answers = answer(rows, models, at=as_of, ttl=ttl)
    frame = pd.DataFrame(
        {
            "customer_id": rows.customer_ids,
            "status": answers.statuses,
            "detail": answers.details,
            "features_as_of": np.array(rows.features_as_of),
            "as_of": pd.Timestamp(as_of),
        }
    )
    for task, model in models.items():
        frame[f"{task}_{model.kind}"] = answers.scores[task]
        frame[f"{task}_horizon_days"] = model.horizon_days
        frame[f"{task}_model"] = model.label
    return frame


def require_output(path: Path, *, endings: Sequence[str] = (".parquet", ".csv")) -> None:
    """Raise UnwritableOutput where a table cannot be written to a path."""
    if path.suffix not in endings:
        raise UnwritableOutput(f"cannot write {path}: its name ends in {path.suffix!r}; known: {', '.join(endings)}")
    if not path.parent.is_dir():
        raise UnwritableOutput(f"cannot write {path}: there is no folder {path.parent}")


def write_table(frame: pd.DataFrame, path: Path) -> None:
    """Write a table in one step: the file is whole, or it is not there."""
    require_output(path)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        if path.suffix == ".csv":
            frame.to_csv(partial, index=False)
        else:
            frame.to_parquet(partial, index=False)
        partial.replace(path)
    except OSError as error:
        raise UnwritableOutput(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        partial.unlink(missing_ok=True)
