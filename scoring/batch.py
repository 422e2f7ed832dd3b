"""Every customer of the lake scored as of one instant: the same judgement and figures as the endpoint's."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd

from facts.errors import RegularsError
from facts.lake import Lake
from features.inputs import Inputs
from features.lake_events import events_of
from features.live import REACH
from features.snapshots import last_cutoff, read_snapshots, snapshot_names
from scoring.answers import FeatureRows, answer
from scoring.model import QUANTILE_NAMES, TaskModel


class UnwritableOutput(RegularsError):  # noqa: N818 - reads as the sentence it prints
    """A place that scores cannot be written to."""


def known_rows(lake: Lake, *, as_of: datetime) -> FeatureRows:
    """Return what was known of every customer at an instant: the last snapshot at or before it, and the events since.

    Raises
    ------
    NotYet
        No snapshot is that old.
    """
    cutoff, shop = last_cutoff(lake, as_of=as_of), lake.shop()
    inputs = Inputs.of(snapshot_names(lake), shop.has)
    with lake.connect() as connection:
        frame: pd.DataFrame = read_snapshots(lake, connection, [cutoff]).order_by("customer_id").execute()
    customer_ids = frame["customer_id"].tolist()
    events = events_of(lake, customer_ids, since=as_of - REACH, known_before=as_of)
    matrix = inputs.matrix(
        frame[list(inputs.snapshot)].to_numpy(dtype=np.float32),
        [cutoff] * len(frame),
        [events.get(customer, ()) for customer in customer_ids],
        at=[as_of] * len(frame),
        zone=ZoneInfo(shop.timezone),
    )
    return FeatureRows(
        customer_ids=customer_ids,
        features=inputs.names,
        matrix=matrix,
        features_as_of=[cutoff] * len(frame),
    )


def score_table(rows: FeatureRows, models: Mapping[str, TaskModel], *, as_of: datetime, ttl: timedelta) -> pd.DataFrame:
    """Build one row per customer: customer_id, status, detail, features_as_of, as_of, and of every task its score.

    The score's column is `<task>_probability`, `<task>_amount` or `<task>_days`, missing where the status is not ok; of
    the latter two `<task>_p10`, `<task>_p50` and `<task>_p90` follow. Days at the horizon mean: not within it, if ever.
    `<task>_potential` says who spent little so far and is expected to spend far more than others who did.
    `<task>_model` names the version.
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
        if task in answers.intervals:
            frame[[f"{task}_{name}" for name in QUANTILE_NAMES]] = answers.intervals[task]
        if model.potential is not None:
            spend = model.spend_so_far(rows.of_model(model))
            frame[f"{task}_potential"] = model.potential.flags(spend, answers.scores[task])
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
