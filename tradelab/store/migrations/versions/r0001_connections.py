"""Make the first tables: connections, credentials, tests, audit, vault; the audit can only grow."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "r0001"
down_revision = None
branch_labels = None
depends_on = None

_SERIAL = sa.BigInteger().with_variant(sa.Integer, "sqlite")

_SQLITE_KEEPS = """
create trigger audit_{what} before {what} on audit
begin select raise(abort, 'the audit only grows: rows are neither changed nor deleted'); end
"""
_POSTGRESQL_REFUSES = """
create function audit_only_grows() returns trigger language plpgsql as $$
begin raise exception 'the audit only grows: rows are neither changed nor deleted'; end $$
"""
_POSTGRESQL_KEEPS = """
create trigger audit_only_grows before update or delete or truncate on audit
for each statement execute function audit_only_grows()
"""


def upgrade() -> None:
    """Make the tables, and let the database itself refuse to change the audit."""
    _connections()
    _of_a_connection()
    _audit()
    vault = op.create_table(
        "vault",
        sa.Column("id", sa.SmallInteger, primary_key=True, autoincrement=False),
        sa.Column("key_id", sa.String(16)),
        sa.Column("source", sa.String(16)),
        sa.Column("derivation", sa.Text),
        sa.Column("created_ns", sa.BigInteger),
        sa.CheckConstraint("id = 1", name="ck_vault_one"),
    )
    op.bulk_insert(vault, [{"id": 1}])


def _connections() -> None:
    op.create_table(
        "connections",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("provider", sa.String(64), nullable=False),
        sa.Column("owner", sa.String(64), nullable=False),
        sa.Column("purposes", sa.Text, nullable=False),
        sa.Column("settings", sa.Text, nullable=False),
        sa.Column("account_kind", sa.String(16), nullable=False),
        sa.Column("armed_at_ns", sa.BigInteger),
        sa.Column("armed_by", sa.String(64)),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("setup", sa.Integer, nullable=False),
        sa.Column("passed_setup", sa.Integer),
        sa.Column("created_ns", sa.BigInteger, nullable=False),
        sa.Column("updated_ns", sa.BigInteger, nullable=False),
        sa.Column("tested_ns", sa.BigInteger),
        sa.Column("passed_ns", sa.BigInteger),
        sa.Column("used_ns", sa.BigInteger),
        sa.Column("error_ns", sa.BigInteger),
        sa.Column("error", sa.Text),
        sa.Column("lease", sa.String(32)),
        sa.Column("lease_until_ns", sa.BigInteger),
        sa.UniqueConstraint("name", name="uq_connections_name"),
        sa.CheckConstraint("status in ('inactive', 'testing', 'active', 'error')", name="ck_connections_status"),
        sa.CheckConstraint("account_kind in ('paper', 'live', 'rehearsal')", name="ck_connections_account_kind"),
        sa.CheckConstraint("(lease is null) = (lease_until_ns is null)", name="ck_connections_lease"),
        sa.CheckConstraint("status <> 'testing' or lease is not null", name="ck_connections_testing"),
    )


def _of_a_connection() -> None:
    op.create_table(
        "credentials",
        sa.Column(
            "connection_id", sa.String(32), sa.ForeignKey("connections.id", ondelete="CASCADE"), primary_key=True
        ),
        sa.Column("field", sa.String(64), primary_key=True),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "tests",
        sa.Column("id", _SERIAL, primary_key=True),
        sa.Column("connection_id", sa.String(32), sa.ForeignKey("connections.id", ondelete="CASCADE"), nullable=False),
        sa.Column("at_ns", sa.BigInteger, nullable=False),
        sa.Column("passed", sa.SmallInteger, nullable=False),
        sa.Column("latency_ms", sa.Float),
        sa.Column("says", sa.Text, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_tests_connection_id", "tests", ["connection_id", "id"])


def _audit() -> None:
    op.create_table(
        "audit",
        sa.Column("id", _SERIAL, primary_key=True),
        sa.Column("at_ns", sa.BigInteger, nullable=False),
        sa.Column("who", sa.String(64), nullable=False),
        sa.Column("what", sa.String(32), nullable=False),
        sa.Column("connection_id", sa.String(32), nullable=False),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("old", sa.Text, nullable=False),
        sa.Column("new", sa.Text, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_audit_connection_id", "audit", ["connection_id", "id"])
    if op.get_bind().dialect.name == "sqlite":
        for what in ("update", "delete"):
            op.execute(_SQLITE_KEEPS.format(what=what))
    else:
        op.execute(_POSTGRESQL_REFUSES)
        op.execute(_POSTGRESQL_KEEPS)
