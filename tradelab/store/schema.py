"""Lay out the records: connections, their credentials, tests and audit, the vault's key; the journals of live engines.

Times are UTC nanoseconds. JSON is text written by us with sorted keys, so that a value is the same bytes on both
databases. The tables are made and changed by the migrations beside this file; a test holds the two together.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    String,
    Table,
    Text,
    UniqueConstraint,
)

HEAD = "r0006"  # the newest migration; a test compares it with the scripts

metadata = MetaData()
_Serial = BigInteger().with_variant(Integer, "sqlite")  # only an INTEGER key counts up by itself in SQLite

connections = Table(
    "connections",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("name", String(64), nullable=False),
    Column("provider", String(64), nullable=False),
    Column("owner", String(64), nullable=False),
    Column("purposes", Text, nullable=False),
    Column("settings", Text, nullable=False),
    Column("account_kind", String(16), nullable=False),
    Column("armed_at_ns", BigInteger),
    Column("armed_by", String(64)),
    Column("status", String(16), nullable=False),
    Column("version", Integer, nullable=False),  # counts every change: who read an older one is refused
    Column("setup", Integer, nullable=False),  # counts what a test depends on: credentials, provider settings, purposes
    Column("passed_setup", Integer),  # the setup that the last passing test saw
    Column("activated_setup", Integer),  # the setup that a person let be used, until somebody takes that back
    Column("created_ns", BigInteger, nullable=False),
    Column("updated_ns", BigInteger, nullable=False),
    Column("tested_ns", BigInteger),
    Column("passed_ns", BigInteger),
    Column("used_ns", BigInteger),
    Column("error_ns", BigInteger),
    Column("error", Text),
    Column("lease", String(32)),  # the test that is under way, if one is
    Column("lease_until_ns", BigInteger),
    UniqueConstraint("name", name="uq_connections_name"),
    CheckConstraint("status in ('inactive', 'testing', 'active', 'error')", name="ck_connections_status"),
    CheckConstraint("account_kind in ('paper', 'live', 'rehearsal')", name="ck_connections_account_kind"),
    CheckConstraint("(lease is null) = (lease_until_ns is null)", name="ck_connections_lease"),
    CheckConstraint("status <> 'testing' or lease is not null", name="ck_connections_testing"),
)

credentials = Table(
    "credentials",
    metadata,
    Column("connection_id", String(32), ForeignKey(connections.c.id, ondelete="CASCADE"), primary_key=True),
    Column("field", String(64), primary_key=True),
    Column("sealed", LargeBinary, nullable=False),
)

tests = Table(
    "tests",
    metadata,
    Column("id", _Serial, primary_key=True),
    Column("connection_id", String(32), ForeignKey(connections.c.id, ondelete="CASCADE"), nullable=False),
    Column("at_ns", BigInteger, nullable=False),
    Column("passed", SmallInteger, nullable=False),
    Column("latency_ms", Float),  # median round trip; absent where nothing came back
    Column("says", Text, nullable=False),
    Index("ix_tests_connection_id", "connection_id", "id"),
    sqlite_autoincrement=True,
)

# No foreign key: what was done to a connection is still known when the connection is gone.
audit = Table(
    "audit",
    metadata,
    Column("id", _Serial, primary_key=True),
    Column("at_ns", BigInteger, nullable=False),
    Column("who", String(64), nullable=False),
    Column("what", String(32), nullable=False),
    Column("connection_id", String(32), nullable=False),
    Column("name", String(64), nullable=False),
    Column("old", Text, nullable=False),
    Column("new", Text, nullable=False),
    Index("ix_audit_connection_id", "connection_id", "id"),
    sqlite_autoincrement=True,
)

# A digest for each row of the audit, over its own words and the digest before; and the last of them, one row.
audit_chain = Table(
    "audit_chain",
    metadata,
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    Column("digest", String(64), nullable=False),
)

audit_head = Table(
    "audit_head",
    metadata,
    Column("one", SmallInteger, primary_key=True, autoincrement=False),
    Column("id", BigInteger, nullable=False),
    Column("digest", String(64), nullable=False),
    CheckConstraint("one = 1", name="ck_audit_head_one"),
)

# One row, there from the start so that it can be locked: the key that seals everything, by its id, and how it is had.
vault = Table(
    "vault",
    metadata,
    Column("id", SmallInteger, primary_key=True, autoincrement=False),
    Column("key_id", String(16)),
    Column("source", String(16)),
    Column("derivation", Text),  # for a passphrase: Scrypt's salt and cost
    Column("created_ns", BigInteger),
    CheckConstraint("id = 1", name="ck_vault_one"),
)

# What is sealed and belongs to no connection, by its name: `notify phone`, `webhook paper`.
secrets = Table(
    "secrets",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("sealed", LargeBinary, nullable=False),
    Column("at_ns", BigInteger, nullable=False),
    Column("by", String(64), nullable=False),
)

# ── live engines ─────────────────────────────────────────────────────────────────────────────────────────────────────

# All that an engine has said, in order; each row's digest is over its own words and the digest before.
journal = Table(
    "journal",
    metadata,
    Column("node", String(64), primary_key=True),
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("ts_event_ns", BigInteger, nullable=False),
    Column("ts_init_ns", BigInteger, nullable=False),
    Column("cause", BigInteger),
    Column("kind", String(32), nullable=False),
    Column("body", Text, nullable=False),
    Column("digest", String(64), nullable=False),
    Index("ix_journal_kind", "node", "kind", "seq"),
)

# Where each journal ends: rows cut off its end are missed, and of two writers only one goes on.
journal_heads = Table(
    "journal_heads",
    metadata,
    Column("node", String(64), primary_key=True),
    Column("seq", BigInteger, nullable=False),
    Column("digest", String(64), nullable=False),
)

# Every fill that was ever booked, once; the fill itself stands in the journal.
fills = Table(
    "fills",
    metadata,
    Column("account", String(64), primary_key=True),
    Column("symbol", String(64), primary_key=True),
    Column("trade_id", String(128), primary_key=True),
    Column("node", String(64), nullable=False),
    Column("seq", BigInteger, nullable=False),
)

# Who may send orders to an account; the fence counts its holders.
leases = Table(
    "leases",
    metadata,
    Column("account", String(64), primary_key=True),
    Column("holder", String(128)),  # absent where nobody holds it
    Column("fence", BigInteger, nullable=False),
    Column("until_ns", BigInteger, nullable=False),
    Column("home", String(256), nullable=False),  # the database and machine it was taken in: a copy is another one
)

# What may be sent, by scope; absent is active. Written by the engine, or past it by who wants it to stop.
trading_states = Table(
    "trading_states",
    metadata,
    Column("node", String(64), primary_key=True),
    Column("scope", String(80), primary_key=True),
    Column("state", String(16), nullable=False),
    Column("by", String(64), nullable=False),
    Column("says", Text, nullable=False),
    Column("at_ns", BigInteger, nullable=False),
    CheckConstraint("state in ('active', 'reducing', 'halted')", name="ck_trading_states_state"),
)

# What people and programs asked an engine for: each once, however often it was sent.
commands = Table(
    "commands",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("node", String(64), nullable=False),
    Column("name", String(32), nullable=False),
    Column("arguments", Text, nullable=False),
    Column("by", String(64), nullable=False),
    Column("at_ns", BigInteger, nullable=False),
    Column("done", SmallInteger),  # absent until it is answered
    Column("done_ns", BigInteger),
    Column("says", Text),
    Index("ix_commands_node", "node", "done_ns"),
)

# What each day of trading came to, as JSON: by account, bot and instrument (nobody's bot is empty), and with an empty
# symbol what the account was worth. A copy of what the journal says up to ``seq`` of its head, made anew at any time.
analytics_days = Table(
    "analytics_days",
    metadata,
    Column("node", String(64), primary_key=True),
    Column("day", String(10), primary_key=True),  # of UTC, 2024-01-31
    Column("account", String(64), primary_key=True),
    Column("bot", String(64), primary_key=True),
    Column("symbol", String(64), primary_key=True),
    Column("body", Text, nullable=False),
)

analytics_heads = Table(
    "analytics_heads",
    metadata,
    Column("node", String(64), primary_key=True),
    Column("seq", BigInteger, nullable=False),
    Column("format", SmallInteger, nullable=False),  # of the bodies: those of another are made anew
)
