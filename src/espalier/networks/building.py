"""A network's base built again with fresh weights, and cut as its plans say."""

from collections.abc import Sequence

from torch import nn

from espalier.errors import NetworkError, PlanError
from espalier.networks import factory, own, spandrel
from espalier.networks.network import Adapter, Base
from espalier.networks.prepare import fold_
from espalier.plan import PrunePlan
from espalier.surgery import apply_


def build_base(base: Base, adapter: Adapter) -> nn.Module:
    """The unpruned network with fresh weights."""
    if base.kind == "own":
        body = own.build(base.name, base.arguments)
    elif base.kind == "spandrel":
        body = spandrel.build(base.name, base.arguments)
    elif base.kind == "factory":
        body = factory.build(base.name)
    else:
        raise NetworkError(f"no way is known to build a network of kind {base.kind!r}")
    if base.prepared:
        fold_(body, adapter, batchnorm=base.batchnorm_folded)
    return body


def build(base: Base, adapter: Adapter, plans: Sequence[PrunePlan]) -> nn.Module:
    """The network as it was cut, with fresh weights.

    Raises:
        NetworkError: a plan does not fit the base.
    """
    body = build_base(base, adapter)
    for number, plan in enumerate(plans, start=1):
        try:
            apply_(body, plan)
        except PlanError as error:
            raise NetworkError(f"its pruning plan {number} does not fit its base: {error}") from error
    return body
