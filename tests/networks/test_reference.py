"""References in words: parsed, and refused with a reason."""

import pytest

from espalier.errors import NetworkError
from espalier.networks.load import load
from espalier.networks.reference import looks_like_call, parse


def test_literals() -> None:
    reference = parse(
        "spandrel.SwinIR(depths=[6, 6], img_range=1., up='pixelshuffle', x=None, y=-2, z=(1, True))"
    )
    assert reference.name == "spandrel.SwinIR"
    assert reference.arguments == {
        "depths": [6, 6],
        "img_range": 1.0,
        "up": "pixelshuffle",
        "x": None,
        "y": -2,
        "z": (1, True),
    }


@pytest.mark.parametrize(
    "text",
    [
        "edsr(scale=__import__('os').system('true'))",
        "edsr(2)",
        "edsr(**{})",
        "edsr(scale=2",
        "edsr(scale=open)",
        "(lambda: 1)()",
        "edsr()()",
    ],
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(NetworkError):
        parse(text)


def test_looks_like_call() -> None:
    assert looks_like_call("edsr(scale=2)")
    assert not looks_like_call("weights (copy)/x.pth")
    assert not looks_like_call("folder/edsr(2)")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("edsr(scal=2)", "did you mean 'scale'"),
        ("edrs(scale=2)", "did you mean 'edsr'"),
        ("edrs", "did you mean 'edsr'"),
        ("spandrel.SwinIRR(embed_dim=60)", "did you mean 'SwinIR'"),
        ("spandrel.SwinIR(embed_dims=60)", "did you mean 'embed_dim'"),
        ("spandrel.RealCUGAN()", "spandrel.UpCunet2x"),
        ("spandrel.PLKSR.RealPLKSRR()", "did you mean 'RealPLKSR'"),
        ("spandrel.Nothing.At()", "no architecture 'Nothing'"),
        ("edsr(scale=5)", "scale 5"),
        ("edsr(channels='many')", "cannot be built"),
        ("spandrel.SPAN(feature_channels=4)", "num_in_ch"),
    ],
)
def test_mistakes_are_named(text: str, message: str) -> None:
    with pytest.raises(NetworkError, match=message):
        load(text)


def test_scale_may_stand_outside() -> None:
    assert load("edsr(blocks=1, channels=4)", scale=3).scale == 3
    assert load("spandrel.RealPLKSR(dim=8, n_blocks=1)", scale=2).scale == 2
    with pytest.raises(NetworkError, match="is a network for x2, but x3 was asked for"):
        load("edsr(scale=2, blocks=1, channels=4)", scale=3)
