"""Pruned tensors as a file holds them: all masks in one coded tensor, and of each tensor only the values that stay."""

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from espalier.errors import NetworkError
from espalier.networks import rice

MASKS = "espalier.masks"
"""Name of the tensor that holds all masks, one after another."""


def compact(
    state: Mapping[str, Tensor], masks: Mapping[str, Tensor]
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors without their zeros, and what the header must say to put these back.

    Raises:
        NetworkError: a weight that its mask prunes is not zero, or a mask is for no tensor of this shape.
    """
    result, parts = dict(state), {}
    for name in sorted(masks):
        result[name], parts[name] = _compacted(name, state.get(name), masks[name].cpu())
    data = b"".join(parts.values())
    result[MASKS] = torch.frombuffer(bytearray(data), dtype=torch.uint8)
    return result, {"lengths": {name: len(part) for name, part in parts.items()}, "digest": _digest(data)}


def _compacted(name: str, tensor: Tensor | None, mask: Tensor) -> tuple[Tensor, bytes]:
    if tensor is None or tensor.shape != mask.shape:
        got = "no such tensor" if tensor is None else f"shape {tuple(tensor.shape)}"
        raise NetworkError(f"cannot save: the mask of {name} has shape {tuple(mask.shape)}, got {got}")
    if tensor[~mask].any():
        raise NetworkError(
            f"cannot save: {name} has weights that its mask prunes and that are not zero; "
            "set them to zero with espalier.sparsity.apply_, or take the mask out of network.masks"
        )
    return tensor[mask], rice.encode(mask.flatten().numpy())


def expand(
    tensors: Mapping[str, Tensor], record: Mapping[str, Any], shapes: Mapping[str, tuple[int, ...]]
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """The inverse of `compact`: whole tensors and masks; `shapes` are those of the network.

    Raises:
        NetworkError: masks and values do not belong together.
    """
    data = tensors[MASKS].numpy().tobytes() if MASKS in tensors else b""
    if _digest(data) != record["digest"]:
        raise NetworkError("its masks are damaged; copy or download it again")
    whole = {name: tensor for name, tensor in tensors.items() if name != MASKS}
    masks, start = {}, 0
    for name, length in record["lengths"].items():
        if name not in shapes or name not in whole:
            raise NetworkError(f"it has a mask for {name}, which is no tensor of the network")
        part, start = data[start : start + length], start + length
        masks[name] = _decoded(name, part, shapes[name])
        whole[name] = _filled(name, whole[name], masks[name])
    return whole, masks


def _decoded(name: str, part: bytes, shape: tuple[int, ...]) -> Tensor:
    try:
        return torch.from_numpy(rice.decode(part, int(np.prod(shape)))).reshape(shape)
    except rice.DamagedMaskError as error:
        raise NetworkError(f"the mask of {name} is damaged: {error}") from error


def _filled(name: str, values: Tensor, mask: Tensor) -> Tensor:
    kept = int(mask.sum())
    if values.shape != (kept,):
        raise NetworkError(f"{name} has values of shape {tuple(values.shape)}, and its mask keeps {kept}")
    whole = values.new_zeros(mask.shape)
    whole[mask] = values
    return whole


def _digest(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=16).hexdigest()
