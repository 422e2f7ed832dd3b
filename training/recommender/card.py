"""The recommender's card: what a person should know before trusting a version."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from training.recommender.evaluation import PARTS

_SHOWN_FEATURES = 10
_SHOWN = ("recall_at_10", "ndcg_at_10", "hit_rate_at_10", "recall_at_20", "ndcg_at_20", "hit_rate_at_20")

_EFFECTS: Mapping[str, tuple[str, str]] = {
    "bought before": ("repeat_share", ".1%"),
    "of all products sold, in any list": ("catalogue_coverage", ".2%"),
    "novelty (bits)": ("novelty", ".2f"),
    "categories of a list": ("category_count", ".2f"),
}
LINE = "\n"  # f-strings of Python 3.11 take no backslash


def ranking_card(report: Mapping[str, Any]) -> str:
    """Write the card of a report in Markdown."""
    *learned, tested = (cutoff[:10] for cutoff in report["cutoffs"])
    return f"""## regulars-recommender, next basket within {report["wait_days"]} days

{"Champion" if report["is_champion"] else "Refused"}: {report["reason"]}.

### How it was made

- **Shop** {report["shop"]}; nights of {", ".join(learned)}; tested once on {tested}, \
{report["test_customers"]:,} customers who bought again.
- **Learned** from {report["questions"]:,} questions with {report["candidates"]:,} candidates; every third had half of \
the basket in the cart.
- **Search** {report["search"]}; {report["params"]}.

### On the test night, with bootstrap 95 % intervals over customers

{"".join(_metric_table(report, part) for part in PARTS)}
### By how much it is ahead

{_ahead(report)}
### What the lists are like, first ten products

{_side_effects(report)}
### What the settings of a list do

{_settings(report["settings"])}
### When what was bought comes again

{"".join(f"{_replenishment(items, of)}{LINE}" for items, of in report["replenishment"].items())}
### The next category

{_next_category(report["next_category"])}
### What it goes by

{_features(report["gain_shares"])}
"""


def _metric_table(report: Mapping[str, Any], part: str) -> str:
    rows = [[name, *(_cell(of[part][metric], ".4f") for metric in _SHOWN)] for name, of in report["metrics"].items()]
    said = {"all": "All of the basket", "bought before": "What was bought before", "new": "What was new"}[part]
    return f"**{said}**\n\n{_table(['', *_SHOWN], rows)}\n"


def _ahead(report: Mapping[str, Any]) -> str:
    rows = [[name, *(_cell(of[metric], "+.4f") for metric in _SHOWN)] for name, of in report["ahead"].items()]
    return _table(["", *_SHOWN], rows)


def _side_effects(report: Mapping[str, Any]) -> str:
    rows = [[name, *_effects(of)] for name, of in report["side_effects"].items()]
    return _table(["", *_EFFECTS], rows)


def _effects(of: Mapping[str, float]) -> list[str]:
    return [format(of[name], form) for name, form in _EFFECTS.values()]


def _settings(told: Mapping[str, Any]) -> str:
    metrics = ("recall_at_10", "ndcg_at_10")
    rows = [
        [name, *(_cell(of["metrics"][metric], ".4f") for metric in metrics), *_effects(of)] for name, of in told.items()
    ]
    return _table(["", *metrics, *_EFFECTS], rows)


def _replenishment(items: str, told: Mapping[str, Any]) -> str:
    rows = [[name, _cell(of, ".4g")] for name, of in told["metrics"].items()]
    said = (
        f"Of {told['pairs']:,} pairs of customer and {items} bought at least twice, within {told['horizon_days']:.0f} "
    )
    return f"{said}days; what is expected of 80 % lies in the interval:\n\n{_table(['', 'measured'], rows)}"


def _next_category(told: Mapping[str, Any]) -> str:
    metrics = list(next(iter(told.values()), {}))
    rows = [
        [name, *(_cell(of[metric], ".4f") if metric in of else "" for metric in metrics)] for name, of in told.items()
    ]
    return _table(["", *metrics], rows) if rows else "Products have no categories here.\n"


def _features(shares: Mapping[str, float]) -> str:
    strongest = sorted(shares.items(), key=lambda item: -item[1])[:_SHOWN_FEATURES]
    return _table(["feature", "share of the gain"], [[name, f"{share:.1%}"] for name, share in strongest])


def _cell(estimate: list[float], form: str) -> str:
    value, low, high = (format(figure, form) for figure in estimate)
    return f"{value} ({low} to {high})"


def _table(columns: list[str], rows: list[list[str]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
