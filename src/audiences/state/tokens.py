"""What an account's sign-in leaves to the next process: a few named values, some of them secret."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import select, text

from audiences.state import State
from audiences.state.tables import token


def load(state: State, section: str) -> dict[str, str]:
    """Name -> value of all that is kept for an account."""
    with state.begin() as connection:
        rows = connection.execute(select(token.c.name, token.c.value).where(token.c.section == section)).all()
    return {row.name: row.value for row in rows}


def save(state: State, section: str, values: Mapping[str, str]) -> None:
    """Keep these values, all or none of them; others of the account stay. They are durable when this returns."""
    with state.begin() as connection:
        connection.execute(
            text(
                f"insert into token (section, name, value, at) values (:s, :n, :v, {state.now()})"
                " on conflict (section, name) do update set value = excluded.value, at = excluded.at"
            ),
            [{"s": section, "n": name, "v": value} for name, value in values.items()],
        )
