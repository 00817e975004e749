"""OpenVINO's own format, for Intel's processors: an .xml file, and its weights in a .bin file of the same name."""

import json
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from espalier.errors import NetworkError
from espalier.export import onnx
from espalier.export.target import KEY, Exported, Loaded, Request, metadata, named, need, put, words
from espalier.networks.network import Network

SUFFIX = ".xml"
BESIDE = (".bin",)
PACKAGES = ("onnx", "onnxscript", "openvino")


def write(network: Network, path: Path, request: Request) -> Exported:
    """Write the graph by way of ONNX; metadata in the model's runtime information, the whole under "espalier".

    In 16 bits are the weights only: what the runtime reckons with is its own choice.

    Raises:
        NetworkError: the network cannot be exported, or the path does not end in .xml.
    """
    import openvino

    named(path, SUFFIX)
    with tempfile.TemporaryDirectory() as folder:
        between = Path(folder) / "network.onnx"
        exported = onnx.write(network, between, replace(request, half=False))
        model = openvino.convert_model(between)
        told = metadata(network, exported.size, request.half)
        for key, text in {KEY: told, "scale": str(network.scale), "range": "1"}.items():
            model.set_rt_info(text, key)
        written = Path(folder) / f"network{SUFFIX}"
        openvino.save_model(model, written, compress_to_fp16=request.half)
        for ending in (*BESIDE, SUFFIX):
            put(written.with_suffix(ending), path.with_suffix(ending))
    return exported


def reader(path: Path) -> Callable[[Tensor], Tensor]:
    """The file in OpenVINO, on the CPU."""
    return opened(path).run


def opened(path: Path) -> Loaded:
    """Any OpenVINO file with one image in and one out, in 32 bits, with as many threads as torch has.

    Raises:
        MissingExtraError: openvino is not installed.
        NetworkError: the file is no OpenVINO model, or its weights are not beside it.
    """
    need("openvino", ("openvino",))
    import openvino

    settings = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": torch.get_num_threads()}
    try:
        model = openvino.Core().read_model(path)
        compiled = openvino.Core().compile_model(model, "CPU", settings)
    except Exception as error:  # one RuntimeError for everything
        raise NetworkError(
            f"cannot load {path} with its {BESIDE[0]}: OpenVINO says {words(error)}"
        ) from error

    def run(x: Tensor) -> Tensor:
        try:
            out = compiled(x.float().contiguous().cpu().numpy())[0]
        except Exception as error:
            size = f"{x.shape[-1]}x{x.shape[-2]}"
            raise NetworkError(f"{path} does not run on {size} pixels: {words(error)}") from error
        return torch.from_numpy(out.copy())

    return Loaded(run, _shape(model), _metadata(model))


def _shape(model: Any) -> tuple[int | None, ...]:
    shape = model.input().partial_shape
    return tuple(None if edge.is_dynamic else edge.get_length() for edge in shape)


def _metadata(model: Any) -> dict[str, Any]:
    return json.loads(model.get_rt_info(KEY).value) if model.has_rt_info(KEY) else {}
