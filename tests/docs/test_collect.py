"""Method cards, and the pages that are collected from them."""

import importlib
import importlib.util
import types
from pathlib import Path

import pytest

from espalier import cli
from espalier.methods.job import methods

ROOT = Path(__file__).parents[2]
METHODS = ROOT / "src" / "espalier" / "methods"


@pytest.fixture(scope="module")
def collect() -> types.ModuleType:
    spec = importlib.util.spec_from_file_location("collect", ROOT / "docs" / "collect.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    import sys

    sys.modules["collect"] = module
    spec.loader.exec_module(module)
    return module


def test_a_card_is_read(collect: types.ModuleType, tmp_path: Path) -> None:
    (tmp_path / "nested").mkdir()
    (tmp_path / "nested" / "card.md").write_text(
        "# nested\n\nKeeps the\nfirst channels.\n\n| | |\n|---|---|\n| Origin | Nobody, 2020 |\n"
    )
    (card,) = collect.cards(tmp_path)
    assert (card.name, card.summary, card.origin) == ("nested", "Keeps the first channels.", "Nobody, 2020")
    assert "| [nested](nested.md) | Keeps the first channels. | Nobody, 2020 |" in collect.index([card])


@pytest.mark.parametrize("name", methods())
def test_every_method_has_a_card(collect: types.ModuleType, name: str) -> None:
    path = METHODS / name / "card.md"
    assert path.is_file(), f"{name} has no card.md"
    card = collect.Card(name, path.read_text(encoding="utf-8"))
    assert card.text.startswith("# ")
    assert card.summary
    options = getattr(importlib.import_module(f"espalier.methods.{name}"), "OPTIONS", None)
    told = collect.options(name)
    assert [
        key for key in (options.model_fields if options else ()) if f"| `--options.{key}` |" not in told
    ] == []
    assert "|  |\n" not in told, f"an option of {name} does not say what it is"


def test_the_help_of_every_command_is_collected(collect: types.ModuleType) -> None:
    page = collect.commands()
    assert all(f"## {verb}\n" in page for verb in cli.COMMANDS)
    assert "--max-loss" in page


@pytest.mark.slow
def test_the_site_is_built_without_a_complaint(tmp_path: Path) -> None:
    pytest.importorskip("material")
    import subprocess
    import sys

    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path / "site")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "site" / "methods" / "calibrated.html").is_file()
