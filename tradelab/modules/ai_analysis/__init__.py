"""Asks a model to confirm a signal; its silence is a no unless the bot says otherwise."""
