"""Leases, marks, verdicts, reasons of refusals, runs."""

import sqlalchemy as sa
from alembic import op

revision = "1"
down_revision = None


def upgrade() -> None:
    """Make the first layout."""
    op.create_table(
        "about", sa.Column("name", sa.String(), primary_key=True), sa.Column("value", sa.String(), nullable=False)
    )
    op.create_table(
        "lease",
        sa.Column("sync", sa.String(), primary_key=True),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("holder", sa.String()),
        sa.Column("until", sa.Float(), nullable=False),
    )
    op.create_table(
        "opened",
        sa.Column("sync", sa.String(), primary_key=True),
        sa.Column("outbox", sa.Integer(), nullable=False),
        sa.Column("mark", sa.Integer(), nullable=False),
    )
    _of_rows()
    _of_runs()


def _of_rows() -> None:
    op.create_table(
        "verdict",
        sa.Column("sync", sa.String(), primary_key=True),
        sa.Column("outbox", sa.Integer(), primary_key=True),
        sa.Column("lo", sa.Integer(), primary_key=True),
        sa.Column("hi", sa.Integer(), nullable=False),
        sa.Column("verdict", sa.String(), nullable=False),
    )
    op.create_table(
        "refusal",
        sa.Column("sync", sa.String(), primary_key=True),
        sa.Column("key_hash", sa.String(), primary_key=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
    )


def _of_runs() -> None:
    numbers = ("listed", "added", "updated", "removed", "refused", "set_aside")
    op.create_table(
        "run",
        sa.Column("id", sa.String(), primary_key=True),
        sa.Column("sync", sa.String(), nullable=False),
        sa.Column("outbox", sa.Integer()),
        sa.Column("fingerprint", sa.String(), nullable=False),
        sa.Column("started", sa.Float(), nullable=False),
        sa.Column("ended", sa.Float()),
        sa.Column("result", sa.String()),
        sa.Column("note", sa.Text()),
        *(sa.Column(name, sa.Integer(), nullable=False, server_default="0") for name in numbers),
    )
    op.create_index("ix_run_sync", "run", ["sync"])
