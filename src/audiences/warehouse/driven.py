"""A driver that SQLAlchemy has no dialect of, as an engine: statements run as they stand, and hold no parameters."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy import Engine, create_engine
from sqlalchemy.dialects import registry
from sqlalchemy.engine.default import DefaultDialect
from sqlalchemy.pool import NullPool


class Driven(DefaultDialect):
    """A driver by PEP 249, each of whose statements is a transaction of its own."""

    name = "audiences"
    driver = "driven"
    supports_statement_cache = False

    def do_rollback(self, dbapi_connection: object) -> None:
        """There is nothing to roll back."""

    def do_commit(self, dbapi_connection: object) -> None:
        """There is nothing to commit."""


registry.impls["audiences.driven"] = lambda: Driven


def engine(driver: Any, connect: Callable[[], Any]) -> Engine:
    """What opens connections by `connect`, one each time. driver: the module whose errors they raise"""
    way = {"module": driver, "creator": connect, "poolclass": NullPool, "paramstyle": "named"}
    return create_engine("audiences+driven://", **way)
