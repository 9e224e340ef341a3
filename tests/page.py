"""docs/connectors.md: what each connector that ships is and was held against, from the connectors and the tests.

    make page

A docstring tells the rest: its first line what a list is there, the sentences with "removal" or "removing" what becomes
of who leaves, and those with "not documented" or "not confirmed" what nobody should build on.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

import captured
from audiences import Connector, connectors, normal
from audiences.cli.connectors import row, verbs
from specified import NAMED
from test_every_host import HOSTS
from test_every_pace import SLOWER

HOUSE = Path(__file__).parent.parent
PAGE = HOUSE / "docs" / "connectors.md"
SHIPPED = connectors.shipped("connectors")
HEADINGS = ("connector", "category", "a list is", "members go by", "verbs", "pace", "reads back", "held against", "SDK")
OPENING = """\
# Connectors

Written by `make page`, from the connectors and what the tests hold them to. None was run against a live account.
"Held against" is a connector's `proof`: [writing a connector](writing-a-connector.md#proof) says what each means; a
sync to one that is `experimental` has to ask for it. "SDK" is the vendor's own for Python, which sends the same
requests, but for the exemptions below. `audiences connectors NAME` prints a connector's manual.
"""
EXCUSED = """\
## Exemptions

What a connector or its sandbox is excused from, and why. A test fails where an excuse is not needed any more.
"""
SENTENCE = re.compile(r"(?<=[.?!])\s+(?=[A-Z`\"(])")
REMOVAL = re.compile(r"\b(removal|removing)\b", re.IGNORECASE)
OPEN = re.compile(r"\bnot (documented|confirmed)\b", re.IGNORECASE)


@cache
def text() -> str:
    """The page, as it has to be today; written once a process."""
    found = {name: connectors.find(name, [SHIPPED]) for name in connectors.names([SHIPPED])}
    parts = [OPENING, table(HEADINGS, [_line(*each) for each in found.items()])]
    parts += map(_section, found)
    return "\n".join([*parts, EXCUSED, table(("connector", "excused from", "because"), list(excuses()))])


def said(name: str) -> list[str]:
    """The sentences of a connector's docstring; samples and sources left out."""
    words = ast.get_docstring(ast.parse((SHIPPED / f"{name}.py").read_text("utf-8"))) or ""
    lines = [line for line in words.partition("\nhttps://")[0].splitlines() if not line.startswith("    ")]
    return [" ".join(each.split()) for part in "\n".join(lines).split("\n\n") for each in SENTENCE.split(part)]


def removal(name: str) -> list[str]:
    """What becomes of who leaves."""
    return [each for each in said(name) if REMOVAL.search(each) and not OPEN.search(each)]


def unconfirmed(name: str) -> list[str]:
    """What no source tells."""
    return [each for each in said(name) if OPEN.search(each)]


def excuses() -> Iterator[tuple[str, str, str]]:
    """(connector, what it is excused from, why), as the tests hold them."""
    for name in connectors.names([SHIPPED]):
        for complaint, reason in NAMED.get(name, {}).get("unlike", {}).items():
            yield f"`{name}`", f"being as the specification says: `{complaint}`", reason
        for call, reason in NAMED.get(name, {}).get("beyond", {}).items():
            yield f"`{name}`", f"being in the specification: `{call}`", reason
        for complaint, reason in captured.NAMED[name].get("unlike", {}).items():
            yield f"`{name}`", f"being like its SDK: `{complaint}`", reason
        for call, reason in captured.NAMED[name].get("beyond", {}).items():
            yield f"`{name}`", f"being like its SDK: `{call}`", reason
    for name, reason in SLOWER.items():
        yield f"`{name}`", "95 % of the documented rate", reason


def rules(name: str) -> Iterator[str]:
    """Each field that an ads platform knows someone by, with the rule for it, once."""
    named = {id(rule): rule_name for rule_name, rule in vars(normal).items() if isinstance(rule, normal.Rule)}
    for kind in getattr(connectors.find(name, [SHIPPED]), "kinds", {}).values():
        for field, rule in zip(kind.fields, kind.rules, strict=True):
            yield f"`{field}` by [`{named[id(rule)]}`](identifiers.md#the-rules)"


def table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table of Markdown."""
    lines = [headings, ["---"] * len(headings), *rows]
    return "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |\n" for line in lines)


def _line(name: str, cls: type[Connector]) -> tuple[str, ...]:
    _, category, idents, _, pace, proof, _ = row(name, cls, HOUSE)
    lists = re.sub(r"^[^:]+: (a list is )?", "", said(name)[0].partition(";")[0]).rstrip(".")
    reads = "yes" if "members" in verbs(cls) else "no"
    able = ", ".join(verb for verb in verbs(cls) if verb != "members")
    return f"[`{name}`](#{name})", category, lists, idents, able, pace, reads, str(proof), _sdk(name)


def _sdk(name: str) -> str:
    """The vendor's own SDK and its version, or why there is none."""
    if why := captured.NAMED[name].get("none"):
        return why
    held = captured.of(name)
    return f"`{held['sdk']}` {held['version']}" + (", in part" if captured.NAMED[name].get("beyond") else "")


def _section(name: str) -> str:
    held, part = NAMED.get(name, {}).get("files", ()), ", in part" if "beyond" in NAMED.get(name, {}) else ""
    facts = {
        "identifiers": ", ".join(rules(name)),
        "removal": " ".join(removal(name)),
        "unconfirmed": " ".join(unconfirmed(name)),
        "hosts, as tested": ", ".join(sorted(HOSTS.get(name, ()))),
        "specification": "; ".join(
            f"`{each['file']}`, {each['version'] or 'no version'} ({each['sha256'][:12]}){part}" for each in held
        ),
    }
    told = [(fact, words) for fact, words in facts.items() if words]
    return "\n".join([f"## `{name}`\n", f"{said(name)[0]}\n", *([table(("", ""), told)] if told else [])])


if __name__ == "__main__":
    PAGE.write_text(text(), "utf-8")
