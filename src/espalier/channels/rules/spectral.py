"""Fourier transforms, complex numbers, and weights written as a length times a direction."""

from torch import Tensor

from espalier.channels.call import Call
from espalier.channels.labels import Label, collapse, meet


def transform(call: Call) -> None:
    """Mixes the positions along its dimensions; the others keep their channels."""
    x: Tensor = call.args[0]
    dims = [d % x.ndim for d in call.arg(1, "dim")]
    label: list[Tensor] = []
    for factor in call.label(x):
        kept: Tensor | None = factor
        for dim in dims:
            if kept is not None and kept.shape[dim] > 1:
                kept = collapse(call.atoms, kept, dim, call.reason)
        if kept is not None:
            label.append(kept)
    call.give(tuple(label))


def as_complex(call: Call) -> None:
    """The last axis holds real and imaginary parts, which go together."""
    x: Tensor = call.args[0]
    kept = (collapse(call.atoms, f, x.ndim - 1, call.reason) if f.shape[-1] > 1 else f for f in call.label(x))
    call.give(tuple(f.squeeze(-1) for f in kept if f is not None))


def as_real(call: Call) -> None:
    call.give(tuple(f.unsqueeze(-1) for f in call.label(call.args[0])))


def weight_norm(call: Call) -> None:
    """v * g / |v|, the norm over all axes but one."""
    v, g = call.args[:2]
    dim = call.arg(2, "dim", 0)
    own: Label = tuple(f for f in call.label(g) if f.shape[dim] > 1)
    label = meet(call.atoms, [(call.label(v), v.shape), (own, g.shape)], v.shape, call.reason)
    call.give(label, call.outputs()[0])


RULES = {
    **dict.fromkeys(["_fft_r2c", "_fft_c2c", "_fft_c2r"], transform),
    "view_as_complex": as_complex,
    "view_as_real": as_real,
    "_weight_norm_interface": weight_norm,
}
