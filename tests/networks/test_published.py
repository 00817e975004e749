"""Real weights on Set5 give what their own code gave, to 0.01 dB."""

from pathlib import Path

import pytest

from espalier.evaluation import evaluate
from espalier.networks.load import load

slow = pytest.mark.slow
MEASURED = [
    ("IMDN/IMDN_x2.pth", None, "imdn", 37.996),
    ("IMDN/IMDN_x4.pth", None, "imdn", 32.210),
    ("CARN-M/carn_m.pth", 2, "carn", 37.678),
    ("CARN-M/carn_m.pth", 3, "carn", 34.058),
    ("CARN-M/carn_m.pth", 4, "carn", 31.883),
    ("RNet-EDSRlike/rnet_x4.pth", None, "rnet", 31.866),
    ("PAN/PANx2_DF2K.pth", None, "pan", 38.001),
    ("PAN/PANx4_DF2K.pth", None, "pan", 32.131),
    ("SMFANet/SMFANet_DIV2K_100w_x2SR.pth", None, "smfanet", 38.044),
    ("SMFANet/SMFANet_DIV2K_100w_x3SR.pth", None, "smfanet", 34.458),
    ("SMFANet/SMFANet_DIV2K_100w_x4SR.pth", None, "smfanet", 32.253),
    ("RFDN/RFDN_AIM.pth", None, "rfdn", 32.159),
    ("RFDN-pruned/team40_rfdn_pruned.pth", None, "rfdn", 32.145),
    ("FMEN/team03_fmen.pth", None, "fmen", 32.029),
    ("BSRN/team18_bsrn.pth", None, "bsrn", 32.010),
    ("RLFN/team00_rlfn.pth", None, "rlfn", 32.097),
    ("QuickSRNetLarge/team11_EFQN.pt", None, "quicksrnet", 31.960),
    ("SPAN/team39_spantiny_ch26_slim.pth", None, "span", 31.739),
    ("SPAN/team46_span.pth", None, "span", 31.736),
    ("SPAN/team00_SPAN.pth", None, "span", 31.739),
    ("SRVGG/realesr-animevideov3.pth", None, "Compact", 28.233),
    pytest.param("VDSR/vdsr_state_dict.pth", 2, "vdsr", 37.560, marks=slow),
    pytest.param("VDSR/vdsr_state_dict.pth", 3, "vdsr", 33.731, marks=slow),
    pytest.param("VDSR/vdsr_state_dict.pth", 4, "vdsr", 31.254, marks=slow),
    ("FSRCNN/fsrcnn_x2.pth", None, "fsrcnn", 37.138),
    ("FSRCNN/fsrcnn_x3.pth", None, "fsrcnn", 32.599),
    ("FSRCNN/fsrcnn_x4.pth", None, "fsrcnn", 30.513),
    ("SRGAN-G/netG_epoch_4_100.pth", None, "srresnet", 30.654),
]


@pytest.mark.parametrize(("weights", "scale", "name", "psnr"), MEASURED)
def test_psnr_on_set5(weights: str, scale: int | None, name: str, psnr: float, real_data: Path) -> None:
    network = load(real_data / "weights" / weights, scale=scale)
    assert network.name == name
    assert evaluate(network, real_data / "sets" / "Set5").psnr == pytest.approx(psnr, abs=0.01)
