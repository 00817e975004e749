from espalier.report.series import series


def point(step: int, losses: dict, **scores: float) -> dict:
    return {"step": step, "lr": 0.1, "losses": losses, "scores": scores}


def test_a_lone_loss_is_drawn_once() -> None:
    found = series([point(1, {"total": 2.0, "l1": 2.0}), point(2, {"total": 1.0, "l1": 1.0}, psnr=30.0)])
    assert found == {
        "loss": [(1, 2.0), (2, 1.0)],
        "PSNR [dB]": [(2, 30.0)],
        "learning rate": [(1, 0.1), (2, 0.1)],
    }


def test_several_losses_are_drawn_each() -> None:
    assert list(series([point(1, {"total": 3.0, "l1": 1.0, "teacher": 2.0})])) == [
        "loss", "l1", "teacher", "learning rate",
    ]  # fmt: skip


def test_scores_stand_beside_the_loss() -> None:
    found = series([point(1, {"l1": 1.0, "teacher": 2.0, "total": 3.0}, psnr=30.0)])
    assert list(found) == ["loss", "PSNR [dB]", "l1", "teacher", "learning rate"]


def test_records_without_a_step_are_not_points() -> None:
    assert series([{"event": "started"}]) == {}
