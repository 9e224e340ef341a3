"""Take people out of what is shown: of a provider's words, and of the values in a sample.

It errs towards hiding. What is hidden reads `…`; how much was hidden does not show.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterable, Iterator
from datetime import date
from decimal import Decimal
from urllib.parse import quote

HIDDEN = "…"
MOST = 300  # characters of a provider's words that are kept
SHORTEST = 3  # characters; hiding anything shorter would eat the sentence around it
FEW = 4  # words; a value of more is prose, and its single words name nobody

_WORD = re.compile(r"[^\s\"<>(),;:{}\[\]=&|]+")
_DIGITS = re.compile(r"\d(?:[\s().\-/]{0,2}\d){6,}")  # a telephone number, a birth date with its time, an account
_TOKEN = re.compile(r"[A-Za-z0-9+/_=\-]{20,}")  # a key, a hash, anything in base64
_JOINTS = re.compile(r"[+/_=\-]+|(?<=[a-z])(?=[A-Z])")


def text(words: str, values: Iterable[object] = ()) -> str:
    """A provider's words without people, on one line, of at most 300 characters.

    Hidden are e-mail addresses, runs of 7 digits and more, tokens of 20 characters and more that are not made of words,
    and wherever they stand, in any case, `values`: a member's own, with their parts. Of these, what has less than
    3 characters stays.
    """
    line = _line(words)
    known = {form for value in values for form in _forms(value)}
    hidden = [*_people(line), *_found(line, known)]
    shown = _cut(_without(line, hidden))
    # A cut or a mark could make up a value that holds the mark itself.
    folded = shown.casefold()
    return HIDDEN if any(form in folded for form in known) else shown


def value(v: object) -> str:
    """How a value reads in a masked sample.

    An address `j…@e….com`, other text `A…`, NULL and booleans as they are. A number keeps two digits and the rest is
    rounded (`9.5`, `42`, `~1200`): scores and amounts stay useful, a telephone number is lost. Of a date the year is
    left: the day might be a birthday. Lists and dicts tell their length only.
    """
    match v:
        case None:
            return "NULL"
        case bool():
            return str(v).lower()
        case int() | float() | Decimal():
            return _number(v)
        case date():
            return f"{v.year:04}-{HIDDEN}"
        case str():
            return _string(v)
        case list() | tuple() | dict():
            return f"[{HIDDEN}{len(v)}]"
    return HIDDEN


def _line(words: str) -> str:
    """One line of printable characters, each in its composed form: what a terminal may be given."""
    composed = unicodedata.normalize("NFC", words)
    return " ".join("".join(letter if letter.isprintable() else " " for letter in composed).split())


def _forms(v: object) -> Iterator[str]:
    """The ways a value may stand in a provider's words, folded: itself, its parts, as JSON and in a URL."""
    if isinstance(v, list | tuple | dict):
        for inner in v.values() if isinstance(v, dict) else v:
            yield from _forms(inner)
    elif v is not None and not isinstance(v, bool):
        whole = _line(str(v))
        for part in (str(v), whole, *_parts(whole)):
            for form in (part, _quoted(part, ""), _quoted(part, "/"), json.dumps(part)[1:-1]):
                if len(form.strip()) >= SHORTEST:
                    yield form.casefold()


def _quoted(part: str, safe: str) -> str:
    return quote(part, safe=safe, errors="replace")


def _parts(whole: str) -> list[str]:
    """The names of a name, the mailbox of an address."""
    words = whole.split()
    return [whole.rpartition("@")[0], *(words if len(words) <= FEW else ())]


def _people(line: str) -> Iterator[tuple[int, int]]:
    """Where, from and to, a line holds what looks like a person or a secret, whoever it is."""
    for found in _WORD.finditer(line):
        if "@" in found[0] or "%40" in found[0]:
            yield found.span()
    for found in _DIGITS.finditer(line):
        yield found.span()
    for found in _TOKEN.finditer(line):
        if not _reads(found[0]):
            yield found.span()


def _reads(token: str) -> bool:
    """Whether a token is made of words, as `contact_already_exists` and `contactAlreadyExists` are."""
    return all(1 < len(part) < 20 and part.isalpha() for part in _JOINTS.split(token) if part)


def _found(line: str, known: Iterable[str]) -> Iterator[tuple[int, int]]:
    """Where, from and to, a line holds one of these folded values."""
    places = [at for at, letter in enumerate(line) for _ in letter.casefold()]
    folded = line.casefold()
    for form in known:
        at = folded.find(form)
        while at >= 0:
            yield places[at], places[at + len(form) - 1] + 1
            at = folded.find(form, at + 1)


def _without(line: str, spans: Iterable[tuple[int, int]]) -> str:
    """The line with these spans hidden; what touches is hidden as one."""
    parts: list[str] = []
    end = 0
    for start, stop in sorted(spans):
        if start > end or not parts:
            parts.append(line[end:start])
        end = max(end, stop)
    return HIDDEN.join([*parts, line[end:]])


def _cut(line: str) -> str:
    return line if len(line) <= MOST else line[: MOST - 1] + HIDDEN


def _string(v: str) -> str:
    mailbox, _, domain = v.strip().rpartition("@")
    if not (mailbox and domain):
        return _first(v)
    _, dot, ending = domain.rpartition(".")
    return f"{_first(mailbox)}@{_first(domain)}" + (f".{ending}" if dot and ending.isalnum() else "")


def _first(v: str) -> str:
    """The first character, where it is a letter or a digit and not all there is."""
    return (v[0] if len(v) > 1 and v[0].isalnum() else "") + HIDDEN


def _number(v: int | float | Decimal) -> str:
    try:
        rounded = float(f"{v:.2g}")
    except OverflowError:  # an integer beyond every float
        return HIDDEN
    return f"{rounded:.10g}" if rounded == v else f"~{rounded:.10g}"
