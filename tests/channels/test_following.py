"""What goes on around a traced run."""

import torch
from torch import Tensor, nn

from espalier.channels.following import reads_training, running


class Plain(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(x)


class Drops(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.dropout(x, 0.5, self.training)


class Later(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return (lambda: x * 2 if self.training else x)()


def test_code_that_mentions_the_mode_is_found() -> None:
    assert not reads_training([Plain, nn.Dropout, nn.Conv2d])
    assert reads_training([Plain, Drops])
    assert reads_training([Later])
    assert reads_training([type("Child", (Drops,), {})])


def test_the_module_at_work_is_on_the_stack() -> None:
    seen: list[list[str]] = []

    class Watcher(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            seen.append(list(stack))
            return x

    stack: list[str] = []
    network = nn.Sequential(Plain(), nn.Sequential(Watcher()))
    before = nn.Module.__call__
    with running({module: name for name, module in network.named_modules()}, stack):
        network(torch.zeros(1))
        Watcher()(torch.zeros(1))  # of another network
    assert seen == [["", "1", "1.0"], []]
    assert nn.Module.__call__ is before
    assert stack == []
