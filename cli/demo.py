"""`regulars demo`: the whole way on a real shop's year, each step printed, and at the end what it cost."""

from __future__ import annotations

import json
import resource
import sys
import time
import urllib.request
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from cli import recommend, show, steps
from facts.home import Home
from facts.lake import Lake

if TYPE_CHECKING:
    from training.registering import Trained

SOURCE = "complete-journey"
CUSTOMER_COUNT = 5
RECOMMENDED_CUSTOMERS = 3
RECOMMENDER_TRIALS = 2


def run_demo(home: Home, *, trials: int, timeout_seconds: float, seed: int) -> None:
    """Ingest, build, train, materialize, serve, ask, compare the answers with what then happened, and recommend."""
    started = time.monotonic()
    _title(1, "Ingest a grocer's year, every row checked")
    steps.ingest_source(home, SOURCE)
    _title(2, "What was known of every customer, at a series of instants (Ibis on DuckDB, Feast)")
    steps.build_features(home)
    _title(3, "Train: point-in-time join, search, calibration, test cutoff, MLflow")
    trained = steps.train(home, ["all"], trials=trials, timeout_seconds=timeout_seconds, seed=seed)
    test_cutoff = datetime.fromisoformat(trained[0].report["test_cutoff"])
    _title(4, f"Serve, and ask for {CUSTOMER_COUNT} customers as of the test cutoff {test_cutoff:%Y-%m-%d}")
    steps.materialize(home, as_of=test_cutoff)
    _ask_and_compare(home, trained, test_cutoff)
    steps.materialize(home)
    _title(5, "What they may want next: a ranking of candidates, learned from earlier nights, tested on a later one")
    done = recommend.train(home, trials=min(trials, RECOMMENDER_TRIALS), timeout_seconds=timeout_seconds, seed=seed)
    if done.is_champion:
        recommend.show_some(home, _example_customers(home, test_cutoff)[:RECOMMENDED_CUSTOMERS])
    _say_cost(time.monotonic() - started)
    _say_next()


def _ask_and_compare(home: Home, trained: Sequence[Trained], test_cutoff: datetime) -> None:
    from serving.run import start_server

    champions = [done for done in trained if done.is_champion]
    if not champions:
        show.console.print("No model passed its gate, so none is served; the verdicts above say why.", style="yellow")
        return
    customers = _example_customers(home, test_cutoff)
    with show.working("Start the service"), start_server(home, as_of=test_cutoff) as server:
        answer = _post(f"{server.url}/v1/score", {"customer_ids": customers, "reasons": 1})
    show.console.print(f"POST /v1/score of {len(customers)} customers, request {answer['request_id']}", highlight=False)
    _show_comparison(home, champions, test_cutoff, answer["results"])


def _example_customers(home: Home, cutoff: datetime) -> list[str]:
    """Return customers spread evenly over the recency at the cutoff, so that the answers differ."""
    from features.snapshots import SNAPSHOTS

    lake = Lake(home.lake)
    with lake.connect() as connection:
        rows = lake.table(connection, SNAPSHOTS)
        known = rows.filter(rows.cutoff == cutoff).order_by("order_recency_days", "customer_id").customer_id.execute()
    return [str(known.iloc[(2 * i + 1) * len(known) // (2 * CUSTOMER_COUNT)]) for i in range(CUSTOMER_COUNT)]


def _post(url: str, body: Mapping[str, Any]) -> dict[str, Any]:
    request = urllib.request.Request(  # noqa: S310 - our own service
        url, data=json.dumps(body).encode(), headers={"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=30) as response:  # noqa: S310
        answer: dict[str, Any] = json.load(response)
    return answer


def _show_comparison(
    home: Home, champions: Sequence[Trained], cutoff: datetime, results: Sequence[Mapping[str, Any]]
) -> None:
    rows = []
    for result in results:
        why = result["reasons"][0]["statement"] if result.get("reasons") else ""
        cells: list[object] = [result["customer_id"], result["status"]]
        for done in champions:
            cells += [_said(result.get(done.task)), _did(home, done, cutoff, result["customer_id"])]
        rows.append([*cells, why])
    columns = ["customer", "status"]
    for done in champions:
        columns += [f"{done.task}, {done.report['horizon_days']} days: said", "did"]
    show.table("What it said, and what they then did", [*columns, "strongest reason"], rows)


def _said(scored: Mapping[str, Any] | None) -> str:
    if scored is None:
        return ""
    if "probability" in scored:
        return f"{scored['probability']:.1%}"
    if "amount" in scored:
        return f"{scored['amount']:,.2f} ({scored['p10']:,.0f} to {scored['p90']:,.0f})"
    expected, latest = (scored.get(name, "later")[:10] for name in ("expected_at", "latest_at"))
    return f"{expected} (80 % by {latest})" if expected != latest else "later"


def _did(home: Home, done: Trained, cutoff: datetime, customer_id: str) -> str:
    lake, days = Lake(home.lake), done.report["horizon_days"]
    with lake.connect() as connection:
        orders, lines = lake.table(connection, "orders"), lake.table(connection, "order_lines")
        placed = orders.filter(
            orders.customer_id == customer_id,
            orders.ordered_at >= cutoff,
            orders.ordered_at < cutoff + timedelta(days=days),
        )
        if done.task == "next_order":
            days = placed.order_by("ordered_at").limit(1).ordered_at.execute()
            return f"{days.iloc[0]:%Y-%m-%d}" if len(days) else "none"
        if done.task == "clv":
            spent = lines.semi_join(placed, "order_id").net_amount.sum().execute()
            return f"spent {float(spent or 0):,.2f}"
        count = int(placed.count().execute())
    return f"{count} order{'' if count == 1 else 's'}"


def _title(number: int, text: str) -> None:
    show.console.rule(f"[bold]{number}. {text}", align="left")


def _say_cost(seconds: float) -> None:
    unit = 1 if sys.platform == "darwin" else 1024  # ru_maxrss is in bytes there, in KiB here
    own, children = (
        resource.getrusage(who).ru_maxrss * unit / 1e9 for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    show.console.print(
        f"Took {seconds:.0f} s; peak memory {own:.2f} GB here, {children:.2f} GB in the largest process started",
        style="bold",
        highlight=False,
    )


def _say_next() -> None:
    show.console.print(
        "Next: [bold]make serve[/] answers at http://127.0.0.1:3000, [bold]make ui[/] shows experiments and models, "
        "[bold]notebooks/01_who_will_come_back.ipynb[/] goes from features to a scored customer.",
        highlight=False,
    )
