"""Of each run how large its list is, its SQL, whom it refused anew or kept, and the way out; and what was told."""

import sqlalchemy as sa
from alembic import op

revision = "4"
down_revision = "3"


def upgrade() -> None:
    """Add tables `told` and `definition`, and columns of `run`. Of the runs so far, what they found is the nearest."""
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
    op.create_table(
        "definition",
        sa.Column("fingerprint", sa.String(), primary_key=True),
        sa.Column("sql", sa.Text(), nullable=False),
    )
    for name in ("newly_refused", "not_removed"):
        op.add_column("run", sa.Column(name, sa.Integer(), nullable=False, server_default="0"))
