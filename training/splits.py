"""Which cutoffs train, validate and test: the past for the future; no label window reaches into a later split."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from facts.errors import GateFailed, counted

MOST_FOLDS = 3
MOST_CALIBRATION_FOLDS = 8
LEAST_TRAINING_CUTOFFS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Fold:
    """Train on cutoffs whose label windows end by the validation cutoff, validate there."""

    train: tuple[datetime, ...]
    validation: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Splits:
    """The folds of the search, in time order; the cutoffs of the final model; the test cutoff, touched once.

    What boosters say is calibrated on more folds than are searched on: a week or two are often above or below the rest.
    """

    folds: tuple[Fold, ...]
    calibration: tuple[Fold, ...]
    train: tuple[datetime, ...]
    test: datetime
    horizon_days: int

    @property
    def cutoffs(self) -> tuple[datetime, ...]:
        """Return every cutoff that the splits use, in time order."""
        folds = {cutoff for fold in self.calibration for cutoff in (*fold.train, fold.validation)}
        return tuple(sorted({*folds, *self.train, self.test}))


def latest_test_cutoff(cutoffs: Sequence[datetime], *, horizon_days: int, observed_until: datetime) -> datetime:
    """Return the latest cutoff whose label window is complete.

    `horizon_days` is the longest of all tasks: what several models say of one customer at one instant can then be held
    against what happened, all of them unseen.

    Raises
    ------
    GateFailed
        No cutoff is that early.
    """
    complete = [cutoff for cutoff in cutoffs if cutoff + timedelta(days=horizon_days) <= observed_until]
    if not complete:
        needed = f"a snapshot at least {horizon_days} days before the end of the record"
        raise GateFailed(f"record to test a look {horizon_days} days ahead on", needed=needed, found="none")
    return max(complete)


def split(cutoffs: Sequence[datetime], *, horizon_days: int, test: datetime, observed_from: datetime) -> Splits:
    """Split the cutoffs of one task.

    A cutoff with less record before it than the horizon looks at customers through windows that were cut off, and
    misleads a model that will see whole ones; such cutoffs train only where there are no others.

    Raises
    ------
    GateFailed
        The history before the test cutoff is too short for a single fold.
    """
    horizon = timedelta(days=horizon_days)

    def settled(by: datetime) -> tuple[datetime, ...]:
        before = sorted(cutoff for cutoff in cutoffs if cutoff + horizon <= by)
        whole = [cutoff for cutoff in before if cutoff - horizon >= observed_from]
        return tuple(whole if len(whole) >= LEAST_TRAINING_CUTOFFS else before[-LEAST_TRAINING_CUTOFFS:])

    train = settled(test)
    folds = [Fold(train=settled(cutoff), validation=cutoff) for cutoff in train]
    folds = [fold for fold in folds if len(fold.train) >= LEAST_TRAINING_CUTOFFS]
    if not folds:
        raise GateFailed(
            f"history before the test on {test:%Y-%m-%d} to learn a look {horizon_days} days ahead from",
            needed=f"{LEAST_TRAINING_CUTOFFS} snapshots at least {horizon_days} days before one that is as long before "
            "the test",
            found=f"{counted(len(train), 'snapshot')} at least {horizon_days} days before the test, none late enough",
            advice="use a shorter horizon or more history",
        )
    return Splits(
        folds=tuple(folds[-MOST_FOLDS:]),
        calibration=tuple(folds[-MOST_CALIBRATION_FOLDS:]),
        train=train,
        test=test,
        horizon_days=horizon_days,
    )
