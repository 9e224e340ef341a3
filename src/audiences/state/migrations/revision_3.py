"""Up to when each audience is served; of each run the definition's commit, and what became of its changes."""

import sqlalchemy as sa
from alembic import op

revision = "3"
down_revision = "2"


def upgrade() -> None:
    """Add the table `timetable`, and columns of `run`."""
    op.create_table(
        "timetable",
        sa.Column("audience", sa.String(), primary_key=True),
        sa.Column("line", sa.String(), nullable=False),
        sa.Column("since", sa.Float(), nullable=False),
    )
    for name in ("delivered", "pending", "unknown"):
        op.add_column("run", sa.Column(name, sa.Integer(), nullable=False, server_default="0"))
    op.add_column("run", sa.Column("revision", sa.String()))
    op.create_index("ix_run_sync_started", "run", ["sync", "started"])
    op.drop_index("ix_run_sync", "run")
