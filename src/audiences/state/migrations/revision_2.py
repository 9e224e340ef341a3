"""What an account's sign-in must not forget, and the jobs that judge a batch later."""

import sqlalchemy as sa
from alembic import op

revision = "2"
down_revision = "1"


def upgrade() -> None:
    """Add the table `token`, for refresh tokens that a provider has exchanged, and the tickets of verdicts."""
    op.create_table(
        "token",
        sa.Column("section", sa.String(), primary_key=True),
        sa.Column("name", sa.String(), primary_key=True),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("at", sa.Float(), nullable=False),
    )
    op.add_column("verdict", sa.Column("ticket", sa.Text()))
