import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from espalier.images.folder import pairs
from espalier.images.io import read_image
from espalier.images.resize import enlarge, imresize, modcrop


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize(("name", "count"), [("Set5", 5), ("Set14", 14)])
def test_equals_matlab_on_every_benchmark_file(real_data, name, count, scale):
    found = pairs(real_data / "sets" / name, scale)
    assert len(found) == count
    for pair in found:
        assert pair.lr is not None
        made = imresize(modcrop(read_image(pair.hr).pixels, scale), 1 / scale)
        np.testing.assert_array_equal(made, read_image(pair.lr).pixels, err_msg=pair.name)


def _slow_bicubic(line: np.ndarray, factor: float) -> np.ndarray:
    """The definition, pixel by pixel: normalised kernel weights over the line mirrored at both ends."""

    def kernel(x):
        x = abs(x)
        if x <= 1:
            return 1.5 * x**3 - 2.5 * x**2 + 1
        return -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2 if x < 2 else 0.0

    mirrored = np.concatenate([line[::-1], line, line[::-1]])
    shrink = min(factor, 1.0)
    result = []
    for place in range(round(len(line) * factor)):
        centre = (place + 0.5) / factor - 0.5
        weights = [kernel(shrink * (centre - (i - len(line)))) for i in range(len(mirrored))]
        result.append(np.dot(weights, mirrored) / sum(weights))
    return np.array(result)


@pytest.mark.parametrize("factor", [1 / 4, 1 / 3, 0.5, 2.0, 3.0])
def test_equals_the_definition(factor):
    line = np.random.default_rng(0).random(24)
    expected = _slow_bicubic(line, factor)
    as_rows = imresize(np.repeat(line[:, None], 24, axis=1), factor)
    np.testing.assert_allclose(as_rows, np.repeat(expected[:, None], len(expected), axis=1), atol=1e-12)


@given(
    st.integers(1, 40),
    st.integers(1, 40),
    st.integers(1, 40),
    st.integers(1, 40),
    st.sampled_from(["mirror", "clamp"]),
)
def test_constants_stay_constant(height, width, new_height, new_width, edge):
    image = np.full((height, width, 3), 77, np.uint8)
    result = imresize(image, size=(new_height, new_width), edge=edge)
    assert result.shape == (new_height, new_width, 3)
    assert (result == 77).all()


def test_edges_differ_and_the_inside_does_not():
    image = np.random.default_rng(1).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    mirror, clamp = imresize(image, 0.25), imresize(image, 0.25, edge="clamp")
    assert (mirror != clamp).any()
    np.testing.assert_array_equal(mirror[2:-2, 2:-2], clamp[2:-2, 2:-2])


@pytest.mark.parametrize("scale", [1 / 3, 0.4, 2, 2.5])
def test_tensors_and_float_arrays_agree(scale):
    array = np.random.default_rng(2).random((17, 26, 3))
    tensor = torch.from_numpy(array).permute(2, 0, 1)[None]
    resized = imresize(tensor, scale)
    assert resized.is_contiguous()
    np.testing.assert_allclose(resized[0].permute(1, 2, 0).numpy(), imresize(array, scale), atol=1e-13)


def test_uint16_and_grey_keep_type_and_shape():
    image = np.full((8, 8), 65535, np.uint16)
    result = imresize(image, 0.5)
    assert result.dtype == np.uint16
    assert result.shape == (4, 4)
    assert (result == 65535).all()


def test_overshoot_is_clipped_not_wrapped():
    image = np.zeros((16, 16), np.uint8)
    image[:, 8:] = 255
    result = imresize(image, 4)
    assert result[:, :20].max() < 10
    assert result[:, 44:].min() > 245


@pytest.mark.parametrize("factor", [2, 3, 4, 8])
@pytest.mark.parametrize("shape", [(9, 7), (1, 1), (2, 5)])
def test_enlarge_is_imresize(factor, shape):
    image = torch.rand(2, 3, *shape, dtype=torch.float64)
    torch.testing.assert_close(enlarge(image, factor), imresize(image, factor), atol=1e-12, rtol=0)


@pytest.mark.parametrize(
    "resize", [lambda x: enlarge(x, 2), lambda x: imresize(x, 2), lambda x: imresize(x, 0.5)]
)
def test_gradients_flow(resize):
    image = torch.rand(1, 1, 6, 6, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(resize, image)


def test_enlarge_can_be_exported_for_any_size():
    class Enlarge(torch.nn.Module):
        def forward(self, image: torch.Tensor) -> torch.Tensor:
            return enlarge(image, 3)

    sizes = {"image": {2: torch.export.Dim.DYNAMIC, 3: torch.export.Dim.DYNAMIC}}
    program = torch.export.export(Enlarge(), (torch.rand(1, 3, 12, 10),), dynamic_shapes=sizes)
    other = torch.rand(1, 3, 21, 33)
    torch.testing.assert_close(program.module()(other), enlarge(other, 3))


def test_modcrop_cuts_bottom_and_right():
    array = np.arange(7 * 9).reshape(7, 9)
    np.testing.assert_array_equal(modcrop(array, 4), array[:4, :8])
    tensor = torch.from_numpy(array)[None, None]
    assert torch.equal(modcrop(tensor, 4), tensor[..., :4, :8])
    assert modcrop(array, 1).shape == (7, 9)


@pytest.mark.parametrize("arguments", [{}, {"scale": 2, "size": (4, 4)}, {"size": (0, 4)}])
def test_senseless_sizes_are_refused(arguments):
    with pytest.raises(ValueError, match="imresize"):
        imresize(np.zeros((4, 4)), **arguments)
