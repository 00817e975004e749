import json
from pathlib import Path

import pytest

from espalier.errors import EspalierError
from espalier.recipes import evaluate
from tests.recipes.conftest import TINY


def told(capsys: pytest.CaptureFixture[str], photos: Path, **options: object) -> dict:
    evaluate.command(TINY, data=photos, timing=False, json=True, **options)  # type: ignore[arg-type]
    return json.loads(capsys.readouterr().out)


def test_json_holds_network_scale_images_mean_and_cost(photos: Path, capsys) -> None:
    result = told(capsys, photos)
    assert (result["network"], result["scale"]) == ("edsr", 2)
    assert [image["name"] for image in result["images"]] == ["photo0", "photo1", "photo2", "photo3"]
    mean = sum(image["psnr"] for image in result["images"]) / 4
    assert result["mean"]["psnr"] == pytest.approx(mean)
    assert set(result["mean"]) == {"psnr", "ssim"}
    assert {"params", "macs", "activations", "convs", "input_size"} <= set(result["cost"])
    assert result["bicubic"]["psnr"] > 20


def test_cost_is_counted_for_the_input_that_was_asked_for(photos: Path, capsys) -> None:
    assert told(capsys, photos, size="964x540")["cost"]["input_size"] == [540, 964]


def test_rgb_is_another_number(photos: Path, capsys) -> None:
    assert told(capsys, photos)["y"] is True
    assert told(capsys, photos, y=False)["y"] is False


def test_timing_adds_time_and_memory(photos: Path, capsys, monkeypatch) -> None:
    monkeypatch.setattr("espalier.recipes.measure.SECONDS", 0.0)
    evaluate.command(TINY, data=photos, json=True)
    cost = json.loads(capsys.readouterr().out)["cost"]
    assert cost["ms"] > 0
    assert cost["memory"] > 0


def test_the_table_has_every_image_and_the_mean(photos: Path, capsys) -> None:
    evaluate.command(TINY, data=photos, timing=False)
    shown = capsys.readouterr().out
    for word in ("photo0", "photo3", "mean", "PSNR Y, dB", "bicubic", "parameters", "MACs"):
        assert word in shown


def test_a_corrupt_image_is_named_and_left_out(photos: Path, capsys) -> None:
    (photos / "broken.png").write_bytes(b"not an image")
    with pytest.warns(UserWarning, match=r"broken\.png"):
        result = told(capsys, photos)
    assert len(result["images"]) == 4


@pytest.mark.parametrize("content", [None, b"not an image"])
def test_nothing_to_measure_is_an_error(tmp_path: Path, content: bytes | None) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    if content is not None:
        (folder / "a.png").write_bytes(content)
    with pytest.raises(EspalierError, match="images"), pytest.warns() if content else _nothing():
        evaluate.command(TINY, data=folder, timing=False)


def _nothing():
    import contextlib

    return contextlib.nullcontext()


def test_a_scale_that_the_network_has_not_is_refused(photos: Path) -> None:
    with pytest.raises(EspalierError, match=r"x3|scale"):
        evaluate.command(TINY, data=photos, scale=3, timing=False)
