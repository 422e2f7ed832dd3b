"""A file that the mapping does not fit is refused as a whole: half of a column unreadable is no bad row."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import ibis
from ibis import _

from facts.ingest.table.errors import BadFile
from facts.ingest.table.guess import readings, time_formats
from facts.ingest.table.numbers import Notation, might_be_thousands, value_of
from facts.ingest.table.parsing import NUMBERS, TIMES, Parsed, shown

if TYPE_CHECKING:
    from ibis.backends.duckdb import Backend

SAMPLE_ROWS = 200
FEW, HALF = 0.05, 0.5  # more than a few bad rows refuse a delivery


def refuse_misfit(parsed: Parsed, connection: Backend) -> None:
    """Raise BadFile where most values of a column cannot be read, or all its numbers could be read in two ways.

    Fewer unreadable numbers are enough where another notation reads the whole column: a row is not to blame for that.
    """
    facts = [fact for fact in parsed.mapping.columns.told if fact in NUMBERS or fact in TIMES]
    found = connection.execute(parsed.table.aggregate(**_figures(parsed, facts))).iloc[0]
    for fact in facts:
        bad_rate = int(found[f"bad_{fact}"]) / max(int(found[f"given_{fact}"]), 1)
        others = _other_readings(parsed, fact, connection) if fact in NUMBERS and bad_rate > FEW else []
        if bad_rate > HALF or others:
            raise _misfit(parsed, fact, found, others, connection)
        if f"unsure_{fact}" in found and bool(found[f"unsure_{fact}"]):
            raise _ambiguous(parsed, fact, connection)


def _figures(parsed: Parsed, facts: list[str]) -> dict[str, Any]:
    figures: dict[str, Any] = {}
    notation = Notation.of(parsed.mapping.numbers)
    asks = parsed.mapping.numbers.thousands is None
    for fact in facts:
        figures[f"given_{fact}"] = parsed.text(fact).count()
        figures[f"bad_{fact}"] = parsed.problem(fact).count()
        if asks and fact in NUMBERS and f"raw_{fact}" not in parsed.table.columns:
            figures[f"unsure_{fact}"] = might_be_thousands(parsed.text(fact), notation)
    return figures


def _misfit(
    parsed: Parsed,
    fact: str,
    found: Any,  # noqa: ANN401 - a pandas row
    fitting: Sequence[Notation],
    connection: Backend,
) -> BadFile:
    bad = parsed.table.filter(parsed.problem(fact).notnull())
    told = bad.select(text=f"text_{fact}", said=f"bad_{fact}", line="line").order_by("line").limit(SAMPLE_ROWS)
    rows = connection.execute(told)
    texts = [str(text) for text in rows["text"]]
    others = int(found[f"bad_{fact}"]) - 1
    more = (
        f", and so {'is' if others == 1 else 'are'} {others:,} more of {int(found[f'given_{fact}']):,}"
        if others
        else ""
    )
    return BadFile(
        f"{parsed.staged.label}:{rows['line'][0]}",
        f"{rows['said'][0]}{more}",
        advice=_number_advice(texts, fitting, parsed) if fact in NUMBERS else _time_advice(texts, fact, parsed),
    )


def _ambiguous(parsed: Parsed, fact: str, connection: Backend) -> BadFile:
    column, numbers = parsed.mapping.columns.told[fact], parsed.mapping.numbers
    is_fraction = parsed.text(fact).contains(numbers.decimal)
    first = connection.execute(parsed.table.filter(is_fraction).select(text=f"text_{fact}", line="line").limit(1))
    return BadFile(
        f"{parsed.staged.label}:{first['line'][0]}",
        f"{shown(column)} is {first['text'][0]!r}, and every number with a {numbers.decimal!r} in it looks like that: "
        "thousands, or three decimals",
        advice=_number_advice([first["text"][0]], _readings(parsed, fact, connection), parsed),
    )


def _other_readings(parsed: Parsed, fact: str, connection: Backend) -> list[Notation]:
    """Return the notations that read a column, where the mapping's is not among them."""
    found = _readings(parsed, fact, connection)
    own = parsed.mapping.numbers
    return [] if any((one.decimal, one.thousands) == (own.decimal, own.thousands or "") for one in found) else found


def _readings(parsed: Parsed, fact: str, connection: Backend) -> list[Notation]:
    """Return the notations that read the numbers of a column, the unreadable and others, one for each way to do so."""
    text, is_bad = parsed.text(fact), parsed.problem(fact).notnull()
    is_plain = text.re_search(r"^-?\d+$")  # says nothing
    given = parsed.table.filter(text.notnull()).select(text=text, is_bad=is_bad, is_plain=is_plain, line="line")
    parts = [given.filter(part).order_by("line").limit(SAMPLE_ROWS) for part in (_.is_bad, ~_.is_bad & ~_.is_plain)]
    texts = [str(one) for one in connection.execute(ibis.union(*parts)).sort_values("line")["text"]]
    return readings(texts, decimal=parsed.mapping.numbers.decimal)


def _number_advice(texts: list[str], fitting: Sequence[Notation], parsed: Parsed) -> str:
    """Say which notation reads a column; where several do, what each makes of the first number in doubt."""
    match list(fitting) or readings(texts, decimal=parsed.mapping.numbers.decimal):
        case []:
            return "look at [numbers], and at the column that is named"
        case [only]:
            return f"set {_as_keys(only)} under [numbers], which reads them"
        case several:
            doubted = next((text for text in texts if len({value_of(text, one) for one in several}) > 1), texts[0])
            told = " or ".join(f"{_plainly(value_of(doubted, one))} ({_as_keys(one)})" for one in several)
            return f"{doubted!r} may be {told}: set under [numbers] which of them it is"


def _plainly(value: Decimal | None) -> str:
    return "no number" if value is None else f"{value.normalize():f}"


def _as_keys(notation: Notation) -> str:
    return f'decimal = "{notation.decimal}" and thousands = "{notation.thousands}"'


def _time_advice(texts: list[str], fact: str, parsed: Parsed) -> str:
    fitting = [form for form in time_formats(texts) if form not in parsed.mapping.time.formats]
    if not fitting and fact == "cancelled_at":
        return "name a column that says when as cancelled_at; one that says only whether is columns.status"
    if not fitting:
        return "look at format under [time] and at the column that is named"
    also = f" (so does {fitting[1]!r}: look at days above 12)" if len(fitting) > 1 else ""
    return f"set format = {fitting[0]!r} under [time], which reads them{also}"
