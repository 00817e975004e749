"""The page on sparse networks, from rows as the benchmark writes them."""

from types import ModuleType

import pytest

from espalier.methods.job import options
from tests.benchmarks.conftest import Script


@pytest.fixture
def aims(script: Script) -> ModuleType:
    return script("unstructured_aim")


@pytest.fixture
def pages(script: Script) -> ModuleType:
    return script("unstructured_page")


@pytest.fixture
def ways(script: Script) -> ModuleType:
    return script("unstructured_ways")


def row(way: str, share: float, psnr: float, seed: int = 0) -> dict:
    quality = {name: {"psnr": psnr, "ssim": 0.9} for name in ("Set5", "Set14", "BSD100")}
    facts = {"steps": 10, "lr": 1e-3, "bytes": 1020, "bound": 1000.0}
    return {"network": "small", "way": way, "sparsity": share, "seed": seed, "quality": quality, **facts}


def test_means_spreads_and_the_best_of_each_sparsity(pages: ModuleType) -> None:
    rows = [
        row("dense", 0.0, 35.0),
        row("gradual", 0.5, 34.0),
        row("ours", 0.5, 34.5),
        row("ours", 0.5, 34.7, 1),
    ]
    text = pages.page({"rows": rows, "environment": {"torch": "2"}})
    assert "| 0 | dense | 35.000 (0.9000) |" in text
    assert "| 0.5 | gradual | 34.000 (0.9000) |" in text
    assert "| 0.5 | ours | **34.600 ± 0.141 (0.9000)** |" in text
    assert "10 steps at a learning rate of 0.001, 1 to 2 seeds." in text
    moved = pages.page({"rows": [row | {"device": "another"} for row in rows], "environment": {"torch": "2"}})
    assert "1 to 2 seeds, on another." in moved
    assert "| small | 0.5 | 1,020 | 2.00% |" in text
    assert "Not measured." in text


def test_rows_above_the_dense_network_everywhere_are_marked(pages: ModuleType) -> None:
    dim = row("dim", 0.5, 35.1)
    dim["quality"]["BSD100"] = {"psnr": 35.1, "ssim": 0.8}
    bright = row("bright", 0.5, 35.2)
    for found in bright["quality"].values():
        found["ssim"] = 0.91
    text = pages.page({"rows": [row("dense", 0.0, 35.0), bright, dim]})
    assert "| 0.5 | bright ▲ | **35.200 (0.9100)**" in text
    assert "| 0.5 | dim | 35.100 (0.9000)" in text


def test_speed(pages: ModuleType) -> None:
    speed = {"size": [10, 20], "sparsity": 0.9, "dense": {"ms": 4.0}, "zeros": {"ms": 4.2}}
    text = pages.page({"rows": [row("dense", 0.0, 35.0)], "speed": speed})
    assert "1.05 times the time of the dense one (4.2 and 4.0 ms for an input of 20 × 10" in " ".join(
        text.split()
    )


def test_rows_that_lack_a_set_leave_its_cell_empty(pages: ModuleType) -> None:
    short = row("ours", 0.5, 35.5)
    short["quality"] = {"Set5": {"psnr": 35.5, "ssim": 0.95}}
    text = pages.page({"rows": [row("dense", 0.0, 35.0), short]})
    assert "| 0.5 | ours ▲ | **35.500 (0.9500)** |  |  |" in text


def test_the_aim_is_told_by_the_set_where_ours_does_worst(aims: ModuleType) -> None:
    ours = row("balanced (ours)", 0.5, 34.5)
    ours["quality"]["Set14"] = {"psnr": 34.05, "ssim": 0.9}
    others = [row("gradual", 0.5, 34.0), row("one-shot", 0.5, 33.0), row("one-shot, untrained", 0.5, 36.0)]
    elsewhere = [row("dense", 0.0, 34.2), row("gradual", 0.9, 35.0)]
    lines = aims.table([ours, *others, *elsewhere]).splitlines()
    assert lines[2:] == ["| small | 0.5 | balanced | -0.150 | +0.050 (of 2) |  |  |"]


def test_every_way_is_one_that_its_method_understands(ways: ModuleType) -> None:
    for way in filter(lambda way: way.method, ways.WAYS.values()):
        given = dict(way.options) | ({"steps": 10} if way.trains else {})
        assert options(way.method, given) is not None
    assert [name for name, way in ways.WAYS.items() if not way.method and way.after and not way.teacher] == [
        "dense",
        "dense, with flips and turns",
    ]


def test_networks_without_training_and_held_out_rows(pages: ModuleType) -> None:
    held = row("ours", 0.7, 0.0)
    held["quality"] = {"held-out": {"psnr": 28.8484, "ssim": 0.9}}
    text = pages.page({"rows": [row("obs, untrained", 0.5, 35.0)], "held": [held]})
    assert "None trained, 1 seed." in text
    assert "| small | 0.7 | ours | 28.848 |" in text
