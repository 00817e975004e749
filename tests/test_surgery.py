import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from espalier.channels import analyse, sample_inputs
from espalier.errors import PlanError
from espalier.plan import Cut, PrunePlan, Relink
from espalier.surgery import apply_, apply_to_optimizer_, apply_to_state, scatter

SHAPES = {
    "head.weight": (5, 3, 3, 3),
    "head.bias": (5,),
    "norm.weight": (5,),
    "norm.bias": (5,),
    "norm.running_mean": (5,),
    "norm.running_var": (5,),
    "act.weight": (5,),
    "tail.weight": (3, 5, 3, 3),
}


class Small(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.head = nn.Conv2d(3, 8, 3, padding=1)
        self.norm = nn.BatchNorm2d(8)
        self.act = nn.PReLU(8)
        self.tail = nn.Conv2d(8, 3, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.tail(self.act(self.norm(self.head(x))))


KEPT = [0, 2, 3, 5, 7]


def plan_for(network: nn.Module) -> PrunePlan:
    channels = analyse(network, sample_inputs(3, 6, 6))
    return channels.plan({"head.weight": KEPT})


def state_of(module: nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in module.state_dict().items()}


def test_tensors_and_the_sizes_that_layers_remember_are_cut() -> None:
    network = Small()
    before = state_of(network)
    apply_(network, plan_for(network))
    after = network.state_dict()
    assert {name: tuple(after[name].shape) for name in SHAPES} == SHAPES
    assert torch.equal(after["head.weight"], before["head.weight"][KEPT])
    assert torch.equal(after["tail.weight"], before["tail.weight"][:, KEPT])
    assert (network.head.out_channels, network.tail.in_channels, network.norm.num_features) == (5, 5, 5)
    assert network.act.num_parameters == 5
    assert network(sample_inputs(3, 6, 6)).shape == (1, 3, 6, 6)


def test_parameters_stay_the_same_objects_and_gradients_are_cut_along() -> None:
    network = Small()
    plan = plan_for(network)
    network(sample_inputs(3, 6, 6)).sum().backward()
    weight = network.head.weight
    assert weight.grad is not None
    expected = weight.grad[KEPT].clone()
    apply_(network, plan)
    assert network.head.weight is weight
    assert torch.equal(weight.grad, expected)
    network(sample_inputs(3, 6, 6)).sum().backward()


def test_tied_weights_stay_tied() -> None:
    class Tied(Small):
        def __init__(self) -> None:
            super().__init__()
            self.first = nn.Conv2d(8, 8, 3, padding=1)
            self.second = nn.Conv2d(8, 8, 3, padding=1)
            self.second.weight = self.first.weight

        def forward(self, x: Tensor) -> Tensor:
            return self.tail(self.second(self.first(self.head(x))))

    network = Tied()
    apply_(network, plan_for(network))
    assert network.second.weight is network.first.weight
    assert network.first.weight.shape == (5, 5, 3, 3)
    assert (network.second.in_channels, network.second.out_channels) == (5, 5)


LAYERS: list[tuple[nn.Module, str, int, dict[str, Any]]] = [
    (nn.Linear(4, 6), "weight", 0, {"out_features": 2, "in_features": 4}),
    (nn.ConvTranspose2d(6, 4, 2, groups=2), "weight", 0, {"in_channels": 2, "out_channels": 4}),
    (nn.GroupNorm(2, 6), "weight", 0, {"num_channels": 2}),
    (nn.LayerNorm(6), "weight", 0, {"normalized_shape": (2,)}),
    (nn.RMSNorm(6), "weight", 0, {"normalized_shape": (2,)}),
    (nn.Embedding(5, 6), "weight", 1, {"num_embeddings": 5, "embedding_dim": 2}),
]


@pytest.mark.parametrize(("layer", "name", "dim", "expected"), LAYERS, ids=lambda v: type(v).__name__)
def test_layers_know_their_new_sizes(layer: nn.Module, name: str, dim: int, expected: dict[str, Any]) -> None:
    module = nn.Sequential(copy.deepcopy(layer))
    apply_(module, PrunePlan((Cut(f"0.{name}", dim, 6, (1, 4)),)))
    assert {key: getattr(module[0], key) for key in expected} == expected


def test_relinks_reach_into_nested_tuples_and_keep_their_types() -> None:
    module = nn.Sequential(nn.Identity())
    module.width = 8  # type: ignore[assignment]
    module[0].sizes = ([8, 3], (4, 8))  # type: ignore[assignment]
    plan = PrunePlan((), (Relink("", "width", (), 8, 5), Relink("0", "sizes", (1, 1), 8, 5)))
    apply_(module, plan)
    assert module.width == 5
    assert module[0].sizes == ([8, 3], (4, 5))


WRONG = [
    (
        PrunePlan((Cut("nowhere.weight", 0, 8, (0,)),)),
        "cuts 'nowhere.weight', which this network does not have",
    ),
    (PrunePlan((Cut("head.weight", 0, 9, (0,)),)), "to have 9 positions on axis 0, got shape"),
    (PrunePlan((Cut("head.weight", 4, 8, (0,)),)), "positions on axis 4"),
    (PrunePlan((Cut("head.weight", 0, 8, ()),)), "keeps positions outside"),
    (PrunePlan((Cut("head.weight", 0, 8, (0, 8)),)), r"keeps positions outside 0\.\.7"),
    (PrunePlan((Cut("head.weight", 0, 8, (-1, 3)),)), "keeps positions outside"),
    (PrunePlan((), (Relink("nowhere", "width", (), 8, 5),)), "changes nowhere.width"),
    (PrunePlan((), (Relink("head", "width", (), 8, 5),)), "changes head.width"),
]


@pytest.mark.parametrize(("wrong", "message"), WRONG)
def test_a_plan_that_does_not_fit_changes_nothing(wrong: PrunePlan, message: str) -> None:
    network = Small()
    before = state_of(network)
    good = plan_for(network)
    with pytest.raises(PlanError, match=message):
        apply_(network, PrunePlan((*good.cuts, *wrong.cuts), (*good.relinks, *wrong.relinks)))
    after = network.state_dict()
    assert all(torch.equal(value, after[name]) for name, value in before.items())
    assert network.head.out_channels == 8


def test_a_plan_cannot_be_applied_twice() -> None:
    network = Small()
    plan = plan_for(network)
    apply_(network, plan)
    with pytest.raises(PlanError, match="already pruned"):
        apply_(network, plan)


@pytest.mark.parametrize(
    "make",
    [
        lambda p: torch.optim.Adam(p, amsgrad=True),
        lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9),
        lambda p: torch.optim.AdamW(p, foreach=False),
        lambda p: torch.optim.RMSprop(p, centered=True),
    ],
    ids=["Adam", "SGD", "AdamW", "RMSprop"],
)
def test_an_optimizer_goes_on_as_if_nothing_had_been_there(make: Any) -> None:
    """Its moments are those of the positions that stay, so the next step is that of a masked run."""
    network = Small().eval()
    optimizer = make(network.parameters())
    step(network, optimizer)
    state = {id(p): {k: clone(v) for k, v in optimizer.state[p].items()} for p in network.parameters()}
    plan = plan_for(network)
    apply_(network, plan)
    apply_to_optimizer_(optimizer, network, plan)
    head = optimizer.state[network.head.weight]
    for key, old in state[id(network.head.weight)].items():
        expected = old[KEPT] if isinstance(old, Tensor) and old.ndim == 4 else old
        assert torch.equal(torch.as_tensor(head[key]), torch.as_tensor(expected)), key
    assert any(
        isinstance(v, Tensor) and v.shape == (3, 5, 3, 3)
        for v in optimizer.state[network.tail.weight].values()
    )
    step(network, optimizer)


def clone(value: Any) -> Any:
    return value.clone() if isinstance(value, Tensor) else value


def step(network: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    optimizer.zero_grad()
    network(sample_inputs(3, 6, 6)).square().mean().backward()
    optimizer.step()


def test_a_tensor_cut_on_both_axes_has_its_moments_cut_on_both() -> None:
    network = nn.Sequential(nn.Linear(6, 6))
    optimizer = torch.optim.Adam(network.parameters())
    network(torch.ones(1, 6)).sum().backward()
    optimizer.step()
    plan = PrunePlan(
        (Cut("0.weight", 0, 6, (1, 2)), Cut("0.weight", 1, 6, (0, 3, 5)), Cut("0.bias", 0, 6, (1, 2)))
    )
    moment = optimizer.state[network[0].weight]["exp_avg"].clone()
    apply_(network, plan)
    apply_to_optimizer_(optimizer, network, plan)
    assert torch.equal(optimizer.state[network[0].weight]["exp_avg"], moment[[1, 2]][:, [0, 3, 5]])


def test_a_state_dict_is_cut_like_the_network() -> None:
    network = Small()
    plan = plan_for(network)
    average = {f"ema.{name}": value.clone() for name, value in network.state_dict().items()} | {
        "step": torch.ones(1)
    }
    cut = apply_to_state(average, plan, prefix="ema.")
    apply_(network, plan)
    assert all(torch.equal(cut[f"ema.{name}"], value) for name, value in network.state_dict().items())
    assert torch.equal(cut["step"], torch.ones(1))
    assert average["ema.head.weight"].shape == (8, 3, 3, 3)


def test_scatter_puts_back_what_was_kept() -> None:
    network = Small()
    whole, plan = network.state_dict(), plan_for(network)
    cut = apply_to_state(whole, plan)
    back = scatter(cut, plan, whole)
    assert {name: tensor.shape for name, tensor in back.items()} == {n: t.shape for n, t in whole.items()}
    assert all(torch.equal(tensor, cut[name]) for name, tensor in apply_to_state(back, plan).items())
    gone = [channel for channel in range(8) if channel not in KEPT]
    assert not back["head.weight"][gone].any()
    assert not back["tail.weight"][:, gone].any()


def test_scatter_refuses_tensors_of_another_cut() -> None:
    whole = Small().state_dict()
    with pytest.raises(PlanError, match=r"head\.bias"):
        scatter({"head.bias": torch.zeros(9)}, PrunePlan(()), whole)
