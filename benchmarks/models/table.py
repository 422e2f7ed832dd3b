"""The page that says how the models compare: docs/models-compared.md."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from benchmarks.figures import ROOT
from benchmarks.models.rivals import OWN_BG_NBD, RECENCY_ALONE, RIVALS
from benchmarks.models.run import BLEND, OURS, OURS_EACH, OURS_MEAN, TRUTH, Outcome
from benchmarks.models.shops import SHOPS
from training.evaluation import DRAWS
from training.metrics import Estimate

PAGE = ROOT / "docs" / "models-compared.md"
_HEAD = f"""# The models compared

`make bench-models` writes this page: this project and what else one would take, on the same customers, from the same
facts, in one run. `python -m benchmarks.models --shop cdnow` renews one shop's part.

Everyone knows what was received before the test cutoff and nothing else. Those that learn from labels have the same
rows; this project searches, calibrates and fits as `regulars train` does, with no settings of its own here. Intervals
are 95 %, from {DRAWS:,} resamples of the customers, the same for all; they are those of one cutoff of one shop. Seconds
are of fitting and answering. A difference is "ahead" or "behind" where its interval leaves out zero. Of an amount this
project gives the figure that is least wrong in a customer, which absolute errors judge, and the mean, which squared
errors and the total judge.

| rival | what it is |
| --- | --- |
"""
_NAMES = {
    "auc": "AUC",
    "log_loss": "log loss",
    "brier": "Brier",
    "adaptive_calibration_error": "calibration error",
    "mae": "mean absolute error",
    "rmse": "root mean squared error",
    "spearman": "Spearman",
    "normalised_gini": "Gini",
    "total_ratio": "said / actual total",
    "correlation": "correlation",
}
_BETTER = {"higher": "higher is better", "lower": "lower is better", "one": "1 is best"}
_ASKED = {
    "repurchase": "who orders within {days} days",
    "churn": "who stays away for {days} days",
    "clv": "spend within {days} days",
    "order_count": "orders within {days} days",
}
_SHORT = (
    'No label can look {asked} days ahead on this record, so this project refuses when asked for it: "{refusal}". '
    "What follows is its model for {near} days (its own choice of horizon) and all others that learn from labels, "
    "stretched to {asked} days by one number for the whole shop, which BG/NBD of the calibration period gives; "
    "\"{each}\" multiplies each customer's figure by that customer's own such number. BG/NBD and Pareto/NBD look "
    "{asked} days ahead themselves."
)


def build_page(parts: Mapping[str, str]) -> str:
    """Build the page, in Markdown, of what is said of each shop by its name."""
    rivals = "".join(f"| {rival.name} | {rival.said} |\n" for rival in (*RIVALS, OWN_BG_NBD))
    told = [f"{_mark(name)}\n{parts[name]}" for name in SHOPS if name in parts]
    return "\n".join([_HEAD + rivals, *told])


def read_parts(page: str) -> dict[str, str]:
    """Return what a page says of each shop."""
    found = {name: page.partition(f"{_mark(name)}\n") for name in SHOPS}
    return {name: after.partition("\n<!--")[0] for name, (_before, mark, after) in found.items() if mark}


def build_part(outcomes: Sequence[Outcome]) -> str:
    """Build what is said of one shop."""
    title = f"## {outcomes[0].question.shop.title}\n"
    return "\n".join([title, *(build_section(outcome) for outcome in outcomes)])


def _mark(name: str) -> str:
    return f"<!-- {name} -->"


def build_section(outcome: Outcome) -> str:
    """Build what is said of one question."""
    question = outcome.question
    asked = _ASKED[question.name].format(days=question.asked_days)
    shop = question.shop.lake.shop()
    lines = [
        f"### {asked[0].upper()}{asked[1:]}\n",
        (
            f"{len(question.actual):,} customers, test cutoff {question.plan.splits.test:%Y-%m-%d}, mean outcome "
            f"{question.actual.mean():,.3f}{f' {shop.currency}' if question.is_of_money else ''}; "
            f"{len(question.train.frame):,} rows to learn from, {len(question.plan.splits.train)} cutoffs, labels of "
            f"{question.horizon_days} days. This project's search chose `{outcome.objective}`.\n"
        ),
    ]
    if question.refusal:
        lines.append(
            _SHORT.format(
                asked=question.asked_days, near=question.horizon_days, refusal=question.refusal, each=OURS_EACH
            )
            + "\n"
        )
    lines += [*_metrics(outcome), "", *_differences(outcome), ""]
    lines += [*_closed(outcome), ""] if question.shop.truth else []
    lines += [*_blends(outcome), ""] if outcome.blends else []
    lines += [f"Not installed here: {', '.join(outcome.absent)}.\n"] if outcome.absent else []
    return "\n".join(lines)


def _metrics(outcome: Outcome) -> Iterator[str]:
    measured = outcome.measured
    heads = [f"{_NAMES[metric.name]} ({_BETTER[metric.direction]})" for metric in measured.metrics]
    yield from _table(["", *heads, "seconds"], _metric_rows(outcome))


def _metric_rows(outcome: Outcome) -> Iterator[list[str]]:
    measured = outcome.measured
    for name in measured.replicates:
        cells = [_with_interval(measured.estimate(name, metric)) for metric in measured.metrics]
        seconds = f"{outcome.seconds[name]:.1f}" if name in outcome.seconds else ""
        if name == OURS and outcome.question.refusal:
            yield [f"{OURS}, asked for {outcome.question.asked_days} days", *("refused" for _cell in cells), ""]
        yield [f"**{name}**" if name == OURS else name, *cells, seconds]


def _differences(outcome: Outcome) -> Iterator[str]:
    measured = outcome.measured
    judged = measured.metrics[:3]
    others = [name for name in measured.replicates if name not in (OURS, OURS_MEAN, TRUTH, *_blend_names(outcome))]
    yield "By how much this project is better, on the same resamples:\n"
    yield from _table(
        ["than", *(_NAMES[metric.name] for metric in judged)],
        ([name, *(_told(measured.advantage(OURS, name, metric)) for metric in judged)] for name in others),
    )


def _closed(outcome: Outcome) -> Iterator[str]:
    measured = outcome.measured
    judged = measured.metrics[:3]
    others = [name for name in measured.replicates if name not in (RECENCY_ALONE, TRUTH)]
    yield (
        "The share that each closes of the distance from recency alone to the truth, which knows every customer's rate "
        "and who has left, but not the coins that are yet to be thrown; no model can reach it:\n"
    )
    shares = (
        [name, *(_percent(measured.closed(name, m, floor=RECENCY_ALONE, limit=TRUTH)) for m in judged)]
        for name in others
    )
    yield from _table(["", *(_NAMES[metric.name] for metric in judged)], shares)


def _blend_names(outcome: Outcome) -> list[str]:
    return [BLEND.format(by=blend.by) for blend in outcome.blends]


def _blends(outcome: Outcome) -> Iterator[str]:
    measured = outcome.measured
    judged = measured.metrics[:3]
    folds = len(outcome.question.plan.splits.calibration)
    yield f"What blending this project with BG/NBD gains, the weight chosen on {folds} validation cutoffs:\n"
    heads = [
        "chosen by",
        "weight of BG/NBD",
        "there",
        *(f"{_NAMES[metric.name]} on the test cutoff" for metric in judged),
    ]
    yield from _table(
        heads,
        (
            [
                blend.by,
                f"{blend.weight:.2f}",
                f"{_number(blend.fold_loss_alone)} to {_number(blend.fold_loss)}",
                *(_told(measured.advantage(name, OURS, metric)) for metric in judged),
            ]
            for name, blend in zip(_blend_names(outcome), outcome.blends, strict=True)
        ),
    )


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(heads)} |"
    yield f"| {' | '.join('---' for _head in heads)} |"
    for row in rows:
        yield f"| {' | '.join(row)} |"


def _with_interval(estimate: Estimate) -> str:
    return f"{_number(estimate.value)} ({_number(estimate.low)} to {_number(estimate.high)})"


def _told(difference: Estimate) -> str:
    word = "ahead" if difference.low > 0 else "behind" if difference.high < 0 else "even"
    low, high = (_number(value, sign="+") for value in (difference.low, difference.high))
    return f"{_number(difference.value, sign='+')} ({low} to {high}), {word}"


def _percent(share: Estimate) -> str:
    return f"{share.value:.0%} ({share.low:.0%} to {share.high:.0%})"


def _number(value: float, *, sign: str = "") -> str:
    return format(value, f"{sign}.1f" if abs(value) >= 10 else f"{sign}.3f")  # noqa: PLR2004 - four figures at most


def write_parts(parts: Mapping[str, str], path: Path = PAGE) -> Path:
    """Write what was found of some shops; what the page says of the others stays."""
    standing = read_parts(path.read_text(encoding="utf-8")) if path.is_file() else {}
    path.write_text(build_page(standing | dict(parts)), encoding="utf-8")
    return path
