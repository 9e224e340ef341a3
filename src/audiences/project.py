"""A project's folder: every definition in it, bound to its connectors, and those that a command asks for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from audiences import connectors, definition, header
from audiences.audience import Audience, Sync
from audiences.connector import Connector, Proof
from audiences.errors import DefinitionError
from audiences.identity import Form
from audiences.keys import SyncKeys
from audiences.place import Place, meant


@dataclass(frozen=True, slots=True)
class Binding:
    """A sync and what delivers it: its connector, that connector's `Options`, and what identifies a member."""

    sync: Sync
    connector: type[Connector]
    options: Any
    identity: Mapping[str, Form]


@dataclass(frozen=True, slots=True)
class Project:
    """What a folder defines.

    audiences: those that can be read, by name; bindings: sync name -> what delivers it, for each of their syncs
    broken:    names of the others -> why; they are no orphans, for their files are there
    """

    folder: Path
    audiences: tuple[Audience, ...]
    bindings: Mapping[str, Binding]
    broken: Mapping[str, DefinitionError]

    @property
    def errors(self) -> tuple[DefinitionError, ...]:
        """Each mistake once, also where it breaks two audiences."""
        return tuple(dict.fromkeys(self.broken.values()))

    def select(self, names: Sequence[str]) -> tuple[Audience, ...]:
        """The audiences meant by `names`, each with the syncs meant; all of them where no name is given.

        A name is an audience's, a sync's (`detractors.webhook`), or a pattern of either (`power_*`, `*.webhook`).
        Raises DefinitionError for a name that nothing has, and the file's own where only a broken one has it.
        """
        for name in names:
            self._found(name)
        narrowed = (replace(audience, syncs=_named(audience, names or ["*"])) for audience in self.audiences)
        return tuple(audience for audience in narrowed if audience.syncs)

    def _found(self, name: str) -> None:
        if any(_named(audience, [name]) for audience in self.audiences):
            return
        for broken, error in self.broken.items():
            if fnmatchcase(broken, name.partition(".")[0]):
                raise error
        known = [*(audience.name for audience in self.audiences), *self.bindings]
        raise DefinitionError(f"no audience or sync is named {name!r}", do=meant(name, known))


def load(folder: Path, dialect: str) -> Project:
    """Read a project's folder. A broken file hides no other; DefinitionError where audiences/ cannot be read."""
    if not (folder / "audiences").is_dir():
        raise DefinitionError(
            f"there is no audiences/ in {folder}", do="go to a project's folder, or make one: audiences init FOLDER"
        )
    audiences: list[Audience] = []
    bindings: dict[str, Binding] = {}
    broken: dict[str, DefinitionError] = {}
    for path in _files(folder / "audiences"):
        try:
            audience = definition.load(path, dialect)
            bindings |= {sync.name: bind(audience, sync, folder) for sync in audience.syncs}
            audiences.append(audience)
        except DefinitionError as error:
            broken[path.stem] = error
    broken |= dict(_sharing(audiences))
    sound = tuple(audience for audience in audiences if audience.name not in broken)
    names = {sync.name for audience in sound for sync in audience.syncs}
    return Project(folder, sound, {name: bindings[name] for name in bindings if name in names}, broken)


def _files(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if path.suffix == ".sql")
    except OSError as error:  # a glob would find nothing, and every sync would pass for an orphan
        raise DefinitionError(f"{folder} cannot be read: {error.strerror}", do="see that you may read it") from None


def bind(audience: Audience, sync: Sync, folder: Path) -> Binding:
    """Find a sync's connector and check the sync's options. Raises DefinitionError, naming file and line."""
    place = Place(audience.path, sync.line)
    try:
        connector = connectors.find(sync.connector, connectors.folders(folder))
        _relied_on(sync, connector)
        if sync.list is not None:
            connector.fits(sync.list)
        options = connector.Options.model_validate(sync.options)
        return Binding(sync, connector, options, connector.identify(options, tuple(sync.send)))
    except ValidationError as error:
        faults = error.errors(include_url=False, include_input=False)
    except DefinitionError as error:
        raise DefinitionError(f"{place} {error.what}", do=error.do) from None
    known = SyncKeys.model_fields | connector.Options.model_fields
    raise header.mistake(header.cut(audience.path), ("sync", sync.section, *faults[0]["loc"][:1]), faults[0], known)


def _relied_on(sync: Sync, connector: type[Connector]) -> None:
    """Refuse a connector that is experimental, unless the sync asks for one."""
    if connector.proof is Proof.EXPERIMENTAL and not sync.experimental:
        raise DefinitionError(
            f"uses {sync.connector}, which is experimental: what it was held against is not enough to rely on",
            do="try it with a list that nobody needs, and write experimental = true in the section",
        )


def awake(audience: Audience, bindings: Sequence[Binding]) -> list[Binding]:
    """Those that are not paused."""
    return [each for each in bindings if not (audience.paused or each.sync.paused)]


def _named(audience: Audience, names: Sequence[str]) -> tuple[Sync, ...]:
    """The syncs of an audience that any of these names means."""

    def meant_by(sync: Sync, name: str) -> bool:
        return fnmatchcase(sync.name if "." in name else sync.audience, name)

    return tuple(sync for sync in audience.syncs if any(meant_by(sync, name) for name in names))


def _sharing(audiences: Sequence[Audience]) -> Iterator[tuple[str, DefinitionError]]:
    """Audiences of which two syncs of one section have one list: neither can say who belongs there."""
    first: dict[tuple[str, str | None, str | None], tuple[Audience, Sync]] = {}
    for audience in audiences:
        for sync in audience.syncs:
            other, its = first.setdefault((sync.section, sync.list, sync.list_id), (audience, sync))
            if its is sync:
                continue
            error = DefinitionError(
                f"{Place(audience.path, sync.line)} {sync.name} has the same list as {its.name}"
                f" ({Place(other.path, its.line)}): {sync.shown_list}",
                do="give each its own list, or make one audience of the two",
            )
            yield from ((name, error) for name in (other.name, audience.name))
