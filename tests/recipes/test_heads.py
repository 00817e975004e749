"""Whole attention heads asked for in pruning and inspection."""

import json
from pathlib import Path

import pytest

from espalier.data import pack
from espalier.errors import PlanError
from espalier.recipes import inspect
from espalier.recipes.prune import Request, prune
from tests import zoo

FREE = "spandrel.OmniSR(num_feat=16, block_num=1, res_num=1)"


def request(method: str, budget: str, **more: bool) -> Request:
    return Request(budget, method, "l2", None, 1, (), 0, heads=True, **more)


@pytest.mark.parametrize(("method", "budget"), [("magnitude", "ratio=0.5"), ("calibrated", "macs=0.6")])
def test_methods_remove_whole_heads(method: str, budget: str, photos: Path) -> None:
    dense = zoo.network(zoo.find("SwinIR"))
    made = prune(dense, request(method, budget), pack(photos, dense.scale))
    assert made.plan is not None
    assert made.plan.notes["proof"] < 1e-9
    heads = {r.module: (r.old, r.new) for r in made.plan.relinks if r.attribute == "num_heads"}
    assert list(heads.values()) == [(2, 1)] * 4


def test_no_member_of_an_architecture_is_promised_for_fewer_heads(photos: Path) -> None:
    dense = zoo.network(zoo.find("SwinIR"))
    with pytest.raises(PlanError, match="the architecture cannot say what would be left"):
        prune(dense, request("magnitude", "macs=0.6", keep_architecture=True), pack(photos, dense.scale))


def test_inspect_names_heads(capsys: pytest.CaptureFixture[str]) -> None:
    inspect.command(FREE, heads=True, json=True)
    groups = json.loads(capsys.readouterr().out)["groups"]
    found = [g for g in groups if g["pattern"] == "attention heads"]
    assert [g["channels"] for g in found] == [4] * 4
    assert all(g["status"] in ("exact", "normalised") for g in found)
