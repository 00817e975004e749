from typing import Literal

import pytest
from pydantic import BaseModel, ConfigDict

from espalier.allocation import Budget
from espalier.errors import PlanError
from espalier.methods import job, magnitude


class Options(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    steps: int = 10
    rule: Literal["hard", "soft"] = "hard"


def test_every_method_is_a_folder_with_a_prune_function() -> None:
    assert {"magnitude", "calibrated"} <= set(job.methods())
    assert all(callable(job.method(name)) for name in job.methods())


def test_an_unknown_method_gets_a_suggestion() -> None:
    with pytest.raises(PlanError, match="did you mean 'magnitude'"):
        job.method("magnitud")


def test_options_come_from_text_as_a_command_line_gives_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(magnitude, "OPTIONS", Options, raising=False)
    assert job.options("magnitude", {"steps": "20"}) == Options(steps=20)
    with pytest.raises(PlanError, match="no option 'stepps'; did you mean 'steps'"):
        job.options("magnitude", {"stepps": 3})
    with pytest.raises(PlanError, match="rule: Input should be 'hard' or 'soft'"):
        job.options("magnitude", {"rule": "medium"})


def test_a_method_without_options_takes_none() -> None:
    assert job.options("magnitude", {}) is None
    with pytest.raises(PlanError, match="magnitude has no options, got steps"):
        job.options("magnitude", {"steps": 3})


def test_budgets_fit_their_method(monkeypatch: pytest.MonkeyPatch) -> None:
    job.check_budget("magnitude", Budget.parse("macs=0.5"))
    with pytest.raises(PlanError, match="removes channels"):
        job.check_budget("magnitude", Budget.parse("sparsity=0.5"))
    monkeypatch.setattr(magnitude, "BUDGETS", ("sparsity",), raising=False)
    with pytest.raises(PlanError, match="takes a budget of sparsity, got macs"):
        job.check_budget("magnitude", Budget.parse("macs=0.5"))
