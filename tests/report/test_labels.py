import pytest

from espalier.report.labels import CHARACTER, Label, place

FRAME = (0.0, 0.0, 400.0, 200.0)


def test_a_name_stands_to_the_right_where_there_is_room() -> None:
    assert place([(100, 100)], ["abc"], FRAME, [0]) == [Label(110, 92, "start")]


def test_at_the_right_edge_it_stands_to_the_left() -> None:
    (found,) = place([(395, 100)], ["abc"], FRAME, [0])
    assert found == Label(385, 92, "end")


def test_at_the_top_it_stands_below() -> None:
    (found,) = place([(100, 8)], ["abc"], FRAME, [0])
    assert found is not None
    assert found.y > 8


@pytest.mark.parametrize("count", [2, 5, 30])
def test_names_never_lie_on_one_another_or_on_dots(count: int) -> None:
    centres = [(100.0 + 3 * k, 100.0 + k) for k in range(count)]
    found = place(centres, ["a long name"] * count, FRAME, range(count))
    spans = [
        (f.x - width if f.anchor == "end" else f.x, f.y)
        for f in found
        if f is not None and (width := CHARACTER * len("a long name"))
    ]
    assert spans
    for k, (left, y) in enumerate(spans):
        for other, below in spans[k + 1 :]:
            assert abs(left - other) >= CHARACTER * 11 or abs(y - below) >= 14
        assert not any(left < x < left + CHARACTER * 11 and y - 11 < c < y + 3 for x, c in centres)


def test_those_first_in_order_get_the_room() -> None:
    centres = [(100.0, 100.0), (100.0, 100.0), (101.0, 101.0), (99.0, 99.0), (100.0, 101.0), (100.0, 99.0)]
    found = place(centres, ["name"] * 6, FRAME, [5, 0, 1, 2, 3, 4])
    assert found[5] is not None
    assert found[4] is None
