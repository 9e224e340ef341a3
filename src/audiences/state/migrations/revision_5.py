"""Of each run how many members the provider refused without saying whom."""

import sqlalchemy as sa
from alembic import op

revision = "5"
down_revision = "4"


def upgrade() -> None:
    """Add a column of `run`."""
    op.add_column("run", sa.Column("unnamed", sa.Integer(), nullable=False, server_default="0"))
