"""How long SQL Server may take: its real driver, at the other end of whose wire nobody answers."""

from __future__ import annotations

import socket
import threading
from datetime import timedelta

import pytest
from sqlalchemy.engine import make_url

from audiences.errors import WarehouseError
from audiences.warehouse import Warehouse, awaited
from audiences.warehouse.opened import opened
from audiences.warehouse.words import Cancelled
from tds import TDS, server

pytest.importorskip("pymssql", reason="SQL Server's driver is missing: pip install 'audiences[sqlserver]'")


@pytest.fixture
def tds():
    with server() as tds:
        yield tds


def asked(tds: TDS) -> Warehouse:
    return opened(make_url(f"mssql://worker:not-a-real-password@127.0.0.1:{tds.port}/shop"), "audience_sync")


def landed(warehouse: Warehouse, words: str) -> None:
    warehouse.land('"rows"', f"select '{words}' as x", {"x": "VARCHAR"})


def test_a_statement_is_held_to_its_time(tds):
    """
    Over it the server is told to end it, and the way out is named; the connection goes on.
    """
    with asked(tds) as warehouse:
        with (
            pytest.raises(WarehouseError, match="took longer than") as late,
            warehouse.bounded(timedelta(seconds=0.1)),
        ):
            landed(warehouse, "waitfor")
        landed(warehouse, "more")

    assert "raise timeout under [limits]" in late.value.do
    *_, long, cancelled, _, _, after = tds.heard
    assert ("'waitfor'" in long, cancelled, "'more'" in after) == (True, "CANCEL", True)


def test_a_statement_in_time_is_not_broken_off(tds):
    """
    Each has its own.
    """
    with asked(tds) as warehouse, warehouse.bounded(timedelta(seconds=60)):
        landed(warehouse, "one")
        landed(warehouse, "two")

    assert "'two'" in tds.heard[-1]
    assert "CANCEL" not in tds.heard


def test_a_server_that_is_gone_when_it_is_told_to_stop(tds):
    """
    That it took too long is still what is said.
    """
    tds.dies = True

    with (
        asked(tds) as warehouse,
        pytest.raises(WarehouseError, match="took longer than"),
        warehouse.bounded(timedelta(seconds=0.1)),
    ):
        landed(warehouse, "waitfor")
    assert tds.heard[-1] == "CANCEL"


def test_a_limit_is_of_one_thread():
    """
    What another asks meanwhile has none, though the driver calls one function for all; nor has what comes after.
    """
    here, there = socket.socketpair()
    errors = []

    def other() -> None:
        try:
            awaited.wait(here.fileno())
        except Cancelled as error:
            errors.append(error)

    with here, there:
        with awaited.within(timedelta(seconds=0.01)):
            thread = threading.Thread(target=other)
            thread.start()
            thread.join()
            with pytest.raises(Cancelled):
                awaited.wait(here.fileno())
        awaited.wait(here.fileno())

    assert not errors
