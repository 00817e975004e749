from espalier.report.front import front_charts
from espalier.report.rows import Row


def test_one_chart_per_cost_that_was_measured() -> None:
    named = [
        ("d", "dense", Row("dense", psnr=31.0, macs=2e9)),
        ("p", "pruned", Row("pruned", psnr=30.0, macs=1e9)),
    ]
    charts = front_charts(named)
    assert len(charts) == 1
    assert "PSNR against MACs [G]" in charts[0]


def test_bicubic_stands_at_no_cost_and_makes_no_chart_alone() -> None:
    bicubic = ("bicubic", "bicubic", Row("bicubic", psnr=28.0))
    dense = ("dense", "dense", Row("dense", psnr=31.0, macs=2e9))
    pruned = ("pruned", "pruned", Row("pruned", psnr=30.0, macs=1e9))
    assert front_charts([bicubic, dense]) == []
    assert "bicubic: 0, 28" in front_charts([bicubic, dense, pruned])[0]
