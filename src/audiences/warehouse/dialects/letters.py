"""Names of columns in small letters, digits and underscores, for engines that fold or refuse others, also in quotes."""

from __future__ import annotations

import re
from typing import Any

from sqlglot import exp

PLAIN = set("abcdefghijklmnopqrstuvwxyz0123456789_")
OTHER = re.compile("_x([0-9a-f]+)_")


def folded(name: str) -> str:
    """A column's name in small letters, digits and underscores. No two that differ become one."""
    letters = zip(name, [*name[1:], ""], strict=True)
    return "".join(c if c in PLAIN and c + then != "_x" else f"_x{ord(c):x}_" for c, then in letters)


def original(name: str) -> str:
    """What `folded` was told."""
    return OTHER.sub(lambda found: chr(int(found[1], 16)), name)


def lettered(tree: exp.Expr) -> exp.Expr:
    """The same statement, with each column's name folded."""
    for name in [each for each in tree.find_all(exp.Identifier) if _column(each)]:
        name.set("this", folded(name.this))
    return tree


def _column(name: exp.Identifier) -> bool:
    """Whether a name is a column's, and not that of a table or of what stands for one."""
    parent: Any = name.parent
    if isinstance(parent, exp.Table):
        return False
    return not isinstance(parent, exp.Column | exp.TableAlias) or name.arg_key in ("this", "columns")
