def command() -> None:
    """Not yet."""
