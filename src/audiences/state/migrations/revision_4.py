"""How large a list is after each run."""

import sqlalchemy as sa
from alembic import op

revision = "4"
down_revision = "3"


def upgrade() -> None:
    """Add the column `size` of `run`; of the runs so far, what they found is the nearest that is known."""
    op.add_column("run", sa.Column("size", sa.Integer(), nullable=False, server_default="0"))
    op.execute("update run set size = listed")
