import subprocess
import sys

import torch

import espalier


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
