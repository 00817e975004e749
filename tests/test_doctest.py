"""The examples in docstrings do what they say."""

import doctest
import types
from pathlib import Path

import pytest

import espalier
from espalier import api
from tests.recipes.conftest import own_cache, write_photos

__all__ = ["own_cache"]


@pytest.mark.parametrize("module", [api], ids=lambda module: module.__name__)
@pytest.mark.usefixtures("own_cache")
def test_examples(module: types.ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_photos(tmp_path / "photos", 4)
    found = doctest.testmod(module, extraglobs={"espalier": espalier}, optionflags=doctest.ELLIPSIS)
    assert found.attempted >= 10
    assert found.failed == 0
