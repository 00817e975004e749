"""What the progress bar says of the losses."""

from espalier.training.progress import losses


def test_the_sum_and_its_parts() -> None:
    assert losses({}) == ""
    assert losses({"l1": 0.02, "total": 0.02}) == "loss 0.02000"
    parts = {"l1": 0.02, "gan": 0.0006931, "total": 0.0206931}
    assert losses(parts) == "loss 0.02069 (l1 0.02 gan 0.0006931)"
