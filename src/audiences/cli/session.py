"""What most commands begin with: project, settings, warehouse and state database, each opened when asked for."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cached_property
from pathlib import Path

from sqlalchemy.engine import URL

from audiences import control, lease, log, project, settings, state
from audiences.audience import Audience
from audiences.cli import container, output
from audiences.control import Control, Fence
from audiences.errors import AudienceError, DefinitionError, LeaseLost
from audiences.place import meant
from audiences.project import Binding, Project
from audiences.settings import Settings
from audiences.state import State
from audiences.warehouse import Warehouse, dialect, made, sources
from audiences.warehouse.opened import opened

FIRST = (2, 1, 3, 5, 4, 10, 0)  # of several exit codes, the first that holds


@dataclass(frozen=True, slots=True)
class Chosen:
    """What a command was asked for.

    errors: of files that it was asked for too and that cannot be read
    spoilt: name of an audience that must not run -> why
    """

    audiences: Sequence[tuple[Audience, Sequence[Binding]]]
    errors: Sequence[DefinitionError]
    spoilt: Mapping[str, AudienceError] = field(default_factory=dict)

    def worst(self, codes: Sequence[int]) -> int:
        """The exit code of a command over several syncs."""
        found = {*codes, *(error.exit_code for error in self.errors)}
        return next((code for code in FIRST if code in found), 0)


@dataclass(frozen=True)
class Session:
    """A project's folder, as one command sees it."""

    folder: Path

    @cached_property
    def settings(self) -> Settings:
        """The worker's settings; from here on the log goes where they say."""
        found = settings.read(self.folder)
        terminal = sys.stderr.isatty()
        log.configure(terminal, found.log_level or log.default_level(terminal), sys.stderr)
        return found

    @cached_property
    def project(self) -> Project:
        """The definitions as the command has found them."""
        return self.read()

    @property
    def dialect(self) -> str:
        """What sqlglot calls the warehouse's SQL."""
        if not self.settings.warehouse_url:
            return "duckdb"
        url = settings.warehouse_url(self.settings, self.folder)
        return sources.of(url).dialect if self.settings.ledger_url else dialect(url)

    @property
    def one_lane(self) -> bool:
        """Whether our tables are in a file, which one connection writes at a time."""
        url = settings.warehouse_url(self.settings, self.folder)
        return bool(self.settings.ledger_url) or url.get_backend_name() in ("duckdb", "sqlite")

    def read(self) -> Project:
        """The definitions as they are now, read in the dialect of the warehouse's SQL."""
        return project.load(self.folder, self.dialect)

    def chosen(self, names: Sequence[str] = ()) -> Chosen:
        """The audiences and syncs that are meant, all where no name is given. What cannot be read is told on stderr."""
        errors = self._broken(names)
        sound = [name for name in names if not self._only_broken(name)]
        found = self.project.select(sound) if sound or not names else ()
        if not (found or errors):  # a job whose files were not mounted must not end as if all were well
            what = f"there is no .sql file in {self.folder / 'audiences'}"
            errors = [DefinitionError(what, do="write one, as the README shows, or name its folder: -C FOLDER")]
        for error in errors:
            output.complain(error)
        return Chosen([(each, [self.project.bindings[sync.name] for sync in each.syncs]) for each in found], errors)

    def _broken(self, names: Sequence[str]) -> Sequence[DefinitionError]:
        meant = [name.partition(".")[0] for name in names] or ["*"]
        broken = self.project.broken.items()
        return tuple(dict.fromkeys(error for file, error in broken if any(fnmatchcase(file, name) for name in meant)))

    def _only_broken(self, name: str) -> bool:
        """Whether a name means nothing but files that cannot be read. Raises DefinitionError where it means nothing."""
        try:
            self.project.select([name])
        except DefinitionError as error:
            if error in self.project.errors:
                return True
            raise
        return False

    def warehouse(self, makes: bool = False) -> Warehouse:
        """The warehouse, opened by its URL of this moment: a worker that stays meets passwords that are exchanged.

        makes: whether the ledger gets its file, where the warehouse is only read and there is none yet
        """
        now = settings.read(self.folder)
        url, kept = settings.warehouse_url(now, self.folder), settings.ledger_url(now, self.folder)
        if kept is None:
            return opened(url, self.settings.schema_name)
        if makes:
            made(kept)
        return Warehouse(kept, self.settings.schema_name, sources.of(url))

    def lasting(self) -> None:
        """Warn where the ledger or the state database is a file that goes with the container in which this runs."""
        kept = settings.ledger_url(self.settings, self.folder)
        if kept and (why := container.lost(Path(str(kept.database)).parent, container.ROOT, os.environ)):
            output.warn(
                f"the ledger {kept.database} {why}: the next container will take everybody for new, and never remove"
                " who has left by then",
                do="mount a volume there",
            )
        url = settings.state_url(self.settings, self.folder)
        if url.get_backend_name() != "sqlite":
            return
        if why := container.lost(Path(str(url.database)).parent, container.ROOT, os.environ):
            output.warn(
                f"the state database {url.database} {why}: the next container will know no run, no turn that was served"
                " and no exchanged token, and `serve --once` will find nothing due",
                do=f"mount a volume there{'' if kept else ', or let AUDIENCES_STATE_URL name a PostgreSQL database'}",
            )

    @contextmanager
    def state(self) -> Iterator[State]:
        """The state database, opened; made where there is none."""
        opened = State(settings.state_url(self.settings, self.folder), again=lambda: self._now(settings.state_url))
        try:
            yield opened
        finally:
            opened.close()

    def _now(self, url: Callable[[Settings, Path], URL]) -> URL:
        """A URL as the settings say it now."""
        return url(settings.read(self.folder), self.folder)

    @contextmanager
    def past(self) -> Iterator[State | None]:
        """The state database if there is one: to look never makes one, and migrates none."""
        url = settings.state_url(self.settings, self.folder)
        if not state.exists(url):
            yield None
            return
        with closing(State(url, looks=True)) as opened:
            yield opened

    def orphans(self, warehouse: Warehouse, project: Project | None = None) -> dict[str, int]:
        """Syncs that the warehouse remembers and no file defines -> how many members they list.

        project: the definitions, where they are not as the command has found them any more
        """
        project, known = project or self.project, control.syncs(warehouse)
        syncs = [sync for each in project.audiences for sync in each.syncs]
        # A sync that has run under its new name already follows no old one any more.
        defined = {sync.name for sync in syncs} | {sync.renamed_from for sync in syncs if sync.name not in known}
        return {
            name: listed(warehouse, table)
            for name, table in known.items()
            if name not in defined and name.partition(".")[0] not in project.broken
        }


def remembered(warehouse: Warehouse, sync: str) -> str:
    """The name that the tables of a sync have. Raises DefinitionError where the warehouse remembers none."""
    known = control.syncs(warehouse)
    if sync not in known:
        raise DefinitionError(f"the warehouse remembers no sync {sync!r}", do=meant(sync, known))
    return known[sync]


@contextmanager
def taken(warehouse: Warehouse, state: State, sync: str, table: str) -> Iterator[Fence]:
    """Keep workers off a sync, and the right to change its tables. Raises Deferred while a run is on."""
    control.adopt(warehouse, state)
    seen = control.read(warehouse, table) or Control()
    held = lease.take(state, sync, seen.epoch)
    try:
        with held.kept():
            yield control.take(warehouse, sync, table, seen.epoch, held.epoch, held.holder)
    finally:
        with suppress(LeaseLost):
            held.release()


def listed(warehouse: Warehouse, table: str) -> int:
    """How many members a sync lists."""
    return _count(warehouse, f"ledger_{table}", 'count(distinct "key")')


def refused(warehouse: Warehouse, table: str) -> int:
    """How many members of a sync are refused."""
    return _count(warehouse, f"refused_{table}", "count(*)")


def _count(warehouse: Warehouse, table: str, what: str) -> int:
    if not warehouse.columns(table):
        return 0
    [(found,)] = warehouse.run(f"select {what} from {warehouse.table(table)}")
    return int(found)


def orphan(name: str, size: int) -> str:
    """An orphan and the ways out, in words."""
    return (
        f"{name} lists {output.count(size, 'member')}, and no file defines it any more: its list is not kept in step\n"
        f'  do: bring its file back; or write renamed_from = "{name}" in the section that follows it;'
        f" or forget it, which removes nobody: audiences forget {name}"
    )
