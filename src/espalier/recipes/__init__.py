"""Where the stages meet: one file per command."""
