import dataclasses
import inspect
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

import espalier
from espalier import api
from espalier.errors import NetworkError, PlanError
from espalier.recipes.prune import Request
from tests.recipes.conftest import TINY, own_cache, photos

__all__ = ["own_cache", "photos"]


def test_load_and_save_from_the_top(tmp_path) -> None:
    network = espalier.load("edsr(scale=2, blocks=1, channels=4)")
    espalier.save(network, tmp_path / "net.safetensors")
    again = espalier.load(tmp_path / "net.safetensors", scale=2)
    image = torch.rand(1, 3, 8, 9)
    with torch.no_grad():
        assert torch.equal(network(image), again(image))


def test_importing_the_package_is_cheap() -> None:
    code = "import espalier, sys; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_every_function_of_the_api_is_at_the_top() -> None:
    assert espalier.__all__ == api.__all__
    assert all(getattr(espalier, name) is getattr(api, name) for name in espalier.__all__)
    assert set(espalier.__all__) <= set(dir(espalier))
    with pytest.raises(AttributeError, match="no attribute 'prun'"):
        espalier.prun  # noqa: B018


def test_names_of_the_api_are_no_packages() -> None:
    """A package of the same name would take the function's place once it is imported."""
    folder = Path(espalier.__file__).parent
    taken = [
        name for name in espalier.__all__ if (folder / name).is_dir() or (folder / f"{name}.py").exists()
    ]
    assert not taken


def test_prune_takes_all_that_a_request_holds() -> None:
    asked = set(inspect.signature(espalier.prune).parameters)
    assert {field.name for field in dataclasses.fields(Request)} <= asked


def test_pruning_and_recovery_leave_their_arguments_alone(photos: Path) -> None:
    dense = espalier.load(TINY)
    before = {name: tensor.clone() for name, tensor in dense.state_dict().items()}
    small = espalier.prune(dense, photos, method="magnitude")
    pruned = {name: tensor.clone() for name, tensor in small.state_dict().items()}
    recovered = espalier.recover(small, photos, teacher=dense, steps=2, batch=2, patch=12)
    assert all(torch.equal(before[name], tensor) for name, tensor in dense.state_dict().items())
    assert all(torch.equal(pruned[name], tensor) for name, tensor in small.state_dict().items())
    changed = [
        name for name, tensor in recovered.state_dict().items() if not torch.equal(pruned[name], tensor)
    ]
    assert changed
    assert not dense.plans
    assert len(small.plans) == len(recovered.plans) == 1
    assert not recovered.training


def test_a_module_goes_all_the_way_but_for_files_that_name_it(photos: Path, tmp_path: Path) -> None:
    class Local(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.head, self.tail = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 12, 3, padding=1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return nn.functional.pixel_shuffle(self.tail(self.head(x).relu()), 2)

    dense = espalier.load(Local())
    small = espalier.prune(dense, photos, budget="ratio=0.5", method="magnitude")
    small = espalier.recover(small, photos, teacher=dense, steps=2, batch=2, patch=12)
    assert small.body.head.out_channels == 4
    assert espalier.export_to(small, tmp_path / "small.pt2").passed
    with pytest.raises(NetworkError, match="needs a name of the network, got a Local"):
        espalier.compress(Local(), photos, tmp_path / "run")  # type: ignore[arg-type]


def test_zeros_stay_in_recovery(photos: Path) -> None:
    sparse = espalier.prune(espalier.load(TINY), photos, budget="sparsity=0.5", method="obs")
    recovered = espalier.recover(sparse, photos, steps=2, batch=2, patch=12)
    for name, mask in sparse.masks.items():
        assert not recovered.body.state_dict()[name][~mask].any()


def test_the_same_seed_gives_the_same_network(photos: Path) -> None:
    dense = espalier.load(TINY)
    states = [
        espalier.recover(
            espalier.prune(dense, photos, options={"polish": 30}), photos, steps=2, batch=2, patch=12, seed=3
        ).state_dict()
        for _ in range(2)
    ]
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def test_wrong_wishes_are_messages(photos: Path, tmp_path: Path) -> None:
    dense = espalier.load(TINY)
    with pytest.raises(PlanError, match="did you mean 'magnitude'"):
        espalier.prune(dense, photos, method="magnitud")
    with pytest.raises(PlanError, match="has no options"):
        espalier.prune(dense, photos, method="magnitude", options={"steps": 2})
    with pytest.raises(NetworkError, match=r"no export target writes \.doc: expected .*\.onnx"):
        espalier.export_to(dense, tmp_path / "a.doc")


def test_an_image_is_enlarged(photos: Path, tmp_path: Path) -> None:
    from espalier.images.io import read_image

    espalier.upscale(espalier.load(TINY), photos / "photo0.png", tmp_path / "large.png")
    assert read_image(tmp_path / "large.png").size == (144, 176)


def test_a_run_and_a_sweep_are_read_back(photos: Path, tmp_path: Path) -> None:
    settings = espalier.CompressSettings(recover=0, timing=False, method="magnitude")
    result = espalier.compress(TINY, photos, tmp_path / "run", settings)
    assert result.page.is_file()
    assert result.plan == espalier.read(tmp_path / "run").network().plans[-1]
    assert "of the MACs" in result.sentence
    made = espalier.sweep(
        TINY, photos, tmp_path / "sweep", budgets=["0.5"], methods=["magnitude"], settings=settings
    )
    assert [each.path.name for each in made] == ["magnitude-macs0.5"]
    assert (tmp_path / "sweep" / "index.html").is_file()
