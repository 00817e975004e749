"""Folding what training needed and running does not: re-parameterised branches, weight norm, BatchNorm."""

import copy
import dataclasses
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize, remove_weight_norm
from torch.nn.utils.fusion import fuse_conv_bn_weights
from torch.nn.utils.weight_norm import WeightNorm

from espalier.errors import NetworkError
from espalier.networks.network import Adapter, Network

EXAMPLE = 32
"""Height and width of the input on which convolutions and BatchNorms are paired."""


def prepare(network: Network, *, batchnorm: bool = False) -> Network:
    """A copy without re-parameterised branches and weight norm (and BatchNorm, if asked); equal within float noise.

    Raises:
        NetworkError: the network was pruned already; prepare comes first.
    """
    if network.plans:
        raise NetworkError(f"{network.name} was pruned already; prepare it before pruning")
    body = copy_of(network.body)
    changed = fold_(body, network.adapter, batchnorm=batchnorm)
    base = network.base
    if changed:
        folded = base.batchnorm_folded or batchnorm
        base = dataclasses.replace(base, prepared=True, batchnorm_folded=folded)
    return Network(
        body, name=network.name, scale=network.scale, base=base, adapter=network.adapter, plans=network.plans
    )


def copy_of(body: nn.Module) -> nn.Module:
    """A deep copy; weights that weight norm computed on the way are left out, since torch cannot copy them."""
    for module in body.modules():
        for hook in module._forward_pre_hooks.values():
            if isinstance(hook, WeightNorm):
                vars(module)[hook.name] = getattr(module, hook.name).detach()
    return copy.deepcopy(body)


def fold_(body: nn.Module, adapter: Adapter, *, batchnorm: bool) -> bool:
    """Fold in place; whether there was anything to fold."""
    changed = _fold_branches_(body)
    changed |= _remove_weight_norms_(body)
    if batchnorm:
        changed |= _fold_batchnorms_(body, adapter)
    return changed


def _fold_branches_(body: nn.Module) -> bool:
    """Leave only the plain convolution of modules that recompute one from their branches (SPAN's Conv3XC)."""
    found = [
        (name, module)
        for name, module in body.named_modules()
        if isinstance(getattr(module, "eval_conv", None), nn.Conv2d) and callable(getattr(module, "update_params", None))
    ]
    for name, module in found:
        module.update_params()  # type: ignore[operator]
        body.set_submodule(name, _plain(module))
    return bool(found)


def _plain(module: nn.Module) -> nn.Module:
    conv: Any = module.eval_conv
    fresh = nn.Conv2d(
        conv.in_channels, conv.out_channels, conv.kernel_size, conv.stride, conv.padding, conv.dilation, conv.groups
    )
    fresh.load_state_dict({name: tensor.detach().clone() for name, tensor in conv.state_dict().items()})
    if not getattr(module, "has_relu", False):
        return fresh
    return nn.Sequential(fresh, nn.LeakyReLU(0.05))


def _remove_weight_norms_(body: nn.Module) -> bool:
    """Both of torch's kinds: the hook, and the parametrization."""
    changed = False
    for module in list(body.modules()):
        for hook in list(module._forward_pre_hooks.values()):
            if isinstance(hook, WeightNorm):
                remove_weight_norm(module, hook.name)
                changed = True
        if parametrize.is_parametrized(module):
            changed |= _remove_parametrizations_(module)
    return changed


def _remove_parametrizations_(module: nn.Module) -> bool:
    parametrizations: Any = module.parametrizations
    names = [
        name
        for name, stack in parametrizations.items()
        if len(stack) == 1 and type(stack[0]).__name__ == "_WeightNorm"
    ]
    for name in names:
        parametrize.remove_parametrizations(module, name, leave_parametrized=True)
    return bool(names)


def _fold_batchnorms_(body: nn.Module, adapter: Adapter) -> bool:
    """Fold every BatchNorm that follows one convolution and nothing else does."""
    pairs = _conv_batchnorm_pairs(body, adapter)
    names = {module: name for name, module in body.named_modules()}
    for conv, norm in pairs:
        fused = fuse_conv_bn_weights(
            conv.weight, conv.bias, norm.running_mean, norm.running_var, norm.eps, norm.weight, norm.bias
        )
        conv.weight, conv.bias = fused
        body.set_submodule(names[norm], nn.Identity())
    return bool(pairs)


def _conv_batchnorm_pairs(body: nn.Module, adapter: Adapter) -> list[tuple[Any, Any]]:
    """Run once and see which BatchNorm was fed the very tensor that a convolution had just made."""
    made: dict[int, tuple[nn.Module, Tensor]] = {}
    pairs: dict[nn.Module, nn.Module] = {}
    calls: dict[nn.Module, int] = {}
    readers: dict[int, int] = {}

    def before(module: nn.Module, inputs: tuple[Any, ...]) -> None:
        calls[module] = calls.get(module, 0) + 1
        for value in inputs:
            readers[id(value)] = readers.get(id(value), 0) + (id(value) in made)
        if isinstance(module, nn.BatchNorm2d) and id(inputs[0]) in made:
            pairs[module] = made[id(inputs[0])][0]

    def after(module: nn.Module, _inputs: tuple[Any, ...], output: Any) -> None:
        if isinstance(module, nn.Conv2d):
            made[id(output)] = (module, output)  # kept, so that no id is given twice

    hooks = [m.register_forward_pre_hook(before) for m in body.modules() if not list(m.children())]
    hooks += [m.register_forward_hook(after) for m in body.modules() if isinstance(m, nn.Conv2d)]
    try:
        size = max(EXAMPLE, -(-max(EXAMPLE, adapter.minimum) // adapter.multiple_of) * adapter.multiple_of)
        with torch.no_grad():
            body.eval()(torch.rand(1, 1 if adapter.luma else 3, size, size) * adapter.range)
    finally:
        for hook in hooks:
            hook.remove()
    once = {module for module, count in calls.items() if count == 1}
    return [(conv, norm) for norm, conv in pairs.items() if {conv, norm} <= once]
