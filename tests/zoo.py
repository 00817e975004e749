"""Every architecture once, at a tiny size: what methods, criteria and exporters are tested on.

@zoo.each(zoo.CONVOLUTIONAL)
def test_something(entry: zoo.Entry) -> None:
    network = zoo.network(entry)       # fresh: may be changed
    channels = zoo.channels(entry)     # analysed once per session: must not be changed
"""

import copy
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal

import numpy as np
import pytest
import torch
from torch import Tensor

from espalier.channels import Channels, Unit, analyse, sample_inputs
from espalier.networks.load import load
from espalier.networks.network import Network
from espalier.networks.prepare import prepare


@dataclass(frozen=True)
class Entry:
    """One network of the zoo."""

    name: str
    reference: str
    """What `espalier.load` takes."""
    scale: int
    kind: Literal["conv", "attention"] = "conv"
    size: tuple[int, int] = (16, 20)
    """Height and width of the RGB image that it is traced with."""
    prepared: bool = False
    """Whether its branches are folded first."""
    slow: bool = False
    """Whether its tests are left to `make test-all`."""


def _entry(reference: str, scale: int = 4, *, name: str = "", **more: object) -> Entry:
    return Entry(name or reference.partition("(")[0].removeprefix("spandrel."), reference, scale, **more)  # type: ignore[arg-type]


def _attention(reference: str, scale: int = 4, *, name: str = "", **more: object) -> Entry:
    return _entry(reference, scale, name=name, kind="attention", **more)


CONVOLUTIONAL: tuple[Entry, ...] = (
    _entry("edsr(scale=2, blocks=2, channels=12)", 2),
    _entry("edsr(scale=4, blocks=1, channels=12, upsampler='light')", name="ledsr"),
    _entry("edsr(scale=3, blocks=1, channels=12, res_scale=0.1)", 3, name="edsr-x3"),
    _entry("rnet(scale=2, blocks=2, channels=12)", 2),
    _entry("srresnet(scale=4, blocks=2, channels=12)"),
    _entry(
        "srresnet(scale=2, blocks=1, channels=12, fuse='prelu', output='tanh', kernel=5)", 2, name="srgan"
    ),
    _entry("imdn(scale=2, blocks=2, channels=16)", 2),
    _entry("rfdn(scale=4, blocks=2, channels=16)", size=(28, 24)),
    _entry("rlfn(scale=4, blocks=2, channels=12, attention=6)", size=(28, 24)),
    _entry("carn(scale=2, channels=16, groups=4)", 2),
    _entry("carn(scale=3, channels=16, groups=2)", 3, name="carn-x3"),
    _entry("pan(scale=4, blocks=2, channels=12, up_channels=8)"),
    _entry("vdsr(scale=2, layers=3, channels=12)", 2),
    _entry("fsrcnn(scale=2, channels=12, shrunk=6, layers=2)", 2),
    _entry("quicksrnet(scale=2, layers=2, channels=12, anchor=False)", 2),
    _entry("quicksrnet(scale=4, layers=2, channels=12, anchor=True)", name="quicksrnet-anchor"),
    _entry("fmen(scale=4, channels=12, squeezed=[6, 8], depths=[2, 1])"),
    _entry("bsrn(scale=4, blocks=2, channels=12)", size=(28, 24)),
    _entry("smfanet(scale=4, blocks=2, channels=12)"),
    _entry("drln(scale=2, channels=16)", 2, size=(8, 10)),
    _entry("span(scale=4, blocks=2, channels=12)", name="span-folded"),
    _entry("spandrel.Compact(num_feat=12, num_conv=2, upscale=4)"),
    _entry("spandrel.SwiftSRGAN(num_channels=12, num_blocks=2, upscale_factor=4)"),
    _entry("spandrel.ESRGAN(num_filters=12, num_blocks=1, scale=4)"),
    _entry("spandrel.ESRGAN(num_filters=12, num_blocks=1, scale=4, plus=True)", name="ESRGAN-plus"),
    _entry(
        "spandrel.ESRGAN(num_filters=12, num_blocks=1, scale=4, upsampler='pixel_shuffle')",
        name="ESRGAN-shuffle",
    ),
    _entry(
        "spandrel.ESRGAN(num_filters=12, num_blocks=1, scale=2, shuffle_factor=2, in_nc=12)",
        1,
        name="RealESRGAN",
    ),
    _entry("spandrel.RCAN(scale=4, n_resgroups=2, n_resblocks=2, n_feats=12, reduction=4)"),
    _entry("spandrel.UpCunet2x()", 2, name="RealCUGAN", size=(20, 24)),
    _entry("spandrel.SPAN(num_in_ch=3, num_out_ch=3, feature_channels=12)", prepared=True),
    _entry(
        "spandrel.MMRealSR(num_in_ch=3, num_out_ch=3, num_feat=12, num_block=1, num_grow_ch=8, "
        "num_feats=[8, 8, 12, 12], num_blocks=[1, 1, 1, 1])"
    ),
    _entry("spandrel.SAFMN(dim=24, n_blocks=2)", size=(16, 24)),
    _entry("spandrel.SAFMNBCIE(dim=24, n_blocks=2, num_layers=2)", 1, size=(16, 24)),
    _entry("spandrel.PLKSR.PLKSR(dim=16, n_blocks=2, ccm_type='DCCM', kernel_size=5)", name="PLKSR"),
    _entry(
        "spandrel.PLKSR.PLKSR(dim=16, n_blocks=2, ccm_type='ICCM', lk_type='SparsePLK', "
        "kernel_size=9, with_idt=True)",
        name="PLKSR-sparse",
    ),
    _entry("spandrel.RealPLKSR(dim=16, n_blocks=2, kernel_size=5)"),
    _entry("spandrel.RealPLKSR(dim=24, n_blocks=2, kernel_size=5, dysample=True)", name="RealPLKSR-dysample"),
    _entry(
        "spandrel.RealPLKSR(dim=16, n_blocks=2, kernel_size=5, layer_norm=True)", name="RealPLKSR-layernorm"
    ),
    _entry("spandrel.MoSR(dim=16, n_block=2)"),
    _entry("spandrel.MoESR(dim=16, n_blocks=2, n_block=2, upsample_dim=12)"),
    _entry("spandrel.SeemoRe(num_layers=2, embedding_dim=16, num_experts=3)"),
)
"""Networks without attention over positions."""

_SWIN = "embed_dim=12, depths=[2, 2], num_heads=[2, 2], window_size=4, mlp_ratio=2"

ATTENTION: tuple[Entry, ...] = (
    _attention(f"spandrel.SwinIR({_SWIN}, upscale=2, upsampler='pixelshuffledirect')", 2),
    _attention(
        f"spandrel.SwinIR({_SWIN}, upscale=4, upsampler='pixelshuffle')", name="SwinIR-classical", slow=True
    ),
    _attention(
        f"spandrel.SwinIR({_SWIN}, upscale=4, upsampler='nearest+conv', resi_connection='3conv')",
        name="SwinIR-real",
        slow=True,
    ),
    _attention(f"spandrel.Swin2SR({_SWIN}, upscale=2, upsampler='pixelshuffledirect')", 2),
    _attention(f"spandrel.HAT({_SWIN}, upscale=4, num_feat=12, squeeze_factor=4)"),
    _attention(
        "spandrel.DAT(embed_dim=32, split_size=[4, 8], depth=[2, 2], num_heads=[2, 2], "
        "expansion_factor=2.0, upscale=4)",
        slow=True,
    ),
    _attention(
        "spandrel.RGT(embed_dim=32, depth=[2, 2], num_heads=[2, 2], mlp_ratio=2, upscale=4, "
        "split_size=[4, 8])",
        slow=True,
    ),
    _attention(
        "spandrel.GRL(embed_dim=36, upscale=4, depths=[2, 2], num_heads_window=[2, 2], "
        "num_heads_stripe=[2, 2], "
        "window_size=4, stripe_size=[4, None], stripe_groups=[None, 4], anchor_window_down_factor=2, "
        "local_connection=True, mlp_ratio=2, upsampler='pixelshuffle')",
        slow=True,
    ),
    _attention("spandrel.CRAFT(depths=[1, 1], num_heads=[2, 2], embed_dim=32)", size=(16, 32), slow=True),
    _attention("spandrel.DITN(dim=16, ITL_blocks=1, SAL_blocks=1)"),
    _attention(
        "spandrel.ATD(embed_dim=12, depths=[2, 2], num_heads=[2, 2], window_size=8, category_size=32, "
        "num_tokens=16, reducted_dim=4, upscale=4, upsampler='pixelshuffledirect', mlp_ratio=1)",
        slow=True,
    ),
    _attention("spandrel.OmniSR(num_feat=16, block_num=1, res_num=1)"),
    _attention("spandrel.DCTLSA(nf=20, num_head=4)", slow=True),
    _attention(
        "spandrel.IPT(patch_size=16, patch_dim=4, n_feats=8, scale=[2], num_heads=4, num_layers=1)",
        2,
        size=(16, 16),
    ),
    _attention(
        "spandrel.DRCT(embed_dim=24, depths=[6], num_heads=[2], window_size=8, upscale=4, gc=8, "
        "upsampler='pixelshuffle')",
        slow=True,
    ),
    _attention("spandrel.FDAT(embed_dim=16, num_groups=2, depth_per_group=1, num_heads=2, mid_dim=12)"),
)
"""Networks with attention."""

ALL = CONVOLUTIONAL + ATTENTION


def each(entries: Sequence[Entry] = ALL) -> Callable[..., object]:
    """Run a test, which takes `entry`, once for each network."""
    rows = [pytest.param(e, id=e.name, marks=[pytest.mark.slow] if e.slow else []) for e in entries]
    return pytest.mark.parametrize("entry", rows)


def find(name: str) -> Entry:
    return next(entry for entry in ALL if entry.name == name)


def network(entry: Entry) -> Network:
    """A fresh copy with seeded weights, in evaluation mode; the caller may change it."""
    return copy.deepcopy(_network(entry))


def image(entry: Entry, seed: int = 0) -> Tensor:
    """An RGB image in 0..1 of the entry's size, shape (1, 3, H, W)."""
    return sample_inputs(3, *entry.size, seed=seed)


def any_cut(units: Iterable[Unit], seed: int) -> dict[str, list[int]]:
    """Channels to keep in every unit, drawn uniformly (the proof itself draws otherwise)."""
    rng = np.random.default_rng(seed)
    kept: dict[str, list[int]] = {}
    for unit in units:
        level = int(rng.integers(1, unit.levels))
        for group, count in zip(unit.groups, unit.counts(level), strict=True):
            kept[group.name] = sorted(rng.choice(group.channels, count, replace=False).tolist())
    return kept


@cache
def channels(entry: Entry) -> Channels:
    """The proven channels, found once per session and shared: the network inside must not be changed."""
    shared = _network(entry)
    return analyse(shared.body, shared.encode(image(entry)))


@cache
def _network(entry: Entry) -> Network:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        made = load(entry.reference)
    return prepare(made) if entry.prepared else made
