"""What some texts may be: times of which format, numbers in which notation."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

from facts.ingest.table.mapping import ISO, UNIX, UNIX_MS
from facts.ingest.table.numbers import Notation, is_number, value_of
from facts.ingest.table.times import OFFSET_ISO, PLAIN_ISO

DAYS = (
    "%d/%m/%Y", "%m/%d/%Y", "%d.%m.%Y", "%d-%m-%Y", "%m-%d-%Y", "%Y/%m/%d", "%Y.%m.%d", "%Y%m%d",
    "%d/%m/%y", "%m/%d/%y", "%d.%m.%y", "%d-%m-%y", "%m-%d-%y",
    "%d %b %Y", "%d %B %Y", "%b %d, %Y", "%B %d, %Y", "%d-%b-%Y", "%d-%b-%y", "%a, %d %b %Y",
)  # fmt: skip
CLOCKS = ("", " %H:%M", " %H:%M:%S", " %I:%M %p", " %I:%M:%S %p", ", %H:%M", ", %H:%M:%S", "T%H:%M:%S", " %H:%M:%S %z")
NOTATIONS = tuple(
    Notation(decimal=decimal, thousands=thousands)
    for decimal, thousands in ((".", ""), (",", ""), (".", ","), (",", "."), (",", " "), (".", " "), (".", "'"))
)
FIRST_YEAR, LAST_YEAR = 1990, 2100


def time_formats(texts: Sequence[str]) -> list[str]:
    """Return the formats that read every text as a plausible time, the more usual first."""
    given = [text.strip() for text in texts if text.strip()]
    if not given:
        return []
    formats = [ISO] if all(_is_iso(text) for text in given) else []
    formats += [day + clock for day in DAYS for clock in CLOCKS if all(_fits(text, day + clock) for text in given)]
    if not formats and all(re.fullmatch(r"\d{9,10}|\d{12,13}", text) for text in given):
        formats = [UNIX if len(given[0]) <= 10 else UNIX_MS]  # noqa: PLR2004 - digits of seconds until the year 2286
    return formats


def notations(texts: Sequence[str]) -> list[Notation]:
    """Return the notations in which every text is a number, the simpler first."""
    given = [text for text in texts if text.strip()]
    return [notation for notation in NOTATIONS if given and all(is_number(text, notation) for text in given)]


def readings(texts: Sequence[str], *, decimal: str) -> list[Notation]:
    """Return the notations that read every text that is a number at all, one for each way in which the values differ.

    Of those that make the same of the texts it is one with the decimal sign that is given, and the simpler.
    """
    texts = [text for text in texts if notations([text])]
    fitting: dict[tuple[Decimal | None, ...], Notation] = {}
    for notation in sorted(notations(texts), key=lambda one: one.decimal != decimal):
        fitting.setdefault(tuple(value_of(text, notation) for text in texts), notation)
    return list(fitting.values())


def _is_iso(text: str) -> bool:
    return bool(re.match(PLAIN_ISO, text) or re.match(OFFSET_ISO, text))


def _fits(text: str, form: str) -> bool:
    try:
        year = datetime.strptime(text, form).year  # noqa: DTZ007 - only whether it reads is asked
    except ValueError:
        return False
    return FIRST_YEAR <= year < LAST_YEAR
