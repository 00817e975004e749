"""Cost as a function of how many channels each group keeps: exact, and fast enough to search over."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from torch import nn

from espalier.channels.atoms import Classes
from espalier.channels.groups import ChannelGroup
from espalier.channels.records import Trace

Curve = Callable[[np.ndarray], float]
"""A cost, given the fraction of its channels that each group keeps."""


@dataclass(frozen=True)
class Terms:
    """A sum of products: weight x (share that lives of factor 1) x (share of factor 2) ..."""

    weights: np.ndarray
    """Shape (terms,)."""
    owner: np.ndarray
    """Term of each factor, shape (factors,)."""
    shares: np.ndarray
    """Share of each group in each factor, shape (factors, groups + 1); the last column never dies."""

    def __call__(self, kept: np.ndarray) -> float:
        """The cost when group g keeps the fraction `kept[g]` of its channels."""
        return float(self.each(kept).sum())

    def each(self, kept: np.ndarray) -> np.ndarray:
        """The cost of every term."""
        lives = self.shares @ np.append(kept, 1.0)
        product = np.ones(len(self.weights))
        np.multiply.at(product, self.owner, lives)
        return self.weights * product

    def with_weights(self, weights: np.ndarray) -> "Terms":
        return Terms(weights, self.owner, self.shares)


@dataclass(frozen=True)
class CostModel:
    """What every network that can be cut from this one costs."""

    names: tuple[str, ...]
    """Group of each position of the vectors of kept fractions."""
    macs: Terms
    """At the traced input's size unless rescaled."""
    params: Terms
    modules: tuple[str, ...]
    """Module of each MACs term."""
    further: Mapping[str, Curve] = field(default_factory=dict)
    """Costs that the trace alone does not tell, by kind (see `espalier.costs.model`)."""

    def of(self, kind: str) -> Curve:
        """The cost of one kind: macs, params, or one of `further`."""
        return {"macs": self.macs, "params": self.params, **self.further}[kind]

    def at_size(self, modules: Mapping[str, float]) -> "CostModel":
        """The same model for another image size, at which the modules run `modules` MACs (by name)."""
        here: Counter[str] = Counter()
        for module, weight in zip(self.modules, self.macs.weights, strict=True):
            here[module] += weight
        factors = [modules.get(m, 0.0) / here[m] if here[m] else 0.0 for m in self.modules]
        return replace(self, macs=self.macs.with_weights(self.macs.weights * np.array(factors)))

    @staticmethod
    def build(
        network: nn.Module, trace: Trace, classes: Classes, groups: Sequence[ChannelGroup]
    ) -> "CostModel":
        group_of = np.full(len(classes.root) + 1, len(groups))
        for k, group in enumerate(groups):
            group_of[group.classes] = k
        macs = [(p.macs, [classes.of(f) for f in p.factors]) for p in trace.products]
        params = []
        for name, parameter in network.named_parameters():
            axes = [a for a in trace.owners.get(name, ()) if a is not None]
            params.append((parameter.numel(), [_axis(classes.of(a), d) for d, a in enumerate(axes)]))
        return CostModel(
            tuple(group.name for group in groups),
            _terms(macs, group_of, len(groups)),
            _terms(params, group_of, len(groups)),
            tuple(p.module for p in trace.products),
        )


def _axis(ids: np.ndarray, dim: int) -> np.ndarray:
    """An axis of a tensor in a space of its own, so that equal axes are not taken for one."""
    return ids.reshape([-1 if d == dim else 1 for d in range(8)])


def _terms(products: list[tuple[int, list[np.ndarray]]], group_of: np.ndarray, groups: int) -> Terms:
    owner, shares = [], []
    for k, (_, factors) in enumerate(products):
        for factor in _independent(factors):
            owner.append(k)
            shares.append(np.bincount(group_of[factor.ravel()], minlength=groups + 1) / factor.size)
    weights = np.array([float(weight) for weight, _ in products])
    table = np.array(shares) if shares else np.zeros((0, groups + 1))
    return Terms(weights, np.array(owner, dtype=np.int64), table)


def _independent(factors: list[np.ndarray]) -> list[np.ndarray]:
    """Factors over different dimensions; of those over the same or nested dimensions, one."""
    by_dims: dict[tuple[int, ...], np.ndarray] = {}
    for factor in factors:
        shrunk = factor
        for dim in range(factor.ndim):
            first = shrunk.take([0], axis=dim)
            if shrunk.shape[dim] > 1 and (shrunk == first).all():
                shrunk = first
        dims = tuple(d for d in range(shrunk.ndim) if shrunk.shape[d] > 1)
        if dims:
            by_dims.setdefault(dims, shrunk)
    return [f for dims, f in by_dims.items() if not any(set(dims) < set(other) for other in by_dims)]
