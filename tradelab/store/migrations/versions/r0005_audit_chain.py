"""Chain the audit of connections, what stands in it already too: a digest is over a row and the digest before."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from tradelab.store.chain import START, digest_of

revision = "r0005"
down_revision = "r0004"
branch_labels = None
depends_on = None

_SQLITE_KEEPS = """
create trigger audit_chain_{what} before {what} on audit_chain
begin select raise(abort, 'the audit_chain only grows: rows are neither changed nor deleted'); end
"""
_POSTGRESQL_REFUSES = """
create function audit_chain_only_grows() returns trigger language plpgsql as $$
begin raise exception 'the audit_chain only grows: rows are neither changed nor deleted'; end $$
"""
_POSTGRESQL_KEEPS = """
create trigger audit_chain_only_grows before update or delete or truncate on audit_chain
for each statement execute function audit_chain_only_grows()
"""


def upgrade() -> None:
    """Make the chain of what is there, and its end."""
    chain = op.create_table(
        "audit_chain",
        sa.Column("id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("digest", sa.String(64), nullable=False),
    )
    head = op.create_table(
        "audit_head",
        sa.Column("one", sa.SmallInteger, primary_key=True, autoincrement=False),
        sa.Column("id", sa.BigInteger, nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.CheckConstraint("one = 1", name="ck_audit_head_one"),
    )
    last, digest, links = 0, START, []
    columns = "id, at_ns, who, what, connection_id, name, old, new"
    for row in op.get_bind().execute(sa.text(f"select {columns} from audit order by id")):
        last, digest = row.id, digest_of(*row, digest)
        links.append({"id": last, "digest": digest})
    op.bulk_insert(chain, links)
    op.bulk_insert(head, [{"one": 1, "id": last, "digest": digest}])
    if op.get_bind().dialect.name == "sqlite":
        for what in ("update", "delete"):
            op.execute(_SQLITE_KEEPS.format(what=what))
    else:
        op.execute(_POSTGRESQL_REFUSES)
        op.execute(_POSTGRESQL_KEEPS)
