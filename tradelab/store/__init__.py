"""Records that outlive a process: connections, their audit, sealed credentials; SQLite or PostgreSQL."""
