"""What the commands tell by the ways that are set up: `serve` as long as it runs, others at their end."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import structlog

from audiences.alerts.digest import Digest
from audiences.alerts.judge import Bounds, Sight, sight
from audiences.alerts.told import Way
from audiences.alerts.watch import LAST, Watch
from audiences.alerts.ways import digest, ways
from audiences.audience import Sync
from audiences.cli.session import Session, listed, orphan
from audiences.errors import AudienceError
from audiences.project import Project
from audiences.schedule import timetable
from audiences.state import State

log = structlog.get_logger()


@dataclass
class Notices:
    """What a command has to tell. Raises DefinitionError where a way cannot be used as it is set.

    orphans: sync -> how many members it lists, as they were seen last; None: nobody has looked
    """

    session: Session
    orphans: Mapping[str, int] | None = None
    ways: Sequence[Way] = field(init=False)

    def __post_init__(self) -> None:
        self.ways = ways(self.session.settings)

    def watch(
        self,
        state: State,
        project: Callable[[], Project],
        since: Callable[[], Mapping[str, float]],
        scheduled: bool = True,
    ) -> Watch:
        """Looks at the syncs of a project; since: as `sight` wants it; scheduled: whether the digest is told, too."""
        settings = self.session.settings
        bounds = Bounds(settings.alert_refused, settings.alert_late + settings.jitter)

        def look() -> Sight:
            orphans = None if self.orphans is None else {name: orphan(name, n) for name, n in self.orphans.items()}
            return sight(state, project(), bounds, datetime.now(UTC), since(), orphans)

        return Watch(state, self.ways, look, digest=self._digest(state, project) if scheduled else None)

    def _digest(self, state: State, project: Callable[[], Project]) -> Callable[[], None] | None:
        settings = self.session.settings
        if not (line := digest(settings)):
            return None
        [slack] = [way for way in self.ways if way.name == "slack"]
        keeps = timedelta(settings.history_days)

        def syncs() -> Sequence[Sync]:
            return [sync for each in project().audiences for sync in each.syncs]

        return Digest(state, slack, line, keeps, syncs, self.session.warehouse, listed, lambda: datetime.now(UTC)).tell

    def tell(self, scheduled: bool = False) -> None:
        """Tell what has changed, and wait a little for it; what goes wrong is logged.

        scheduled: whether a run can be late, and a digest due
        """
        if not self.ways:
            return
        try:
            with self.session.state() as state:
                since = (lambda: timetable.since(state)) if scheduled else dict[str, float]
                watch = self.watch(state, lambda: self.session.project, since, scheduled)
                watch.once()
                watch.wait(LAST)
        except AudienceError as error:
            log.warning("alerts.failed", why=error.what, do=error.do)
