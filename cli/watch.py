"""`regulars monitor` and `regulars retrain`, as they are typed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from cli.options import Device, HorizonDays, Rows, Seed, Storage, Tasks, Timeout, Trials, Workers
from facts.home import Home

if TYPE_CHECKING:
    from training.registering import Trained

app = typer.Typer()

EXIT_ALARM = 3


@app.command()
def retrain(  # noqa: PLR0913 - an argument is an option
    tasks: Tasks = None,
    *,
    horizon_days: HorizonDays = None,
    trials: Trials = 10,
    timeout: Timeout = 120.0,
    seed: Seed = 1,
    rows: Rows = None,
    workers: Workers = 1,
    storage: Storage = None,
    device: Device = "cpu",
) -> None:
    """Run the whole round: events into the lake, features, online store, training, gate.

    It leaves a champion, or a challenger that was refused, which is no error: exit code 0 in either case. 2: no task
    could be trained.
    """
    from cli import monitoring, steps
    from training.means import Means, require_means

    means = Means(workers=workers, storage=storage, device=device)
    require_means(means)  # not when the features are built already

    def train(home: Home, names: list[str]) -> list[Trained]:
        return steps.train(
            home, names, horizon_days=horizon_days, trials=trials, timeout_seconds=timeout, seed=seed, rows=rows,
            means=means,
        )  # fmt: skip

    monitoring.retrain(Home.from_environment(), tasks or ["all"], train=train)


@app.command()
def monitor(
    tasks: Tasks = None,
    *,
    feature_psi: Annotated[
        float, typer.Option(min=0, help="A feature has drifted above this population stability index.")
    ] = 0.25,
    score_psi: Annotated[float, typer.Option(min=0, help="The score has; an alarm.")] = 0.25,
    drifted_share: Annotated[
        float, typer.Option(min=0, max=1, help="How much of the model's gain may come from features that drifted.")
    ] = 0.5,
    tolerated_loss: Annotated[
        float, typer.Option(min=0, help="How much worse than promised, as a share, performance may be.")
    ] = 0.02,
    least_customers: Annotated[
        int, typer.Option(min=2, help="Customers whose outcome must be known before performance is judged.")
    ] = 100,
) -> None:
    """Hold champions against their training: drift, and real performance on what they answered; logged in MLflow.

    Exit code 0: all within the thresholds, or too little known to say. 3: an alarm. 2: an error, nothing was judged.
    """
    from cli.monitoring import monitor as look
    from training.monitoring import Thresholds

    thresholds = Thresholds(
        feature_psi=feature_psi,
        score_psi=score_psi,
        drifted_share=drifted_share,
        tolerated_loss=tolerated_loss,
        least_customers=least_customers,
    )
    if look(Home.from_environment(), tasks or ["all"], thresholds=thresholds):
        raise typer.Exit(EXIT_ALARM)
