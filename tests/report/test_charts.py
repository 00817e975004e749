import re
from xml.etree import ElementTree

from espalier.report.charts import Dot, barcode, curve, scatter


def parse(svg: str) -> ElementTree.Element:
    return ElementTree.fromstring(svg)


def test_a_curve_is_one_path_inside_its_frame() -> None:
    svg = parse(curve([(s, 1 / s) for s in range(1, 2001)], "step", "loss <l1>", "loss & steps"))
    path = svg.find("path")
    assert path is not None
    numbers = [float(n) for n in re.findall(r"[\d.]+", path.attrib["d"])]
    assert len(numbers) == 800
    assert all(0 <= x <= 640 for x in numbers[::2])
    assert all(0 <= y <= 300 for y in numbers[1::2])
    assert svg.attrib["aria-label"] == "loss & steps"


def test_few_points_are_marked_with_their_values() -> None:
    svg = curve([(100, 30.0), (200, 31.25)], "step", "PSNR", "p")
    assert svg.count("<circle") == 2
    assert "step 200: 31.25" in svg


def test_scatter_names_every_network() -> None:
    svg = scatter([Dot(1, 30, "a<b", "dense"), Dot(2, 31, "c", "pruned")], "MACs [G]", "PSNR [dB]", "front")
    parse(svg)
    assert svg.count("<circle") == 2
    assert "a&lt;b" in svg


def test_the_front_joins_what_nothing_beats() -> None:
    dots = [
        Dot(2, 31, "a", ""),
        Dot(1, 30, "b", ""),
        Dot(3, 30.5, "beaten", ""),
        Dot(2, 29, "beaten too", ""),
    ]
    path = parse(scatter(dots, "MACs", "PSNR", "front")).find("path")
    assert path is not None
    assert path.attrib["d"].count("L") == 1


def test_dots_of_one_style_are_joined_by_cost() -> None:
    dots = [Dot(2, 31, "a", "series-0"), Dot(1, 30, "b", "series-0"), Dot(3, 32, "c", "series-1")]
    joined = [
        p
        for p in parse(scatter(dots, "MACs", "PSNR", "front")).findall("path")
        if "same" in p.attrib["class"]
    ]
    assert [p.attrib["class"] for p in joined] == ["same series-0"]
    starts, ends = joined[0].attrib["d"].removeprefix("M").split("L")
    assert float(starts.split()[0]) < float(ends.split()[0])


def test_a_name_without_room_is_left_to_the_pointer() -> None:
    svg = scatter([Dot(1 + k / 1000, 30, "a very long name", "") for k in range(9)], "MACs", "PSNR", "front")
    assert 0 < svg.count(">a very long name</text>") < 9
    assert svg.count("<title>a very long name") == 9


def test_barcode_draws_runs_of_kept_channels() -> None:
    svg = barcode(8, (0, 1, 2, 5, 7))
    parse(svg)
    assert 'd="M0 0h3v1h-3zM5 0h1v1h-1zM7 0h1v1h-1z"' in svg
    assert "5 of 8 channels stay" in svg


def test_barcode_of_an_emptied_group_is_empty() -> None:
    assert 'class="kept" d=""' in barcode(4, ())
