"""A mapping in the making: lines of TOML, and what a person has to decide before they hold."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(slots=True)
class Draft:
    """Lines of TOML, gathered with what is undecided."""

    lines: list[str]
    undecided: list[str]

    def part(self, name: str) -> None:
        """Begin a table of the mapping."""
        self.lines += ["", f"[{name}]"]

    def set(self, key: str, value: object, remark: str = "") -> None:
        """Set a key, with a remark beside it."""
        self.lines.append(f"{_key(key)} = {toml_of(value)}" + (f"   # {remark}" if remark else ""))

    def leave(self, key: str, example: object, why: str) -> None:
        """Leave a key to a person: it stands as a comment, with an example and the reason."""
        self.undecided.append(f"{key}: {why}")
        self.lines.append(f"# {_key(key.rsplit('.', maxsplit=1)[-1])} = {toml_of(example)}   # undecided: {why}")

    def ask(self, key: str, why: str) -> None:
        """Ask about a key that stands, or cannot stand, in the mapping."""
        self.undecided.append(f"{key}: {why}")
        self.lines.append(f"# undecided: {why}")


def listed(names: Sequence[str]) -> str:
    """Return names as a sentence shows them, the first dozen."""
    return ", ".join(map(repr, names[:12])) + (", ..." if len(names) > 12 else "")  # noqa: PLR2004


def toml_of(value: object) -> str:
    """Return a text, a list or a table of them as TOML."""
    match value:
        case dict():
            return "{ " + ", ".join(f"{_key(str(k))} = {toml_of(v)}" for k, v in value.items()) + " }"
        case list():
            return "[" + ", ".join(map(toml_of, value)) + "]"
    return json.dumps(value, ensure_ascii=False)


def _key(key: str) -> str:
    bare = key.rsplit(".", maxsplit=1)[-1]
    return bare if re.fullmatch(r"[A-Za-z0-9_-]+", bare) else json.dumps(bare, ensure_ascii=False)
