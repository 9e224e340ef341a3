"""What leaves through the log, and how it reads."""

from __future__ import annotations

import io
import json
import logging
import warnings
from datetime import datetime

import pytest
import structlog

from audiences import log
from audiences.errors import DeliveryError


@pytest.fixture(autouse=True)
def as_before():
    """Logging is one for the whole process: each test gives it back as it found it."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level

    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(False)
    structlog.reset_defaults()
    for name in log.TALKATIVE:
        logging.getLogger(name).setLevel(logging.NOTSET)


@pytest.fixture
def out():
    return io.StringIO()


def events(out: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in out.getvalue().splitlines()]


def test_a_container_gets_one_json_object_a_line(out):
    """
    Each event is one line of JSON with its name, its level, UTC time, and what was bound around it.
    """
    log.configure(terminal=False, level="info", out=out)

    with structlog.contextvars.bound_contextvars(run="r1", audience="detractors", sync="detractors.webhook"):
        structlog.get_logger().info("batch.sent", accepted=498)
    structlog.get_logger().info("run.ended")

    first, second = events(out)
    assert datetime.fromisoformat(str(first.pop("timestamp"))).utcoffset().total_seconds() == 0
    assert first == {
        "event": "batch.sent",
        "level": "info",
        "accepted": 498,
        "run": "r1",
        "audience": "detractors",
        "sync": "detractors.webhook",
    }
    assert "run" not in second


def test_a_person_gets_words(out, monkeypatch):
    """
    At a terminal the same event is a line to read; NO_COLOR takes the colours out.
    """
    monkeypatch.setenv("NO_COLOR", "1")
    log.configure(terminal=True, level="info", out=out)

    structlog.get_logger().info("batch.sent", accepted=498)
    plain = out.getvalue()
    monkeypatch.delenv("NO_COLOR")
    log.configure(terminal=True, level="info", out=out)
    structlog.get_logger().info("batch.sent", accepted=498)

    assert "batch.sent" in plain
    assert "accepted=498" in plain
    assert "\x1b[" not in plain
    assert "\x1b[" in out.getvalue()


@pytest.mark.parametrize(("level", "shown"), [("debug", "diwe"), ("info", "iwe"), ("warning", "we"), ("error", "e")])
def test_what_is_below_the_level_is_not_told(out, level, shown):
    """
    The level asked for is the lowest that is told.
    """
    log.configure(terminal=False, level=level, out=out)
    logger = structlog.get_logger()

    for name in ("debug", "info", "warning", "error"):
        getattr(logger, name)(name[0])

    assert "".join(str(event["event"]) for event in events(out)) == shown


def test_unasked_a_terminal_is_quieter_than_a_container():
    """
    At a terminal the command prints what happens; in a container the log is all there is.
    """
    assert (log.default_level(terminal=True), log.default_level(terminal=False)) == ("warning", "info")


def test_libraries_warn_in_the_same_form_and_tell_no_more(out):
    """
    A library's warning is an event like ours, people masked; below warning, even at debug, it tells nothing. The
    HTTP client tells nothing even where someone opens the root.
    """
    log.configure(terminal=False, level="debug", out=out)

    for name in ("httpx", "httpcore.http11", "sqlalchemy.engine"):
        logging.getLogger(name).info("GET https://api.example.com/list-token")
    logging.getLogger().setLevel(logging.DEBUG)
    for name in ("httpx", "httpcore.http11"):
        logging.getLogger(name).info("GET https://api.example.com/list-token")
    logging.getLogger("driver").warning("no column for %s", "0660 1234567")
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn("old news", stacklevel=1)

    driver, python = events(out)
    assert (driver["event"], driver["level"]) == ("no column for …", "warning")
    assert "old news" in str(python["event"])


def test_a_quiet_level_quiets_libraries_too(out):
    """
    Who asks for errors alone gets no library's warning.
    """
    log.configure(terminal=False, level="error", out=out)

    logging.getLogger("driver").warning("slow")

    assert out.getvalue() == ""


def test_the_last_set_up_holds(out):
    """
    Setting up twice tells nothing twice.
    """
    log.configure(terminal=False, level="info", out=out)
    log.configure(terminal=False, level="info", out=out)

    logging.getLogger("driver").warning("slow")
    structlog.get_logger().info("run.ended")

    assert [event["event"] for event in events(out)] == ["slow", "run.ended"]


def test_an_error_for_the_user_is_its_words(out):
    """
    An AudienceError is told as its class, what happened and what to do, without a trace.
    """
    log.configure(terminal=False, level="info", out=out)

    try:
        raise DeliveryError("the host is down", do="wait")
    except DeliveryError as error:
        structlog.get_logger().error("sync.failed", exc_info=error)

    assert events(out)[0]["exception"] == "DeliveryError: the host is down\n  do: wait"


@pytest.mark.parametrize("terminal", [True, False])
@pytest.mark.parametrize("logger", [structlog.get_logger(), logging.getLogger("driver")])
def test_a_defect_is_told_by_class_and_place(out, terminal, logger):
    """
    An exception that nobody foresaw is told with its causes and where they arose; its words and the variables around
    it may hold a person, and are not told.
    """
    log.configure(terminal=terminal, level="info", out=out)
    person = "0660 1234567"

    try:
        try:
            raise KeyError(person)
        except KeyError as cause:
            raise ValueError(f"cannot read {person}") from cause
    except ValueError:
        logger.exception("sync.failed")

    told = out.getvalue()
    assert "ValueError" in told
    assert "KeyError" in told
    assert "test_log.py:" in told
    assert person not in told
    assert "person" not in told


def test_a_chain_that_leads_in_a_circle_ends(out):
    """
    An exception that is its own cause is told once; a hidden cause is not told.
    """
    log.configure(terminal=False, level="info", out=out)

    try:
        try:
            raise KeyError
        except KeyError:
            raise ValueError from None
    except ValueError as error:
        structlog.get_logger().error("first", exc_info=error)
        error.__cause__ = error
        structlog.get_logger().error("second", exc_info=error)

    assert [str(event["exception"]).count("Error\n") for event in events(out)] == [1, 1]


@pytest.mark.parametrize("terminal", [True, False])
def test_an_object_is_told_by_its_type(out, terminal):
    """
    What is no plain value is not written out: a member in an event by mistake stays unread.
    """
    log.configure(terminal=terminal, level="info", out=out)

    structlog.get_logger().info("batch.sent", member={"email": "ada@example.com"}, rejected=None)

    assert "<dict>" in out.getvalue()
    assert "ada" not in out.getvalue()
