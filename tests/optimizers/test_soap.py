"""SOAP against what it promises: exact bases, Adam where nothing can be turned, state that survives."""

import copy
import math

import pytest
import torch
from torch import Tensor, nn

from espalier.optimizers import Soap, build, soap


def badly_conditioned(seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """Inputs whose directions differ a thousandfold in size, turned; targets of a linear layer; its weights."""
    generator = torch.Generator().manual_seed(seed)
    turn = torch.linalg.qr(torch.randn(12, 12, generator=generator)).Q
    x = torch.randn(256, 12, generator=generator) * torch.logspace(0, -3, 12) @ turn
    weight = torch.randn(5, 12, generator=generator)
    return x, x @ weight.T, weight


def descended(optimizer: type[torch.optim.Optimizer], lr: float, steps: int = 300) -> float:
    """Squared error of a linear layer after some steps from a point nearby, as a share of that before."""
    x, wanted, weight = badly_conditioned()
    layer = nn.Linear(12, 5, bias=False)
    layer.weight.data = weight + 0.3 * torch.randn(5, 12, generator=torch.Generator().manual_seed(1))
    first = (layer(x) - wanted).square().mean().item()
    moved = optimizer(layer.parameters(), lr=lr)  # pyright: ignore[reportCallIssue]
    for step in range(steps):
        moved.param_groups[0]["lr"] = lr * (1 - step / steps)
        moved.zero_grad()
        (layer(x) - wanted).square().mean().backward()
        moved.step()
    return (layer(x) - wanted).square().mean().item() / first


def test_a_turned_and_badly_scaled_least_squares_problem_is_solved() -> None:
    rates = (1e-3, 3e-3, 1e-2, 3e-2, 1e-1)
    adam = min(descended(torch.optim.Adam, lr) for lr in rates)
    soap = min(descended(Soap, lr) for lr in rates)
    assert soap < 1e-6
    assert soap < 0.1 * adam


def test_a_vector_moves_as_with_adam() -> None:
    first, second = (nn.Parameter(torch.tensor([3.0, -4.0, 5.0])) for _ in range(2))
    size = float(first.detach().square().mean().sqrt())
    ours = Soap([first], lr=0.01, betas=(0.9, 0.99), gather=0)
    adam = torch.optim.Adam([second], lr=0.01 * size, betas=(0.9, 0.99), eps=1e-12)
    for factor in (-0.5, 0.5, 0.9):
        for group in adam.param_groups:
            group["lr"] = 0.01 * float(first.detach().square().mean().sqrt())
        for parameter, optimizer in ((first, ours), (second, adam)):
            parameter.grad = torch.tensor([1.0, -2.0, 0.5]) * factor
            optimizer.step()
    assert torch.allclose(first, second, atol=1e-6)


def test_the_first_gradients_are_only_gathered() -> None:
    parameter = nn.Parameter(torch.ones(4, 3))
    optimizer = Soap([parameter], gather=2)
    for moved in (False, False, True):
        parameter.grad = torch.randn(4, 3)
        optimizer.step()
        assert torch.equal(parameter.detach(), torch.ones(4, 3)) != moved


def test_turning_the_problem_turns_the_path() -> None:
    """What the coordinates of inputs and outputs are does not matter."""
    generator = torch.Generator().manual_seed(3)
    left, right = (torch.linalg.qr(torch.randn(n, n, generator=generator)).Q for n in (5, 7))
    start, grads = torch.randn(5, 7, generator=generator), torch.randn(9, 5, 7, generator=generator)
    plain, turned = nn.Parameter(start.clone()), nn.Parameter(left @ start @ right)
    for parameter, turn in ((plain, lambda g: g), (turned, lambda g: left @ g @ right)):
        optimizer = Soap([parameter], lr=0.1, gather=4, refresh=3)
        for grad in grads:
            parameter.grad = turn(grad)
            optimizer.step()
    assert torch.allclose(left @ plain @ right, turned, atol=1e-4)
    assert not torch.allclose(plain, start, atol=1e-2)


@pytest.mark.parametrize("shape", [(), (6,), (8, 4, 3, 3), (8, 1, 3, 3), (4, 8, 2, 2), (1, 5), (2000, 3)])
def test_every_shape_goes_downhill(shape: tuple[int, ...]) -> None:
    generator = torch.Generator().manual_seed(0)
    parameter = nn.Parameter(torch.randn(shape, generator=generator) + 1)
    goal = torch.randn(shape, generator=generator)
    first = (parameter - goal).square().sum().item()
    optimizer = Soap([parameter], lr=0.05, gather=1)
    for _ in range(80):
        optimizer.zero_grad()
        (parameter - goal).square().sum().backward()
        optimizer.step()
    assert (parameter - goal).square().sum().item() < 0.5 * first


def test_directions_without_gradient_stay() -> None:
    """Rounding noise is no gradient, whatever its sign."""
    parameter = nn.Parameter(torch.ones(8, 36))
    optimizer = Soap([parameter], lr=0.05, gather=1)
    for _ in range(30):
        parameter.grad = torch.full((8, 36), 0.1)
        optimizer.step()
    assert (parameter - parameter.mean()).abs().max().item() < 1e-3
    assert parameter.mean().item() < 0.99


def test_a_restored_state_goes_on_alike() -> None:
    first = nn.Parameter(torch.randn(5, 4, generator=torch.Generator().manual_seed(0)))
    grads = torch.randn(12, 5, 4, generator=torch.Generator().manual_seed(1))
    ours = Soap([first], gather=2, refresh=2)
    for grad in grads[:6]:
        first.grad = grad.clone()
        ours.step()
    second = nn.Parameter(first.detach().clone())
    other = Soap([second], gather=2, refresh=2)
    other.load_state_dict(copy.deepcopy(ours.state_dict()))
    for grad in grads[6:]:
        for parameter, optimizer in ((first, ours), (second, other)):
            parameter.grad = grad.clone()
            optimizer.step()
    assert torch.equal(first, second)


def test_after_a_cut_of_the_tensor_gathering_begins_anew() -> None:
    parameter = nn.Parameter(torch.ones(6, 4))
    optimizer = Soap([parameter], gather=1)
    for _ in range(3):
        parameter.grad = torch.randn(6, 4)
        optimizer.step()
    parameter.data = parameter.data[:3].clone()
    before = parameter.detach().clone()
    for moved in (False, True):
        parameter.grad = torch.randn(3, 4)
        optimizer.step()
        assert torch.equal(parameter.detach(), before) != moved


@pytest.mark.parametrize(("steps", "gather"), [(500, 8), (8, 2), (1, 0)])
def test_it_is_made_by_name_and_moves_in_few_steps_too(steps: int, gather: int) -> None:
    made = build("soap", [nn.Parameter(torch.ones(2, 2))], steps, lr=0.1)
    assert isinstance(made, Soap)
    assert made.param_groups[0]["gather"] == gather


def test_a_gradient_out_of_all_proportion_is_shortened() -> None:
    parameters = [nn.Parameter(torch.ones(4)), nn.Parameter(torch.ones(5))]
    optimizer = Soap([{"params": [parameter]} for parameter in parameters], gather=0)
    for size in (0.0, 1.0, 1.0, 1e6, 1.0):
        for parameter in parameters:
            parameter.grad = torch.full_like(parameter, size / 3)
        optimizer.step()
        whole = torch.cat([parameter.grad for parameter in parameters])
        assert whole.norm() == pytest.approx(min(size, soap.CLIP))
    assert optimizer.param_groups[0]["lengths"] == pytest.approx([1, 1, 1e6, 1])


def test_nothing_moves_by_a_gradient_that_is_no_number() -> None:
    parameter = nn.Parameter(torch.ones(4, 3))
    optimizer = Soap([parameter], gather=0)
    parameter.grad = torch.randn(4, 3)
    optimizer.step()
    before = copy.deepcopy((parameter.detach(), optimizer.state_dict()["state"]))
    parameter.grad = torch.full((4, 3), math.inf)
    optimizer.step()
    after = parameter.detach(), optimizer.state_dict()["state"]
    assert str(before) == str(after)


def test_complex_weights_move_as_their_real_and_imaginary_parts() -> None:
    whole, parts = (nn.Parameter(t) for t in (torch.ones(3, 4, dtype=torch.complex64), torch.ones(3, 4, 2)))
    parts.data[..., 1] = 0
    ours = [Soap([parameter], lr=0.1, gather=1) for parameter in (whole, parts)]
    for k in range(4):
        grad = torch.randn(3, 4, 2, generator=torch.Generator().manual_seed(k))
        whole.grad, parts.grad = torch.view_as_complex(grad.clone()), grad
        for optimizer in ours:
            optimizer.step()
    torch.testing.assert_close(torch.view_as_real(whole.detach()), parts.detach())
    assert not torch.equal(parts.detach()[..., 0], torch.ones(3, 4))
