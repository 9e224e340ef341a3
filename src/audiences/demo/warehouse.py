"""The demo warehouse: a DuckDB file with real purchase histories, and simulated answers, plans and events beside them.

It knows nothing of audiences; warehouse.sql beside it says what is real and what is simulated.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from importlib.resources import as_file, files
from pathlib import Path
from typing import cast

import duckdb

from audiences.errors import DefinitionError

PURCHASES = files(__package__) / "cdnow_purchases.txt.gz"
LAST_DAY = date(1998, 6, 30)
HELD_BACK = 7  # days that can still pass

READ = """
create temp table purchase as
select word[1]::integer as customer_id, strptime(word[2], '%Y%m%d')::date as day, word[3]::integer as cds,
       word[4]::decimal(10, 2) as amount
from (
    select string_split_regex(trim(line), ' +') as word
    from read_csv($file, columns = {'line': 'varchar'}, delim = '\t', quote = '', escape = '', header = true)
)
"""

PASS = "update archive.clock set told_to = told_to + 1, shift = shift - 1 where told_to < $1 returning told_to"


def build(path: Path, today: date) -> None:
    """Make the warehouse at `path`, which must not exist; its newest purchase was made the day before `today`.

    Safe to start again: the file appears only when it is whole.
    """
    if path.exists():
        raise DefinitionError(f"{path} exists already", do="choose another name, or delete it to have it built anew")
    draft = path.with_name(path.name + ".draft")
    draft.unlink(missing_ok=True)
    with opened(draft) as db, as_file(PURCHASES) as purchases:
        db.execute(READ, {"file": str(purchases)})
        told = {"told_to": LAST_DAY - timedelta(days=HELD_BACK), "today": today}
        for statement in db.extract_statements((files(__package__) / "warehouse.sql").read_text()):
            db.execute(statement, {name: told[name] for name in statement.named_parameters})
    draft.rename(path)


def pass_a_day(path: Path) -> None:
    """Move every date one day back, and append the next day: its real purchases and all that is simulated."""
    with opened(path) as db:
        if not db.execute(PASS, [LAST_DAY]).fetchall():
            raise DefinitionError(
                f"{path} has told all of its days",
                do="delete it and build it anew: it then starts a week before its end",
            )


def today(zone: str | None = None) -> date:
    """The day that `current_date` is in an audience, by the engine's own clock. zone: an IANA name, or the system's."""
    with opened(":memory:", zone) as db:
        (day,) = db.execute("select current_date").fetchall()[0]
    return cast(date, day)


@contextmanager
def opened(path: Path | str, zone: str | None = None) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection that gives the file back at the end: while one process holds it, no other can open it."""
    with duckdb.connect(str(path)) as db:
        if zone:
            db.execute("set timezone = $1", [zone])
        yield db
