"""Workers that start again do not meet the dead."""

import threading

import pytest
import torch.distributed as dist

from espalier.training import meeting
from espalier.training.errors import TrainingError


def start(store: dist.Store, count: int) -> list[str]:
    """What the workers of one start agree on."""
    agreed = [""] * count

    def join(rank: int) -> None:
        agreed[rank] = meeting.meet(store, rank, count, patience=20)

    threads = [threading.Thread(target=join, args=(rank,)) for rank in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return agreed


@pytest.mark.parametrize("count", [1, 2, 5])
def test_every_start_agrees_on_a_name_of_its_own(count: int) -> None:
    store = dist.HashStore()
    first, second = start(store, count), start(store, count)
    assert len(set(first)) == len(set(second)) == 1
    assert len(first[0]) == 17 * count - 1
    assert first[0] != second[0]


def test_after_a_start_that_died_halfway() -> None:
    store = dist.HashStore()
    for key, value in {
        "word/0": "a",
        "word/1": "b",
        "listed": "a-b",
        "heard/1": "a-b",
        "agreed": "a-b",
    }.items():
        store.set(key, value)
    agreed = start(store, 3)
    assert len(set(agreed)) == 1
    assert "a-b" not in agreed


def test_those_who_wait_in_vain_are_told() -> None:
    with pytest.raises(TrainingError, match=r"worker 0 waited 0\.1 s and did not meet all 2 workers"):
        meeting.fresh(dist.HashStore(), 0, 2, patience=0.1)


def test_names_apart_in_one_store() -> None:
    store = dist.HashStore()
    one, two = (meeting.fresh(store, 0, 1) for _ in range(2))
    one.set("address", "1")
    assert not two.check(["address"])


def test_without_torchrun_the_first_worker_makes_the_store(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TORCHELASTIC_USE_AGENT_STORE", raising=False)
    assert meeting.agent_store() is None
