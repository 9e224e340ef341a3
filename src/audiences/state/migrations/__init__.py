"""The history of the state's layout: one file a revision, never changed once it has shipped.

A file says `revision` and `down_revision`, and its `upgrade` speaks to `alembic.op`. It names every table by itself,
since audiences.state.tables moves on. There is no way down: an older release refuses a newer layout.
"""
