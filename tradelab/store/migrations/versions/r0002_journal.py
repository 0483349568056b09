"""Make the tables of live engines: journal, fills, leases, trading states, commands; journal and fills only grow."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "r0002"
down_revision = "r0001"
branch_labels = None
depends_on = None

_GROWS = ("journal", "fills")
_SQLITE_KEEPS = """
create trigger {table}_{what} before {what} on {table}
begin select raise(abort, 'the {table} only grows: rows are neither changed nor deleted'); end
"""
_POSTGRESQL_REFUSES = """
create function {table}_only_grows() returns trigger language plpgsql as $$
begin raise exception 'the {table} only grows: rows are neither changed nor deleted'; end $$
"""
_POSTGRESQL_KEEPS = """
create trigger {table}_only_grows before update or delete or truncate on {table}
for each statement execute function {table}_only_grows()
"""


def upgrade() -> None:
    """Make the tables, and let the database itself refuse to change what only grows."""
    _journal()
    _who_may()
    _commands()
    for table in _GROWS:
        if op.get_bind().dialect.name == "sqlite":
            for what in ("update", "delete"):
                op.execute(_SQLITE_KEEPS.format(table=table, what=what))
        else:
            op.execute(_POSTGRESQL_REFUSES.format(table=table))
            op.execute(_POSTGRESQL_KEEPS.format(table=table))


def _journal() -> None:
    op.create_table(
        "journal",
        sa.Column("node", sa.String(64), primary_key=True),
        sa.Column("seq", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("ts_event_ns", sa.BigInteger, nullable=False),
        sa.Column("ts_init_ns", sa.BigInteger, nullable=False),
        sa.Column("cause", sa.BigInteger),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
    )
    op.create_index("ix_journal_kind", "journal", ["node", "kind", "seq"])
    op.create_table(
        "journal_heads",
        sa.Column("node", sa.String(64), primary_key=True),
        sa.Column("seq", sa.BigInteger, nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
    )
    op.create_table(
        "fills",
        sa.Column("account", sa.String(64), primary_key=True),
        sa.Column("symbol", sa.String(64), primary_key=True),
        sa.Column("trade_id", sa.String(128), primary_key=True),
        sa.Column("node", sa.String(64), nullable=False),
        sa.Column("seq", sa.BigInteger, nullable=False),
    )


def _who_may() -> None:
    op.create_table(
        "leases",
        sa.Column("account", sa.String(64), primary_key=True),
        sa.Column("holder", sa.String(128)),
        sa.Column("fence", sa.BigInteger, nullable=False),
        sa.Column("until_ns", sa.BigInteger, nullable=False),
        sa.Column("home", sa.String(256), nullable=False),
    )
    op.create_table(
        "trading_states",
        sa.Column("node", sa.String(64), primary_key=True),
        sa.Column("scope", sa.String(80), primary_key=True),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("by", sa.String(64), nullable=False),
        sa.Column("says", sa.Text, nullable=False),
        sa.Column("at_ns", sa.BigInteger, nullable=False),
        sa.CheckConstraint("state in ('active', 'reducing', 'halted')", name="ck_trading_states_state"),
    )


def _commands() -> None:
    op.create_table(
        "commands",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("node", sa.String(64), nullable=False),
        sa.Column("name", sa.String(32), nullable=False),
        sa.Column("arguments", sa.Text, nullable=False),
        sa.Column("by", sa.String(64), nullable=False),
        sa.Column("at_ns", sa.BigInteger, nullable=False),
        sa.Column("done", sa.SmallInteger),
        sa.Column("done_ns", sa.BigInteger),
        sa.Column("says", sa.Text),
    )
    op.create_index("ix_commands_node", "commands", ["node", "done_ns"])
