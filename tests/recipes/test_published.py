"""The whole way on published checkpoints and real photographs."""

import json
from pathlib import Path

import pytest
import torch

from espalier.networks.load import load
from espalier.recipes.compress import CompressSettings, compress
from tests.methods import jobs

CHECKPOINTS = {
    "RNet-EDSRlike/rnet_x4.pth": 4,
    "IMDN/IMDN_x2.pth": 2,
    "RFDN/RFDN_AIM.pth": 4,
    "CARN-M/carn_m.pth": 3,
    "PAN/PANx4_DF2K.pth": 4,
    "SRGAN-G/netG_epoch_4_100.pth": 4,
    "VDSR/vdsr_state_dict.pth": 4,
}


@pytest.mark.slow
@pytest.mark.parametrize("checkpoint", CHECKPOINTS)
def test_half_the_macs_recovered_and_rebuilt(checkpoint: str, real_data: Path, tmp_path: Path) -> None:
    wanted = CompressSettings(
        scale=CHECKPOINTS[checkpoint],
        budget="macs=0.5",
        options={"polish": 10},
        recover=2,
        batch=2,
        patch=24,
        test=real_data / "sets" / "Set5",
        timing=False,
        device="cpu",
    )
    reference = str(real_data / "weights" / checkpoint)
    out = compress(reference, real_data / "sets" / "Set14", tmp_path / "run", wanted)
    rows = json.loads((out / "cost.json").read_text())["rows"]
    assert 0.495 <= rows["pruned"]["macs"] / rows["dense"]["macs"] <= 0.5
    quality = json.loads((out / "metrics.json").read_text())["rows"]
    assert quality["dense"]["mean"]["psnr"] > quality["bicubic"]["mean"]["psnr"]
    rebuilt = [load(out / "network.safetensors").eval() for _ in range(2)]
    image = torch.rand(1, 3, 24, 28)
    with torch.no_grad():
        assert torch.equal(rebuilt[0](image), rebuilt[1](image))


LEARNED = jobs.LEARNED | {"guided": {"steps": 2}}
"""Methods that learn, and options that make them short."""


@pytest.mark.slow
@pytest.mark.parametrize("method", LEARNED)
@pytest.mark.parametrize("checkpoint", ["RNet-EDSRlike/rnet_x4.pth", "IMDN/IMDN_x2.pth"])
def test_methods_that_learn(checkpoint: str, method: str, real_data: Path, tmp_path: Path) -> None:
    wanted = CompressSettings(
        method=method, options=LEARNED[method], budget="macs=0.7", recover=1, batch=1, patch=16, timing=False,
        test=real_data / "sets" / "Set5", device="cpu",
    )  # fmt: skip
    reference = str(real_data / "weights" / checkpoint)
    out = compress(reference, real_data / "sets" / "Set5", tmp_path / "run", wanted)
    rows = json.loads((out / "cost.json").read_text())["rows"]
    assert 0.6 <= rows["pruned"]["macs"] / rows["dense"]["macs"] <= 0.7
    assert load(out / "network.safetensors").scale == CHECKPOINTS[checkpoint]
