"""ONNX, for onnxruntime, chaiNNer, TensorRT, OpenVINO and many more: one file, weights inside."""

import contextlib
import io
import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from espalier.errors import NetworkError
from espalier.export.target import KEY, Exported, Loaded, Request, metadata, need, words
from espalier.export.trace import program
from espalier.files import replacing
from espalier.networks.network import Network

SUFFIX = ".onnx"
BESIDE = ()
PACKAGES = ("onnx", "onnxscript", "onnxruntime")


def write(network: Network, path: Path, request: Request) -> Exported:
    """Write the graph with its weights; metadata in the model's properties, the whole under "espalier"."""
    traced, exported = program(network, request)
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        translated = torch.onnx.export(
            traced, (), dynamo=True, external_data=False, input_names=["input"], output_names=["output"]
        )
    assert translated is not None
    told = metadata(network, exported.size, request.half)
    translated.model.metadata_props.update({KEY: told, "scale": str(network.scale), "range": "1"})
    with replacing(path) as temporary:
        translated.save(temporary, external_data=False)
    return exported


def reader(path: Path) -> Callable[[Tensor], Tensor]:
    """The file in onnxruntime, on the CPU."""
    return opened(path).run


def opened(path: Path) -> Loaded:
    """Any ONNX file with one image in and one out, in onnxruntime with as many threads as torch has.

    Raises:
        MissingExtraError: onnxruntime is not installed.
        NetworkError: the file is no ONNX model.
    """
    session = _session(path)
    fed = session.get_inputs()[0]
    like = torch.float16 if fed.type == "tensor(float16)" else torch.float32

    def run(x: Tensor) -> Tensor:
        try:
            out = session.run(None, {fed.name: x.to(like).contiguous().cpu().numpy()})[0]
        except Exception as error:  # onnxruntime's own classes have no common base
            size = f"{x.shape[-1]}x{x.shape[-2]}"
            raise NetworkError(f"{path} does not run on {size} pixels: {words(error)}") from error
        return torch.from_numpy(out).float()

    shape = tuple(edge if isinstance(edge, int) else None for edge in fed.shape)
    return Loaded(run, shape, json.loads(session.get_modelmeta().custom_metadata_map.get(KEY, "{}")))


def _session(path: Path) -> Any:
    need("onnx", ("onnxruntime",))
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's own classes have no common base
        raise NetworkError(f"cannot load {path}: onnxruntime says {words(error)}") from error
