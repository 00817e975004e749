"""The native file: safetensors whose header says how to rebuild the network. No pickle, no code.

A network with masks is written without its zeros, see `sparse.py`, and what its class makes by itself is left out, see
`remade.py`; the number of the format says so to older versions."""

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from espalier.errors import NetworkError, PlanError
from espalier.files import replacing
from espalier.networks import remade
from espalier.networks.building import build
from espalier.networks.checkpoint import read_safetensors
from espalier.networks.network import OBJECT, Adapter, Base, Network
from espalier.networks.sparse import compact, expand
from espalier.plan import PrunePlan

FORMAT = 3
KEY = "espalier"
_DTYPES = {
    str(t).removeprefix("torch."): t for t in (torch.float64, torch.float32, torch.float16, torch.bfloat16)
}


def save(
    network: Network,
    path: str | Path,
    *,
    metadata: Mapping[str, Any] | None = None,
    values: torch.dtype | None = None,
) -> None:
    """Write `network` to `path`, all or nothing; of weights pruned by its masks only those that stay.

    Args:
        metadata: free JSON-able text that travels along.
        values: a shorter type (torch.float16, torch.bfloat16) to round all weights to; loading widens them again.

    Raises:
        OutputError: the file cannot be written.
        NetworkError: weights that a mask prunes are not zero, or nothing could build the network again.
    """
    if network.base.kind == OBJECT:
        raise NetworkError(
            f"{network.name} was given as a module, and nothing tells a file how to build it again; load it as "
            '"package.module:function" to save it, or export it, or keep network.body.state_dict() with your own code'
        )
    tensors, record = stored(network, values)
    header = {
        "format": 3 if "remade" in record else 2 if record else 1,
        "name": network.name,
        "scale": network.scale,
        "base": _encode(dataclasses.asdict(network.base)),
        "adapter": dataclasses.asdict(network.adapter),
        "plans": [plan.to_json() for plan in network.plans],
        "metadata": dict(metadata or {}),
        **record,
    }
    with replacing(path) as temporary:
        save_file(tensors, temporary, {KEY: json.dumps(header), "format": "pt"})


def stored(network: Network, values: torch.dtype | None = None) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors as `save` writes them, and what it adds to the header for them."""
    tensors, made = remade.leave_out(_distinct(network.body.state_dict()), network)
    record: dict[str, Any] = {"remade": made} if made else {}
    if network.masks:
        tensors, record["masks"] = compact(tensors, network.masks)
    if values is not None:
        wide = {t.dtype for t in tensors.values() if t.is_floating_point()}
        if len(wide) == 1 and wide <= set(_DTYPES.values()):
            record["values"] = next(name for name, dtype in _DTYPES.items() if dtype in wide)
            tensors = {n: t.to(values) if t.is_floating_point() else t for n, t in tensors.items()}
    return tensors, record


def is_native(header: Mapping[str, str]) -> bool:
    """Whether the header of a safetensors file was written by `save`."""
    return KEY in header


def read_metadata(path: str | Path) -> dict[str, Any]:
    """What was given to `save` as metadata.

    Raises:
        NetworkError: `path` is no native file.
    """
    header = read_safetensors(Path(path))[1]
    if not is_native(header):
        raise NetworkError(f"{path} was not written by Espalier")
    return json.loads(header[KEY])["metadata"]


def rebuild(tensors: Mapping[str, Tensor], header: Mapping[str, str], path: Path) -> Network:
    """Build the base, prepare it if it was, cut it as it was, and give it its tensors.

    Raises:
        NetworkError: the header is unknown, or plans and tensors do not fit the base.
    """
    try:
        record = json.loads(header[KEY])
        if record["format"] > FORMAT:
            raise NetworkError(
                f"cannot load {path}: a newer Espalier wrote it "
                f"(format {record['format']}, this one knows {FORMAT}); update Espalier"
            )
        base = Base(**_decode(record["base"]))
        adapter = Adapter(**record["adapter"])
        plans = tuple(PrunePlan.from_json(text) for text in record["plans"])
        name, scale = record["name"], record["scale"]
    except (ValueError, KeyError, TypeError, PlanError) as error:
        raise NetworkError(f"cannot load {path}: its header is damaged ({error!r})") from error
    try:
        body = build(base, adapter, plans)
        tensors, masks = _whole(tensors, record, body)
    except NetworkError as error:
        raise NetworkError(f"cannot load {path}: {error}") from error
    _fill(body, tensors, path)
    network = Network(body, name=name, scale=scale, base=base, adapter=adapter, plans=plans)
    network.masks = masks
    return network


def _whole(
    tensors: Mapping[str, Tensor], record: Mapping[str, Any], body: nn.Module
) -> tuple[Mapping[str, Tensor], dict[str, Tensor]]:
    """All tensors of the network as it was saved, and its masks."""
    masks: dict[str, Tensor] = {}
    try:
        if "values" in record:
            wide = _DTYPES[record["values"]]
            tensors = {n: t.to(wide) if t.is_floating_point() else t for n, t in tensors.items()}
        if "masks" in record:
            shapes = {n: tuple(t.shape) for n, t in body.state_dict().items()}
            tensors, masks = expand(tensors, record["masks"], shapes)
        if "remade" in record:
            tensors = remade.put_back(tensors, record["remade"], body)
    except (KeyError, TypeError, AttributeError) as error:
        raise NetworkError(f"its header is damaged ({error!r})") from error
    return tensors, masks


def _fill(body: nn.Module, tensors: Mapping[str, Tensor], path: Path) -> None:
    own_state = body.state_dict()
    first_name = {_place(tensor): name for name, tensor in reversed(own_state.items())}
    complete = {
        n: tensors[n] if n in tensors else tensors.get(first_name[_place(t)]) for n, t in own_state.items()
    }
    missing = sorted(name for name, tensor in complete.items() if tensor is None)
    unknown = sorted(set(tensors) - set(own_state))
    wrong = sorted(n for n, t in complete.items() if t is not None and t.shape != own_state[n].shape)
    if missing or unknown or wrong:
        raise NetworkError(
            f"cannot load {path}: its tensors do not fit the network it describes "
            f"(missing {missing[:3]}, unknown {unknown[:3]}, of another size {wrong[:3]})"
        )
    dtypes = {t.dtype for t in tensors.values() if t.is_floating_point()}
    if len(dtypes) == 1:
        (dtype,) = dtypes  # Module.to would make complex numbers real
        body._apply(lambda t: t.to(dtype) if t.is_floating_point() else t)
    body.load_state_dict({n: t for n, t in complete.items() if t is not None})


def _place(tensor: Tensor) -> tuple[int, tuple[int, ...], int]:
    """Equal for two names of one tensor."""
    return tensor.data_ptr(), tuple(tensor.shape), id(tensor) if tensor.numel() == 0 else 0


def _distinct(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """One name per tensor, each in its own memory, as safetensors wants it."""
    seen: dict[Any, str] = {}
    result: dict[str, Tensor] = {}
    for name, tensor in state.items():
        if seen.setdefault(_place(tensor), name) == name:
            result[name] = tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
    return result


def _encode(value: Any) -> Any:
    """JSON knows no tuples, but some constructors tell them from lists."""
    if isinstance(value, tuple):
        return {"tuple": [_encode(v) for v in value]}
    if isinstance(value, list):
        return [_encode(v) for v in value]
    if isinstance(value, dict):
        return {str(k): _encode(v) for k, v in value.items()}
    return value


def _decode(value: Any) -> Any:
    if isinstance(value, dict):
        if set(value) == {"tuple"}:
            return tuple(_decode(v) for v in value["tuple"])
        return {k: _decode(v) for k, v in value.items()}
    return [_decode(v) for v in value] if isinstance(value, list) else value
