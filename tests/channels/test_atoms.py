import numpy as np
import torch

from espalier.channels.atoms import ALIVE, Atoms


def test_fresh_atoms_are_all_different() -> None:
    atoms = Atoms()
    assert atoms.new(3).tolist() == [0, 1, 2]
    assert atoms.new(2).tolist() == [3, 4]
    assert atoms.count == 5
    assert atoms.resolve().root.tolist() == [0, 1, 2, 3, 4]


def test_united_atoms_share_the_smallest_member() -> None:
    atoms = Atoms()
    a, b, c = atoms.new(4), atoms.new(4), atoms.new(4)
    atoms.unite(c, b, "")
    atoms.unite(b, a, "")
    assert atoms.resolve().of(c).tolist() == [0, 1, 2, 3]


def test_unions_broadcast() -> None:
    atoms = Atoms()
    grid = atoms.new(6).view(2, 3)
    atoms.unite(grid, grid[:1], "")
    assert atoms.resolve().of(grid).tolist() == [[0, 1, 2], [0, 1, 2]]


def test_long_chains_of_unions_resolve() -> None:
    atoms = Atoms()
    line = atoms.new(5000)
    order = torch.randperm(4999, generator=torch.Generator().manual_seed(0))
    for k in order.tolist():
        atoms.unite(line[k : k + 1], line[k + 1 : k + 2], "")
    assert set(atoms.resolve().root.tolist()) == {0}


def test_random_unions_agree_with_a_plain_union_find() -> None:
    rng = np.random.default_rng(0)
    atoms, parent = Atoms(), list(range(200))

    def find(x: int) -> int:
        while parent[x] != x:
            x = parent[x]
        return x

    atoms.new(200)
    for a, b in rng.integers(0, 200, (150, 2)).tolist():
        atoms.unite(torch.tensor([a]), torch.tensor([b]), "")
        parent[max(find(a), find(b))] = min(find(a), find(b))
    assert atoms.resolve().root.tolist() == [find(x) for x in range(200)]


def test_what_meets_the_living_is_pinned_with_the_reason() -> None:
    atoms = Atoms()
    x = atoms.new(3)
    atoms.unite(x, torch.tensor([ALIVE, 1, ALIVE]), "met a constant")
    classes = atoms.resolve()
    assert classes.pinned == {0: "met a constant", 2: "met a constant"}


def test_pins_reach_all_united_atoms_and_the_first_reason_stays() -> None:
    atoms = Atoms()
    a, b = atoms.new(2), atoms.new(2)
    atoms.pin(a[:1], "first")
    atoms.pin(torch.tensor([ALIVE]), "nothing")
    atoms.pin(b, "second")
    atoms.unite(a, b, "")
    assert atoms.resolve().pinned == {0: "first", 1: "second"}


def test_a_row_lives_by_its_children() -> None:
    atoms = Atoms()
    grid = atoms.new(6).view(2, 3)
    rows = atoms.row_atoms(grid)
    assert rows.tolist() == [6, 7]
    assert atoms.row_atoms(grid).tolist() == [6, 7]
    children = atoms.resolve().children
    assert {p: c.tolist() for p, c in children.items()} == {6: [0, 1, 2], 7: [3, 4, 5]}


def test_rows_over_united_children_are_one() -> None:
    atoms = Atoms()
    a, b = atoms.new(4).view(2, 2), atoms.new(4).view(2, 2)
    first, second = atoms.row_atoms(a), atoms.row_atoms(b)
    atoms.unite(a, b, "")
    classes = atoms.resolve()
    assert classes.of(first).tolist() == classes.of(second).tolist()


def test_a_row_whose_children_are_one_is_that_one() -> None:
    atoms = Atoms()
    grid = atoms.new(4).view(2, 2)
    rows = atoms.row_atoms(grid)
    atoms.unite(grid, grid[:, :1], "")
    classes = atoms.resolve()
    assert classes.of(rows).tolist() == [0, 2]
    assert classes.children == {}


def test_a_row_with_a_living_position_lives() -> None:
    atoms = Atoms()
    atoms.new(2)
    assert atoms.row_atoms(torch.tensor([[0, ALIVE], [0, 1]])).tolist() == [ALIVE, 2]


def test_living_positions_stay_in_the_classes_of_an_array() -> None:
    atoms = Atoms()
    x = atoms.new(2)
    assert atoms.resolve().of(torch.cat([x, torch.tensor([ALIVE])])).tolist() == [0, 1, ALIVE]
