"""What there is to tell, by runs, schedules and files: the same for every worker that looks."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from audiences import cron, runs
from audiences.alerts.alert import Alert, clock
from audiences.audience import Audience, Sync
from audiences.project import Project, awake
from audiences.runs import Recent, Run
from audiences.state import State

Key = tuple[str, str]  # subject and concern of an alert


@dataclass(frozen=True, slots=True)
class Sight:
    """What one look has seen.

    alerts:  how each thing stands, where that is known; what is not in it stays as it was told
    watched: the syncs that are not paused; broken: the audiences whose files cannot be read
    orphans: whether they were looked for
    changed: seconds since 1970, when the files last changed; at: … when this was seen
    """

    alerts: Mapping[Key, Alert]
    watched: Collection[str]
    broken: Collection[str]
    orphans: bool
    changed: float
    at: float

    def over(self, subject: str, concern: str) -> Alert | None:
        """What to say of something that was told once and that `alerts` does not have; None where nobody can tell."""
        audience = subject.partition(".")[0]
        if concern == "file":
            return _calm(subject, concern, "well", "its file can be read again, or is gone", self.changed)
        if concern == "orphan" and self.orphans:
            return _calm(subject, concern, "over", "a file defines it again, or it is forgotten", self.changed)
        if concern in ("run", "refused", "unnamed") and audience not in self.broken and subject not in self.watched:
            return _calm(subject, concern, "over", "it is paused, or no file defines it any more", self.at)
        return None


@dataclass(frozen=True, slots=True)
class Bounds:
    """refused: the share of members, 0.0 to 1.0, above which refusals are told; late: seconds that a run may be late"""

    refused: float
    late: float


def sight(
    state: State,
    project: Project,
    bounds: Bounds,
    now: datetime,
    since: Mapping[str, float],
    orphans: Mapping[str, str] | None,
) -> Sight:
    """Look at everything.

    since:   audience -> seconds since 1970, from when on moments of its line count; none: lateness is not judged
    orphans: sync -> what is to be said of it; None: nobody has looked
    """
    pairs = [
        (audience, binding.sync)
        for audience in project.audiences
        for binding in awake(audience, [project.bindings[sync.name] for sync in audience.syncs])
    ]
    changed = _changed(project)
    found = [_broken(name, error.what, error.do, changed) for name, error in project.broken.items()]
    found += [_orphan(name, what, changed) for name, what in (orphans or {}).items()]
    recent = runs.recent(state, [sync.name for _, sync in pairs])
    for audience, sync in pairs:
        found += _of(audience, sync, recent[sync.name], bounds, now.timestamp(), since.get(audience.name))
    alerts = {(each.subject, each.concern): each for each in found}
    watched = {sync.name for _, sync in pairs}
    return Sight(alerts, watched, project.broken.keys(), orphans is not None, changed, now.timestamp())


def _of(
    audience: Audience, sync: Sync, recent: Recent, bounds: Bounds, now: float, since: float | None
) -> Iterator[Alert]:
    """How a sync stands: by its newest run that went well or badly; late only where none went badly."""
    decided = recent.decided
    if decided and not decided.good:
        do = decided.remedy or f"look: audiences run {decided.id}"
        yield _said(audience, sync, "run", str(decided.result), decided.note or "", do, decided.ended or 0.0)
    elif since is not None and (due := _due(audience, recent, since)) + bounds.late <= now:
        yield _late(audience, sync, recent.good, due, bounds.late)
    elif decided:
        what = f"its run of {clock(decided.started)} ended well: {decided.result}"
        yield _said(audience, sync, "run", "well", what, "", decided.ended or 0.0)
    if recent.good:
        yield _refused(audience, sync, recent.good, bounds.refused)
    if recent.good and recent.good.delivered >= max(1, audience.guard.floor):
        yield _unnamed(audience, sync, recent.good, bounds.refused)


def _due(audience: Audience, recent: Recent, since: float) -> float:
    """When the run was due that was to be the next good one, as far as moments of the line count for it.

    What began after the last good run, and did not end well, was due when it began at the latest: a sync that slept for
    long, and was then woken, is not late for that. What came due during the last good run was due at its end.
    """
    began, ended = (recent.good.started, recent.good.ended or 0.0) if recent.good else (0.0, 0.0)
    if recent.since is not None:
        return max(recent.since, _after(audience, began))
    return max(ended, _after(audience, max(began, since)))


def _after(audience: Audience, moment: float) -> float:
    return cron.after(audience.schedule, audience.timezone, datetime.fromtimestamp(moment, UTC)).timestamp()


def _late(audience: Audience, sync: Sync, good: Run | None, due: float, late: float) -> Alert:
    last = f"since {clock(good.started)}" if good else "yet"
    what = f"no run has ended well {last}; one was due at {clock(due)}"
    do = f"look: audiences history {sync.name}, audiences status {sync.name}"
    return _said(audience, sync, "run", "late", what, do, due + late)


def _refused(audience: Audience, sync: Sync, run: Run, most: float) -> Alert:
    """Whether refusals are too many. Lists below the guard's floor are not judged by shares."""
    everyone = run.size + run.refused
    share = run.refused / everyone if everyone else 0.0
    state = "refused" if share > most and everyone >= audience.guard.floor else "well"
    what = f"{run.refused:,} refused beside {run.size:,} listed ({share:.0%}); told above {most:.0%}"
    do = f"look: audiences refused {sync.name}" if state == "refused" else ""
    return _said(audience, sync, "refused", state, what, do, run.ended or 0.0)


def _unnamed(audience: Audience, sync: Sync, run: Run, most: float) -> Alert:
    """Whether too many of what a run delivered were refused unnamed. A run that delivers little says nothing of it."""
    share = run.unnamed / run.delivered
    what = (
        f"{run.unnamed:,} of {run.delivered:,} changes refused without saying whom ({share:.0%}); told above {most:.0%}"
    )
    do = f"look at the values that are sent: audiences plan {sync.name} --sample 3; audiences run {run.id}"
    raised = share > most
    return _said(
        audience, sync, "unnamed", "unnamed" if raised else "well", what, do if raised else "", run.ended or 0.0
    )


def _said(audience: Audience, sync: Sync, concern: str, state: str, what: str, do: str, at: float) -> Alert:
    return Alert(sync.name, concern, state, what, do, audience.about, audience.owner, at)


def _broken(audience: str, what: str, do: str, at: float) -> Alert:
    return Alert(audience, "file", "broken", what, do, "", "", at)


def _orphan(sync: str, words: str, at: float) -> Alert:
    what, _, do = words.partition("\n  do: ")
    return Alert(sync, "orphan", "orphan", what, do, "", "", at)


def _calm(subject: str, concern: str, state: str, what: str, at: float) -> Alert:
    return Alert(subject, concern, state, what, "", "", "", at)


def _changed(project: Project) -> float:
    """When the files last changed: of two workers with different files, the newer ones hold."""
    folders = [project.folder / name for name in ("audiences", "connectors")]
    files = [path for folder in folders for path in (folder, *folder.glob("*"))]
    return max((path.stat().st_mtime for path in files if path.exists()), default=0.0)
