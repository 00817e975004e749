"""Networks with masks in files: exact, small, and refused where damaged. Over the whole zoo."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from espalier.errors import NetworkError
from espalier.methods.job import cut
from espalier.networks.checkpoint import read_safetensors
from espalier.networks.file import KEY, save
from espalier.networks.load import load
from espalier.networks.network import Network
from espalier.networks.prepare import prepare
from espalier.networks.sparse import MASKS
from espalier.plan import Cut, PrunePlan
from espalier.recipes.opening import opened
from espalier.sparsity import apply_, choose, size, weights
from tests import zoo

SMALL = "edsr(scale=2, blocks=3, channels=24)"


def sparse(network: Network, share: float) -> Network:
    network.masks = choose({n: w.detach().abs() for n, w in weights(network).items()}, share)
    apply_(network, network.masks)
    return network


def header_bytes(path: Path) -> int:
    return 8 + int.from_bytes(path.read_bytes()[:8], "little")


@zoo.each()
def test_a_sparse_network_comes_back_bit_for_bit(entry: zoo.Entry, tmp_path: Path) -> None:
    network, path = sparse(zoo.network(entry), 0.7), tmp_path / "net.safetensors"
    save(network, path)
    again = load(path)
    assert network.masks.keys() == again.masks.keys()
    assert all(torch.equal(mask, again.masks[name]) for name, mask in network.masks.items())
    for one, two in zip(network.state_dict().values(), again.state_dict().values(), strict=True):
        assert torch.equal(one, two)
        assert one.dtype == two.dtype


@pytest.mark.parametrize("values", [None, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("share", [0.3, 0.5, 0.7, 0.9, 0.95])
def test_files_are_within_5_percent_of_the_bound(
    share: float, values: torch.dtype | None, tmp_path: Path
) -> None:
    network, path = sparse(load(SMALL), share), tmp_path / "net.safetensors"
    save(network, path, values=values)
    found = size(network, values)
    assert path.stat().st_size - header_bytes(path) == found.bytes
    assert found.bound <= found.bytes < 1.05 * found.bound


@pytest.mark.parametrize("values", [torch.float16, torch.bfloat16])
def test_short_values_are_widened_again(values: torch.dtype, tmp_path: Path) -> None:
    network, path = sparse(load(SMALL), 0.5), tmp_path / "net.safetensors"
    save(network, path, values=values)
    again = load(path)
    for one, two in zip(network.state_dict().values(), again.state_dict().values(), strict=True):
        assert torch.equal(one.to(values).to(one.dtype), two)
    save(again, tmp_path / "again.safetensors", values=values)
    tensors, twice = (read_safetensors(tmp_path / f"{name}.safetensors")[0] for name in ("net", "again"))
    assert all(torch.equal(tensor, twice[name]) for name, tensor in tensors.items())


def test_damaged_masks_are_refused_with_one_message(tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"
    save(sparse(load(SMALL), 0.9), path)
    tensors, header = read_safetensors(path)
    flipped = tensors[MASKS].clone()
    flipped[40] ^= 4
    save_file({**tensors, MASKS: flipped}, path, header)
    with pytest.raises(NetworkError, match=r"cannot load .*its masks are damaged"):
        load(path)
    save_file({n: t for n, t in tensors.items() if n != MASKS}, path, header)
    with pytest.raises(NetworkError, match="its masks are damaged"):
        load(path)
    save_file({**tensors, "body.3.weight": tensors["body.3.weight"][1:].clone()}, path, header)
    with pytest.raises(NetworkError, match=r"body\.3\.weight has values of shape"):
        load(path)
    record = json.loads(header[KEY])
    record["masks"]["lengths"]["nowhere.weight"] = 3
    save_file(tensors, path, {**header, KEY: json.dumps(record)})
    with pytest.raises(NetworkError, match=r"a mask for nowhere\.weight"):
        load(path)
    for broken in (
        {"digest": record["masks"]["digest"]},
        "all",
        {"lengths": [1], "digest": record["masks"]["digest"]},
    ):
        save_file(tensors, path, {**header, KEY: json.dumps({**record, "masks": broken})})
        with pytest.raises(NetworkError, match="its header is damaged"):
            load(path)


def test_weights_that_moved_out_of_their_mask_are_not_lost_silently(tmp_path: Path) -> None:
    network = sparse(load(SMALL), 0.5)
    with torch.no_grad():
        network.body.get_parameter("body.3.weight").add_(1)
    with pytest.raises(NetworkError, match=r"body\.3\.weight has weights that its mask prunes"):
        save(network, tmp_path / "net.safetensors")
    network.masks = {"elsewhere": torch.ones(2, dtype=torch.bool)}
    with pytest.raises(NetworkError, match="no such tensor"):
        save(network, tmp_path / "net.safetensors")
    assert not list(tmp_path.iterdir())


def test_a_dense_network_is_written_as_before(tmp_path: Path) -> None:
    save(load(SMALL), tmp_path / "net.safetensors")
    record = json.loads(read_safetensors(tmp_path / "net.safetensors")[1][KEY])
    assert record["format"] == 1
    assert not {"masks", "values"} & record.keys()


def test_a_sparse_network_is_opened_as_it_is_and_not_prepared_again(tmp_path: Path) -> None:
    save(sparse(load(SMALL), 0.5), tmp_path / "net.safetensors")
    assert opened(tmp_path / "net.safetensors").masks
    with pytest.raises(NetworkError, match="pruned already"):
        prepare(load(tmp_path / "net.safetensors"))


def test_a_cut_of_channels_takes_the_masks_along(tmp_path: Path) -> None:
    kept = tuple(range(10))
    names = [("body.0.body.0.weight", 0), ("body.0.body.0.bias", 0), ("body.0.body.2.weight", 1)]
    plan = PrunePlan(tuple(Cut(name, dim, 24, kept) for name, dim in names))
    smaller = cut(sparse(load(SMALL), 0.5), plan)
    assert smaller.masks["body.0.body.0.weight"].shape == (10, 24, 3, 3)
    save(smaller, tmp_path / "net.safetensors")
    assert load(tmp_path / "net.safetensors").masks["body.0.body.2.weight"].shape == (24, 10, 3, 3)
