"""Sparse networks through the same commands as every other."""

import json
from pathlib import Path

import pytest
import torch

from espalier import training
from espalier.errors import PlanError
from espalier.networks.file import save
from espalier.networks.load import load
from espalier.networks.network import Network
from espalier.recipes import export
from espalier.recipes.compress import CompressSettings, compress
from espalier.sparsity import sparsity
from tests.recipes.conftest import TINY, interrupted

LEARNED = {"method": "dynamic", "options": {"steps": "6", "every": "2"}}
STATIC = {"method": "sparse"}
CALIBRATED = {"method": "obs"}


def compressed(photos: Path, out: Path, network: str = TINY, **changed: object) -> Path:
    fast = {
        "recover": 12,
        "batch": 2,
        "patch": 12,
        "timing": False,
        "device": "cpu",
        "budget": "sparsity=0.8",
    }
    return compress(network, photos, out, CompressSettings.model_validate(fast | changed))


def exact(network: Network) -> bool:
    return all(not network.body.get_parameter(name)[~mask].any() for name, mask in network.masks.items())


@pytest.mark.parametrize("method", [LEARNED, STATIC, CALIBRATED])
def test_recovery_keeps_the_masks_and_the_run_tells_what_they_save(
    method: dict[str, object], photos: Path, tmp_path: Path
) -> None:
    out = compressed(photos, tmp_path / "run", **method, timing=method is STATIC)
    network = load(out / "network.safetensors")
    assert sparsity(network.masks) == pytest.approx(0.8, abs=1e-3)
    assert exact(network)
    rows = json.loads((out / "cost.json").read_text())["rows"]
    assert rows["pruned"]["nonzero"] < 0.25 * rows["dense"]["nonzero"]
    assert rows["pruned"]["stored"] < 0.3 * rows["dense"]["stored"]
    assert rows["pruned"]["macs"] == rows["dense"]["macs"]
    assert not (out / "plan.json").exists()
    text = (out / "report.md").read_text()
    assert "80.0% zeros among its weights" in text
    assert "not the network faster" in text
    assert ("as the measured time shows" in text) == (method is STATIC)
    assert "| File [KiB] | Sparsity [%] |" in text
    assert (out / "network.safetensors").stat().st_size < 0.5 * 4 * rows["dense"]["nonzero"]


@pytest.mark.parametrize("given", [{"scratch": "true"}, {"rewind": "0.5", "start": "calibrated"}])
def test_a_search_by_one_command(given: dict[str, str], photos: Path, tmp_path: Path) -> None:
    dense = tmp_path / "dense.safetensors"
    save(load(TINY), dense)
    changed = {"method": "dynamic", "options": {"steps": "6", "lr": "1e-4"} | given}
    compressed(photos, tmp_path / "run", str(dense), **changed)
    network = load(tmp_path / "run" / "network.safetensors")
    assert sparsity(network.masks) == pytest.approx(0.8, abs=1e-3)
    assert exact(network)
    if "scratch" in given:
        old = load(dense).body.state_dict()
        parts = [torch.isclose(network.body.get_parameter(n)[m], old[n][m]) for n, m in network.masks.items()]
        assert torch.cat(parts).float().mean() < 0.05


def test_an_interrupted_recovery_keeps_the_masks_exact(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dense = tmp_path / "dense.safetensors"
    save(load(TINY), dense)
    whole = compressed(photos, tmp_path / "whole", str(dense), **STATIC, recover=12)

    with interrupted(monkeypatch), pytest.raises(training.Interrupted):
        compressed(photos, tmp_path / "parts", str(dense), **STATIC, recover=12)
    parts = compressed(photos, tmp_path / "parts", str(dense), **STATIC, recover=12, resume=True)
    one, two = (load(out / "network.safetensors") for out in (whole, parts))
    assert all(torch.equal(mask, two.masks[name]) for name, mask in one.masks.items())
    assert all(torch.equal(a, b) for a, b in zip(one.state_dict().values(), two.state_dict().values()))


def test_a_sparse_network_can_lose_channels_and_stays_sparse(photos: Path, tmp_path: Path) -> None:
    first = compressed(photos, tmp_path / "first", **STATIC)
    changed = {"method": "calibrated", "budget": "macs=0.6"}
    second = compressed(photos, tmp_path / "second", str(first / "network.safetensors"), **changed)
    network = load(second / "network.safetensors")
    assert len(network.plans) == 1
    assert exact(network)
    assert sparsity(network.masks) > 0.5


def test_the_export_is_dense_with_zeros(photos: Path, tmp_path: Path) -> None:
    out = compressed(photos, tmp_path / "run", **STATIC, recover=0)
    export.command(str(out / "network.safetensors"), to="pth", out=tmp_path / "plain.pth")
    plain, sparse = load(tmp_path / "plain.pth"), load(out / "network.safetensors")
    assert not plain.masks
    assert all(torch.equal(a, b) for a, b in zip(plain.state_dict().values(), sparse.state_dict().values()))


def test_a_method_that_cuts_channels_takes_no_sparsity(photos: Path, tmp_path: Path) -> None:
    with pytest.raises(PlanError, match="counts single weights"):
        compressed(photos, tmp_path / "run", method="magnitude")
