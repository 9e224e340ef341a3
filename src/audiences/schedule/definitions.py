"""The files of a project as they are now: read again when one of them has changed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import structlog

from audiences.errors import DefinitionError
from audiences.project import Project

log = structlog.get_logger()
Stamp = tuple[int, int, int]


class Definitions:
    """What a folder defines. A file that cannot be read stops itself alone, and is told once, as an error.

    read:  reads the folder; a new connector is found by it, and one that is loaded stays as it is
    error: why the folder cannot be read at all, while that lasts; what was known before holds
    """

    def __init__(self, folder: Path, read: Callable[[], Project]):
        self.folder, self.read = folder, read
        self.seen = self._stamps()
        self.project = read()
        self.error: DefinitionError | None = None
        self._tell({})

    def changed(self) -> bool:
        """Look, and read what has changed; whether there was anything."""
        if (seen := self._stamps()) == self.seen and not self.error:
            return False
        told = self.error
        try:
            before, self.project = self.project, self.read()
        except DefinitionError as error:
            self.error = error
            if told is None:
                log.error("definitions.unreadable", why=error.what, do=error.do)
            return False
        self.seen, self.error = seen, None
        log.info("definitions.read", audiences=len(self.project.audiences), broken=len(self.project.broken))
        self._tell(before.broken)
        return True

    def reach(self) -> None:
        """Raise DefinitionError while the folder cannot be read."""
        if self.error:
            raise self.error

    def _tell(self, before: Mapping[str, DefinitionError]) -> None:
        for name, error in self.project.broken.items():
            if name not in before or str(before[name]) != str(error):
                log.error("definition.broken", audience=name, why=error.what, do=error.do)

    def _stamps(self) -> dict[Path, Stamp]:
        files = [*self.folder.glob("audiences/*.sql"), *self.folder.glob("connectors/*.py")]
        return {path: _stamp(path) for path in files}


def _stamp(path: Path) -> Stamp:
    """What changes with a file, also where a link leads to another, as in a mounted ConfigMap."""
    try:
        found = path.stat()
    except OSError:  # it went away this moment
        return 0, 0, 0
    return found.st_mtime_ns, found.st_size, found.st_ino
