"""How long an account's host has asked to be left alone, for whichever process calls it next.

A pause is a lease that the host itself holds: a row of that table, `pause:<section>`, which only time gives back.
"""

from __future__ import annotations

from sqlalchemy import text

from audiences.state import State


def keep(state: State, section: str, seconds: float) -> None:
    """Let nobody call the account for so many seconds from now; a pause that ends later stays. Durable on return."""
    with state.begin() as connection:
        connection.execute(
            text(
                f"insert into lease (sync, epoch, holder, until) values (:s, 0, null, {state.now()} + :t)"
                " on conflict (sync) do update set until = excluded.until where lease.until < excluded.until"
            ),
            {"s": f"pause:{section}", "t": seconds},
        )


def left(state: State, section: str) -> float:
    """Seconds for which nobody may call the account; 0.0 where its host asked for no pause, or it is over."""
    with state.begin() as connection:
        found = connection.execute(
            text(f"select until - {state.now()} from lease where sync = :s"), {"s": f"pause:{section}"}
        ).scalar()
    return max(0.0, float(found or 0.0))
