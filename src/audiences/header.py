"""Cut an audience file in two, its header and its SQL, and check the header. Knows no SQL."""

from __future__ import annotations

import difflib
import json
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from audiences.errors import DefinitionError
from audiences.keys import FreshKeys, GuardKeys, Header, LimitsKeys, SyncKeys
from audiences.place import Place, meant

FORM = "start the file with `-- /// audience`, write TOML in line comments, and close it with `-- ///`"
MOST_LINES = 1000  # of a header: finding the line of a key reads a value once for each of its lines
_TABLES: Mapping[str, tuple[int, type[BaseModel]]] = {
    "sync": (3, SyncKeys),
    "guard": (2, GuardKeys),
    "fresh": (2, FreshKeys),
    "limits": (2, LimitsKeys),
}  # table -> how deep its keys stand, and which they are
_NOT_TABLES = {"dict_type", "model_type"}


@dataclass(frozen=True, slots=True)
class Cut:
    """A file in two.

    text:     the whole, with \\n for every line end
    tables:   the header's TOML, as read
    lines:    keys, from the outermost -> the line of the file where their value starts
    first:    the header's first line; sql_first: the line below its last
    """

    path: Path
    text: str
    tables: Mapping[str, object]
    lines: Mapping[tuple[str, ...], int]
    first: int
    sql: str
    sql_first: int

    def place(self, *keys: object) -> Place:
        """Where these keys stand, or the nearest table around them."""
        while keys and keys not in self.lines:
            keys = keys[:-1]
        return Place(self.path, self.lines.get(tuple(map(str, keys)), self.first))


def cut(path: Path) -> Cut:
    """Read `path`. Raises DefinitionError for what is no text, has no header, or no TOML in it."""
    text = _text(path)
    lines = text.split("\n")
    first = next((number for number, line in enumerate(lines) if line.strip()), 0)
    if not _marks(lines[first], "///", "audience"):
        raise DefinitionError(f"{Place(path, first + 1)} has no header", do=FORM)
    last = _close(Place(path, first + 1), lines[first + 1 :])
    toml = [line[2:].removeprefix(" ") for line in lines[first + 1 : first + last]]
    tables = _toml(Place(path, first + 2), toml)
    found = dict(_lines(toml, first + 2))
    return Cut(path, text, tables, found, first + 1, "\n".join(lines[first + last + 1 :]), first + last + 2)


def read(file: Cut) -> Header:
    """The header, checked. Raises DefinitionError for the first key that is wrong."""
    try:
        return Header.model_validate(file.tables)
    except ValidationError as error:
        faults = error.errors(include_url=False, include_input=False)
    # A misspelled key is unknown and also missing: the first says more.
    fault = min(faults, key=lambda fault: (fault["type"] == "missing", file.place(*fault["loc"]).line))
    depth, model = _TABLES.get(str(fault["loc"][0]), (1, Header))
    known = model if len(fault["loc"]) >= depth else Header
    if fault["type"] == "missing" and (written := _misspelt(file, fault["loc"], known.model_fields)):
        fault = {**fault, "type": "extra_forbidden", "loc": (*fault["loc"][:-1], written)}
    raise mistake(file, fault["loc"][:depth], fault, known.model_fields)


def _misspelt(file: Cut, keys: Sequence[object], known: Mapping[str, FieldInfo]) -> str:
    """The unknown key beside a missing one that is most like it; empty where none is. A sync's may be its options."""
    beside = [key[-1] for key in file.lines if key[:-1] == keys[:-1] and key[-1] not in known]
    return next(iter(difflib.get_close_matches(str(keys[-1]), beside, 1, cutoff=0.75)), "")


def mistake(file: Cut, keys: Sequence[object], fault: ErrorDetails, known: Mapping[str, FieldInfo]) -> DefinitionError:
    """What pydantic found at `keys`, in our words and never with the value, which may be a secret."""
    names = [str(key) for key in keys if key != "[key]"]
    place, whole, name = file.place(*keys), ".".join(names), names[-1]
    context = fault.get("ctx", {})
    match fault["type"]:
        case "missing":
            return DefinitionError(f"{place} lacks {whole}", do=_write(name, known))
        case "extra_forbidden":
            return DefinitionError(f"{place} has an unknown key: {whole}", do=meant(name, known))
        case "amiss":
            return DefinitionError(f"{place} {whole} {context['what']}", do=context["do"])
        case kind:
            what = (
                "must be a table"
                if kind in _NOT_TABLES
                else fault["msg"].replace("Input should", "must").removeprefix("Value error, ")
            )
            return DefinitionError(f"{place} {whole} {what}", do=_write(name, known))


def _write(name: str, known: Mapping[str, FieldInfo]) -> str:
    """How a key is written: by its example where it has one. TOML writes these values as JSON does."""
    field = known.get(name)
    if field and field.examples:
        return f"write {name} = {json.dumps(field.examples[0])}"
    if field and field.description:
        return f"write {field.description}"
    return "see how it is written: audiences schema"


def _text(path: Path) -> str:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise DefinitionError(f"{path} is not UTF-8 text", do="save it as UTF-8") from None
    except OSError as error:
        raise DefinitionError(
            f"{path} cannot be read: {error.strerror}", do="see that it is a file you may read"
        ) from None
    if "\0" in text:
        raise DefinitionError(f"{path} holds NUL characters", do="save it as UTF-8 text")
    return text


def _marks(line: str, *words: str) -> bool:
    return line.startswith("--") and line[2:].split() == list(words)


def _close(opened: Place, lines: Sequence[str]) -> int:
    """How many lines below the opening one the header closes."""
    for number, line in enumerate(lines[:MOST_LINES], 1):
        if _marks(line, "///"):
            return number
        if not line.startswith("--"):
            raise DefinitionError(f"{opened.below(number)} stands in the header and is no line comment", do=FORM)
    raise DefinitionError(f"{opened} opens a header that is not closed within {MOST_LINES} lines", do=FORM)


def _toml(first: Place, lines: Sequence[str]) -> dict[str, object]:
    try:
        return tomllib.loads("\n".join(lines))
    except ValueError as error:
        reason, _, position = str(error).partition(" (at ")
        at = re.match(r"line (\d+)", position)
        place = first.below(int(at[1]) - 1 if at else len(lines) - 1)
        raise DefinitionError(f"{place} is no TOML: {reason}", do="mend the TOML after the dashes") from None
    except RecursionError:
        raise DefinitionError(f"{first} is nested too deeply", do="write flat tables and lists") from None


def _lines(toml: Sequence[str], first: int) -> Iterator[tuple[tuple[str, ...], int]]:
    """Each key and the line where it starts: the fewest lines that are TOML by themselves are one statement."""
    table: tuple[str, ...] = ()
    start = 0
    for end in range(1, len(toml) + 1):
        try:
            found = tomllib.loads("\n".join(toml[start:end]))
        except tomllib.TOMLDecodeError:
            continue
        keys = list(_paths(found))
        if toml[start].lstrip().startswith("["):
            table = keys[-1]
            yield table, first + start
        else:
            yield from (((*table, *key), first + start) for key in keys)
        start = end


def _paths(tables: Mapping[str, object]) -> Iterator[tuple[str, ...]]:
    for key, value in tables.items():
        yield (key,)
        if isinstance(value, dict):
            yield from ((key, *rest) for rest in _paths(value))
