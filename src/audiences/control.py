"""The one row a sync has in the warehouse: the fence against other workers, and the pointer to the open outbox.

Every update sets `epoch`, also to itself: DuckDB finds conflicts by column, and so two workers always meet there.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from types import MappingProxyType

import structlog

from audiences.audience import Sync
from audiences.errors import AudienceError, DefinitionError, LeaseLost, WarehouseError
from audiences.state import State
from audiences.warehouse import Conflict, Warehouse

LAYOUT = 1
# What all rows of a list's first outbox have in common: it is not written a million times where rows have places.
ALIKE: Mapping[str, str] = MappingProxyType({"verb": "'upsert'", "had": "false", "again": "false"})
log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Control:
    """
    epoch:  number of the newest run; statements of an older one change nothing
    outbox: number of the open outbox, or None
    mark:   rows of it below may have been sent
    """

    epoch: int = 0
    outbox: int | None = None
    mark: int = 0
    list_name: str | None = None
    list_id: str | None = None
    key_columns: str | None = None
    rule: str | None = None


@dataclass(frozen=True, slots=True)
class Fence:
    """The right of one run to change one sync's tables: its epoch must still be the newest, inside each statement."""

    warehouse: Warehouse
    sync: str
    table: str
    epoch: int

    @property
    def control(self) -> str:
        return self.warehouse.table(f"control_{self.table}")

    def rows(self, outbox: int) -> str:
        """The rows of an outbox, as SQL."""
        return rows(self.warehouse, self.table, outbox)

    def holds(self, outbox: int | None) -> str:
        """The fence as a condition of a statement that settles this outbox; None: one that closed long ago."""
        here = "" if outbox is None else f" and outbox = {outbox}"
        return f"exists (select 1 from {self.control} where epoch = {self.epoch}{here})"

    def update(self, change: str, within: int | None = None, **values: object) -> None:
        """Change the control row; within: only while that outbox is open. LeaseLost where a newer run has it."""
        here = "" if within is None else f" and outbox = {within}"
        sql = f"update {self.control} set epoch = epoch, {change} where epoch = {self.epoch}{here}"
        with met(self.sync), _met_alone(self.warehouse, self.table):
            if self.warehouse.change(sql, **values) != 1:
                raise fenced(self.sync)

    @contextmanager
    def transaction(self, outbox: int | None = None) -> Iterator[None]:
        """A transaction that another run's takeover stops, also when it began before."""
        here = "" if outbox is None else f" and outbox = {outbox}"
        with met(self.sync), turn(self.warehouse, self.table):
            if self.warehouse.change(f"update {self.control} set epoch = epoch where epoch = {self.epoch}{here}") != 1:
                raise fenced(self.sync)
            yield


@contextmanager
def turn(warehouse: Warehouse, table: str) -> Iterator[None]:
    """A transaction on a sync's tables. Where writers do not meet in the control row itself, they do in a lock before
    it: whoever has waited there has not looked at the control row yet, and nobody changes it until they are done.
    """
    with warehouse.transaction():
        if warehouse.words.locks:
            warehouse.change(f"update {warehouse.table(f'lock_{table}')} set held = held")
        yield


def _met_alone(warehouse: Warehouse, table: str) -> AbstractContextManager[None]:
    """What a single statement on the control row needs around it: where writers meet in that row, nothing."""
    return turn(warehouse, table) if warehouse.words.locks else nullcontext()


def read(warehouse: Warehouse, table: str) -> Control | None:
    """What the warehouse knows of a sync; None where it never ran."""
    if not warehouse.columns(f"control_{table}"):
        return None
    rows = warehouse.rows(
        "select epoch, outbox, mark, list_name, list_id, key_columns, rule from " + warehouse.table(f"control_{table}")
    )
    return next((Control(*row) for row in rows), None)  # none, where a run ended as it made the table


def create(warehouse: Warehouse, sync: str, table: str) -> None:
    """Make a sync's control row, where there is none."""
    name, lock = warehouse.table(f"control_{table}"), warehouse.table(f"lock_{table}")
    made = (
        f"create table if not exists {name} (sync varchar, epoch bigint, holder varchar, outbox bigint,"
        " mark bigint, list_name varchar, list_id varchar, key_columns varchar, rule varchar)"
    )
    warehouse.prepare()
    if warehouse.words.locks:  # a table is no part of a transaction there
        warehouse.change(made)
        warehouse.change(f"create table if not exists {lock} (held bigint)")
        warehouse.change(f"insert into {lock} (held) select 0 where not exists (select 1 from {lock})")
    with turn(warehouse, table):
        if not warehouse.words.locks:
            warehouse.change(made)
        warehouse.change(
            f"insert into {name} (sync, epoch, mark) select :sync, 0, 0 where not exists (select 1 from {name})",
            sync=sync,
        )


def take(
    warehouse: Warehouse,
    sync: str,
    table: str,
    seen: int,
    epoch: int,
    holder: str,
    sleep: Callable[[float], None] = time.sleep,
) -> Fence:
    """Put up the fence: from here on no older run changes this sync's tables."""
    fence = Fence(warehouse, sync, table, epoch)
    sql = f"update {fence.control} set epoch = {epoch}, holder = :holder where epoch = {seen}"
    for attempt in range(20):
        try:
            changed = _taken(warehouse, table, sql, holder)
            break
        except Conflict:  # an older run is settling at this moment; it is met again, not waited for
            sleep(0.1 * (attempt + 1))
    else:
        raise WarehouseError(
            f"{sync} cannot be taken over: its tables are being changed", do="run it again in a minute"
        )
    if changed != 1:
        raise fenced(sync)
    return fence


def _taken(warehouse: Warehouse, table: str, sql: str, holder: str) -> int:
    """How many rows the fence was put up in."""
    with warehouse.around(warehouse.words.impatient()), _met_alone(warehouse, table):
        return warehouse.change(sql, holder=holder)


def rows(warehouse: Warehouse, table: str, outbox: int) -> str:
    """The rows of an outbox, as SQL. One without `seq` numbers them by their places: none ever goes. What else it lacks
    all of them have in common.
    """
    name = f"outbox_{table}_{outbox}"
    columns = warehouse.columns(name)
    lacks = [f"{value} as {each}" for each, value in {"seq": "rowid", **ALIKE}.items() if each not in columns]
    if not lacks or not columns:
        return warehouse.table(name)
    return f"(select {', '.join(lacks)}, * from {warehouse.table(name)})"


def syncs(warehouse: Warehouse) -> dict[str, str]:
    """Every sync that the warehouse remembers: its name -> its name as tables write it."""
    return {name: table.removeprefix("control_") for table, name, _ in _remembered(warehouse)}


def alone(warehouse: Warehouse, sync: Sync, list_id: str) -> None:
    """Raise DefinitionError where another sync of the same account keeps this very list, by whatever name."""
    for _, name, known in _remembered(warehouse):
        if known == list_id and name != sync.name and name.partition(".")[2] == sync.section:
            raise DefinitionError(
                f"{sync.name} and {name} keep one and the same list ({sync.shown_list})",
                do=f'give each its own list; if {name} is the old name of this one, write renamed_from = "{name}";'
                f" if it is gone: audiences forget {name}",
            )


def _remembered(warehouse: Warehouse) -> Iterator[tuple[str, str, str | None]]:
    """(its control table, its name, the id of its list) of each sync: a statement a sync, whoever asks."""
    for table in warehouse.tables("control_"):
        for name, list_id in warehouse.rows(f"select sync, list_id from {warehouse.table(table)}"):
            yield table, name, list_id


def adopt(warehouse: Warehouse, state: State) -> None:
    """Let the schema remember its state database. A new one in the same place is adopted, any other refused."""
    name = warehouse.table("project")
    warehouse.prepare()
    warehouse.change(f"create table if not exists {name} (layout bigint, state_id varchar, state_url varchar)")
    known = warehouse.rows(f"select layout, state_id, state_url from {name}")
    if not known:
        warehouse.change(f"insert into {name} values (:layout, :id, :url)", layout=LAYOUT, id=state.id, url=state.shown)
        return
    layout, state_id, url = known[0]
    if layout > LAYOUT:
        raise WarehouseError(
            f"the schema {warehouse.schema} was written by a newer release (layout {layout}, this one knows {LAYOUT})",
            do="install that release again",
        )
    if state_id != state.id and url != state.shown:
        raise another(warehouse, url, state)
    if state_id != state.id:
        log.warning("state.lost", lost="reasons of refusals, and what became of the last batches of an open run")
    if (state_id, url) != (state.id, state.shown):
        warehouse.change(f"update {name} set state_id = :id, state_url = :url", id=state.id, url=state.shown)


def another(warehouse: Warehouse, url: str, state: State) -> AudienceError:
    """What to say where the schema belongs to another state database: both names, and each way out."""
    return WarehouseError(
        f"the schema {warehouse.schema} belongs to the state database {url}, not to {state.shown}",
        do=f"set AUDIENCES_STATE_URL={url}; if that one moved, copy it here first; if it is lost for good:"
        f" delete from {warehouse.table('project')}",
    )


def fenced(sync: str) -> LeaseLost:
    """What a run hears whose statement changed nothing, because a newer run has put up its fence."""
    return LeaseLost(
        f"{sync} was taken over by another worker", do="nothing: that worker goes on from what was acknowledged"
    )


@contextmanager
def met(sync: str) -> Iterator[None]:
    """A conflict in one of our own statements means that another run has taken over."""
    try:
        yield
    except Conflict:
        raise fenced(sync) from None
