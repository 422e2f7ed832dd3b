"""The commands. Heavy libraries are imported inside the commands that need them, so that help answers at once."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from cli.evaluate import app as evaluate_app
from cli.features import app as features_app
from cli.ingest import app as ingest_app
from cli.options import Device, HorizonDays, Rows, Seed, Storage, Tasks, Timeout, Trials, Workers, instant
from cli.recommend import app as recommender_app
from cli.watch import app as watch_app
from facts.errors import RegularsError
from facts.home import Home

app = typer.Typer(
    name="regulars",
    help="Turns first orders into regular customers: repurchase, churn and lifetime value, served in real time.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
app.add_typer(ingest_app, name="ingest")
app.add_typer(features_app, name="features")
app.add_typer(recommender_app, name="recommender")
app.add_typer(evaluate_app)
app.add_typer(watch_app)

EXIT_USER_ERROR = 2
_UsageError = typer.BadParameter.__mro__[1]  # Typer names it nowhere else, and where it lies depends on its version


Port = Annotated[int, typer.Option(min=0, max=65535, help="Where to listen.")]


def run() -> None:
    """Run the command line; an error that the user can mend is one sentence and exit code 2."""
    warnings.simplefilter("ignore")  # of libraries, for developers: pytest shows them
    # Threads that wait for each other sleep instead of spinning: on a busy machine XGBoost trains ten times as fast.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        code = app(standalone_mode=False)
    except RegularsError as error:
        _fail(str(error))
    except (KeyboardInterrupt, typer.Abort):
        _fail("stopped; run the same command again to go on")
    except Exception as error:
        if isinstance(error, _UsageError):
            _fail_usage(error)
        if type(error).__name__ != "UnusableModel" and not type(error).__module__.startswith(("duckdb", "_duckdb")):
            raise
        _fail(str(error).strip().splitlines()[0])
    else:
        sys.exit(code)


def _fail_usage(error: Any) -> NoReturn:  # noqa: ANN401 - see _UsageError
    """Say in one sentence what Typer draws a box around; without arguments it has shown the help, which says it all."""
    if type(error).__name__ == "NoArgsIsHelpError":
        sys.exit(EXIT_USER_ERROR)
    said = " ".join(error.format_message().split()).rstrip(".").replace(". Did you mean", "; did you mean")
    path = error.ctx.command_path if error.ctx else "regulars"
    _fail(f"{said[0].lower()}{said[1:]}; `{path} --help` says what there is")


def _fail(sentence: str) -> NoReturn:
    _say_error(sentence)
    sys.exit(EXIT_USER_ERROR)


def _say_error(sentence: str) -> None:
    typer.secho(f"error: {sentence}", fg=typer.colors.RED, err=True)


@app.command()
def demo(*, trials: Trials = 10, timeout: Timeout = 120.0, seed: Seed = 1) -> None:
    """From nothing to a served answer on a real shop's year, through every tool of the stack."""
    from cli.demo import run_demo

    run_demo(Home.from_environment(), trials=trials, timeout_seconds=timeout, seed=seed)


@app.command()
def quarantine(
    *,
    table: Annotated[str | None, typer.Option(help="Only rows of this table.")] = None,
    rule: Annotated[str | None, typer.Option(help="Only rows that broke a rule with this text.")] = None,
    limit: Annotated[int, typer.Option(min=0, help="How many rows to show.")] = 20,
    output: Annotated[Path | None, typer.Option(help="Write all of them: .csv or .parquet.")] = None,
) -> None:
    """Show the rows that were set aside, with the rule that each broke and the line where it stood."""
    from cli.quarantine import show_quarantine

    show_quarantine(Home.from_environment(), table=table, rule=rule, limit=limit, output=output)


@app.command()
def drain() -> None:
    """Bring the events that wait in the event log into the lake; `features build` does so first."""
    from cli import steps

    steps.drain(Home.from_environment())


@app.command()
def simulate(
    *,
    output: Annotated[Path, typer.Option(help="A new folder.")],
    customers: Annotated[int, typer.Option(min=1, help="How many customers.")] = 1_000,
    days: Annotated[int, typer.Option(min=1, help="Length of the record in days.")] = 730,
    seed: Annotated[int, typer.Option(help="The same seed and sizes give the same shop.")] = 1,
    browsing: Annotated[bool, typer.Option(help="Whether page and cart events are written.")] = True,
    json_lines: Annotated[bool, typer.Option(help="Whether events are written as Segment messages too.")] = False,
) -> None:
    """Write a simulated shop whose customers' true rates and lifetimes are known, to check estimates against.

    `regulars ingest simulated FOLDER` reads it. It is never shown as if it were real.
    """
    from cli import steps

    steps.simulate(
        customers=customers, days=days, seed=seed, output=output, has_browsing=browsing, has_json_lines=json_lines
    )


@app.command()
def train(  # noqa: PLR0913 - an argument is an option
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
    force: Annotated[
        bool, typer.Option("--force", help="Train again what these data and settings led to before.")
    ] = False,
) -> None:
    """Search, calibrate, evaluate and register models; the best become champions if they pass the gate.

    Each task is tried on its own. Exit code 0: at least one was trained, whatever its gate said. 2: none could be.
    """
    from cli import steps
    from training.means import Means

    steps.train(
        Home.from_environment(), tasks or ["all"], horizon_days=horizon_days, trials=trials, timeout_seconds=timeout,
        seed=seed, rows=rows, means=Means(workers=workers, storage=storage, device=device), is_forced=force,
    )  # fmt: skip


@app.command()
def promote(
    task: Annotated[str, typer.Argument(help="repurchase, churn, clv, next_order or recommender.")],
    version: Annotated[str, typer.Argument(help="A registered version, whatever its gate said.")],
    *,
    reason: Annotated[str, typer.Option(help="Why; it is written on the version.")],
) -> None:
    """Make a registered version champion by hand."""
    from cli import champions

    champions.promote(Home.from_environment(), task, version, reason=reason)


@app.command()
def rollback(
    task: Annotated[str, typer.Argument(help="repurchase, churn, clv, next_order or recommender.")],
    *,
    reason: Annotated[str, typer.Option(help="Why; it is written on the version.")],
) -> None:
    """Make the version champion again that was before the present one; once more, the one before that."""
    from cli import champions

    champions.rollback(Home.from_environment(), task, reason=reason)


@app.command()
def champions(
    task: Annotated[
        str | None, typer.Argument(help="repurchase, churn, clv, next_order or recommender; all by default.")
    ] = None,
) -> None:
    """Show which version was champion when, by whose word, and why."""
    from cli import champions as shown

    shown.history(Home.from_environment(), task)


@app.command()
def materialize(
    *,
    as_of: Annotated[
        str | None,
        typer.Option(help="2017-09-25 (midnight in the shop), 2017-09-25T04:00:00Z; by default the shop's now."),
    ] = None,
    named_views: Annotated[bool, typer.Option("--named-views", help="Also the named views, for Feast users.")] = False,
) -> None:
    """Bring the last snapshot at or before an instant into the online store."""
    from cli import steps

    steps.materialize(Home.from_environment(), as_of=instant(as_of), with_named_views=named_views)


@app.command()
def score(
    *,
    output: Annotated[Path, typer.Option(help="The file to write: .parquet or .csv.")],
    as_of: Annotated[str | None, typer.Option(help="The instant to score as of; by default the shop's now.")] = None,
    engine: Annotated[
        str, typer.Option(help="Where it runs: duckdb, in this process, or spark (extra `spark`).")
    ] = "duckdb",
) -> None:
    """Score every customer as of an instant: the same figures as the endpoint's."""
    from cli import steps

    steps.score(Home.from_environment(), as_of=instant(as_of), output=output, engine=engine)


@app.command()
def recommend(
    *,
    output: Annotated[Path, typer.Option(help="The file to write: .parquet or .csv.")],
    as_of: Annotated[str | None, typer.Option(help="The instant to answer for; by default the shop's now.")] = None,
    count: Annotated[int, typer.Option(min=1, max=200, help="Products for each customer, at most.")] = 10,
    kind: Annotated[str, typer.Option(help="next_basket, discover (never bought) or replenish (due).")] = "next_basket",
    diversity: Annotated[
        float, typer.Option(min=0, max=1, help="How much a product of a category that is in the list already loses.")
    ] = 0.0,
    repeat_share: Annotated[
        float, typer.Option(min=0, max=1, help="How much of a list may have been bought before, at most.")
    ] = 1.0,
) -> None:
    """Recommend products to every customer as of an instant: the same lists as the endpoint's."""
    from cli import recommend as command
    from scoring.recommend import Wish, kind_of

    wish = Wish(count=count, kind=kind_of(kind), diversity=diversity, repeat_share=repeat_share)
    command.recommend(Home.from_environment(), as_of=instant(as_of), output=output, wish=wish)


@app.command()
def serve(
    *,
    port: Port = 3000,
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    workers: Annotated[int, typer.Option(min=1, help="Processes that answer.")] = 1,
    as_of: Annotated[str | None, typer.Option(help="Answer as of this instant; by default the shop's now.")] = None,
) -> None:
    """Serve the champions over HTTP."""
    from serving.run import serve_foreground

    serve_foreground(
        Home.from_environment(),
        port=port,
        host=host,
        as_of=instant(as_of),
        workers=workers,
        announce=_say_where,
    )


def _say_where(url: str, tasks: Sequence[str]) -> None:
    from serving.champions import no_champion

    asked = "/v1/score" if tasks else "/v1/events"
    typer.echo(f"POST {url}{asked} (documentation at {url}/, Ctrl-C stops)")
    if not tasks:
        typer.echo(f"Events are taken, no model answers: {no_champion()}")


@app.command()
def ui(*, port: Port = 5000) -> None:
    """Open MLflow's pages over the experiments and models."""
    from cli.steps import serve_ui

    serve_ui(Home.from_environment(), port=port)


@app.command()
def status() -> None:
    """Show what stands: the shop, its tables, the snapshots, the online store and the models."""
    from cli import show

    damages = show.status(Home.from_environment())
    for damage in damages:
        _say_error(str(damage))
    if damages:
        raise typer.Exit(EXIT_USER_ERROR)


if __name__ == "__main__":
    run()
