"""A file that the mapping does not fit is refused as a whole: half of a column unreadable is no bad row."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from facts.ingest.table.errors import BadFile
from facts.ingest.table.guess import notations, time_formats
from facts.ingest.table.numbers import Notation, might_be_thousands
from facts.ingest.table.parsing import NUMBERS, TIMES, Parsed, shown

if TYPE_CHECKING:
    from ibis.backends.duckdb import Backend

SAMPLE_ROWS = 200


def refuse_misfit(parsed: Parsed, connection: Backend) -> None:
    """Raise BadFile where most values of a column cannot be read, or all its numbers could be read in two ways."""
    facts = [fact for fact in parsed.mapping.columns.told if fact in NUMBERS or fact in TIMES]
    found = connection.execute(parsed.table.aggregate(**_figures(parsed, facts))).iloc[0]
    for fact in facts:
        if int(found[f"bad_{fact}"]) * 2 > int(found[f"given_{fact}"]):
            raise _misfit(parsed, fact, found, connection)
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


def _misfit(parsed: Parsed, fact: str, found: Any, connection: Backend) -> BadFile:  # noqa: ANN401 - a pandas row
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
        advice=_number_advice(texts) if fact in NUMBERS else _time_advice(texts, fact, parsed),
    )


def _ambiguous(parsed: Parsed, fact: str, connection: Backend) -> BadFile:
    column, numbers = parsed.mapping.columns.told[fact], parsed.mapping.numbers
    is_fraction = parsed.text(fact).contains(numbers.decimal)
    first = connection.execute(parsed.table.filter(is_fraction).select(text=f"text_{fact}", line="line").limit(1))
    other = "," if numbers.decimal == "." else "."
    return BadFile(
        f"{parsed.staged.label}:{first['line'][0]}",
        f"{shown(column)} is {first['text'][0]!r}, and every number with a {numbers.decimal!r} in it looks like that: "
        "thousands, or three decimals",
        advice=f'set under [numbers] decimal = "{other}" and thousands = "{numbers.decimal}", or thousands = "" if not',
    )


def _number_advice(texts: list[str]) -> str:
    if fitting := notations(texts):
        first = fitting[0]
        return f'set decimal = "{first.decimal}" and thousands = "{first.thousands}" under [numbers], which reads them'
    return "look at [numbers], and at the column that is named"


def _time_advice(texts: list[str], fact: str, parsed: Parsed) -> str:
    fitting = [form for form in time_formats(texts) if form not in parsed.mapping.time.formats]
    if not fitting and fact == "cancelled_at":
        return "name a column that says when as cancelled_at; one that says only whether is columns.status"
    if not fitting:
        return "look at format under [time] and at the column that is named"
    also = f" (so does {fitting[1]!r}: look at days above 12)" if len(fitting) > 1 else ""
    return f"set format = {fitting[0]!r} under [time], which reads them{also}"
