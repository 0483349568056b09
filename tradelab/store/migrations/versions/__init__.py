"""One file a step, oldest first; a step that was published is never changed."""
