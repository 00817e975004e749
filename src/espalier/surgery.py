"""The only place where a network is changed: a plan's cuts applied to tensors, attributes and optimizer state."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from espalier.errors import PlanError
from espalier.plan import Cut, PrunePlan, Relink


def apply_(module: nn.Module, plan: PrunePlan) -> None:
    """Cut `module` down in place; its parameters stay the same objects, so tied weights stay tied.

    Raises:
        PlanError: a tensor, axis or attribute of the plan is not in the module; nothing was changed.
    """
    modules = dict(module.named_modules(remove_duplicate=False))
    tensors = _tensors_of(modules)
    _check(modules, tensors, plan)
    touched: dict[int, list[int]] = {}
    for cut in plan.cuts:
        tensor = tensors[cut.tensor]
        if cut.dim in touched.setdefault(id(tensor), []):
            continue  # the same tensor under a second name
        touched[id(tensor)].append(cut.dim)
        _narrow_(tensor, cut)
    for relink in plan.relinks:
        _relink_(modules[relink.module], relink)
    for submodule in modules.values():
        _refresh_sizes_(submodule)


def apply_to_state(state: Mapping[str, Tensor], plan: PrunePlan, prefix: str = "") -> dict[str, Tensor]:
    """A state dict (of weights, of an EMA) cut as `plan` says; names outside the plan pass through."""
    result = dict(state)
    for cut in plan.cuts:
        name = prefix + cut.tensor
        if name in result:
            result[name] = _select(result[name], cut)
    return result


def scatter(state: Mapping[str, Tensor], plan: PrunePlan, whole: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The inverse of `apply_to_state`: what was kept at its old places, zero where `whole` was cut.

    So an iterative method speaks of a pruned and trained network in the channels of the dense one.
    """
    result = dict(state)
    for cut in reversed(plan.cuts):
        if cut.tensor in result:
            part = result[cut.tensor]
            shape = (*part.shape[: cut.dim], cut.size, *part.shape[cut.dim + 1 :])
            index = torch.tensor(cut.kept, dtype=torch.long, device=part.device)
            result[cut.tensor] = part.new_zeros(shape).index_copy_(cut.dim, index, part)
    wrong = [name for name, tensor in result.items() if name in whole and tensor.shape != whole[name].shape]
    if wrong:
        raise PlanError(f"{', '.join(wrong[:3])} do not have the sizes that this plan leaves")
    return result


def apply_to_optimizer_(optimizer: torch.optim.Optimizer, module: nn.Module, plan: PrunePlan) -> None:
    """Cut the optimizer's per-parameter state (moments and the like) as `plan` cut the parameters of `module`."""
    parameters = dict(module.named_parameters(remove_duplicate=False))
    done: set[tuple[int, int]] = set()
    for cut in plan.cuts:
        parameter = parameters.get(cut.tensor)
        if parameter is None or (id(parameter), cut.dim) in done:
            continue
        done.add((id(parameter), cut.dim))
        state = optimizer.state.get(parameter, {})
        for key, value in state.items():
            if (
                isinstance(value, Tensor)
                and value.ndim == parameter.ndim
                and value.shape[cut.dim] == cut.size
            ):
                state[key] = _select(value, cut)


def named_tensors(module: nn.Module) -> dict[str, Tensor]:
    """All parameters, then all buffers, by name; tied ones stand under each of their names."""
    return _tensors_of(dict(module.named_modules(remove_duplicate=False)))


def _tensors_of(modules: Mapping[str, nn.Module]) -> dict[str, Tensor]:
    parameters: dict[str, Tensor] = {}
    buffers: dict[str, Tensor] = {}
    for place, module in modules.items():
        prefix = place + "." if place else ""
        parameters |= {prefix + key: value for key, value in module._parameters.items() if value is not None}
        buffers |= {prefix + key: value for key, value in module._buffers.items() if value is not None}
    return parameters | buffers


def _check(modules: Mapping[str, nn.Module], tensors: Mapping[str, Tensor], plan: PrunePlan) -> None:
    for cut in plan.cuts:
        tensor = tensors.get(cut.tensor)
        if tensor is None:
            raise PlanError(
                f"the plan cuts {cut.tensor!r}, which this network does not have; is it another network?"
            )
        if cut.dim >= tensor.ndim or tensor.shape[cut.dim] != cut.size:
            raise PlanError(
                f"the plan expects {cut.tensor!r} to have {cut.size} positions on axis {cut.dim}, "
                f"got shape {tuple(tensor.shape)}; is the network already pruned?"
            )
        if not cut.kept or min(cut.kept) < 0 or max(cut.kept) >= cut.size:
            raise PlanError(
                f"the plan keeps positions outside 0..{cut.size - 1} of {cut.tensor!r}: {cut.kept}"
            )
    for relink in plan.relinks:
        owner = modules.get(relink.module)
        if owner is None or not hasattr(owner, relink.attribute):
            raise PlanError(
                f"the plan changes {relink.module}.{relink.attribute}, which this network does not have"
            )


def _select(tensor: Tensor, cut: Cut) -> Tensor:
    index = torch.tensor(cut.kept, dtype=torch.long, device=tensor.device)
    return tensor.index_select(cut.dim, index)


def _narrow_(tensor: Tensor, cut: Cut) -> None:
    tensor.data = _select(tensor.data, cut).contiguous()
    if tensor.grad is not None:
        tensor.grad = _select(tensor.grad, cut).contiguous()


def _relink_(owner: nn.Module, relink: Relink) -> None:
    value = getattr(owner, relink.attribute)
    setattr(owner, relink.attribute, _replaced(value, relink.path, relink.new))


def _replaced(value: object, path: tuple[int, ...], new: int) -> object:
    if not path:
        return new
    assert isinstance(value, list | tuple)
    items = list(value)
    items[path[0]] = _replaced(items[path[0]], path[1:], new)
    return type(value)(items)


def _refresh_attention_(module: nn.MultiheadAttention) -> None:
    if module.in_proj_weight is not None:
        module.embed_dim = module.kdim = module.vdim = module.in_proj_weight.shape[1]
        inner = module.in_proj_weight.shape[0] // 3
    else:
        inner, module.embed_dim = module.q_proj_weight.shape
        module.kdim, module.vdim = module.k_proj_weight.shape[1], module.v_proj_weight.shape[1]
    module.head_dim = inner // module.num_heads


def _refresh_sizes_(module: nn.Module) -> None:
    """Keep the sizes that torch's own layers remember in step with their tensors."""
    if isinstance(module, nn.MultiheadAttention):
        _refresh_attention_(module)
        return
    if isinstance(module, nn.RNNBase):
        _, module.input_size = module.get_parameter("weight_ih_l0").shape
        _, module.hidden_size = module.get_parameter("weight_hh_l0").shape
        return
    weight = getattr(module, "weight", None)
    if not isinstance(weight, Tensor):
        return
    if isinstance(module, nn.modules.conv._ConvTransposeNd):
        module.in_channels, module.out_channels = weight.shape[0], weight.shape[1] * module.groups
    elif isinstance(module, nn.modules.conv._ConvNd):
        module.in_channels, module.out_channels = weight.shape[1] * module.groups, weight.shape[0]
    elif isinstance(module, nn.Linear):
        module.out_features, module.in_features = weight.shape
    elif isinstance(module, nn.modules.batchnorm._NormBase):
        module.num_features = weight.shape[0]
    elif isinstance(module, nn.GroupNorm):
        module.num_channels = weight.shape[0]
    elif isinstance(module, nn.LayerNorm | nn.RMSNorm):
        module.normalized_shape = tuple(weight.shape)
    elif isinstance(module, nn.PReLU):
        module.num_parameters = weight.shape[0]
    elif isinstance(module, nn.Embedding):
        module.num_embeddings, module.embedding_dim = weight.shape
