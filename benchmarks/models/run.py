"""One question put to everyone: this project, its rivals, their blend, and of a simulated shop the truth."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from benchmarks.models.blend import Blend, blended, choose_weights
from benchmarks.models.limit import best_answer
from benchmarks.models.measure import Measured, measure, metrics_of
from benchmarks.models.ours import Ours, train_ours
from benchmarks.models.questions import SEED, Question, known_at, with_histories
from benchmarks.models.rivals import BG_NBD, OWN_BG_NBD, RIVALS, Past, Rival, ask
from benchmarks.models.stretch import stretched, stretched_each
from training.fitting import Floats

OURS, OURS_EACH, TRUTH = "this project", "this project, stretched one by one", "the truth"
OURS_MEAN = "this project, its mean"
BLEND = "blend with BG/NBD, by {by}"
Step = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of a question: every answer measured, the seconds of fitting and asking, and the blends' weights."""

    question: Question
    measured: Measured
    seconds: Mapping[str, float]
    objective: str
    blends: tuple[Blend, ...]
    absent: tuple[str, ...]  # rivals whose package is not installed


@dataclass(slots=True)
class _Answers:
    """The answers as they come, and what they took."""

    question: Question
    on_step: Step
    said: dict[str, Floats] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def timed(self, name: str) -> Iterator[None]:
        self.on_step(f"{self.question.shop.name}, {self.question.name}: {name}")
        started = time.perf_counter()
        yield
        self.seconds[name] = time.perf_counter() - started


def put(question: Question, on_step: Step) -> Outcome:
    """Ask everyone, and measure what they say by what then happened."""
    answers = _Answers(question, on_step)
    with answers.timed(OURS):
        ours = train_ours(question)
        near = ours.answer(question.rows)
        answers.said[OURS] = _far(question, near.score)
    if near.mean is not None:
        answers.said[OURS_MEAN] = _far(question, near.mean)
    rivals = [rival for rival in rivals_of(question) if rival.is_here]
    for rival in rivals:
        with answers.timed(rival.name):
            said = ask(rival, _past(question), question.rows, question.data.features)
            answers.said[rival.name] = said if rival.looks_any_distance else _far(question, said)
    if question.asked_days != question.horizon_days:
        answers.said[OURS_EACH] = _far_each(question, near.score)
    blends: tuple[Blend, ...] = ()
    if BG_NBD in answers.said:
        on_step(f"{question.shop.name}, {question.name}: blends")
        blends = _blends(question, ours, next(rival for rival in rivals if rival.name == BG_NBD))
    for blend in blends:
        said = blended(question.kind, answers.said[OURS], answers.said[BG_NBD], blend.weight)
        answers.said[BLEND.format(by=blend.by)] = said
    if question.shop.truth is not None:
        answers.said[TRUTH] = best_answer(question, question.shop.truth)
    on_step(f"{question.shop.name}, {question.name}: measuring")
    metrics = metrics_of(question.kind, is_of_orders=question.is_of_orders)
    return Outcome(
        question=question,
        measured=measure(metrics, question.actual, answers.said, seed=SEED),
        seconds=answers.seconds,
        objective=ours.objective,
        blends=blends,
        absent=tuple(rival.name for rival in rivals_of(question) if not rival.is_here),
    )


def rivals_of(question: Question) -> tuple[Rival, ...]:
    """Return who can answer a question: of money, BG/NBD alone says nothing."""
    of_kind = tuple(rival for rival in RIVALS if question.kind in rival.kinds)
    return of_kind if question.is_of_money else (*of_kind, OWN_BG_NBD)


def _past(question: Question) -> Past:
    return Past(
        rows=question.train.frame,
        label=question.train.label,
        known=question.known,
        kind=question.kind,
        horizon_days=question.horizon_days,
        asked_days=question.asked_days,
        is_of_orders=question.is_of_orders,
        is_of_absence=question.is_of_absence,
    )


def _far(question: Question, said: Floats) -> Floats:
    near, far = question.horizon_days, question.asked_days
    return said if near == far else stretched(said, question.known, question.kind, from_days=near, to_days=far)


def _far_each(question: Question, said: Floats) -> Floats:
    near, far = question.horizon_days, question.asked_days
    return stretched_each(said, question.rows, question.known, question.kind, from_days=near, to_days=far)


def _blends(question: Question, ours: Ours, rival: Rival) -> tuple[Blend, ...]:
    """Choose the weights on held-out time, each fold's BG/NBD fitted to what was known at its cutoff."""
    theirs = []
    for fold in ours.held_out:
        known = known_at(question, fold.cutoff)
        past = Past(
            rows=fold.rows,
            label=fold.actual,
            known=known,
            kind=question.kind,
            horizon_days=question.horizon_days,
            asked_days=question.horizon_days,
            is_of_orders=question.is_of_orders,
            is_of_absence=question.is_of_absence,
        )
        theirs.append(ask(rival, past, with_histories(fold.rows, known), question.data.features))
    said, actual = [fold.said for fold in ours.held_out], [fold.actual for fold in ours.held_out]
    return choose_weights(question.kind, said, theirs, actual)
