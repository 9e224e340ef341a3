"""How far the tests go: `THOROUGH=1` lets those that try random worlds try many more."""

from __future__ import annotations

import os

THOROUGH = bool(os.environ.get("THOROUGH"))


def times(usual: int, thorough: int) -> int:
    """How many worlds, seeds or moments a test tries."""
    return thorough if THOROUGH else usual
