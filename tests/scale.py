"""How far tests go: `LONGER=1`, as in `.ci/run`, lets those that tell histories tell more, `THOROUGH=1` very many."""

from __future__ import annotations

import os

LONGER, THOROUGH = bool(os.environ.get("LONGER")), bool(os.environ.get("THOROUGH"))


def times(usual: int, thorough: int, longer: int | None = None) -> int:
    """How many worlds, seeds or moments a test tries."""
    if THOROUGH:
        return thorough
    return longer if LONGER and longer is not None else usual
