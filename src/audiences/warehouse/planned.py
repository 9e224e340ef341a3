"""What PostgreSQL's EXPLAIN tells of a SELECT."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import orjson

# What it costs to write a row down and to read it again, a row and a byte of it, in the planner's units. As measured of
# ten million rows: twice what its own cpu_tuple_cost, and a page written and read, come to.
HELD, SPILT = 2 * 0.01, 2 * 2 / 8192
# The steps that give the same rows each time they run in one statement, as LIMIT and TABLESAMPLE need not. A join costs
# more than to write its rows down.
STEADY = frozenset(
    ("Seq Scan", "Index Scan", "Index Only Scan", "Bitmap Heap Scan", "Bitmap Index Scan", "Append", "Gather")
)


def light(told: str) -> bool:
    """Whether to run the SELECT twice costs less than to write its rows down and read those. told: its plan, as JSON

    One that calls a volatile function may be called light: the server writes its rows down all the same.
    """
    [plan] = (each["Plan"] for each in orjson.loads(told))
    cheap = plan["Total Cost"] < plan["Plan Rows"] * (HELD + SPILT * plan["Plan Width"])
    return bool(cheap and STEADY.issuperset(_steps(plan)))


def _steps(plan: Mapping[str, Any]) -> Iterator[str]:
    yield plan["Node Type"]
    for each in plan.get("Plans", ()):
        yield from _steps(each)
