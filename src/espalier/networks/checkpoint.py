"""Reading the tensors of a checkpoint file: no code in it is ever run."""

import pickle
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from espalier.errors import NetworkError

SUFFIXES = (".pth", ".pt", ".ckpt", ".bin", ".safetensors")
WRAPPERS = (
    "params_ema",
    "params-ema",
    "ema_state_dict",
    "params",
    "state_dict",
    "model_state_dict",
    "generator",
    "netG",
    "model",
    "net",
    "network",
    "weights",
)
"""Keys under which training frameworks put the weights, the smoothed ones before the others."""
PREFIXES = ("module.", "_orig_mod.", "netG.", "net_g.", "generator.", "model.", "network.", "net.")
"""What wrappers put before every name."""


def read_state(path: Path) -> dict[str, Tensor]:
    """All tensors of a checkpoint by name, without wrappers and common prefixes.

    Raises:
        NetworkError: the file is missing, damaged, of another kind, or would have to run code.
    """
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "does not exist"
        raise NetworkError(f"cannot load {path}: it {what}; expected a file ending in {', '.join(SUFFIXES)}")
    if path.suffix.lower() == ".safetensors":
        return strip(read_safetensors(path)[0])
    return strip(unwrap(_read_pickle(path), path))


def read_safetensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors and the text in the header of a safetensors file."""
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError) as error:
        raise NetworkError(
            f"cannot load {path}: it is no complete safetensors file ({error}); "
            "it may be cut short or of another kind; copy or download it again"
        ) from error


def _read_pickle(path: Path) -> Any:
    _check_start(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about pickle protocols that the reader below knows or refuses
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise NetworkError(_refusal(path, error)) from error
    except (EOFError, RuntimeError, ValueError, KeyError, OSError, AttributeError, TypeError) as error:
        raise NetworkError(_damage(path, error)) from error


def _check_start(path: Path) -> None:
    """Tell text and other files from the two formats of `torch.save` by their first bytes."""
    with path.open("rb") as file:
        start = file.read(16)
    if not start:
        raise NetworkError(f"cannot load {path}: the file is empty")
    if not start.startswith((b"PK", b"\x80")):
        raise NetworkError(
            f"cannot load {path}: it was not written by torch.save (it begins with {start!r}); "
            "expected a checkpoint"
        )


def _refusal(path: Path, error: pickle.UnpicklingError) -> str:
    text = str(error)
    if "GLOBAL" in text or "Unsupported class" in text or "Unsupported operand" in text:
        return (
            f"cannot load {path}: it holds Python objects besides tensors, which only code in the file could "
            "make; nothing was run. Where you trust it, load it yourself and save its state_dict() again"
        )
    return _damage(path, error)


def _damage(path: Path, error: Exception) -> str:
    reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:160]
    return f"cannot load {path}: the file is damaged or cut short ({reason}); copy or download it again"


def unwrap(content: Any, path: Path) -> dict[str, Tensor]:
    """Find the mapping from names to tensors inside what training frameworks put around it."""
    for _ in range(4):
        if not isinstance(content, Mapping):
            break
        tensors = {str(k): v for k, v in content.items() if isinstance(v, Tensor)}
        inner = next((content[key] for key in WRAPPERS if isinstance(content.get(key), Mapping)), None)
        if inner is None and len(content) == 1:
            inner = next((value for value in content.values() if isinstance(value, Mapping)), None)
        if inner is None:
            if tensors:
                return tensors
            break
        content = inner
    raise NetworkError(
        f"cannot load {path}: no tensors found in it; expected a state_dict, plain or under one of "
        f"{', '.join(WRAPPERS)}"
    )


def strip(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Take off prefixes that every name carries; one before numbers is a list of the network's own (ESRGAN's)."""
    result = dict(state)
    again = True
    while again:
        again = False
        for prefix in PREFIXES:
            rest = {
                name.removeprefix(prefix): tensor
                for name, tensor in result.items()
                if name.startswith(prefix)
            }
            if rest and len(rest) == len(result) and all(name and not name[0].isdigit() for name in rest):
                result, again = rest, True
    return result
