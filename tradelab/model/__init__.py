"""The words of the trade: what every floor above may say, and nothing that acts."""
