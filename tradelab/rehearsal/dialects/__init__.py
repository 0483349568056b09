"""The protocols the rehearsal venue speaks, one file or a few for each venue."""
