from espalier.recipes.console import counting, output, waiting


def test_tables_are_not_squeezed_in_a_pipe() -> None:
    assert output().width >= 160


def test_progress_keeps_silent_where_nobody_watches(capsys) -> None:
    with waiting("tracing"), counting("images", 3) as told:
        told(1, 3)
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "")
