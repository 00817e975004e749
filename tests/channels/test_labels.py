import torch

from espalier.channels.atoms import Atoms
from espalier.channels.labels import aligned, axis, collapse, covers, drop, meet, rows, shrunk, varying


def test_an_axis_varies_over_one_dimension() -> None:
    factor = axis(torch.arange(5), 1, 4)
    assert factor.shape == (1, 5, 1, 1)
    assert varying(factor) == (1,)
    assert covers((factor,), 1)
    assert not covers((factor,), 2)


def test_alignment_is_that_of_broadcasting() -> None:
    assert aligned((torch.arange(5),), 3)[0].shape == (1, 1, 5)


def test_an_array_is_shrunk_where_nothing_changes() -> None:
    array = torch.arange(3).view(1, 3, 1).expand(2, 3, 4)
    small = shrunk(array.clone())
    assert small is not None
    assert small.tolist() == [[[0], [1], [2]]]
    assert shrunk(torch.full((2, 3), -1)) is None


def test_collapse_unites_along_a_dimension() -> None:
    atoms = Atoms()
    grid = atoms.new(6).view(2, 3)
    assert collapse(atoms, grid, 0, "").tolist() == [[0, 1, 2]]  # type: ignore[union-attr]
    assert atoms.resolve().root.tolist() == [0, 1, 2, 0, 1, 2]


def test_collapse_of_the_only_dimension_pins() -> None:
    atoms = Atoms()
    assert collapse(atoms, atoms.new(3).view(1, 3), 1, "why") is None
    assert set(atoms.resolve().pinned.values()) == {"why"}


def test_rows_seen_over_their_outer_dimension() -> None:
    atoms = Atoms()
    grid = atoms.new(6).view(1, 2, 3)
    seen = rows(atoms, grid, [1])
    assert seen.shape == (1, 2, 1)
    assert rows(atoms, seen, [1]) is seen


def test_a_sum_over_the_inner_dimension_leaves_rows_and_over_an_outer_unites() -> None:
    atoms = Atoms()
    grid = atoms.new(6).view(2, 3)
    assert drop(atoms, grid, 1, "").tolist() == [[6], [7]]  # type: ignore[union-attr]
    assert atoms.resolve().root.tolist()[:6] == [0, 1, 2, 3, 4, 5]
    assert drop(atoms, grid, 0, "").shape == (1, 3)  # type: ignore[union-attr]
    assert atoms.resolve().root.tolist()[:6] == [0, 1, 2, 0, 1, 2]
    assert drop(atoms, axis(atoms.new(4), 1, 2), 1, "") is None


def test_meeting_factors_are_united() -> None:
    atoms = Atoms()
    a, b = axis(atoms.new(4), 1, 3), axis(atoms.new(4), 1, 3)
    (factor,) = meet(atoms, [((a,), [1, 4, 5]), ((b,), [1, 4, 1])], [1, 4, 5], "")
    assert factor.shape == (1, 4, 1)
    assert atoms.resolve().of(b).ravel().tolist() == [0, 1, 2, 3]


def test_an_expanded_operand_stays_whole_beside_numbers_that_nobody_owns() -> None:
    atoms = Atoms()
    stretched = axis(atoms.new(4), 1, 2)
    assert meet(atoms, [((), [1, 4]), ((stretched,), [1, 1])], [1, 4], "why") == ()
    assert set(atoms.resolve().pinned.values()) == {"why"}


def test_factors_over_different_dimensions_stay_apart() -> None:
    atoms = Atoms()
    a, b = axis(atoms.new(4), 0, 2), axis(atoms.new(3), 1, 2)
    assert len(meet(atoms, [((a,), [4, 1]), ((b,), [1, 3])], [4, 3], "")) == 2


def test_a_full_operand_without_channels_pins() -> None:
    atoms = Atoms()
    a = axis(atoms.new(4), 1, 2)
    assert meet(atoms, [((a,), [2, 4]), ((), [1, 4])], [2, 4], "a constant") == ()
    assert set(atoms.resolve().pinned.values()) == {"a constant"}


def test_a_broadcast_operand_without_channels_does_not() -> None:
    atoms = Atoms()
    a = axis(atoms.new(4), 1, 2)
    assert len(meet(atoms, [((a,), [2, 4]), ((), [2, 1])], [2, 4], "")) == 1
    assert atoms.resolve().pinned == {}


def test_a_factor_over_rows_meets_one_over_rows_and_positions_by_rows() -> None:
    atoms = Atoms()
    heads, grid = axis(atoms.new(2), 0, 2), atoms.new(6).view(2, 3)
    (factor,) = meet(atoms, [((grid,), [2, 3]), ((heads,), [2, 1])], [2, 3], "")
    assert factor.shape == (2, 3)
    classes = atoms.resolve()
    assert {p: c.tolist() for p, c in classes.children.items()} == {0: [2, 3, 4], 1: [5, 6, 7]}


def test_a_factor_over_inner_positions_meets_a_grid_position_by_position() -> None:
    atoms = Atoms()
    inner, grid = axis(atoms.new(3), 1, 2), atoms.new(6).view(2, 3)
    meet(atoms, [((inner,), [1, 3]), ((grid,), [2, 3])], [2, 3], "")
    assert atoms.resolve().of(grid).tolist() == [[0, 1, 2], [0, 1, 2]]
