"""Sees what every test lets out, log lines, errors and printed words, and finds the people and secrets among them; and
the people in what ads platforms are told.

The taps sit on the libraries at the edge (logging, structlog, click, subprocess, pytest): the code under test is as
it ships. Test data makes itself known: an address is an address, a name is one of NAMES, a secret reads as SECRET says.
"""

from __future__ import annotations

import functools
import logging
import re
import subprocess
from collections.abc import Callable, Iterator
from typing import Any

import click.testing
import httpx
import pytest
import structlog

ADDRESS = r"[\w.+'-]{1,64}(?:@|%40)[\w-]+(?:\.[\w-]+)*"  # bounded: a megabyte without an @ is read in one go
NAMES = r"\b(?:Ada|Grace|Zoë)\b"
SECRET = r"not-a-real-[\w-]+|whsec_[\w+/=]{8,}"
PRIVATE = re.compile(f"{ADDRESS}|{NAMES}|{SECRET}")

# The owner of an audience, a team, is shown on purpose: someone must be told.
TEAMS = ("crm", "cx", "growth", "marketing", "owner", "product", "sales", "success", "tests")
OWNERS = frozenset(f"{team}@example.com" for team in TEAMS)

seen: list[str] = []


def saw(words: object) -> None:
    """Remember what was let out."""
    seen.append(words.decode(errors="replace") if isinstance(words, bytes) else str(words))


def overheard(platform: type) -> None:
    """Find addresses in every call to the sandbox of a platform that may be told no more than their hashes."""
    tap(platform, "__call__", lambda answer, sandbox, request: saw_in(request))


def saw_in(request: httpx.Request) -> None:
    """Remember the addresses in a call."""
    told = f"{request.url} {request.headers} {request.content.decode(errors='replace')}"
    if "@" in told or "%40" in told:  # to read a full batch for what is not there takes longer than to send it
        seen.extend(re.findall(ADDRESS, told))


def leaks() -> list[str]:
    """What should not be among the words seen since the last call."""
    found = [match for words in seen for match in PRIVATE.findall(words) if match not in OWNERS]
    seen.clear()
    return found


def chain(error: BaseException | None) -> Iterator[BaseException]:
    """An error and all that a traceback would print with it."""
    while error is not None:
        yield error
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


class Lines(logging.Handler):
    """Takes what goes through the standard library's logging, exceptions included."""

    def emit(self, record: logging.LogRecord) -> None:
        saw(logging.Formatter().format(record))


def tap(owner: type, name: str, take: Callable[..., None]) -> None:
    """Let `take(result, self, …)` see each call of a method, and change nothing."""
    method = getattr(owner, name)

    @functools.wraps(method)
    def tapped(*args: Any, **kwargs: Any) -> Any:
        result = method(*args, **kwargs)
        take(result, *args)
        return result

    setattr(owner, name, tapped)


def _errors(error: BaseException | None) -> None:
    for each in chain(error):
        saw(f"{each!r} {each} {getattr(each, '__notes__', '')}")


def _printed(result: click.testing.Result) -> None:
    saw(result.output)
    _errors(result.exception)


def watch() -> None:
    """Put every tap in place, once a session."""
    logging.getLogger().addHandler(Lines())
    tap(structlog.BoundLoggerBase, "_process_event", lambda rendered, *_: saw(rendered))
    tap(pytest.RaisesExc, "__exit__", lambda _, self, kind, error, trace: _errors(error))
    tap(pytest.CaptureFixture, "readouterr", lambda result, _: saw(f"{result.out}{result.err}"))
    tap(click.testing.CliRunner, "invoke", lambda result, *_: _printed(result))
    tap(subprocess.Popen, "communicate", lambda result, *_: [saw(words) for words in result if words])
