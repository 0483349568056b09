"""Guards the account, and sizes what passes."""
