"""What `serve` has to know of the past: up to when each audience is served."""

import sqlalchemy as sa
from alembic import op

revision = "3"
down_revision = "2"


def upgrade() -> None:
    """Add the table `timetable`."""
    op.create_table(
        "timetable",
        sa.Column("audience", sa.String(), primary_key=True),
        sa.Column("line", sa.String(), nullable=False),
        sa.Column("since", sa.Float(), nullable=False),
    )
