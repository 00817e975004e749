"""Students: how they are named, and what they begin with."""

import pytest
import torch

from espalier.distillation.students import Wish, changed, take_over, wish
from espalier.errors import NetworkError
from espalier.networks.load import load
from espalier.networks.network import Network
from espalier.plan import PrunePlan

FIVE = "srresnet(scale=4, blocks=5, channels=8, kernel=3)"


@pytest.fixture
def teacher() -> Network:
    return load(FIVE)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("pruned:params=0.6", Wish("pruned", "params=0.6")),
        ("blocks=8", Wish("changed", "blocks=8")),
        (" blocks=8, channels=48 ", Wish("changed", "blocks=8, channels=48")),
        ("srresnet(blocks=8)", Wish("named", "srresnet(blocks=8)")),
        ("runs/a=b/network.safetensors", Wish("named", "runs/a=b/network.safetensors")),
        ("edsr", Wish("named", "edsr")),
        ("package.module:function", Wish("named", "package.module:function")),
    ],
)
def test_wishes(text: str, expected: Wish) -> None:
    assert wish(text) == expected


def test_fewer_blocks_begin_as_the_teachers(teacher: Network) -> None:
    student = changed(teacher, "blocks=2")
    assert take_over(student, teacher) == 1.0
    own, taught = student.body.state_dict(), teacher.body.state_dict()
    assert torch.equal(own["blocks.0.conv1.weight"], taught["blocks.1.conv1.weight"])
    assert torch.equal(own["blocks.1.bn2.running_var"], taught["blocks.3.bn2.running_var"])
    assert torch.equal(own["tail.weight"], taught["tail.weight"])
    assert not torch.equal(own["blocks.0.conv1.weight"], taught["blocks.0.conv1.weight"])


def test_as_many_blocks_make_a_twin(teacher: Network) -> None:
    student = changed(teacher, "blocks=5")
    take_over(student, teacher)
    image = torch.rand(1, 3, 12, 14)
    with torch.no_grad():
        assert torch.equal(student.eval()(image), teacher.eval()(image))


def test_a_narrower_one_takes_what_fits(teacher: Network) -> None:
    student = changed(teacher, "channels=6")
    share = take_over(student, teacher)
    assert 0 < share < 0.05
    assert torch.equal(student.body.get_parameter("tail.bias"), teacher.body.get_parameter("tail.bias"))


def test_another_architecture_takes_nothing_it_does_not_have(teacher: Network) -> None:
    assert take_over(load("rfdn(channels=12)"), teacher) == 0


def test_mistakes_are_explained(teacher: Network) -> None:
    with pytest.raises(NetworkError, match="srresnet has no argument 'block'; it has scale, blocks"):
        changed(teacher, "block=2")
    with pytest.raises(NetworkError, match="'blocks=many' is no argument with a plain value"):
        changed(teacher, "blocks=many")
    teacher.plans = (PrunePlan(()),)
    with pytest.raises(NetworkError, match="no plain member"):
        changed(teacher, "blocks=2")
