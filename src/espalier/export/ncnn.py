"""ncnn, for Upscayl, Real-ESRGAN-ncnn and phones: a .param file, and its weights in a .bin file of the same name."""

import importlib
import json
import re
import subprocess
import tempfile
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from espalier.errors import NetworkError
from espalier.export.photograph import part, photograph
from espalier.export.standard import Standard
from espalier.export.target import KEY, Exported, Loaded, Request, metadata, named, need, put
from espalier.export.trace import OPEN, standard
from espalier.networks.network import Network

SUFFIX = ".ncnn.param"
BESIDE = (".bin",)
PACKAGES = ("pnnx", "ncnn")
INPUT, OUTPUT = "data", "output"
"""Names that Upscayl and Real-ESRGAN-ncnn ask for."""
SIZES = ((24, 32), (36, 20), (29, 41))
"""The converter is told of the first two, and runs them: small ones save minutes."""
CLOSE = 1e-2
"""A file whose result is farther from torch's at another size has the first one built in."""
ALONE = "it takes one image at a time"


def write(network: Network, path: Path, request: Request) -> Exported:
    """Write the graph through pnnx; metadata as JSON after the weights, where runtimes do not look.

    Nothing in the file pads: a network that takes only multiples of a number gets one size. In 16 bits are the
    weights only: what the runtime reckons with is its own choice.

    Raises:
        NetworkError: the network cannot be exported, or the path does not end in .param.
    """
    named(path, SUFFIX)
    adapter = network.adapter
    if request.fixed is not None and adapter.fitting(*request.fixed) != request.fixed:
        fitting = "{}x{}".format(*adapter.fitting(*request.fixed))
        raise NetworkError(f"{network.name} is fed other sizes than {request.fixed}; try --fixed {fitting}")
    module = standard(network)
    module.network.adapter = replace(adapter, multiple_of=1, minimum=1, square=False)
    with tempfile.TemporaryDirectory() as folder:
        param = Path(folder) / "network.ncnn.param"
        exported = _converted(module, network, param, request)
        told = metadata(network, exported.size, request.half)
        with param.with_suffix(".bin").open("ab") as weights:
            weights.write(f"\n{KEY} {told}".encode())
        for written in (param.with_suffix(".bin"), param):
            put(written, path.with_suffix(written.suffix))
    return exported


def _converted(module: Standard, network: Network, param: Path, request: Request) -> Exported:
    """Of any size where that works, else of one."""
    adapter, fixed, note = network.adapter, request.fixed, ALONE
    if fixed is None:
        if adapter.multiple_of == 1 and not adapter.square:
            try:
                shapes = [adapter.fitting(*size) for size in SIZES]
                _convert(module, param, shapes[:2], half=request.half)
                _compare(module, param, shapes[2])
                return Exported(None, ALONE)
            except NetworkError as error:
                note = f"{ALONE}; its size could not be left open ({error})"
        fixed = adapter.fitting(*OPEN)
    try:
        _convert(module, param, [fixed], half=request.half)
    except NetworkError as error:
        raise NetworkError(
            f"{network.name} cannot be exported: {error}; try --to onnx or openvino"
        ) from error
    return Exported(fixed, note)


def _convert(module: Standard, param: Path, sizes: list[tuple[int, int]], *, half: bool) -> None:
    import pnnx

    script = param.with_name("network.pt")
    x = part(photograph(), sizes[0])
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.save(torch.jit.trace(module, x, check_trace=False), str(script))
    shapes = [f"inputshape{n}=[1,3,{h},{w}]" for n, (h, w) in zip(("", "2"), sizes)]
    files = [f"ncnnparam={param}", f"ncnnbin={param.with_suffix('.bin')}"]
    command = [pnnx.EXEC_PATH, str(script), *shapes, *files, f"fp16={int(half)}"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=param.parent, check=False)
    if done.returncode != 0 or not param.is_file():
        last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise NetworkError(f"pnnx cannot convert it (exit {done.returncode}): {last[:200]}")
    param.write_text(_renamed(param.read_text(encoding="utf-8")), encoding="utf-8")


def _renamed(text: str) -> str:
    """A .param file with the names that programs ask for.

    Raises:
        NetworkError: a layer that ncnn does not have.
    """
    head, layers = text.splitlines()[:2], [line.split() for line in text.splitlines()[2:]]
    unknown = sorted({line[0] for line in layers if not re.fullmatch(r"\w+", line[0])})
    if unknown:
        raise NetworkError(f"ncnn has no layer for {', '.join(unknown)}")
    names = {"in0": INPUT, "out0": OUTPUT}
    for line in layers:
        blobs = slice(4, 4 + int(line[2]) + int(line[3]))
        line[blobs] = [names.get(blob, blob) for blob in line[blobs]]
    rows = (f"{line[0]:<24} {line[1]:<24} {' '.join(line[2:])}" for line in layers)
    return "\n".join([*head, *rows]) + "\n"


def _compare(module: Standard, param: Path, size: tuple[int, int]) -> None:
    x = part(photograph(), size)
    with torch.no_grad():
        expected = module(x.clone())
    found = reader(param)(x)
    if found.shape != expected.shape or not bool((found - expected).abs().max() < CLOSE):
        raise NetworkError("at another size it differs from torch")


def reader(path: Path) -> Callable[[Tensor], Tensor]:
    """The file in ncnn, on the CPU."""
    return opened(path).run


def opened(path: Path) -> Loaded:
    """Any ncnn file with one image in and one out, with as many threads as torch has.

    Raises:
        MissingExtraError: ncnn is not installed.
        NetworkError: the file is no ncnn model, or its weights are not beside it.
    """
    need("ncnn", ("ncnn",))
    told = _metadata(path.with_suffix(".bin"))
    ncnn: Any = importlib.import_module("ncnn")
    net = _net(ncnn, path, half=told.get("half", True))
    fed, given = net.input_names()[0], net.output_names()[0]

    def one(x: Tensor) -> Tensor:
        extractor = net.create_extractor()
        extractor.input(fed, ncnn.Mat(x.float().contiguous().cpu().numpy()).clone())
        status, out = extractor.extract(given)
        if status != 0:
            raise NetworkError(f"{path} does not run on {x.shape[-1]}x{x.shape[-2]} pixels (status {status})")
        return torch.from_numpy(np.array(out))

    size = told.get("size") or (None, None)
    return Loaded(lambda x: torch.stack([one(image) for image in x]), (1, 3, *size), told)


def _net(ncnn: Any, path: Path, *, half: bool) -> Any:
    """Numbers of 16 bits in between only where the file is of 16 bits itself."""
    net = ncnn.Net()
    net.opt.num_threads = torch.get_num_threads()
    net.opt.use_vulkan_compute = False
    if not half:
        for name in ("fp16_packed", "fp16_storage", "fp16_arithmetic", "bf16_packed", "bf16_storage"):
            setattr(net.opt, f"use_{name}", False)
    if net.load_param(str(path)) != 0 or net.load_model(str(path.with_suffix(".bin"))) != 0:
        raise NetworkError(f"cannot load {path} with its {BESIDE[0]}: ncnn does not read it")
    return net


def _metadata(weights: Path) -> dict[str, Any]:
    """What `write` wrote; empty for files of others.

    Raises:
        NetworkError: there is no such file.
    """
    if not weights.is_file():
        raise NetworkError(f"there is no file {weights}, which holds the weights")
    _, mark, told = weights.read_bytes().rpartition(f"\n{KEY} ".encode())
    return json.loads(told) if mark else {}
