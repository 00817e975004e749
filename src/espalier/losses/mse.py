"""Mean squared difference."""

from torch.nn.functional import mse_loss

from espalier.losses.weighted import Loss


def build() -> Loss:
    return mse_loss
