"""Where log events go: stderr, as JSON lines in a container and as words at a terminal.

Events carry what was bound around them (run, audience, sync). What leaves here holds no local variable, no member and
no third party's exception in its own words.
"""

from __future__ import annotations

import logging
import os
import traceback
from collections.abc import Iterator, MutableMapping
from typing import Any, TextIO

import structlog
from structlog.typing import ExcInfo, Processor

from audiences import mask
from audiences.errors import AudienceError

TALKATIVE = ("httpx", "httpcore")  # they log whole addresses, and an address may hold a token

Event = MutableMapping[str, Any]


def default_level(terminal: bool) -> str:
    """The level that holds unasked: warnings at a terminal, where the command itself prints what happens."""
    return "warning" if terminal else "info"


def configure(terminal: bool, level: str, out: TextIO) -> None:
    """Send events of at least this level (debug, info, warning, error) to `out`, and the warnings of all libraries.

    Safe to call again: the last call holds. A library's own levels below warning stay off, whatever is asked: at them
    database drivers tell statements with their values, and HTTP clients tell addresses.
    """
    before = _before()
    show = _renderer(terminal)
    structlog.configure(
        processors=[*before, *show],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(out),
    )
    handler = logging.StreamHandler(out)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[_masked, *before],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *show],
        )
    )
    _listen(handler, max(logging.WARNING, getattr(logging, level.upper())))


def _listen(handler: logging.Handler, level: int) -> None:
    """Make this the one handler of ours at the root of the standard library's logging."""
    root = logging.getLogger()
    for ours in [each for each in root.handlers if isinstance(each.formatter, structlog.stdlib.ProcessorFormatter)]:
        root.removeHandler(ours)
    root.addHandler(handler)
    root.setLevel(level)
    logging.captureWarnings(True)
    for name in TALKATIVE:
        logging.getLogger(name).setLevel(logging.WARNING)


def _before() -> list[Processor]:
    return [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _plain,
        structlog.processors.ExceptionRenderer(told),
    ]


def _renderer(terminal: bool) -> list[Processor]:
    if terminal:
        return [structlog.dev.ConsoleRenderer(colors="NO_COLOR" not in os.environ, sort_keys=False)]
    return [structlog.processors.JSONRenderer()]


def _plain(_logger: object, _method: str, event: Event) -> Event:
    """Show the type alone of what is no plain value: the words of an object may hold a member."""
    for name, value in event.items():
        if name not in ("exc_info", "stack_info", "_record") and not isinstance(value, str | int | float | None):
            event[name] = f"<{type(value).__name__}>"
    return event


def _masked(_logger: object, _method: str, event: Event) -> Event:
    """Take people out of a library's words, which may quote anything."""
    return {**event, "event": mask.text(str(event["event"]))}


def told(exc_info: ExcInfo) -> str:
    """An exception as the log tells it, cause by cause.

    An AudienceError is its class and its words. Anything else is a defect, and its words may quote a member: it is its
    class, and the places it came through.
    """
    return "\n".join(line for error in _chain(exc_info[1]) for line in _lines(error))


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()  # `raise e from e` leads in a circle
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def _lines(error: BaseException) -> Iterator[str]:
    if isinstance(error, AudienceError):
        yield f"{type(error).__name__}: {error}"
    else:
        yield type(error).__name__
        yield from (f"  {at.filename}:{at.lineno} in {at.name}" for at in traceback.extract_tb(error.__traceback__))
