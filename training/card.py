"""The model card: what a person should know before trusting a version; it becomes the version's description.

References
----------
Mitchell et al. (2019), "Model cards for model reporting".
"""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

from scoring.model import TaskModel
from training.fitting import MONOTONE
from training.metrics import METRICS, Estimate
from training.objectives import OBJECTIVES
from training.result import Result
from training.tasks import Task
from training.verdict import MODEL, Evaluation

_SHOWN_FEATURES = 10


def model_card(result: Result) -> str:
    """Write the card in Markdown."""
    plan, shop, found, evaluation, model = result.plan, result.shop, result.found, result.evaluation, result.model
    task, horizon, splits = plan.task, plan.horizon, plan.splits

    def day(instant: datetime) -> str:
        return f"{instant.astimezone(ZoneInfo(shop.timezone)):%Y-%m-%d}"

    unit = {"amount": f" (errors in {shop.currency})", "days": " (errors in days)"}.get(task.kind, "")
    return f"""## {model.registered_name}, next {horizon.days} days

{task.description}.

{_bullets(evaluation.verdict)}

### How it was made

- **Shop** {shop.name}, observed {day(shop.observed_from)} to {day(shop.observed_until)}.
- **Horizon** {horizon.days} days: {horizon.reason}.
- **Trained** on {len(result.train_rows.frame):,} customer-cutoffs, {len(splits.train)} cutoffs \
from {day(splits.train[0])} to {day(splits.train[-1])}; \
validated on {", ".join(day(fold.validation) for fold in splits.folds)}; \
tested once on {day(splits.test)}, {len(evaluation.actual):,} customers.
- **Answers for** customers with at least {model.gate.at_least:g} of these: {model.gate.said}.
- **Search** {found.ended_by}; mean validation {task.search_metric} {found.value:.4f} \
({", ".join(f"{value:.4f}" for value in found.fold_values)}).
- **Learned by** {_learned(result)}.
- **Calibration** {_calibrated(model)}.
- **Features** {len(model.features)}, list hash `{model.feature_hash}`.
{_notes(result)}
### On the test cutoff, with bootstrap 95 % intervals{unit}

{_metric_table(task, evaluation)}

{_groups(evaluation)}
{_potential(result)}
### What it goes by

{_strongest(model)} (of the total gain).

### Limits

Intervals are over the customers of one test cutoff: another season may differ by more. A score is a forecast, not an \
effect: it does not say that treating a customer changes the outcome.
"""


def _strongest(model: TaskModel) -> str:
    by_share = sorted(model.gain_shares.items(), key=lambda named: -named[1])
    return ", ".join(f"`{name}` {share:.0%}" for name, share in by_share[:_SHOWN_FEATURES] if share)


def _notes(result: Result) -> str:
    return "".join(f"- **Note** {note}.\n" for note in (*result.plan.notes, *result.evaluation.notes))


def _learned(result: Result) -> str:
    params, model = result.found.params, result.model
    said = [OBJECTIVES[params["objective"]].said]
    if params.get("recency") == MONOTONE:
        said.append("held to one direction in the days since the last order")
    if model.windows and model.windows.columns:
        said.append("sums over windows that began before the shop's record stretched to whole windows")
    return "; ".join(said)


def _potential(result: Result) -> str:
    growth = result.evaluation.growth
    if growth is None:
        return ""
    verdict = "they are flagged" if result.model.potential else "not beyond noise: nobody is flagged"
    return f"### Customers with more to come\n\n{growth}; {verdict}.\n"


def _groups(evaluation: Evaluation) -> str:
    """Write the table of the groups, nothing where none is large enough."""
    if not evaluation.groups:
        return ""
    names = list(evaluation.groups[0].estimates)
    rows = [
        f"| {group.group}: {group.said} | {group.rows:,} | {group.mean_predicted:.4g} | {group.mean_actual:.4g} | "
        + " | ".join(str(group.estimates[name]) for name in names)
        + " |"
        for group in evaluation.groups
    ]
    head = f"| group | customers | mean predicted | mean observed | {' | '.join(names)} |"
    return "\n".join(["### Where it may be weaker", "", head, "|---" * (4 + len(names)) + "|", *rows, ""])


def _bullets(sentences: tuple[str, ...]) -> str:
    verdict, *grounds = sentences
    return "\n".join([f"**Verdict**: {verdict}", "", *[f"- {ground}" for ground in grounds]])


def _calibrated(model: TaskModel) -> str:
    method = model.calibration.method
    if model.quantiles is not None:
        return "p10, p50 and p90 moved so that they held on the validation cutoffs (split conformal)"
    return "none" if method == "none" else f"{method}, fitted on out-of-time predictions of the validation cutoffs"


def _metric_table(task: Task, evaluation: Evaluation) -> str:
    names = list(evaluation.estimates)
    head = (
        "| metric | "
        + " | ".join(name.replace("_", " ") for name in names)
        + " |\n|---" * 1
        + "|---" * len(names)
        + "|"
    )
    rows = [
        f"| {metric} | "
        + " | ".join(_cell(evaluation.estimates[name][metric], is_bold=name == MODEL) for name in names)
        + " |"
        for metric in METRICS[task.kind]
    ]
    rows += [
        f"| {name} | {_cell(estimate, is_bold=True)} |" + " |" * (len(names) - 1)
        for name, estimate in evaluation.interval.items()
    ]
    return "\n".join([head, *rows, *_by_chance(evaluation.calibration_error_by_chance)])


def _by_chance(error: float | None) -> list[str]:
    if error is None:
        return []
    said = f"Perfect probabilities would show an adaptive calibration error up to {error:.4g} by chance"
    about = "Resampling makes such an error larger, so it may lie below its interval"
    return ["", f"{said} (97.5 % of samples of this size). {about}."]


def _cell(estimate: Estimate, *, is_bold: bool) -> str:
    return f"**{estimate}**" if is_bold else str(estimate)
