"""The command line itself: speed, help, mistakes, exit codes."""

import errno
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from espalier import cli
from espalier.errors import EspalierError
from espalier.training import Interrupted


def espalier(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "espalier", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_help_names_every_command_and_imports_nothing_heavy() -> None:
    code = (
        "import sys, espalier.cli as c; app = c.build(); app(['--help']);"
        "sys.exit(any(m in sys.modules for m in ('torch', 'numpy', 'PIL', 'pydantic')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert all(verb in done.stdout for verb in cli.COMMANDS)


def test_help_answers_within_half_a_second() -> None:
    best = min(_seconds("--help") for _ in range(5))
    assert best < 0.5, f"espalier --help took {best:.2f} s at best"


def _seconds(*arguments: str) -> float:
    """Of processor time, so that a busy machine does not count."""
    start = _spent()
    assert espalier(*arguments).returncode == 0
    return _spent() - start


def _spent() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("compres",), 'Did you mean "compress"'),
        (("compress", "x.pth", "--dta", "y"), "Did you mean --data"),
        (("compress", "x.pth", "--out", "z"), "--data"),
        (("compress", "x.pth", "--data", "y", "--out", "z", "--round-to", "0"), "--round-to is '0'"),
        (("inspect", "--config", "/nowhere/c.yaml"), "no configuration file /nowhere/c.yaml"),
        (("inspect", "--config"), "--config needs a file"),
    ],
)
def test_mistakes_give_one_line_and_exit_code_2(arguments: tuple[str, ...], expected: str) -> None:
    done = espalier(*arguments)
    assert done.returncode == 2
    assert expected in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_debug_shows_the_traceback() -> None:
    done = espalier("inspect", "--config", "/nowhere/c.yaml", "--debug")
    assert done.returncode == 2
    assert "Traceback" in done.stderr


@pytest.mark.parametrize("content", ["- a\n- b\n", "a: [1,\n", "just words"])
def test_a_config_file_that_is_no_mapping_is_refused(tmp_path, content: str) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(content)
    with pytest.raises(EspalierError, match=r"c\.yaml"):
        cli.build(path)


def test_an_unknown_key_in_the_config_file_is_named(tmp_path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text("network: a.pth\ndata: b\nbudgett: macs=0.5\n")
    done = espalier("compress", "--config", str(path))
    assert done.returncode == 2
    assert "budgett" in done.stderr
    assert "--budget" in done.stderr


def test_common_flags_are_taken_out_wherever_they_stand() -> None:
    invocation = cli.split(["compress", "--debug", "a", "--config=c.yaml", "--", "--debug"])
    assert invocation.tokens == ("compress", "a", "--", "--debug")
    assert invocation.debug
    assert str(invocation.config) == "c.yaml"


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EACCES])
def test_a_full_or_read_only_disk_is_described(number: int) -> None:
    message = cli.describe(OSError(number, os.strerror(number), "/out/a.png"))
    assert message is not None
    assert "/out/a.png" in message


def test_a_defect_of_ours_is_not_hidden() -> None:
    assert cli.describe(ZeroDivisionError("x")) is None


def test_interruption_exits_130(monkeypatch, capsys) -> None:
    def interrupted(_: cli.Invocation) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "run", interrupted)
    monkeypatch.setattr(sys, "argv", ["espalier", "demo"])
    with pytest.raises(SystemExit) as caught:
        cli.main()
    assert caught.value.code == 130
    assert capsys.readouterr().err == "espalier: interrupted\n"


def test_training_that_was_interrupted_exits_130_too(monkeypatch, capsys, tmp_path: Path) -> None:
    def interrupted(_: cli.Invocation) -> None:
        raise Interrupted(7, tmp_path)

    monkeypatch.setattr(cli, "run", interrupted)
    monkeypatch.setattr(sys, "argv", ["espalier", "train"])
    with pytest.raises(SystemExit) as caught:
        cli.main()
    assert caught.value.code == 130
    assert "go on with the same command and --resume" in capsys.readouterr().err


def test_warnings_are_one_line_each(capsys) -> None:
    cli._show_warning(UserWarning("left out broken.png"), UserWarning, "file.py", 3)
    cli._show_warning(DeprecationWarning("inner matter"), DeprecationWarning, "file.py", 3)
    assert capsys.readouterr().err == "espalier: warning: left out broken.png\n"
