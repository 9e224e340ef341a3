"""A warehouse that holds our tables, opened in the way that its engine can."""

from __future__ import annotations

from importlib import import_module

from sqlalchemy.engine import URL

from audiences.warehouse import Warehouse
from audiences.warehouse.engines import spoken


def opened(url: URL, schema: str) -> Warehouse:
    """Raises DefinitionError for a kind that holds none. What stands for transactions is loaded where it is needed."""
    if not spoken(url).swaps:
        return Warehouse(url, schema)
    found: Warehouse = import_module("audiences.warehouse.swapped").Swapped(url, schema)
    return found
