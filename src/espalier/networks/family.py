"""Narrower members of a network's own architecture: which constructor arguments make which axes wide.

An argument is a width if the same class, built with twice its value, has the same tensors, and some axes have
grown while none has shrunk.
"""

import inspect
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from espalier.dispatch import Mode
from espalier.errors import NetworkError
from espalier.networks import own, spandrel
from espalier.networks.building import build_base
from espalier.networks.network import Network, sizes

Slot = tuple[str, int]
"""Tensor name and axis."""


@dataclass(frozen=True)
class Width:
    """An argument that makes some axes wider."""

    argument: str
    value: int
    growth: Mapping[Slot, int]
    """How many positions an axis has more at twice the value; axes that stay are absent."""


def widths(network: Network) -> list[Width]:
    """The arguments that are widths, those that move most axes first.

    Raises:
        NetworkError: the network was pruned already, or is made by a function without arguments.
    """
    if network.plans:
        raise NetworkError(
            f"{network.name} was pruned already, so it is no plain member of its architecture; start from the original"
        )
    if not network.base.takes_arguments:
        raise NetworkError(
            f"{network.base.name} makes one network and takes no widths, so there are no narrower members of it; "
            "compress it without --keep-architecture"
        )
    here = sizes(network.body)
    found = (_width(network, name, value, here) for name, value in arguments(network).items())
    return sorted((w for w in found if w is not None), key=lambda w: -len(w.growth))


def arguments(network: Network) -> dict[str, Any]:
    """All keyword arguments that the network's class was called with, defaults included."""
    parameters = inspect.signature(_class(network)).parameters.values()
    defaults = {p.name: p.default for p in parameters if p.default is not inspect.Parameter.empty}
    return defaults | network.base.arguments


def narrowed(network: Network, values: Mapping[str, int]) -> Network:
    """A fresh member of the architecture with these arguments changed; random weights."""
    base = replace(network.base, arguments=dict(network.base.arguments) | dict(values))
    body = build_base(base, network.adapter)
    return Network(body, name=network.name, scale=network.scale, base=base, adapter=network.adapter)


def save_plain(network: Network, path: str | Path) -> None:
    """Write a checkpoint without anything of ours in it: a state dict as the architecture's own class has it.

    Raises:
        NetworkError: the network is no plain member of its architecture.
        OutputError: the file cannot be written.
    """
    from safetensors.torch import save_file

    from espalier.files import replacing

    state = plain_state(network)
    with replacing(path) as temporary:
        if Path(path).suffix == ".safetensors":
            save_file(state, temporary, {"format": "pt"})
        else:
            torch.save(state, temporary)


def plain_state(network: Network) -> dict[str, Tensor]:
    """The tensors as the architecture's own class names them, folded branches put back."""
    if network.plans:
        raise NetworkError(f"{network.name} was pruned freely: no class of its architecture has these sizes")
    state = {name: t.detach().clone().contiguous() for name, t in network.body.state_dict().items()}
    if not network.base.prepared:
        return state
    base = replace(network.base, prepared=False, batchnorm_folded=False)
    whole = build_base(base, network.adapter)
    for name, module in whole.named_modules():
        if isinstance(getattr(module, "eval_conv", None), nn.Conv2d) and callable(
            getattr(module, "update_params", None)
        ):
            _unfold_(name, module, state)
    try:
        whole.load_state_dict(state)
    except RuntimeError as error:
        raise NetworkError(
            f"what was folded of {network.name} cannot be put back as its architecture has it: "
            f"{' '.join(str(error).split())[:200]}"
        ) from error
    return state


def _unfold_(name: str, module: Any, state: dict[str, Tensor]) -> None:
    """Put one convolution back as a skip of zeros and three in a row that fold to it: identity, kernel, identity."""
    stem = f"{name}." if f"{name}.weight" in state else f"{name}.0."
    weight, bias = state.pop(f"{stem}weight"), state.pop(f"{stem}bias")
    fresh = {key: torch.zeros_like(tensor) for key, tensor in module.state_dict().items()}
    outs, ins = weight.shape[:2]
    fresh["conv.0.weight"][:ins, :, 0, 0] = torch.eye(ins)
    fresh["conv.1.weight"][:outs, :ins] = weight
    fresh["conv.2.weight"][:, :outs, 0, 0] = torch.eye(outs)
    fresh["conv.2.bias"] = bias
    fresh["eval_conv.weight"], fresh["eval_conv.bias"] = weight.clone(), bias.clone()
    state.update({f"{name}.{key}": tensor for key, tensor in fresh.items()})


def _class(network: Network) -> Callable[..., nn.Module]:
    base = network.base
    if base.kind == "own":
        return own.module(base.name).NETWORK
    return spandrel.class_at(base.name)


def _width(network: Network, name: str, value: object, here: Mapping[str, torch.Size]) -> Width | None:
    if type(value) is not int or value < 2:
        return None
    base = replace(network.base, arguments=dict(network.base.arguments) | {name: 2 * value})
    try:
        with warnings.catch_warnings(), torch.random.fork_rng(devices=[]), _blank(not base.prepared):
            warnings.simplefilter("ignore")
            there = sizes(build_base(base, network.adapter))
    except Exception:  # the class does not take twice the value, so it is no plain width
        return None
    if set(there) != set(here) or any(len(there[n]) != len(here[n]) for n in here):
        return None
    growth = {
        (tensor, dim): there[tensor][dim] - size
        for tensor, sizes in here.items()
        for dim, size in enumerate(sizes)
        if there[tensor][dim] != size
    }
    return Width(name, value, growth) if growth and min(growth.values()) > 0 else None


class _Blank(Mode):
    """Zeros for random weights: only their sizes are wanted."""

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        del types
        if func._schema.name in ("aten::uniform_", "aten::normal_"):
            return args[0].zero_()
        return func(*args, **(kwargs or {}))


@contextmanager
def _blank(wanted: bool) -> Iterator[None]:
    if not wanted:
        yield
        return
    with _Blank():
        yield
