"""Fixtures shared by all tests."""

import os
from pathlib import Path

import pytest
import torch

torch.set_num_threads(1)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder of benchmark sets and published weights; skips without, fails if ESPALIER_REQUIRE_DATA=1."""
    default = Path(__file__).parents[2] / "shared" / "data"
    folder = Path(os.environ.get("ESPALIER_DATA", default))
    if not (folder / "sets").is_dir():
        message = f"no benchmark data at {folder}; set ESPALIER_DATA to the folder of sets/ and weights/"
        if os.environ.get("ESPALIER_REQUIRE_DATA") == "1":
            pytest.fail(message)
        pytest.skip(message)
    return folder
