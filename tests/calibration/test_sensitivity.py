import torch
from torch import nn

from espalier.calibration import sensitivities


class Mixing(nn.Module):
    """Two linear layers without overlap in space, so that the Jacobian is the second one's weight."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 3, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.second(self.first(x))


def test_it_is_the_square_of_the_jacobian() -> None:
    torch.manual_seed(0)
    network = Mixing()
    found = sensitivities(network, torch.rand(8, 3, 40, 40))
    matrix = network.second.weight.detach()[:, :, 0, 0].double()
    torch.testing.assert_close(found["first"], matrix.T @ matrix, rtol=0.1, atol=0.03)
    torch.testing.assert_close(found["second"], torch.eye(3).double(), rtol=0.1, atol=0.05)


def test_frozen_networks_are_measured_too_and_no_gradient_stays() -> None:
    network = Mixing().requires_grad_(False)
    found = sensitivities(network, torch.rand(1, 3, 8, 8))
    assert set(found) == {"first", "second"}
    assert all(p.grad is None and not p.requires_grad for p in network.parameters())
