import pytest
import torch
from torch import nn

from espalier.calibration import record, refit
from espalier.errors import NetworkError


class Residual(nn.Module):
    """A skip over a convolution; the ReLU comes after the sum."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Conv2d(3, 8, 1)
        self.inner = nn.Conv2d(8, 8, 3, padding=1)
        self.tail = nn.Conv2d(8, 3, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.head(x)
        return self.tail((x + self.inner(x)).relu())


def networks() -> tuple[Residual, Residual, torch.Tensor]:
    torch.manual_seed(0)
    dense, other = Residual().eval(), Residual().eval()
    other.load_state_dict(dense.state_dict())
    return dense, other, torch.rand(4, 3, 16, 16)


def test_the_record_tells_what_becomes_of_an_output() -> None:
    dense, _, x = networks()
    found = record(dense, x, readers=["tail"])
    assert found["inner"].total is not None
    assert found["inner"].rectified
    assert not found["head"].rectified
    assert found["tail"].total is None
    assert found["tail"].moments.shape == (1, 8, 8)
    torch.testing.assert_close(found["tail"].output, dense(x).movedim(1, -1).flatten(0, 2).detach())


def test_numbers_that_are_not_finite_are_named() -> None:
    dense, _, x = networks()
    dense.inner.weight.data[0, 0] = torch.nan
    with pytest.raises(NetworkError, match="the layer inner gives numbers that are not finite"):
        record(dense, x)


def test_broken_weights_are_found_again() -> None:
    dense, broken, x = networks()
    found = record(dense, x)
    with torch.no_grad():
        for parameter in broken.inner.parameters():
            parameter.mul_(0.5)
    refit(broken, x, found, {})
    assert (broken(x) - dense(x)).square().mean() < 1e-4


def test_errors_of_the_skip_are_mended_on_its_way() -> None:
    dense, broken, x = networks()
    found = record(dense, x)
    del found["head"]  # not refitted, so its error stays in the skip
    with torch.no_grad():
        broken.head.weight.mul_(1.2)
        before = (broken(x) - dense(x)).square().mean()
        refit(broken, x, found, {})
        after = (broken(x) - dense(x)).square().mean()
    assert after < 0.01 * before


def test_the_network_is_left_without_hooks() -> None:
    dense, other, x = networks()
    refit(other, x, record(dense, x), {})
    assert not any(m._forward_hooks for net in (dense, other) for m in net.modules())
