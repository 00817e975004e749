"""Networks as research code has them, of kinds that nobody prepared the rules for; each factory makes a tiny one."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Foreign:
    """One network, and what of it cannot shrink."""

    reference: str
    share: float = 0.99
    """Least share of the parameters that lie in proven groups."""


NETWORKS = (
    Foreign("tests.foreign.convolutions:feedback"),
    Foreign("tests.foreign.convolutions:wavelets"),
    Foreign("tests.foreign.convolutions:normed_weights", 0.9),  # a skip from the colours to the output
    Foreign("tests.foreign.convolutions:coupling"),
    Foreign("tests.foreign.convolutions:phone"),
    Foreign("tests.foreign.convolutions:fourier"),
    Foreign("tests.foreign.convolutions:modes"),
    Foreign("tests.foreign.convolutions:covariance"),
    Foreign("tests.foreign.convolutions:folded"),
    Foreign("tests.foreign.attention:encoder"),
    Foreign("tests.foreign.attention:shared_heads"),
    Foreign("tests.foreign.attention:cosine_windows"),
    Foreign("tests.foreign.attention:linear_attention"),
    Foreign("tests.foreign.attention:cross_scale"),
    Foreign("tests.foreign.attention:neighbours"),
    Foreign("tests.foreign.dynamic:scan"),
    Foreign("tests.foreign.dynamic:predicted_filters"),
    Foreign("tests.foreign.dynamic:experts"),
    Foreign("tests.foreign.dynamic:modulated"),
    Foreign("tests.foreign.dynamic:chosen_windows", 0.98),
    Foreign("tests.foreign.dynamic:rows_of_pixels"),
    Foreign("tests.foreign.dynamic:video"),
    Foreign("tests.foreign.coincidences:partial"),
    Foreign("tests.foreign.coincidences:shifts"),
    Foreign("tests.foreign.coincidences:involution", 0.98),
    Foreign("tests.foreign.coincidences:galerkin"),
    Foreign("tests.foreign.coincidences:rolled"),
    Foreign("tests.foreign.coincidences:correlations"),
    Foreign("tests.foreign.coincidences:overlapping", 0.94),  # a table of biases, one for each head
)
