"""Losses that look inside both networks: features, where attention lies, how positions resemble each other."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d, normalize

from espalier.distillation.matching import Pair
from espalier.errors import NetworkError
from espalier.methods.protocol import Batch, Context, Idle
from espalier.networks.network import Network, body_of

CELLS = 16
"""Height and width to which features are pooled before every position is compared with every other."""
SIDE = 32
"""Height and width of the image on which the features are measured once."""


def features(student: Tensor, teacher: Tensor) -> Tensor:
    """Squared difference over the teacher's squared size, per image (FitNets, Romero et al. 2015, made relative)."""
    difference = (student - teacher).square().sum((1, 2, 3))
    return (difference / teacher.square().sum((1, 2, 3)).clamp_min(1e-12)).mean()


def attention(student: Tensor, teacher: Tensor) -> Tensor:
    """Squared difference of normalised maps of mean squares (Zagoruyko and Komodakis 2017, equation 2, squared)."""
    own, taught = (normalize(x.square().mean(1).flatten(1)) for x in (student, teacher))
    return (own - taught).square().sum(1).mean()


def affinity(student: Tensor, teacher: Tensor) -> Tensor:
    """L1 of the similarities of all positions to each other (FAKD, He et al. 2020, equation 3), pooled."""
    own, taught = (_similarities(x) for x in (student, teacher))
    return (own - taught).abs().mean()


LOSSES: Mapping[str, Callable[[Tensor, Tensor], Tensor]] = {
    "features": features,
    "attention": attention,
    "affinity": affinity,
}


class Inside(Idle):
    """Adds the chosen losses between pairs of layers; "features" through 1x1 adapters that are trained too."""

    def __init__(self, teacher: nn.Module, pairs: Iterable[Pair], weights: Mapping[str, float]) -> None:
        self.teacher, self.pairs, self.weights = teacher, tuple(pairs), dict(weights)

    def start(self, context: Context) -> None:
        self.student = context.network
        self.own = Tap(body_of(self.student), [pair.student for pair in self.pairs])
        self.taught = Tap(body_of(self.teacher), [pair.teacher for pair in self.pairs])
        self.adapters = nn.ModuleList()
        if "features" in self.weights:
            with torch.random.fork_rng():
                torch.manual_seed(context.seed + 2)
                self.adapters.extend(_adapter(*widths) for widths in self._widths())
            self.adapters.to(next(self.student.parameters()).device)

    def parameters(self) -> Iterable[nn.Parameter]:
        return self.adapters.parameters()

    def before_step(self, step: int) -> None:
        del step
        self.own.forget()
        self.taught.forget()

    def losses(self, batch: Batch) -> Mapping[str, Tensor]:
        seen = [_alike(own, taught.detach()) for own, taught in self._seen(batch.lr.shape[-2:])]
        return {name: weight * self._mean(name, seen) for name, weight in self.weights.items()}

    def finish(self) -> None:
        self.own.close()
        self.taught.close()

    def state_dict(self) -> dict[str, Any]:
        return self.adapters.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.adapters.load_state_dict(state)

    def _mean(self, name: str, seen: list[tuple[Tensor, Tensor]]) -> Tensor:
        if name == "features":
            seen = [(adapter(own), taught) for adapter, (own, taught) in zip(self.adapters, seen)]
        return torch.stack([LOSSES[name](own, taught) for own, taught in seen]).mean()

    @torch.no_grad()
    def _widths(self) -> list[tuple[int, int]]:
        """Channels of student and teacher at every pair."""
        device = next(self.student.parameters()).device
        for network in (self.student, self.teacher):
            was = network.training
            network.eval()(torch.rand(1, 3, SIDE, SIDE, device=device))
            network.train(was)
        return [(own.shape[1], taught.shape[1]) for own, taught in self._seen((SIDE, SIDE))]

    def _seen(self, shape: Sequence[int]) -> Iterator[tuple[Tensor, Tensor]]:
        """Features of the last images, whose height and width were `shape`, pair by pair."""
        fed, told = (_fed(network, shape) for network in (self.student, self.teacher))
        for pair in self.pairs:
            own, taught = self.own.image(pair.student, fed), self.taught.image(pair.teacher, told)
            yield _uncovered(own, fed, shape), _uncovered(taught, told, shape)


class Tap:
    """Keeps the last outputs of some modules."""

    def __init__(self, body: nn.Module, names: Iterable[str]) -> None:
        self.kept: dict[str, Tensor] = {}
        self.handles = [self._listen(body.get_submodule(name), name) for name in sorted(set(names))]

    def image(self, name: str, shape: Sequence[int]) -> Tensor:
        """(N, C, h, w); a row of tokens is laid out as the picture `shape` that it is of.

        Raises:
            NetworkError: it is neither.
        """
        kept = self.kept.get(name)
        if kept is not None and kept.ndim == 4:
            return kept
        if kept is not None and kept.ndim == 3 and kept.shape[1] == shape[0] * shape[1]:
            return kept.transpose(1, 2).unflatten(2, tuple(shape))
        got = "nothing" if kept is None else f"a tensor of {tuple(kept.shape)}"
        raise NetworkError(
            f"the layer {name!r} gives {got}; features are compared as (N, channels, height, width): name "
            "other layers with --features.layers STUDENT=TEACHER"
        )

    def forget(self) -> None:
        self.kept.clear()

    def close(self) -> None:
        self.forget()
        for handle in self.handles:
            handle.remove()

    def _listen(self, module: nn.Module, name: str) -> Any:
        def keep(called: nn.Module, _inputs: Any, output: Any) -> None:
            if called is module:  # a copy, such as the running mean, takes the hook along
                self.kept[name] = output[0] if isinstance(output, tuple | list) else output

        return module.register_forward_hook(keep)


def _fed(network: nn.Module, shape: Sequence[int]) -> Sequence[int]:
    """Height and width that the body sees: some networks pad."""
    return network.adapter.fitting(shape[0], shape[1]) if isinstance(network, Network) else shape


def _uncovered(x: Tensor, padded: Sequence[int], shape: Sequence[int]) -> Tensor:
    """Without the part that only padding made."""
    return x[..., : shape[0], : shape[1]] if tuple(x.shape[-2:]) == tuple(padded) else x


def _alike(own: Tensor, taught: Tensor) -> tuple[Tensor, Tensor]:
    """Both at the smaller of the two sizes, in full precision."""
    size = min(own.shape[-2], taught.shape[-2]), min(own.shape[-1], taught.shape[-1])
    return tuple(
        x.float() if x.shape[-2:] == size else adaptive_avg_pool2d(x.float(), size) for x in (own, taught)
    )  # pyright: ignore[reportReturnType]


def _adapter(inputs: int, outputs: int) -> nn.Conv2d:
    """One by one; begins as the identity where it can."""
    adapter = nn.Conv2d(inputs, outputs, 1, bias=False)
    if inputs == outputs:
        nn.init.dirac_(adapter.weight)
    return adapter


def _similarities(x: Tensor) -> Tensor:
    height, width = (min(CELLS, side) for side in x.shape[-2:])
    rows = normalize(adaptive_avg_pool2d(x, (height, width)).flatten(2))
    return rows.transpose(1, 2) @ rows
