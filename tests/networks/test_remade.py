import dataclasses
import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from espalier.errors import NetworkError
from espalier.networks.checkpoint import read_safetensors
from espalier.networks.file import KEY, save
from espalier.networks.load import load
from espalier.networks.network import Network

MASK = "layers.0.residual_group.blocks.1.attn_mask"
INDEX = "layers.0.residual_group.blocks.1.attn.relative_position_index"


def windows() -> Network:
    return load(
        "spandrel.SwinIR(embed_dim=8, depths=[2], num_heads=[2], window_size=4, img_size=32, mlp_ratio=2, "
        "upscale=2, upsampler='pixelshuffledirect')"
    )


def test_what_the_class_makes_is_left_out_and_comes_back(tmp_path: Path) -> None:
    network, path = windows(), tmp_path / "net.safetensors"
    before = torch.random.get_rng_state()
    save(network, path)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert {MASK, INDEX} <= network.body.state_dict().keys()
    assert not {MASK, INDEX} & load_file(path).keys()
    again = load(path)
    for name, tensor in network.body.state_dict().items():
        assert torch.equal(again.body.state_dict()[name], tensor), name


def test_other_buffers_are_written(tmp_path: Path) -> None:
    network, path = windows(), tmp_path / "net.safetensors"
    network.body.get_buffer(MASK)[0, 0, 0] = 7
    save(network, path)
    assert MASK in load_file(path)
    assert INDEX not in load_file(path)
    assert load(path).body.get_buffer(MASK)[0, 0, 0] == 7
    save(network.double(), path)
    assert MASK in load_file(path)
    assert load(path).body.get_buffer(MASK).dtype == torch.float64


def test_values_of_16_bits_do_not_reach_what_is_made_again(tmp_path: Path) -> None:
    network, path = windows(), tmp_path / "net.safetensors"
    save(network, path, values=torch.bfloat16)
    assert torch.equal(load(path).body.get_buffer(MASK), network.body.get_buffer(MASK))


def test_what_cannot_be_built_again_is_written_whole(tmp_path: Path) -> None:
    network, path = windows(), tmp_path / "net.safetensors"
    network.base = dataclasses.replace(network.base, arguments={"depth": 1})
    save(network, path)
    assert load_file(path).keys() == network.body.state_dict().keys()


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ({"names": [MASK], "digest": "0"}, f"{MASK} is left to the class.*version of spandrel"),
        ({"names": ["nowhere"], "digest": "0"}, "nowhere is left to the class"),
        ({"names": [MASK]}, "its header is damaged"),
    ],
)
def test_a_class_that_makes_others_is_refused(
    record: dict[str, object], message: str, tmp_path: Path
) -> None:
    path = tmp_path / "net.safetensors"
    save(windows(), path)
    tensors, header = read_safetensors(path)
    save_file(tensors, path, {KEY: json.dumps(json.loads(header[KEY]) | {"remade": record})})
    with pytest.raises(NetworkError, match=message):
        load(path)


def test_a_persons_own_code_may_change_so_all_of_it_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = (
        "import torch\nclass Table(torch.nn.Module):\n"
        "    def __init__(self):\n        super().__init__()\n"
        "        self.body = torch.nn.Conv2d(3, 3, 3, padding=1)\n"
        "        self.register_buffer('table', torch.arange(999))\n"
        "    def forward(self, x):\n        return self.body(x)\n"
    )
    (tmp_path / "network_with_a_table.py").write_text(code)
    monkeypatch.chdir(tmp_path)
    save(load("network_with_a_table:Table"), tmp_path / "net.safetensors")
    assert "table" in load_file(tmp_path / "net.safetensors")
    assert "remade" not in json.loads(read_safetensors(tmp_path / "net.safetensors")[1][KEY])
