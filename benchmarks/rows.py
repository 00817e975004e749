"""The networks of the architecture survey, as references that `espalier.load` takes."""

from dataclasses import dataclass

_SWIN = "embed_dim=60, depths=[2, 2], num_heads=[6, 6], window_size=8, mlp_ratio=2"
_PAIRS = "embed_dim=60, depth=[2, 2], num_heads=[6, 6], split_size=[8, 16], upscale=4"


@dataclass(frozen=True)
class Row:
    """One network."""

    name: str
    reference: str
    prepared: bool = False
    """Whether its branches are folded first, for both tools."""


ROWS = (
    Row("EDSR-baseline x2", "edsr(scale=2, blocks=16, channels=64)"),
    Row("SRResNet x4", "srresnet(scale=4, blocks=16, channels=64)"),
    Row("RFDN x4", "rfdn(scale=4, blocks=4, channels=50)"),
    Row("IMDN x4", "imdn(scale=4, blocks=6, channels=64)"),
    Row("Compact (SRVGGNetCompact)", "spandrel.Compact()"),
    Row("SwiftSRGAN", "spandrel.SwiftSRGAN()"),
    Row("ESRGAN (RRDBNet)", "spandrel.ESRGAN(num_blocks=3)"),
    Row("ESRGAN+ (pixel_shuffle, plus)", "spandrel.ESRGAN(num_blocks=3, plus=True, upsampler='pixel_shuffle')"),
    Row("RCAN", "spandrel.RCAN(n_resgroups=2, n_resblocks=4)"),
    Row("MMRealSR", "spandrel.MMRealSR(num_in_ch=3, num_out_ch=3, num_block=2)"),
    Row("RealCUGAN (UpCunet2x)", "spandrel.UpCunet2x()"),
    Row("SPAN", "spandrel.SPAN(num_in_ch=3, num_out_ch=3)"),
    Row("SPAN (folded)", "spandrel.SPAN(num_in_ch=3, num_out_ch=3)", prepared=True),
    Row("SAFMN", "spandrel.SAFMN(dim=36)"),
    Row("DCTLSA", "spandrel.DCTLSA()"),
    Row("PLKSR", "spandrel.PLKSR.PLKSR(n_blocks=4, ccm_type='DCCM')"),
    Row("RealPLKSR", "spandrel.RealPLKSR(n_blocks=4)"),
    Row("RealPLKSR (dysample)", "spandrel.RealPLKSR(n_blocks=4, dysample=True)"),
    Row("SeemoRe", "spandrel.SeemoRe(num_layers=2)"),
    Row("MoSR", "spandrel.MoSR(n_block=4)"),
    Row("MoESR", "spandrel.MoESR(n_blocks=2, n_block=2)"),
    Row("OmniSR", "spandrel.OmniSR()"),
    Row("SwinIR-light (psdirect)", f"spandrel.SwinIR({_SWIN}, upscale=2, upsampler='pixelshuffledirect')"),
    Row("SwinIR-classical (pixelshuffle)", f"spandrel.SwinIR({_SWIN}, upscale=4, upsampler='pixelshuffle')"),
    Row(
        "SwinIR-real (nearest+conv)",
        f"spandrel.SwinIR({_SWIN}, upscale=4, upsampler='nearest+conv', resi_connection='3conv')",
    ),
    Row("Swin2SR", f"spandrel.Swin2SR({_SWIN}, upscale=2, upsampler='pixelshuffledirect')"),
    Row("HAT", "spandrel.HAT(embed_dim=96, depths=[2, 2], num_heads=[6, 6], window_size=16, mlp_ratio=2, upscale=4)"),
    Row(
        "GRL",
        "spandrel.GRL(embed_dim=64, upscale=4, depths=[2, 2], num_heads_window=[2, 2], num_heads_stripe=[2, 2], "
        "stripe_size=[8, None], stripe_groups=[None, 4], anchor_window_down_factor=2, local_connection=True, "
        "mlp_ratio=2, upsampler='pixelshuffle')",
    ),
    Row("RGT", f"spandrel.RGT({_PAIRS}, mlp_ratio=2)"),
    Row("DAT", f"spandrel.DAT({_PAIRS}, expansion_factor=2.0)"),
    Row("CRAFT", "spandrel.CRAFT(depths=[2, 2], num_heads=[6, 6])"),
    Row("DITN", "spandrel.DITN(ITL_blocks=1, SAL_blocks=1)"),
    Row(
        "ATD",
        "spandrel.ATD(embed_dim=48, depths=[2, 2], num_heads=[4, 4], window_size=16, category_size=128, "
        "num_tokens=64, reducted_dim=8, upscale=4, upsampler='pixelshuffledirect', mlp_ratio=1)",
    ),
    Row("IPT", "spandrel.IPT(patch_size=64, patch_dim=4, n_feats=32, scale=[2], num_heads=8, num_layers=2)"),
    Row(
        "DRCT",
        "spandrel.DRCT(embed_dim=96, depths=[6, 6], num_heads=[6, 6], window_size=16, upscale=4, gc=32, "
        "upsampler='pixelshuffle')",
    ),
    Row("FDAT", "spandrel.FDAT(embed_dim=96, num_groups=2, depth_per_group=1)"),
    Row(
        "AuraSR",
        "spandrel.AuraSR.UnetUpsampler(dim=8, image_size=None, input_image_size=None, "
        "style_network={'dim_in': 32, 'dim_out': 128, 'depth': 2}, self_attn_dim_head=16, self_attn_heads=8, "
        "attn_depths=[1, 1, 1, 1, 1], mid_attn_depth=1)",
    ),
)  # fmt: skip


def grown(family: str, times: int) -> str:
    """The reference of a network with `times` as many blocks as the survey's."""
    depths, heads = [2] * (2 * times), [6] * (2 * times)
    return {
        "SwinIR": f"spandrel.SwinIR(embed_dim=60, depths={depths}, num_heads={heads}, window_size=8, mlp_ratio=2, "
        "upscale=2, upsampler='pixelshuffledirect')",
        "RCAN": f"spandrel.RCAN(n_resgroups=2, n_resblocks={4 * times})",
        "RRDB": f"spandrel.ESRGAN(num_blocks={3 * times})",
    }[family]


GROWING = ("SwinIR", "RCAN", "RRDB")
