"""Folding what training needed and running does not: re-parameterised branches, weight norm, BatchNorm."""

import copy
import dataclasses
from collections import Counter
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize, remove_weight_norm
from torch.nn.utils.fusion import fuse_conv_bn_weights
from torch.nn.utils.weight_norm import WeightNorm

from espalier.errors import NetworkError
from espalier.networks.network import Adapter, Network, copy_of, first

EXAMPLE = 32
"""Height and width of the input on which convolutions and BatchNorms are paired."""


def prepare(network: Network, *, batchnorm: bool = False) -> Network:
    """A copy without re-parameterised branches and weight norm (and BatchNorm, if asked), equal within noise.

    Raises:
        NetworkError: the network was pruned already; prepare comes first.
    """
    if network.plans or network.masks:
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


def fold_(body: nn.Module, adapter: Adapter, *, batchnorm: bool) -> bool:
    """Fold in place; whether there was anything to fold."""
    changed = _fold_branches_(body)
    changed |= _remove_weight_norms_(body)
    if batchnorm:
        changed |= _fold_batchnorms_(body, adapter)
    return changed


def _fold_branches_(body: nn.Module) -> bool:
    """Leave only the plain convolution of modules that recompute one from their branches (SPAN's Conv3XC)."""
    changed = False
    for name, module in list(body.named_modules()):
        if isinstance(getattr(module, "eval_conv", None), nn.Conv2d) and callable(
            getattr(module, "update_params", None)
        ):
            module.update_params()  # type: ignore[operator]
            plain = _plain(module)
            if _agree(module, plain):
                body.set_submodule(name, plain)
                changed = True
    return changed


def _plain(module: nn.Module) -> nn.Module:
    conv: Any = copy.deepcopy(module.eval_conv)
    conv.requires_grad_()
    return nn.Sequential(conv, nn.LeakyReLU(0.05)) if getattr(module, "has_relu", False) else conv


def _agree(module: nn.Module, plain: nn.Module) -> bool:
    """Whether the two give the same, whatever else the module may do in its forward."""
    first = next(plain.parameters())
    example = torch.rand(1, first.shape[1], 8, 8, generator=_generator()).to(first)
    with torch.no_grad():
        return torch.allclose(module.eval()(example), plain(example), rtol=1e-4, atol=1e-5)


def _generator() -> torch.Generator:
    """Numbers of our own, so that the caller's stay as seeded."""
    return torch.Generator().manual_seed(0)


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
    """By hand, since torch would take the weight from the class that the original shares with its copy."""
    stacks: Any = module.parametrizations
    if any(len(stack) != 1 or type(stack[0]).__name__ != "_WeightNorm" for stack in stacks.values()):
        return False
    weights = {name: getattr(module, name).detach().clone() for name in stacks}
    del module.parametrizations
    module.__class__ = type(module).__bases__[0]
    for name, weight in weights.items():
        module.register_parameter(name, nn.Parameter(weight))
    return True


def _fold_batchnorms_(body: nn.Module, adapter: Adapter) -> bool:
    """Fold every BatchNorm that follows one convolution and that nothing else hears of."""
    pairs = _foldable_batchnorms(body, adapter)
    for conv, norm in pairs:
        _fold_pair_(body, conv, norm)
    return bool(pairs)


def _foldable_batchnorms(body: nn.Module, adapter: Adapter) -> list[tuple[str, str]]:
    """Names of convolution and BatchNorm; tried one by one on a copy with random statistics.

    Random, so that the answer depends on the structure alone and is the same when a file is rebuilt.
    """
    trial = copy_of(body).eval()
    _randomise_batchnorms_(trial)
    example = _example(adapter).to(next(trial.parameters()))
    found = []
    for conv, norm in _conv_batchnorm_pairs(trial, example):
        kept = copy.deepcopy(trial)
        _fold_pair_(trial, conv, norm)
        with torch.no_grad():
            if torch.allclose(
                first(trial(example)), first(kept(example)), rtol=1e-3, atol=1e-4 * adapter.range
            ):
                found.append((conv, norm))
            else:
                trial = kept
    return found


def _fold_pair_(body: nn.Module, conv_name: str, norm_name: str) -> None:
    conv: Any = body.get_submodule(conv_name)
    norm: Any = body.get_submodule(norm_name)
    conv.weight, conv.bias = fuse_conv_bn_weights(
        conv.weight, conv.bias, norm.running_mean, norm.running_var, norm.eps, norm.weight, norm.bias
    )
    body.set_submodule(norm_name, nn.Identity())


def _conv_batchnorm_pairs(body: nn.Module, example: Tensor) -> list[tuple[str, str]]:
    """Run once: which BatchNorm was fed the very tensor that a convolution had made, and both only once."""
    made: dict[int, tuple[str, Tensor]] = {}
    pairs: dict[str, str] = {}
    calls: Counter[str] = Counter()

    def watch(name: str, module: nn.Module) -> Any:
        def after(_module: nn.Module, inputs: tuple[Any, ...], output: Tensor) -> None:
            calls[name] += 1
            if isinstance(module, nn.Conv2d):
                made[id(output)] = (name, output)  # kept, so that no id is given twice
            elif id(inputs[0]) in made:
                pairs[name] = made[id(inputs[0])][0]

        return module.register_forward_hook(after)

    watched = [(n, m) for n, m in body.named_modules() if isinstance(m, nn.Conv2d | nn.BatchNorm2d)]
    hooks = [watch(name, module) for name, module in watched]
    with torch.no_grad():
        body(example)
    for hook in hooks:
        hook.remove()
    return [(conv, norm) for norm, conv in pairs.items() if calls[conv] == calls[norm] == 1]


def _randomise_batchnorms_(body: nn.Module) -> None:
    generator = _generator()
    for module in body.modules():
        if isinstance(module, nn.BatchNorm2d):
            for tensor in module.state_dict().values():
                if tensor.is_floating_point():
                    tensor.copy_(0.5 + torch.rand(tensor.shape, generator=generator))


def _example(adapter: Adapter) -> Tensor:
    side = -(-max(EXAMPLE, adapter.minimum) // adapter.multiple_of) * adapter.multiple_of
    return torch.rand(1, 1 if adapter.luma else 3, side, side, generator=_generator()) * adapter.range
