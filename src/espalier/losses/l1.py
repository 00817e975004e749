"""Mean absolute difference."""

from torch.nn.functional import l1_loss

from espalier.losses.weighted import Loss


def build() -> Loss:
    return l1_loss
