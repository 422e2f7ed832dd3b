"""From a TOML file, or the name of a mapping that comes along, to a mapping that was checked."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping as Dict
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from facts.errors import UnknownName
from facts.ingest.table.errors import BadMapping
from facts.ingest.table.mapping import Mapping, keys_of

SHIPPED = Path(__file__).parent.parent / "mappings"
MISSING = {
    "shop": ": its name and currency (or --shop and --currency on the command line)",
    "shop.name": " (or --shop on the command line)",
    "shop.currency": ': three letters, currency = "EUR" (or --currency on the command line)',
    "time.zone": ': the shop\'s own clock, zone = "Europe/Berlin" (or --zone on the command line)',
    "file.row": ': say what a row of the file is, row = "line" (of an order) or row = "order"',
    "columns.customer_id": ": name the column that says who bought",
    "columns.ordered_at": ": name the column that says when",
}


def shipped_names() -> tuple[str, ...]:
    """Return the names of the mappings that come along."""
    return tuple(sorted(path.stem for path in SHIPPED.glob("*.toml")))


def shipped_text(name: str) -> str:
    """Return the text of a mapping that comes along; raise UnknownName where there is none."""
    if name not in shipped_names():
        raise UnknownName("mapping", name, known=shipped_names())
    return (SHIPPED / f"{name}.toml").read_text(encoding="utf-8")


def load_mapping(
    origin: str | Path, *, shop: str | None = None, currency: str | None = None, zone: str | None = None
) -> Mapping:
    """Read a mapping and check it.

    Parameters
    ----------
    origin
        A TOML file, or the name of a mapping that comes along (`shipped_names`).
    shop, currency, zone
        What takes the place of shop.name, shop.currency and time.zone.

    Raises
    ------
    UnknownName
        There is neither such a file nor such a mapping.
    BadMapping
        It is no TOML, or says something that a mapping cannot say.
    """
    told = _parse(origin, _text_of(origin))
    for table, key, value in (("shop", "name", shop), ("shop", "currency", currency), ("time", "zone", zone)):
        if value is not None:
            told[table] = {**told.get(table, {}), key: value}
    return check_mapping(told, origin=origin)


def check_mapping(told: Dict[str, Any], *, origin: object) -> Mapping:
    """Return the mapping that a dictionary says; raise BadMapping with the first thing that is wrong."""
    try:
        return Mapping.model_validate(told)
    except ValidationError as error:
        raise BadMapping(origin, _sentence(error)) from None


def _text_of(origin: str | Path) -> str:
    path = Path(origin)
    if path.is_file():
        try:
            return path.read_text(encoding="utf-8-sig")
        except UnicodeDecodeError as error:
            raise BadMapping(origin, f"it is not UTF-8 text (byte {error.start}); save it as UTF-8") from None
    if path.suffix or len(path.parts) > 1:
        raise BadMapping(origin, f"there is no such file; mappings that come along: {', '.join(shipped_names())}")
    return shipped_text(str(origin))


def _parse(origin: object, text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise BadMapping(origin, f"it is not TOML: {error}") from None


def _sentence(error: ValidationError) -> str:
    first = error.errors(include_url=False)[0]
    place = ".".join(str(step) for step in first["loc"])
    match first["type"]:
        case "extra_forbidden":
            return f"there is no key {place!r}{_nearest(str(first['loc'][-1]), keys_of(first['loc']))}"
        case "missing":
            return f"{place!r} is missing{MISSING.get(place, '')}"
    told = str(first.get("ctx", {}).get("error", first["msg"]))
    return f"{place}: {told}" if place else told


def _nearest(name: str, known: tuple[str, ...]) -> str:
    close = get_close_matches(name, known, n=1, cutoff=0.5)
    return f"; did you mean {close[0]!r}?" if close else f"; known: {', '.join(known)}"
