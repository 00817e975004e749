"""Batch normalisation over two workers equals that of one worker with both batches."""

import contextlib
import multiprocessing
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from torch import Tensor, nn

from espalier.data import PackedImages, pack
from espalier.methods.protocol import Batch, Context, Idle
from espalier.training import TrainingError, TrainSettings, fit
from espalier.training.batchnorm import Synchronised, synchronised
from espalier.training.distributed import Workers


def network() -> nn.Module:
    torch.manual_seed(1)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1, bias=False),  # a bias before it has no gradient but noise
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.Conv2d(8, 12, 3, padding=1, bias=False),
        nn.BatchNorm2d(12, affine=False, momentum=None),  # pyright: ignore[reportArgumentType]
        nn.PixelShuffle(2),
    )


class Judged(Idle):
    """A second network with batch normalisation, as a discriminator has."""

    def start(self, context: Context) -> None:
        del context
        torch.manual_seed(2)
        self.judge = nn.Sequential(
            nn.Conv2d(3, 4, 3, 2), nn.BatchNorm2d(4), nn.LeakyReLU(), nn.Conv2d(4, 1, 3)
        )
        self.judge.requires_grad_(False)

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        return {"judge": 0.1 * self.judge(batch.output).square().mean()}


def trained(folder: str, batch: int, lr: float, synchronised: bool) -> dict[str, Tensor]:
    settings = TrainSettings(steps=10, batch=batch, patch=6, lr=lr, sync_batchnorm=synchronised)
    student, method = network(), Judged()
    fit(student, pack(folder, 2, cache=Path(folder) / "cache"), settings, method=method, progress=False)
    return student.state_dict() | {f"judge.{k}": v for k, v in method.judge.state_dict().items()}


def penalty(x: Tensor) -> tuple[Tensor, Tensor]:
    """A norm of a gradient, as WGAN-GP has it, differentiated once more."""
    layer = nn.BatchNorm1d(4).double().train()
    x = x.clone().requires_grad_()
    (first,) = torch.autograd.grad(layer(x).pow(3).sum(), x, create_graph=True)
    (second,) = torch.autograd.grad(first.square().sum(), x)
    return first.detach(), second


def halves() -> Tensor:
    return torch.randn(10, 4, 5, generator=torch.Generator().manual_seed(3)).double() + 1000


def work(rank: int, folder: str, out: str) -> None:
    """One of two workers, in a process of its own."""
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{out}/meeting", rank=rank, world_size=2)
    found = {name: trained(folder, 4, 1e-3, name == "synchronised") for name in ("synchronised", "apart")}
    with Synchronised():  # batches of 3 and 7
        found["penalty"] = penalty(halves().split([3, 7])[rank])  # pyright: ignore[reportArgumentType]
    torch.save(found, f"{out}/{rank}.pt")
    dist.destroy_process_group()


@pytest.fixture(scope="module")
def both(images: PackedImages, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, list[dict]]:
    assert images.file is not None
    folder, out = images.file.parent.parent, tmp_path_factory.mktemp("workers")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["torch._dynamo", "espalier.training", "tests.training.worker"])
    processes = [context.Process(target=work, args=(rank, str(folder), str(out))) for rank in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0]
    return str(folder), [torch.load(out / f"{rank}.pt", weights_only=True) for rank in range(2)]


def test_two_workers_are_one_with_twice_the_batch(both: tuple[str, list[dict]]) -> None:
    folder, (first, second) = both
    alone = trained(folder, 8, 2e-3, True)
    for name, value in alone.items():
        assert torch.equal(first["synchronised"][name], second["synchronised"][name])
        difference = (first["synchronised"][name] - value).float().norm() / value.float().norm().clamp(
            min=1e-3
        )
        assert difference < 1e-4, name
    assert (first["apart"]["0.weight"] - alone["0.weight"]).norm() / alone["0.weight"].norm() > 1e-3


def test_gradients_of_first_and_second_order(both: tuple[str, list[dict]]) -> None:
    expected = penalty(halves())
    for order in range(2):
        found = torch.cat([each["penalty"][order] for each in both[1]])
        torch.testing.assert_close(found, expected[order], rtol=1e-8, atol=1e-12)


def test_it_is_entered_only_where_wanted_and_of_use() -> None:
    assert isinstance(synchronised(Workers(0, 2), True), Synchronised)
    for workers, wanted in ((Workers(0, 2), False), (Workers(0, 1), True)):
        assert isinstance(synchronised(workers, wanted), contextlib.nullcontext)


def test_evaluation_is_left_alone() -> None:
    layer = nn.BatchNorm2d(3).eval()
    x = torch.rand(2, 3, 4, 4)
    with Synchronised():  # there are no workers to exchange anything with
        assert torch.equal(layer(x), nn.BatchNorm2d(3).eval()(x))


def test_a_compiled_network_cannot() -> None:
    with pytest.raises(TrainingError, match="give one of them up"):
        TrainSettings(compile="default", sync_batchnorm=True)
