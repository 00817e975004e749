"""Real checkpoints on Set5 give the PSNR that was measured with their authors' own code."""

import pytest

from espalier.evaluation import evaluate
from espalier.networks.load import load

FAST = [
    ("IMDN/IMDN_x4.pth", 4, 32.210),
    ("RFDN/RFDN_AIM.pth", 4, 32.159),
    ("RFDN-pruned/team40_rfdn_pruned.pth", 4, 32.145),
    ("RLFN/team00_rlfn.pth", 4, 32.097),
    ("SPAN/team00_SPAN.pth", 4, 31.739),
    ("SRVGG/realesr-animevideov3.pth", 4, 28.233),
    ("QuickSRNetLarge/team11_EFQN.pt", 4, 31.960),
    ("FSRCNN/fsrcnn_x2.pth", 2, 37.138),
    ("FSRCNN/fsrcnn_x3.pth", 3, 32.599),
    ("FSRCNN/fsrcnn_x4.pth", 4, 30.513),
    ("FMEN/team03_fmen.pth", 4, 32.029),
    ("BSRN/team18_bsrn.pth", 4, 32.010),
    ("SMFANet/SMFANet_DIV2K_100w_x4SR.pth", 4, 32.253),
]
SLOW = [
    ("IMDN/IMDN_x2.pth", 2, 37.996),
    ("CARN-M/carn_m.pth", 2, 37.678),
    ("CARN-M/carn_m.pth", 3, 34.058),
    ("CARN-M/carn_m.pth", 4, 31.883),
    ("RNet-EDSRlike/rnet_x4.pth", 4, 31.866),
    ("PAN/PANx2_DF2K.pth", 2, 38.001),
    ("PAN/PANx4_DF2K.pth", 4, 32.131),
    ("SRGAN-G/netG_epoch_4_100.pth", 4, 30.654),
    ("VDSR/vdsr_state_dict.pth", 2, 37.560),
    ("VDSR/vdsr_state_dict.pth", 3, 33.731),
    ("VDSR/vdsr_state_dict.pth", 4, 31.254),
]


@pytest.mark.parametrize(("weights", "scale", "measured"), FAST)
def test_set5(real_data, weights, scale, measured):
    network = load(real_data / "weights" / weights, scale=scale)
    assert evaluate(network, real_data / "sets" / "Set5").psnr == pytest.approx(measured, abs=0.0015)


@pytest.mark.slow
@pytest.mark.parametrize(("weights", "scale", "measured"), SLOW)
def test_set5_of_larger_networks(real_data, weights, scale, measured):
    test_set5(real_data, weights, scale, measured)


@pytest.mark.slow
def test_set14_holds_a_grey_image(real_data):
    network = load(real_data / "weights" / "IMDN" / "IMDN_x4.pth")
    assert evaluate(network, real_data / "sets" / "Set14").psnr == pytest.approx(28.582, abs=0.0015)
