from espalier.report import folder
from espalier.report.rows import COLUMNS, Row, cell, change, find, markdown, result, rows, used


def test_rows_join_quality_and_cost(run_folder) -> None:
    table = rows(folder.read(run_folder))
    assert [row.version for row in table] == ["bicubic", "dense", "pruned", "recovered"]
    recovered = find(table, "recovered")
    assert recovered is not None
    assert (recovered.psnr, recovered.macs, recovered.ms) == (31.63, 50e9, 400.0)
    assert result(table) is recovered


def test_bicubic_costs_nothing_that_is_counted(run_folder) -> None:
    bicubic = rows(folder.read(run_folder))[0]
    assert bicubic.macs is None
    assert bicubic.psnr == 28.42


def test_numbers_are_written_in_their_units() -> None:
    row = Row("dense", psnr=31.8749, ssim=0.89012, params=12809, macs=102.13e9, convs=23, memory=2**28)
    written = {column.key: cell(row, column) for column in COLUMNS}
    assert written == {
        "psnr": "31.87", "ssim": "0.8901", "ms": "", "params": "0.0128", "macs": "102.1",
        "activations": "", "memory": "256.0", "convs": "23", "nonzero": "", "sparsity": "", "stored": "",
    }  # fmt: skip


def test_columns_that_nothing_fills_are_left_out() -> None:
    assert [column.key for column in used([Row("dense", psnr=30.0), Row("pruned", macs=1.0)])] == [
        "psnr",
        "macs",
    ]


def test_markdown_table_has_one_line_per_row(run_folder) -> None:
    lines = markdown(rows(folder.read(run_folder))).splitlines()
    assert lines[0].startswith("| | PSNR [dB] | SSIM | Time [ms] |")
    assert lines[5] == "| recovered | 31.63 | 0.8900 | 400.0 | 0.480 | 50.00 | 200.0 | 128.0 | 23 |"
    assert len({line.count("|") for line in lines}) == 1


def test_negative_changes_carry_a_true_minus() -> None:
    assert change(31.869, 17.344, 2) == "−14.53"
    assert change(30.0, 30.1, 2) == "+0.10"
