"""Buffers that a network's class makes from its arguments, such as masks of attention windows: no file needs them."""

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from espalier.errors import NetworkError
from espalier.networks.building import build
from espalier.networks.network import Network

LEAST = 1024
"""Bytes of a buffer that is worth building a network for."""


def leave_out(tensors: Mapping[str, Tensor], network: Network) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors without those that building the network makes alike, and what the header must say of these.

    What a person's own code makes is written nevertheless: that code may change.
    """
    made = _made_alike(tensors, network)
    if not made:
        return dict(tensors), {}
    kept = {name: tensor for name, tensor in tensors.items() if name not in made}
    return kept, {"names": list(made), "digest": _digest(made.values())}


def _made_alike(tensors: Mapping[str, Tensor], network: Network) -> dict[str, Tensor]:
    """The large buffers among the tensors that a network built anew has too, bit for bit."""
    buffers = dict(network.body.named_buffers())
    large = sorted(name for name in buffers.keys() & tensors.keys() if tensors[name].nbytes >= LEAST)
    if not large or network.base.kind not in ("own", "spandrel"):
        return {}
    try:
        with torch.random.fork_rng(devices=[]):
            fresh = dict(build(network.base, network.adapter, network.plans).named_buffers())
    except NetworkError:  # what a long run has made is written whatever becomes of it
        return {}
    return {name: fresh[name] for name in large if name in fresh and _alike(fresh[name], tensors[name])}


def put_back(tensors: Mapping[str, Tensor], record: Mapping[str, Any], body: nn.Module) -> dict[str, Tensor]:
    """The inverse of `leave_out`, from the network as it was built.

    Raises:
        NetworkError: building made other buffers than those that were left out.
    """
    buffers = dict(body.named_buffers())
    missing = [name for name in record["names"] if name not in buffers]
    if missing or _digest(buffers[name] for name in record["names"]) != record["digest"]:
        raise NetworkError(
            f"{(missing or record['names'])[0]} is left to the class, and the class installed here makes another; "
            "install the version of spandrel with which the file was written"
        )
    return {**tensors, **{name: buffers[name] for name in record["names"]}}


def _alike(fresh: Tensor, tensor: Tensor) -> bool:
    return fresh.dtype == tensor.dtype and torch.equal(fresh, tensor)


def _digest(tensors: Iterable[Tensor]) -> str:
    found = hashlib.blake2b(digest_size=16)
    for tensor in tensors:
        found.update(f"{tensor.dtype} {tuple(tensor.shape)}".encode())
        found.update(tensor.contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return found.hexdigest()
