import io
import json
from dataclasses import replace

import pytest
from rich.console import Console

from espalier.costs import count
from espalier.networks.load import load
from espalier.recipes import inspect

TINY = "edsr(scale=2, blocks=1, channels=4)"


def test_json_tells_groups_statuses_and_cost(capsys) -> None:
    inspect.command(TINY, json=True)
    told = json.loads(capsys.readouterr().out)
    assert told["network"] == "edsr"
    assert told["scale"] == 2
    assert told["cost"]["macs"] > 0
    assert 0.9 < told["share"] <= 1
    groups = {group["name"]: group for group in told["groups"]}
    assert sum(told["statuses"].values()) == len(groups)
    inner = next(group for group in groups.values() if group["status"] == "exact")
    assert inner["channels"] == 4
    assert {"tensor", "dim"} == set(inner["members"][0])
    pinned = [group for group in groups.values() if group["status"] == "pinned"]
    assert pinned
    assert all(group["reason"] for group in pinned)


def test_cost_is_counted_for_the_input_that_was_asked_for(capsys) -> None:
    inspect.command(TINY, json=True, prove=False, size="964x540")
    assert json.loads(capsys.readouterr().out)["cost"]["input_size"] == [540, 964]


def test_tables_name_every_group(capsys) -> None:
    inspect.command(TINY)
    shown = capsys.readouterr().out
    inspect.command(TINY, json=True)
    names = [group["name"] for group in json.loads(capsys.readouterr().out)["groups"]]
    assert all(name in shown for name in names)
    assert "of the parameters lie in proven groups" in shown
    assert "MACs" in shown


def test_groups_that_differ_in_nothing_share_a_line() -> None:
    network = load(TINY)
    found = inspect.trace(network, prove=False)
    first = found.groups[0]
    copies = (replace(first, name="qkv"), replace(first, name="qkv#2"), replace(first, name="qkv#3"), first)
    console = Console(file=io.StringIO(), width=160)
    inspect.show(network, replace(found, groups=copies), count(network), console)
    shown = console.file.getvalue()  # type: ignore[attr-defined]
    assert "qkv and 2 alike" in shown
    assert "qkv#2" not in shown
    assert "4 groups" in shown


def test_without_proof_nothing_is_called_exact(capsys) -> None:
    inspect.command(TINY, prove=False, json=True)
    statuses = json.loads(capsys.readouterr().out)["statuses"]
    assert "exact" not in statuses
    assert statuses["unproven"] > 0


def test_brackets_in_names_are_shown_as_they_are() -> None:
    network = load(TINY)
    found = inspect.trace(network, prove=False)
    odd = replace(found.groups[0], name="a[0].weight")
    console = Console(file=io.StringIO(), width=160)
    inspect.show(network, replace(found, groups=(odd,)), count(network), console)
    assert "a[0].weight" in console.file.getvalue()  # type: ignore[attr-defined]


@pytest.mark.parametrize("reference", ["nope.pth", "nosuch(scale=2)", "no.module:factory"])
def test_unknown_networks_are_refused(reference: str) -> None:
    from espalier.errors import EspalierError

    with pytest.raises(EspalierError, match=r"nope|nosuch|no\.module"):
        inspect.command(reference)
