import json

import pytest

from espalier.errors import PlanError
from espalier.plan import Choice, Cut, PrunePlan, Relink

PLAN = PrunePlan(
    cuts=(Cut("head.weight", 0, 4, (0, 2)), Cut("tail.weight", 1, 4, (0, 2))),
    relinks=(Relink("body.0", "sizes", (0,), 4, 2), Relink("", "dim", (), 4, 2)),
    choices=(Choice("head.weight", 4, (0, 2)), Choice("body.0.weight", 8, tuple(range(8)))),
    notes={"criterion": "l2", "budget": "macs=0.5", "achieved": 0.49},
)


def test_json_round_trip() -> None:
    assert PrunePlan.from_json(PLAN.to_json()) == PLAN


def test_an_empty_plan_round_trips() -> None:
    assert PrunePlan.from_json(PrunePlan(()).to_json()) == PrunePlan(())


def test_json_is_plain_and_compact() -> None:
    data = json.loads(PLAN.to_json())
    assert data["cuts"][0] == {"tensor": "head.weight", "dim": 0, "size": 4, "kept": [0, 2]}
    assert data["relinks"][0]["path"] == [0]
    assert ": " not in PLAN.to_json()


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", "null", '{"cuts": 3}', '{"cuts": [{}], "relinks": [], "choices": []}']
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(PlanError, match="not a pruning plan"):
        PrunePlan.from_json(text)


def test_explain_tells_the_largest_cuts_first() -> None:
    plan = PrunePlan(
        (), choices=(Choice("a", 8, (0, 1, 2, 3)), Choice("b", 10, (4,)), Choice("c", 3, (0, 1, 2)))
    )
    assert plan.explain().splitlines() == [
        "b: 1 of 10 channels stay",
        "a: 4 of 8 channels stay",
        "1 of 3 groups untouched",
    ]
