"""`regulars evaluate`: a backtest of one task over cutoffs of the past, and whether more data would help."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from cli.options import Device, HorizonDays, Seed, Timeout, Workers
from facts.home import Home
from facts.lake import Lake

if TYPE_CHECKING:
    from training.backtest import Backtest
    from training.learning_curve import LearningCurve

app = typer.Typer()


@app.command()
def evaluate(  # noqa: PLR0913 - an argument is an option
    task: Annotated[str, typer.Argument(help="repurchase, churn, clv or next_order.")],
    *,
    cutoffs: Annotated[int, typer.Option(min=1, help="How many of the latest cutoffs to test at.")] = 4,
    learning_curve: Annotated[
        bool, typer.Option("--learning-curve", help="Also train on fewer customers, and on fewer cutoffs.")
    ] = False,
    horizon_days: HorizonDays = None,
    trials: Annotated[
        int, typer.Option(min=0, help="How many trials each cutoff's search may make; 0 takes the defaults.")
    ] = 5,
    timeout: Timeout = 120.0,
    seed: Seed = 1,
    workers: Workers = 1,
    device: Device = "cpu",
) -> None:
    """Train a task as of several cutoffs of the past, each on what was before it, and measure each on what came then.

    Prints every cutoff, all of them together with intervals over customers, the spread over cutoffs, and of amounts and
    days whether p10 to p90 held; logs one run in MLflow's experiment `regulars-backtest`. No model is registered.
    """
    from cli import show
    from features.store import apply_definitions
    from training.backtest import backtest_data, plan_backtest, run_backtest
    from training.backtest_run import EXPERIMENT, log_backtest
    from training.known import Known
    from training.learning_curve import learning_curve as measure_curve
    from training.means import Means, require_means
    from training.tasks import task as task_named
    from training.trials import Budget

    name, home, means = task_named(task).name, Home.from_environment(), Means(workers=workers, device=device)
    require_means(means)
    lake, budget = Lake(home.lake), Budget(trials=trials, timeout_seconds=timeout)
    plans = plan_backtest(lake, name, count=cutoffs, horizon_days=horizon_days, budget=budget, seed=seed)
    curve = None
    with show.working(f"Evaluate {name}, next {plans[0].horizon.days} days") as step:
        step("training set")
        data = backtest_data(Known(apply_definitions(home), lake), plans)
        done = run_backtest(plans, data, home, means=means, on_step=step)
        if learning_curve:
            curve = measure_curve(plans, data, done.measured, home, means=means, on_step=step)
        step("MLflow")
        run = log_backtest(home, done, curve)
    _print(done, asked=cutoffs, zone=lake.shop().timezone)
    if curve:
        _print_curve(curve)
    show.console.print(f"MLflow: experiment {EXPERIMENT}, run {run}", highlight=False)


def _print(done: Backtest, *, asked: int, zone: str) -> None:
    from cli import show
    from training.verdict import MODEL

    plan, predictors = done.plan, list(done.pooled)
    metrics = list(done.pooled[MODEL])
    rows = [
        [show.day_of(at.cutoff, zone), len(at.actual), at.train_rows]
        + [str(at.estimates[MODEL][metric]) for metric in metrics]
        for at in done.measured
    ]
    title = f"{plan.task.name}, next {plan.horizon.days} days: the model at each test cutoff, 95 % intervals"
    show.table(
        title, ["tested on", "customers", "trained on", *metrics], rows, right=["customers", "trained on", *metrics]
    )
    rows = [
        [
            show.day_of(at.cutoff, zone),
            *[str(at.estimates[name][plan.task.gate_metric]) for name in predictors],
        ]
        for at in done.measured
    ]
    show.table(f"{plan.task.gate_metric} beside the baselines", ["tested on", *predictors], rows, right=predictors)
    rows = [[metric, *[str(done.pooled[name][metric]) for name in predictors]] for metric in metrics]
    show.table("All cutoffs together, intervals over customers", ["metric", *predictors], rows, right=predictors)
    spread = done.spread()
    rows = [[metric, *[f"{value:.4g}" for value in spread.loc[metric]]] for metric in metrics]
    columns = ["mean", "standard deviation", "least", "most"]
    show.table("The model from cutoff to cutoff", ["metric", *columns], rows, right=columns)
    if done.interval:
        _print_intervals(done, zone=zone)
    for name, advantage in done.advantages.items():
        show.console.print(f"better than {name} by {plan.task.gate_metric}: {advantage:+.4g}", highlight=False)
    for said in (*plan.notes, *done.skipped):
        show.console.print(f"note: {said}", highlight=False)
    if len(done.measured) < asked:
        show.console.print(f"note: {len(done.measured)} of {asked} cutoffs have enough history before them")
    searches = sorted({at.searched for at in done.measured})
    show.console.print(f"each cutoff's search: {'; '.join(searches)}", highlight=False)


def _print_intervals(done: Backtest, *, zone: str) -> None:
    from cli import show
    from training.checks import MEAN_TOTAL
    from training.metrics import COVERAGE, WIDTH

    metrics = [name for name in (COVERAGE, WIDTH, MEAN_TOTAL) if name in done.interval]
    measured = [(show.day_of(at.cutoff, zone), at.interval) for at in done.measured]
    rows = [
        [where, *[str(interval[name]) for name in metrics]]
        for where, interval in [*measured, ("all together", done.interval)]
    ]
    show.table("Do its intervals hold, cutoff by cutoff", ["tested on", *metrics], rows, right=metrics)


def _print_curve(curve: LearningCurve) -> None:
    from cli import show

    rows = [
        (
            point.of,
            point.said,
            point.size,
            point.train_rows,
            str(point.estimate),
            str(point.gain) if point.gain else "",
        )
        for point in curve.points
    ]
    columns = ["of", "trained on", "how many", "rows", curve.metric, "better than the row before"]
    show.table("Would more data help? The same test rows at every size", columns, rows, right=columns[2:])
    for said in curve.skipped:
        show.console.print(f"left out: {said}", highlight=False)
    for said in curve.answers:
        show.console.print(said, highlight=False)
