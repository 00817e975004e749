"""PReLUs in a form that onnxruntime runs in its own layout, beside the convolutions, on a processor."""

import copy

from torch import Tensor, nn
from torch.nn import functional

from espalier.networks.network import Network


class SplitPReLU(nn.Module):
    """A PReLU as a x + (1 - a) max(x, 0): a ReLU and two products by channel, written as 1x1 convolutions.

    onnxruntime keeps convolutions, ReLUs and their sums in blocks of channels, and leaves that layout for a PReLU.
    """

    def __init__(self, prelu: nn.PReLU) -> None:
        super().__init__()
        self.slopes = nn.Parameter(prelu.weight.detach().clone())

    def forward(self, x: Tensor) -> Tensor:
        if x.ndim != 4:
            return functional.prelu(x, self.slopes)
        slopes = self.slopes.view(-1, 1, 1, 1)
        line = functional.conv2d(x, slopes, groups=len(slopes))
        return line + functional.conv2d(x.relu(), 1 - slopes, groups=len(slopes))


def split_prelus(network: Network) -> Network:
    """A copy that gives the same image without PReLUs; one with a single slope becomes a leaky ReLU."""
    changed = copy.deepcopy(network)
    for parent in list(changed.modules()):
        for name, module in parent._modules.items():  # named_children passes over what is used twice
            if isinstance(module, nn.PReLU):
                parent._modules[name] = _replacement(module)
    return changed


def _replacement(prelu: nn.PReLU) -> nn.Module:
    return nn.LeakyReLU(float(prelu.weight.detach())) if prelu.num_parameters == 1 else SplitPReLU(prelu)
