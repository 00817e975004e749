import pytest
import torch

from espalier.evaluation.ensemble import self_ensemble
from tests.evaluation.networks import Convolutions


def test_a_symmetric_function_is_unchanged():
    image = torch.rand(1, 3, 6, 9)
    result = self_ensemble(lambda x: x.repeat_interleave(2, 2).repeat_interleave(2, 3), image)
    torch.testing.assert_close(result, image.repeat_interleave(2, 2).repeat_interleave(2, 3))


def test_all_eight_symmetries_are_seen_once():
    image = torch.arange(6.0).view(1, 1, 2, 3)
    seen = []
    self_ensemble(lambda x: (seen.append(x.clone()), x)[1], image)
    assert len(seen) == 8
    assert len({(tuple(x.shape), tuple(x.flatten().tolist())) for x in seen}) == 8


@pytest.mark.parametrize("turn", [lambda x: x.flip(2), lambda x: x.mT, lambda x: x.rot90(1, (2, 3))])
def test_the_result_turns_with_the_image(turn):
    net = Convolutions(3).eval()
    image = torch.rand(1, 3, 7, 10)
    with torch.no_grad():
        plain, turned = self_ensemble(net, image), self_ensemble(net, turn(image))
    torch.testing.assert_close(turned, turn(plain), atol=1e-6, rtol=0)
    assert not torch.allclose(plain, net(image), atol=1e-3)
