"""How large a list is after each run, what to do where it failed, and what was told of that."""

import sqlalchemy as sa
from alembic import op

revision = "4"
down_revision = "3"


def upgrade() -> None:
    """Add columns of `run`, and the table `told`. Of the runs so far, what they found is the nearest that is known."""
    op.add_column("run", sa.Column("size", sa.Integer(), nullable=False, server_default="0"))
    op.execute("update run set size = listed")
    op.add_column("run", sa.Column("remedy", sa.Text()))
    op.create_table(
        "told",
        sa.Column("way", sa.String(), primary_key=True),
        sa.Column("subject", sa.String(), primary_key=True),
        sa.Column("concern", sa.String(), primary_key=True),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("at", sa.Float(), nullable=False),
    )
