"""Masked runs with labels of their own, and with those of the traced run."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from espalier.channels import analyse, sample_inputs, units_of
from espalier.channels.labels import shrunk
from espalier.channels.lowering import dead_classes
from espalier.channels.masked_run import Arithmetic, MaskedRun, Replay, Script, fitted
from espalier.channels.rehearsal import Diverged, Rehearsal
from espalier.channels.rules.movement import reshaped
from tests import zoo


class Attention(nn.Module):
    """Two heads in windows of 2 x 2, so that a larger image has the same labels more often."""

    def __init__(self) -> None:
        super().__init__()
        self.head, self.norm, self.qkv = nn.Conv2d(3, 8, 3, padding=1), nn.LayerNorm(8), nn.Linear(8, 24)
        self.tail = nn.Conv2d(8, 3, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        y = self.head(x)
        b, c, h, w = y.shape
        tokens = y.view(b, c, h // 2, 2, w // 2, 2).permute(0, 2, 4, 3, 5, 1).reshape(-1, 4, c)
        q, k, v = self.qkv(self.norm(tokens)).view(len(tokens), 4, 3, 2, -1).permute(2, 0, 3, 1, 4)
        mixed = ((q @ k.transpose(-2, -1)).softmax(-1) @ v).transpose(1, 2).reshape(len(tokens), 4, -1)
        back = mixed.view(b, h // 2, w // 2, 2, 2, -1).permute(0, 5, 1, 3, 2, 4).reshape(b, -1, h, w)
        return self.tail(back)


@pytest.mark.parametrize("size", [(8, 8), (4, 4)])
def test_labels_of_the_traced_run_do_for_smaller_images(size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    found = analyse(Attention(), sample_inputs(3, 8, 8))
    kept = zoo.any_cut(units_of(found.prunable), 3)
    dead = dead_classes(found.groups, found.classes, kept)
    script = Script(found.trace.counted, found.trace.atoms)
    lives = script.lives(found.classes, dead)
    with Rehearsal(found.network, (sample_inputs(3, *size),)) as rehearsal:
        anew = rehearsal.whole(lambda _: None, lambda n: MaskedRun(n, found.classes, dead, rescale=False))
        again = rehearsal.whole(lambda _: None, lambda _: Replay(script, lives, rescale=False))
        plain = rehearsal.run()
    assert torch.equal(anew[0], again[0])
    assert not torch.equal(anew[0], plain[0])


def test_another_run_than_the_traced_one_is_noticed() -> None:
    found = analyse(Attention(), sample_inputs(3, 8, 8), prove=False)
    lives = np.ones(found.trace.atoms.count + 1, dtype=bool)
    for counted in (found.trace.counted, found.trace.counted[1:]):
        with Rehearsal(nn.Conv2d(3, 3, 1), (sample_inputs(3, 4, 4),)) as rehearsal, pytest.raises(Diverged):
            rehearsal.whole(
                lambda _: None,
                lambda _, c=counted: Replay(Script(c, found.trace.atoms), lives, rescale=False),
            )


@pytest.mark.parametrize("copies", [lambda f: f.repeat(6, 1), lambda f: f.repeat_interleave(6, 0)])
def test_a_factor_that_repeats_itself_fits_fewer_windows(copies: Callable[[Tensor], Tensor]) -> None:
    factor = torch.arange(6).view(2, 3)
    assert fitted(copies(factor), (2, 3)).tolist() == factor.tolist()
    assert fitted(factor, (2, 3)) is factor
    with pytest.raises(Diverged):
        fitted(torch.arange(12).view(12, 1), (4, 3))
    with pytest.raises(Diverged):
        fitted(factor, (2, 3, 1))


SHAPES = [
    ((2, 12, 5), (2, 3, 4, 5)),
    ((2, 3, 4, 5), (2, 12, 5)),
    ((6, 4), (2, 12)),
    ((1, 6, 1, 4), (6, 4, 1)),
    ((24,), (2, 1, 12)),
]


@pytest.mark.parametrize(("source", "out"), SHAPES)
def test_a_view_of_a_factor_is_the_factor_of_the_view(source: tuple[int, ...], out: tuple[int, ...]) -> None:
    for dim in range(len(source)):
        if source[dim] > 1:
            atoms = torch.arange(source[dim]).view([-1 if d == dim else 1 for d in range(len(source))])
            expected, found = shrunk(atoms.expand(source).reshape(out)), shrunk(reshaped(atoms, source, out))
            assert expected is not None
            assert found is not None
            assert torch.equal(expected.expand(out), found.expand(out))
            assert expected.shape == found.shape


@pytest.mark.parametrize("second", [(0, 1), (2, 3)])
def test_a_factor_is_rescaled_for_the_width_of_a_head_where_there_are_as_many_heads(
    second: tuple[int, int],
) -> None:
    lives = torch.zeros(1, 4, 1, 4, dtype=torch.bool)
    lives[:, :, :, [0, 1]] = True
    lives[:, 1], lives[:, 1, :, list(second)] = False, True
    queries = torch.ones(2, 4, 5, 4, dtype=torch.float64)
    scaled = Arithmetic(True).carry_out("mul", torch.ops.aten.mul.Tensor, (queries, 0.5), {}, [lives])
    assert torch.allclose(scaled, torch.full_like(scaled, 2**-0.5))
