"""EDSR (Lim et al., CVPRW 2017, figure 3) and its light form LEDSR (Zhang et al., NeurIPS 2021)."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from torch import Tensor, nn

from espalier.networks.layers import DIV2K_MEAN, conv3, mean_shifts, shuffle_steps
from espalier.networks.network import Adapter
from espalier.networks.recognise import Recognised, count, has, rename, shuffle_scale, stored_means, without


class ResidualBlock(nn.Module):
    """Convolution, ReLU, convolution, scaled, plus the input; no BatchNorm."""

    def __init__(self, channels: int, res_scale: float) -> None:
        super().__init__()
        self.body = nn.Sequential(conv3(channels, channels), nn.ReLU(), conv3(channels, channels))
        self.res_scale = res_scale

    def forward(self, x: Tensor) -> Tensor:
        residual = self.body(x)
        return x + (residual if self.res_scale == 1 else residual * self.res_scale)


class EDSR(nn.Module):
    """Baseline: 16 blocks, 64 channels; full: 32 blocks, 256 channels, res_scale 0.1; images in 0..`peak`."""

    def __init__(
        self,
        *,
        scale: int = 2,
        blocks: int = 16,
        channels: int = 64,
        res_scale: float = 1.0,
        upsampler: Literal["full", "light"] = "full",
        peak: float = 255.0,
        mean: Sequence[float] = DIV2K_MEAN,
    ) -> None:
        super().__init__()
        self.sub_mean, self.add_mean = mean_shifts(mean, peak)
        self.head = nn.Sequential(conv3(3, channels))
        residuals = [ResidualBlock(channels, res_scale) for _ in range(blocks)]
        self.body = nn.Sequential(*residuals, conv3(channels, channels))
        self.tail = light_tail(channels, scale) if upsampler == "light" else full_tail(channels, scale)

    def forward(self, x: Tensor) -> Tensor:
        shallow = self.head(self.sub_mean(x))
        return self.add_mean(self.tail(shallow + self.body(shallow)))


NETWORK = EDSR


def full_tail(channels: int, scale: int) -> nn.Sequential:
    """Convolutions and pixel shuffles, then a convolution to RGB."""
    return nn.Sequential(nn.Sequential(*shuffle_steps(channels, scale)), conv3(channels, 3))


def light_tail(channels: int, scale: int) -> nn.Sequential:
    """One convolution straight to the pixels (ASSL, section 4.1)."""
    return nn.Sequential(conv3(channels, 3 * scale * scale), nn.PixelShuffle(scale))


def adapter(arguments: Mapping[str, Any]) -> Adapter:
    return Adapter(range=arguments.get("peak", 255.0))


def recognise(state: Mapping[str, Tensor], scale: int | None = None) -> Recognised | None:  # noqa: ARG001
    """EDSR-PyTorch's keys (head.0, body.0.body.0, tail.0.0) or BasicSR's (conv_first, body.0.conv1)."""
    if has(state, "conv_first.weight", "conv_after_body.weight", "body.0.conv1.weight", "conv_last.weight"):
        return _recognise(_from_basicsr(state), peak=255.0)
    if has(state, "head.0.weight", "body.0.body.0.weight", "body.0.body.2.weight"):
        return _recognise(state, peak=_stored_peak(state))
    return None


def _from_basicsr(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    blocks = count(state, r"body\.(\d+)\.conv1\.")
    return rename(
        state,
        {
            r"conv_first\.": "head.0.",
            r"body\.(\d+)\.conv1\.": r"body.\1.body.0.",
            r"body\.(\d+)\.conv2\.": r"body.\1.body.2.",
            r"conv_after_body\.": f"body.{blocks}.",
            r"upsample\.": "tail.0.",
            r"conv_last\.": "tail.1.",
        },
    )


def _stored_peak(state: Mapping[str, Tensor]) -> float:
    """EDSR-PyTorch stores its mean colour as a bias in the range of its images."""
    bias = state.get("add_mean.bias", state.get("add_mean.shift"))
    return 1.0 if bias is not None and float(bias.max()) <= 1 else 255.0


def _recognise(state: Mapping[str, Tensor], *, peak: float) -> Recognised | None:
    blocks = count(state, r"body\.(\d+)\.body\.0\.")
    channels = state["head.0.weight"].shape[0]
    if "tail.0.weight" in state:
        upsampler, scale = "light", shuffle_scale(state["tail.0.weight"].shape[0])
    else:
        upsampler, scale = "full", _full_scale(state)
    if scale is None:
        return None
    arguments = {"scale": scale, "blocks": blocks, "channels": channels, "upsampler": upsampler, "peak": peak}
    if channels >= 256 and upsampler == "full":
        arguments["res_scale"] = 0.1
    means = stored_means(state, [peak * colour for colour in DIV2K_MEAN])
    return Recognised(arguments, {**without(state, "sub_mean.", "add_mean."), **means})


def _full_scale(state: Mapping[str, Tensor]) -> int | None:
    """Scale from the convolutions before the pixel shuffles."""
    steps = [
        tensor for name, tensor in state.items() if name.startswith("tail.0.") and name.endswith("weight")
    ]
    if not steps:
        return None
    return 3 if steps[0].shape[0] == 9 * steps[0].shape[1] else 2 ** len(steps)
