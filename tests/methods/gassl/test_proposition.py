"""HAIR's proposition: under a penalty that grows on all weights alike, those of small curvature shrink most.

Around a minimum w* with Hessian H, the penalty L/2 |w|^2 moves the minimum to (H + L)^-1 H w*: with a diagonal H
each weight keeps the share h / (h + L).
"""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call

from espalier.channels import ChannelGroup, analyse
from espalier.methods.gassl.hair import everywhere
from espalier.methods.growing import Gradient, Growing
from espalier.methods.pace import Pace
from espalier.methods.places import makers
from espalier.methods.protocol import Context
from espalier.methods.scales import pressed

HIDDEN = 12


class Small(nn.Module):
    """Two convolutions; each hidden channel is made of one filter."""

    def __init__(self, outputs: int) -> None:
        super().__init__()
        self.hidden = nn.Conv2d(3, HIDDEN, 3, bias=False)
        self.out = nn.Conv2d(HIDDEN, outputs, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.hidden(x).relu())


def hidden_group(network: nn.Module, x: Tensor) -> ChannelGroup:
    return analyse(network, x[:1].float()).group("hidden.weight")


def curvature(network: nn.Module, scale: nn.Parameter, loss: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """The true Hessian of the loss in the scales, at its minimum."""
    name = next(n for n, p in network.named_parameters() if p is scale)

    def at(value: Tensor) -> Tensor:
        return loss(functional_call(network, {name: value.view_as(scale)}, (x,)))

    return torch.autograd.functional.hessian(at, scale.detach().flatten())


def answered(network: nn.Module, x: Tensor, ceiling: float) -> tuple[Tensor, Tensor]:
    """Which share each scale keeps under the penalty that grew everywhere, and the Hessian before it did."""
    target = network(x).detach()  # so that the network is at a minimum, with loss zero

    def loss(output: Tensor) -> Tensor:
        return (output - target).square().mean()

    group = hidden_group(network.float(), x)
    network.double()
    steps = 400
    pace = Pace(0, steps // 2, steps // 2, 10, ceiling / 20, ceiling, Gradient())
    method = Growing([group], everywhere(pace), places=makers, press=pace.press, interval=10, scaled=True)
    context = Context(network, steps, 0, 0, 1, lambda _: None)
    method.start(context)
    method.ready(context)
    scale = pressed(network, method.makers[group.name][0])
    hessian, before = curvature(network, scale, loss, x), scale.detach().flatten().clone()
    optimizer = torch.optim.SGD([scale], lr=1.5 / (float(torch.linalg.eigvalsh(hessian)[-1]) + ceiling))
    for step in range(steps):
        method.before_step(step)
        optimizer.zero_grad()
        loss(network(x)).backward()
        method.after_backward(step)
        optimizer.step()
    return scale.detach().flatten() / before, hessian


def ranks(values: Tensor) -> np.ndarray:
    return values.argsort().argsort().double().numpy()


def test_with_a_diagonal_hessian_each_scale_keeps_h_over_h_plus_penalty() -> None:
    torch.manual_seed(0)
    network = Small(HIDDEN)
    network.out.weight.data = torch.diag(torch.linspace(0.2, 2.0, HIDDEN)[torch.randperm(HIDDEN)])[
        ..., None, None
    ]
    x = torch.rand(4, 3, 8, 8, dtype=torch.float64)
    network.hidden.weight.data.abs_()  # away from the kink of ReLU
    kept, hessian = answered(network.double(), x, 0.02)
    h = hessian.diagonal()
    assert float((hessian - torch.diag(h)).abs().max()) < 1e-12
    assert torch.allclose(kept, h / (h + 0.02), atol=1e-3)
    assert (ranks(kept) == ranks(h)).all()


def test_on_a_network_the_answers_rank_the_scales_as_their_curvatures_do() -> None:
    correlations, by_size = [], []
    for seed in range(5):
        torch.manual_seed(seed)
        network = Small(6).double()
        network.out.weight.data *= torch.logspace(-1, 0.5, HIDDEN)[torch.randperm(HIDDEN)].view(1, -1, 1, 1)
        x = torch.rand(4, 3, 10, 10, dtype=torch.float64)
        sizes = network.hidden.weight.detach().flatten(1).norm(dim=1)
        kept, hessian = answered(network, x, 0.005)
        correlations.append(np.corrcoef(ranks(kept), ranks(hessian.diagonal()))[0, 1])
        by_size.append(np.corrcoef(ranks(sizes), ranks(hessian.diagonal()))[0, 1])
    assert min(correlations) > 0.8
    assert np.mean(correlations) > np.mean(by_size) + 0.3
