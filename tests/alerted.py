"""A worker that looks and tells, by a clock that is driven, and the far ends of what it tells by."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import contextmanager
from datetime import timedelta

import httpx

import canary
from audiences import runs
from audiences.alerts.judge import Bounds, Sight, sight
from audiences.alerts.post import Form, Hook, Post, Slack
from audiences.alerts.watch import Watch
from audiences.errors import AudienceError, DeliveryError
from audiences.schedule import timetable
from scheduled import ENOUGH, Scheduled
from states import rows

DOWN = DeliveryError("crm.example.com cannot be reached (ConnectError); nothing was sent", do="check the host")


class Channel:
    """Whoever takes messages: what came, with nothing private in it; answer: called before each, may raise."""

    def __init__(self):
        self.messages: list[str] = []
        self.answer: Callable[[], httpx.Response | None] = lambda: None

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if answer := self.answer():
            return answer
        told = json.loads(request.content)
        self.messages.append(told["text"] if "text" in told else f"{told['data']['subject']} {told['data']['state']}")
        canary.saw(request.content)
        return httpx.Response(200, text="ok")

    @property
    def titles(self) -> list[str]:
        """The titles of all that was told, in order."""
        lines = [line for message in self.messages for line in message.splitlines()]
        return [line.strip("*") for line in lines if line.startswith("*")]


class Office(Scheduled):
    """A world whose runs are written down at moments of the driven clock, and where several workers look.

    orphans: what somebody who looked for orphans has found
    """

    def __init__(self, folder, clock, **lines):
        super().__init__(folder, clock, **lines)
        self.slack, self.hook, self.seconds, self.orphans = Channel(), Channel(), 0.0, None

    @contextmanager
    def looks(self):
        """A worker of its own, which looks once each time that it is called, and has told when it returns."""
        with self.turns() as turns:
            self.began(turns)
            ways = [
                posting("slack", "https://hooks.example.com/1", Slack(), self.slack),
                posting("webhook", "https://in.example.com/", Hook(), self.hook),
            ]
            yield Looks(self, turns, Watch(turns.state, ways, lambda: self.sight(turns), lambda: self.seconds))

    def sight(self, turns) -> Sight:
        since = timetable.since(turns.state)
        return sight(turns.state, self.found, Bounds(0.05, 3600), self.clock(), since, self.orphans)


class Looks:
    """One worker: its runs, and its looks."""

    def __init__(self, office: Office, turns, watch: Watch):
        self.office, self.turns, self.watch = office, turns, watch

    def __call__(self) -> list[str]:
        """What Slack has been told so far, once this look is over."""
        self.watch.once()
        self.watch.wait(ENOUGH)
        return self.office.slack.titles

    def ran(
        self,
        result: str,
        error: AudienceError | None = None,
        sync: str = "team.webhook",
        minutes: int = 1,
        **found: int,
    ) -> None:
        """Let a run of a sync have ended some minutes later, and the audience be served."""
        state, clock = self.turns.state, self.office.clock
        run = runs.begin(state, sync, "f")
        runs.end(state, run, result, None, error, **found)
        started, ended = clock().timestamp(), (clock() + timedelta(minutes=minutes)).timestamp()
        rows(state.url, f"update run set started = {started}, ended = {ended} where id = '{run}'")
        timetable.serve(state, sync.partition(".")[0], clock())
        clock.pass_(minutes=minutes)


class Passing:
    """Seconds that pass where someone waits."""

    def __init__(self):
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds


def posting(name: str, url: str, form: Form, end: Callable[[httpx.Request], httpx.Response]) -> Post:
    """A way to tell, with its whole transport stack and this far end."""
    time = Passing()
    return Post(name, f"AUDIENCES_ALERT_{name.upper()}", url, form, httpx.MockTransport(end), time.sleep, time)
