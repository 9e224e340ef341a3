"""How one thing stands, and how that reads. It names syncs, files and owners, and no member."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from types import MappingProxyType

CALM = ("well", "over")
TITLES: Mapping[str, str] = MappingProxyType(
    {
        "failed": "failed",
        "guarded": "is stopped by its guard",
        "late": "is late",
        "refused": "has too many members refused",
        "unnamed": "has too many members refused unnamed",
        "orphan": "has no file any more",
        "broken": "cannot be read",
        "well": "is well again",
        "over": "is watched no more",
        "digest": "counts who entered and left",
        "test": "sends a test",
    }
)


@dataclass(frozen=True, slots=True)
class Alert:
    """How one thing stands.

    subject:  a sync; or the audience whose file cannot be read
    concern:  run, refused, unnamed, orphan, file, digest or test; of each, one state holds at a time
    state:    one of TITLES
    what, do: as the command line says them; do is empty where there is nothing to do
    about, owner: of the audience; empty where no file says them
    at:       seconds since 1970; since when it is so
    """

    subject: str
    concern: str
    state: str
    what: str
    do: str
    about: str
    owner: str
    at: float

    @property
    def raised(self) -> bool:
        """Whether someone must look."""
        return self.state not in CALM

    @property
    def title(self) -> str:
        """In one line."""
        return f"{self.subject} {TITLES[self.state]}"

    @property
    def text(self) -> str:
        """What follows the title: a few lines."""
        whose = (self.about, self.owner and f"owner {self.owner}", f"since {clock(self.at)}")
        lines = (self.what, self.do and f"do: {self.do}", "; ".join(part for part in whose if part))
        return "\n".join(line for line in lines if line)


def clock(seconds: float) -> str:
    """A moment as people read it."""
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M} UTC"
