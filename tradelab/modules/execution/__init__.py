"""Makes each order happen exactly once, and knows what the venue has."""
