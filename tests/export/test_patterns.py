"""N:M zeros in an ONNX file: of every four inputs, at each output and tap, two are zero."""

from pathlib import Path

import numpy as np
import pytest

from espalier.export import Request
from espalier.export import onnx as onnx_target
from espalier.methods import sparse
from espalier.networks.network import Network
from espalier.sparsity import Pattern
from tests import zoo
from tests.methods.jobs import job

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxscript")
pytest.importorskip("onnxruntime")


def groups(values: np.ndarray, axis: int) -> np.ndarray:
    """How many of every four along an axis are not zero."""
    rows = np.moveaxis(values, axis, -1)
    return (rows.reshape(*rows.shape[:-1], -1, 4) != 0).sum(-1)


def weights_of(network: Network, path: Path) -> list[tuple[str, int, np.ndarray]]:
    """Kind of layer, the axis of its inputs, and its weight as the file holds it."""
    onnx_target.write(network, path, Request((24, 24), half=False))
    graph = onnx.load(path).graph
    values = {found.name: onnx.numpy_helper.to_array(found) for found in graph.initializer}
    found = []
    for node in graph.node:
        if node.op_type in ("Conv", "MatMul", "Gemm") and node.input[1] in values:
            turned = any(a.name == "transB" and a.i for a in node.attribute)
            found.append((node.op_type, int(node.op_type == "Conv" or turned), values[node.input[1]]))
    return found


@pytest.mark.parametrize(
    ("name", "kinds", "pattern", "share", "kept"),
    [
        ("edsr", {"Conv"}, "2:4", 0.5, 2),
        ("edsr", {"Conv"}, "1:4", 0.75, 1),
        ("SwinIR", {"Conv", "MatMul"}, "2:4", 0.5, 2),
    ],
)
def test_zeros_stand_along_the_inputs(
    name: str, kinds: set[str], pattern: str, share: float, kept: int, tmp_path: Path
) -> None:
    asked = job("sparse", zoo.find(name), f"sparsity={share}", options={"pattern": pattern})
    made = sparse.prune(asked)
    found = weights_of(made, tmp_path / "a.onnx")
    sparse_ones = [
        (kind, values)
        for kind, axis, values in found
        if values.shape[axis] % 4 == 0 and groups(values, axis).max() <= kept
    ]
    assert {kind for kind, _ in sparse_ones} == kinds
    assert len(sparse_ones) == len(made.masks)
    zeros = sum(int((values == 0).sum()) for _, values in sparse_ones)
    assert zeros == sum(int((~mask).sum()) for mask in made.masks.values())
    assert zeros == Pattern.parse(pattern).sparsity * sum(values.size for _, values in sparse_ones)
