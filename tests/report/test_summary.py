import dataclasses

import pytest

from espalier.report import folder
from espalier.report.summary import conditions, cut, sentence, title, training


def changed(run: folder.Run, version: str, psnr: float) -> folder.Run:
    rows = {**run.metrics["rows"], version: {"mean": {"psnr": psnr, "ssim": 0.8}}}
    return dataclasses.replace(run, metrics={**run.metrics, "rows": rows})


def test_the_sentence_says_what_was_cut_and_what_it_cost(run_folder) -> None:
    assert sentence(folder.read(run_folder)) == (
        "The recovered network keeps 50.0% of the MACs and 49.9% of the parameters, runs 2.00× as fast, "
        "and loses 0.24 dB on Set5 (31.87 → 31.63)."
    )


@pytest.mark.parametrize(
    ("psnr", "words"), [(31.97, "gains 0.10 dB"), (31.87, "keeps its 31.87 dB"), (30.0, "loses 1.87 dB")]
)
def test_the_change_is_named_by_its_sign(run_folder, psnr: float, words: str) -> None:
    assert words in sentence(changed(folder.read(run_folder), "recovered", psnr))


def test_nothing_is_claimed_before_it_is_measured(run_folder) -> None:
    run = dataclasses.replace(folder.read(run_folder), cost={}, metrics={}, log=())
    assert sentence(run) == "This run has not been measured yet."
    assert conditions(run) == ""


def test_a_run_that_only_trained_tells_its_validation(run_folder) -> None:
    run = dataclasses.replace(folder.read(run_folder), cost={}, metrics={})
    assert sentence(run) == "Trained for 500 steps: 31.57 dB in validation at the end, 31.57 dB at best."


def test_title_adds_the_scale_once(run_folder) -> None:
    run = folder.read(run_folder)
    assert title(run) == "rnet ×4"
    assert title(dataclasses.replace(run, metrics={**run.metrics, "network": "rnet_x4"})) == "rnet_x4"
    assert title(dataclasses.replace(run, metrics={})) == "rnet_x4"


def test_cut_counts_channels_and_groups(run_folder) -> None:
    assert cut(folder.read(run_folder)) == "15 of 24 channels stay; 2 of 3 groups were cut."


def test_training_tells_steps_and_speed(run_folder) -> None:
    assert training(folder.read(run_folder).log) == "500 steps, 2.50 a second."
