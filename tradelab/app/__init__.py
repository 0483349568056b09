"""The doors of the house: the command line and what puts the rooms together."""
