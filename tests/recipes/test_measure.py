import pytest

from espalier.costs import Cost
from espalier.errors import EspalierError
from espalier.networks.load import load
from espalier.recipes import measure
from tests.recipes.conftest import TINY


def cost(macs: float, size: tuple[int, int] = (360, 640)) -> Cost:
    return Cost(params=1, macs=int(macs), activations=1, convs=1, input_size=size)


@pytest.mark.parametrize(
    ("macs", "expected"), [(1e9, (360, 640)), (100e9, (180, 320)), (1e12, (90, 160)), (1e15, (90, 160))]
)
def test_heavy_networks_are_timed_on_smaller_images(macs: float, expected: tuple[int, int]) -> None:
    assert measure.timed_size(cost(macs)) == expected


def test_costs_are_counted_for_every_network_and_timed_when_asked() -> None:
    networks = {"dense": load(TINY), "pruned": load("edsr(scale=2, blocks=1, channels=4)")}
    counted = measure.costs(networks, timed=False)
    assert counted["input_size"] == [360, 640]
    assert counted["rows"]["pruned"]["macs"] < counted["rows"]["dense"]["macs"]
    assert "latency_size" not in counted
    assert "ms" not in counted["rows"]["dense"]


def test_costs_can_be_counted_for_any_input() -> None:
    """The thesis on pruning DRLN and SwinIR counts a 964 x 540 input."""
    network = {"dense": load(TINY)}
    small, large = (
        measure.costs(network, timed=False, at=measure.lr_size(t)) for t in ("482x270", "964x540")
    )
    assert large["input_size"] == [540, 964]
    assert large["rows"]["dense"]["macs"] == 4 * small["rows"]["dense"]["macs"]
    assert measure.lr_size(None) is None


@pytest.mark.parametrize("text", ["964", "0x5", "ax5", "5x6x7"])
def test_a_wrong_size_is_explained(text: str) -> None:
    with pytest.raises(EspalierError, match="expected width x height"):
        measure.lr_size(text)
