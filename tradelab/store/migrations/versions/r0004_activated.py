"""Remember what a person let be used, so that a failure which passes takes nothing out of use for good."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "r0004"
down_revision = "r0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; what is active now was let be used as it is."""
    op.add_column("connections", sa.Column("activated_setup", sa.Integer))
    op.execute("update connections set activated_setup = setup where status = 'active'")
