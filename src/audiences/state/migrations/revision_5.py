"""Of each run how many members the provider refused without saying whom, and how many were to be sent again."""

import sqlalchemy as sa
from alembic import op

revision = "5"
down_revision = "4"


def upgrade() -> None:
    """Add columns of `run`."""
    for name in ("unnamed", "refreshed"):
        op.add_column("run", sa.Column(name, sa.Integer(), nullable=False, server_default="0"))
