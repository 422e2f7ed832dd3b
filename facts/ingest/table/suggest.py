"""A mapping to review, written from a look at a file: what is sure stands in it, what is not is left to a person."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from facts.errors import counted
from facts.ingest.table.draft import Draft, toml_of
from facts.ingest.table.guess import notations, time_formats
from facts.ingest.table.loading import load_mapping, shipped_names, shipped_text
from facts.ingest.table.mapping import ISO
from facts.ingest.table.roles import NUMBERS, Roles, find_roles, texts_of
from facts.ingest.table.sample import Sample, read_sample
from facts.ingest.table.suggest_meaning import write_columns, write_customers, write_kinds

CURRENCY_SIGNS = {"€": "EUR", "£": "GBP", "₹": "INR", "₺": "TRY", "₽": "RUB", "₴": "UAH", "₪": "ILS", "zł": "PLN"}
WITHOUT_IDS = (
    "without order ids, orders are told apart by customer and time: a file must hold whole days, as what a later file "
    "says of the same customer and time takes the place of what was known"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Suggestion:
    """A mapping as TOML text, and what it leaves to decide, as sentences; the text says them too."""

    text: str
    undecided: tuple[str, ...]


def suggest(path: Path, *, sheet: str | None = None) -> Suggestion:
    """Look at the first rows of a file and write a mapping for it.

    Parameters
    ----------
    sheet
        Which one, of a workbook that has several.

    Raises
    ------
    BadFile
        It is empty, or cannot be read.
    """
    sample = read_sample(path, sheet=sheet)
    for name in shipped_names():
        if sample.has_header and set(_columns_of(name)) <= set(sample.names):
            return _shipped(name, sample)
    return _written(sample, find_roles(sample))


def _columns_of(name: str) -> Sequence[str]:
    return load_mapping(name, shop="any", currency="EUR", zone="UTC").names


def _shipped(name: str, sample: Sample) -> Suggestion:
    told = shipped_text(name)
    undecided = () if "[shop]" in told else (
        "shop.name and shop.currency: the name of the shop, and the currency of its amounts",
        "time.zone: the time zone of the shop's clock",
    )  # fmt: skip
    head = [f"# {sample.label} has the columns of {name}: its mapping, to review."]
    if "[shop]" not in told:
        head += ["", "[shop]", '# name = "..."', f'# currency = "EUR"{_seen_currencies(sample)}', ""]
        told = told.replace("[time]\n", '[time]\n# zone = "Europe/Berlin"\n', 1)
    return Suggestion(text="\n".join([*head, told]), undecided=undecided)


def _seen_currencies(sample: Sample) -> str:
    names = [name for name in sample.names if "currency" in name.lower()]
    seen = sorted(set(sample.texts(names[0]))) if names else []
    return f"   # seen: {', '.join(seen)}" if seen else ""


def _written(sample: Sample, roles: Roles) -> Suggestion:
    draft = Draft([], [])
    _shop(draft, sample, roles)
    _file(draft, sample, roles)
    _time(draft, sample, roles)
    _numbers(draft, sample, roles)
    write_columns(draft, sample, roles)
    write_kinds(draft, sample, roles)
    write_customers(draft, sample, roles)
    size = (
        f"{counted(len(sample.rows), 'row')}, all there are"
        if sample.is_whole
        else f"its first {len(sample.rows):,} rows"
    )
    head = [
        f"# A mapping for {sample.label}, from a look at {size}. Review it: docs/ingest.md says what each key means."
    ]
    if draft.undecided:
        head += ["#", "# Left to you:", *(f"#   - {sentence}" for sentence in draft.undecided)]
    return Suggestion(text="\n".join([*head, *draft.lines]) + "\n", undecided=tuple(draft.undecided))


def _shop(draft: Draft, sample: Sample, roles: Roles) -> None:
    draft.part("shop")
    draft.set("name", Path(sample.label).name.split(".")[0], "how the shop is called")
    seen = set(sample.texts(roles.columns["currency"])) if "currency" in roles.columns else set()
    signs = {code for fact in NUMBERS for text in texts_of(sample, roles, fact) for sign, code in CURRENCY_SIGNS.items()
             if sign in text}  # fmt: skip
    codes = {text.upper() for text in seen if re.fullmatch("[A-Za-z]{3}", text)} or signs
    if len(codes) == 1:
        draft.set("currency", codes.pop())
    else:
        why = f"orders are in {', '.join(sorted(codes))}, one of them is the shop's" if codes else "no column tells it"
        draft.leave("shop.currency", min(codes, default="EUR"), why)


def _file(draft: Draft, sample: Sample, roles: Roles) -> None:
    draft.part("file")
    ids = sample.texts(roles.columns["order_id"]) if "order_id" in roles.columns else []
    if not ids:
        draft.set("row", "order", "no column looks like an order id: each row is taken to be an order")
        draft.lines.append(f"# {WITHOUT_IDS}")
    elif len(set(ids)) < len(ids):
        draft.set("row", "line", "order ids repeat: a row is a line of an order")
    else:
        draft.set("row", "order", "no order id repeats: a row is an order")
    for key, value in sample.settings.items():
        draft.set(key, value)
    if not sample.has_header:
        draft.set("columns", list(sample.names), "there is no header: name the columns")


def _time(draft: Draft, sample: Sample, roles: Roles) -> None:
    draft.part("time")
    draft.leave("time.zone", "Europe/Berlin", "a file does not tell the zone of the shop's clock")
    name = roles.columns.get("ordered_at")
    if name is None or name in sample.typed:
        return
    texts = sample.texts(name)
    fitting = time_formats(texts)
    if len(fitting) == 1:
        draft.set("format", fitting[0], f"as in {texts[0]}")
    elif fitting:
        draft.leave("time.format", fitting[0], f"{', '.join(fitting)} all read {name!r}, as in {texts[0]}")
    else:
        _mixed(draft, name, texts)


def _mixed(draft: Draft, name: str, texts: list[str]) -> None:
    counts = Counter(form for text in texts for form in time_formats([text]))
    if not counts:
        draft.leave("time.format", ISO, f"no known format reads {name!r}, as in {texts[0]}")
        return
    best, count = counts.most_common(1)[0]
    other = next(text for text in texts if best not in time_formats([text]))
    said = f"{best} reads {count:,} of {len(texts):,} values of {name!r}, but not {other}"
    draft.leave("time.format", [best, *time_formats([other])[:1]], f"{said}; rows that no format reads are set aside")


def _numbers(draft: Draft, sample: Sample, roles: Roles) -> None:
    told = [fact for fact in NUMBERS if fact in roles.columns and roles.columns[fact] not in sample.typed]
    texts = [text for fact in told for text in texts_of(sample, roles, fact)]
    if not texts:
        return
    draft.part("numbers")
    fitting = notations(texts)
    if not fitting:
        best = notations([text for text in texts if notations([text])][:1])
        example = best[0].decimal if best else "."
        draft.leave("numbers.decimal", example, f"no notation reads all numbers, as {texts[0]} and others")
        return
    first = fitting[0]
    fractions = [text for text in texts if first.decimal in text]
    if fractions and all(re.search(first.three_digits, text) for text in fractions):
        other = "," if first.decimal == "." else "."
        draft.leave("numbers.decimal", other, f"{fractions[0]} may be thousands or have three decimals")
        draft.lines.append(f"# thousands = {toml_of(first.decimal)}")
        return
    draft.set("decimal", first.decimal)
    if first.thousands or fractions:
        draft.set("thousands", first.thousands)
