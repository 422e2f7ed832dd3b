"""The recommender's card: what a person should know before trusting a version."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from training.recommender.evaluation import PARTS

_SHOWN_FEATURES = 10
_SHOWN = ("recall_at_10", "ndcg_at_10", "hit_rate_at_10", "recall_at_20", "ndcg_at_20", "hit_rate_at_20")


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
### When what was bought comes again

{_replenishment(report["replenishment"])}
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
    told = report["side_effects"]
    rows = [
        [name, f"{of['repeat_share']:.1%}", f"{of['catalogue_coverage']:.2%}", f"{of['novelty']:.2f}"]
        for name, of in told.items()
    ]
    return _table(["", "bought before", "of all products sold, in any list", "novelty (bits)"], rows)


def _replenishment(told: Mapping[str, Any]) -> str:
    rows = [[name, _cell(of, ".4g")] for name, of in told["metrics"].items()]
    said = (
        f"Of {told['pairs']:,} pairs of customer and product bought at least twice, within {told['horizon_days']:.0f} "
    )
    return f"{said}days; what is expected of 80 % lies in the interval:\n\n{_table(['', 'measured'], rows)}"


def _features(shares: Mapping[str, float]) -> str:
    strongest = sorted(shares.items(), key=lambda item: -item[1])[:_SHOWN_FEATURES]
    return _table(["feature", "share of the gain"], [[name, f"{share:.1%}"] for name, share in strongest])


def _cell(estimate: list[float], form: str) -> str:
    value, low, high = (format(figure, form) for figure in estimate)
    return f"{value} ({low} to {high})"


def _table(columns: list[str], rows: list[list[str]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
