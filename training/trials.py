"""How the trials of a study are run: one after the other in one process, or by several processes that share it.

Alone, the sampler is seeded anew for every trial by the number of trials completed before it, so a search that was
stopped and resumed asks the same questions as one that ran through.

Together, a trial is begun under a lock, and only while those done and those that run are fewer than the budget. Each
running trial beats: its count of beats grows every few seconds. One whose count has not grown for a while was killed
with its process; it is called failed, and another takes its place. Nobody's clock is compared with another's.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol

from facts.errors import counted
from training.workers import Lost, Result, Workers

if TYPE_CHECKING:
    import optuna

Params = Mapping[str, Any]
Attempt = Callable[[Params], tuple[float, Mapping[str, Any]]]  # the value, and what the trial is to remember
RANDOM_TRIALS = 5
BEAT_SECONDS = 2.0
GRACE_SECONDS = 20.0
POLL_SECONDS = 0.5
BEAT = "beat"


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """What a search may cost: trials of the study, and seconds after which no new trial starts.

    Only a search that its trials end is the same every time.
    """

    trials: int = 10
    timeout_seconds: float = 120.0

    def ended_by(self, done: int) -> str:
        """Say what ended a search after some trials."""
        if done >= self.trials:
            return f"ended by the budget of {counted(self.trials, 'trial')}"
        over = (
            f"ended by the time budget of {self.timeout_seconds:g} s, after {done} of {counted(self.trials, 'trial')}"
        )
        return over if done else f"{over}: defaults"


@dataclass(frozen=True, slots=True, kw_only=True)
class Questions:
    """What is tried: the parameters of the first trials, and how a trial asks the sampler for others."""

    first: Sequence[Params]
    suggest: Callable[[optuna.Trial], Params]
    seed: int


class Studies(Protocol):
    """What keeps studies."""

    def study(self, name: str, *, direction: str) -> AbstractContextManager[optuna.Study]:
        """Open a study, made at first use."""

    def claim(self, name: str) -> AbstractContextManager[None]:
        """Hold a lock that one of the processes that search has at a time."""

    def turn(self, name: str, *, who: Literal["one alone", "several"]) -> AbstractContextManager[None]:
        """Hold the right to search a study: one process alone has it by itself, several beside each other."""


def run_alone(
    study: optuna.Study,
    questions: Questions,
    attempt: Attempt,
    *,
    budget: Budget,
    on_trial: Callable[[int], None],
) -> None:
    """Run trials one after the other in this process, while no other searches the study."""
    started = time.monotonic()
    done = len(trials_of(study, "COMPLETE"))
    on_trial(done)
    for number in range(done, budget.trials):
        if time.monotonic() - started > budget.timeout_seconds:
            return
        if number < len(questions.first) and not trials_of(study, "WAITING"):  # one that a kill left does not count
            study.enqueue_trial(dict(questions.first[number]))
        # The liar would lie about trials that a kill left running, and a search that is resumed would ask otherwise.
        study.sampler = _sampler(questions.seed, number, constant_liar=False)
        trial = study.ask()
        value, told = attempt(questions.suggest(trial))
        _remember(trial, told)
        study.tell(trial, value)
        on_trial(number + 1)


def run_together(
    study: optuna.Study,
    questions: Questions,
    workers: Workers,
    *,
    studies: Studies,
    budget: Budget,
    on_trial: Callable[[int], None],
) -> None:
    """Let workers run trials until the study has all of them, whoever ran them, or the time of this process is over."""
    shared = _Shared(study, questions, studies, budget.trials)
    started = beaten = time.monotonic()
    told = -1
    try:
        while (done := len(trials_of(study, "COMPLETE"))) < budget.trials:
            if done > told:
                on_trial(told := done)
            is_late = time.monotonic() - started > budget.timeout_seconds
            if is_late and not workers.jobs:
                return
            while not is_late and workers.idle and (claimed := shared.claim(workers.jobs)):
                workers.give(*claimed)
            for answer in workers.wait(POLL_SECONDS):
                _tell(study, answer)
            if time.monotonic() - beaten > BEAT_SECONDS:
                beaten = time.monotonic()
                _beat(workers.jobs)
        on_trial(done)
    except BaseException:
        with suppress(Exception):  # the first error is the one to tell
            for trial in workers.jobs:
                _fail(study, trial)
        raise


def trials_of(study: optuna.Study, state: Literal["COMPLETE", "RUNNING", "WAITING"]) -> list[optuna.trial.FrozenTrial]:
    """Return the trials of a state, in their order."""
    trials: list[optuna.trial.FrozenTrial] = study.get_trials(deepcopy=False, states=(_state(state),))
    return trials


class Watch:
    """Tells which running trials of others go on, by what was seen of them before."""

    def __init__(self) -> None:
        self._seen: dict[int, tuple[object, float]] = {}

    def dead(self, trials: Sequence[optuna.trial.FrozenTrial], *, now: float) -> list[optuna.trial.FrozenTrial]:
        """Return those whose beats have been the same for longer than the grace."""
        for trial in trials:
            beats = trial.user_attrs.get(BEAT)
            if self._seen.get(trial.number, (..., now))[0] != beats:
                self._seen[trial.number] = (beats, now)
        return [trial for trial in trials if now - self._seen[trial.number][1] > GRACE_SECONDS]


@dataclass(frozen=True, slots=True)
class _Shared:
    study: optuna.Study
    questions: Questions
    studies: Studies
    trials: int
    watch: Watch = field(default_factory=Watch)

    def claim(self, own: Sequence[optuna.Trial]) -> tuple[optuna.Trial, Params] | None:
        """Begin a trial, unless those that are done or run fill the budget."""
        study, numbers = self.study, {trial.number for trial in own}
        with self.studies.claim(study.study_name):
            others = [trial for trial in trials_of(study, "RUNNING") if trial.number not in numbers]
            dead = self.watch.dead(others, now=time.monotonic())
            for trial in dead:
                _fail(study, trial.number)
            taken = len(trials_of(study, "COMPLETE")) + len(own) + len(others) - len(dead)
            if taken >= self.trials:
                return None
            if taken < len(self.questions.first) and not trials_of(study, "WAITING"):
                study.enqueue_trial(dict(self.questions.first[taken]))
            number = len(study.get_trials(deepcopy=False))
            study.sampler = _sampler(self.questions.seed, number, constant_liar=True)
            begun = study.ask()
            return begun, self.questions.suggest(begun)


def _tell(study: optuna.Study, answer: Result | Lost) -> None:
    if isinstance(answer, Lost):
        _fail(study, answer.job)
        return
    value, told = answer.value
    with suppress(_finished()):  # others took us for dead
        _remember(answer.job, told)
    study.tell(answer.job, value, skip_if_finished=True)


def _remember(trial: optuna.Trial, told: Mapping[str, Any]) -> None:
    for name, value in told.items():
        trial.set_user_attr(name, value)


def _beat(own: Sequence[optuna.Trial]) -> None:
    for trial in own:
        with suppress(_finished()):
            trial.set_user_attr(BEAT, trial.user_attrs.get(BEAT, 0) + 1)


def _fail(study: optuna.Study, trial: optuna.Trial | int) -> None:
    study.tell(trial, state=_state("FAIL"), skip_if_finished=True)


def _sampler(seed: int, number: int, *, constant_liar: bool) -> optuna.samplers.BaseSampler:
    import optuna

    own = (seed * 10_007 + number) % 2**32
    return optuna.samplers.TPESampler(seed=own, n_startup_trials=RANDOM_TRIALS, constant_liar=constant_liar)


def _state(name: str) -> optuna.trial.TrialState:
    import optuna

    return optuna.trial.TrialState[name]


def _finished() -> type[Exception]:
    import optuna

    finished: type[Exception] = optuna.exceptions.UpdateFinishedTrialError
    return finished
