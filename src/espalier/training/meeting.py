"""A meeting point that no earlier start has used.

torchrun restarts workers with the store of their predecessors, where the addresses of the dead still stand, and
counts restarts on each machine apart (pytorch issue 135712). So the workers of one start first agree on a name
that only they can know, and exchange addresses under it.
"""

import os
import secrets
import time

from torch.distributed import PrefixStore, Store, TCPStore  # pyright: ignore[reportPrivateImportUsage]

from espalier.training.errors import TrainingError

PAUSE = 0.02
"""Seconds between two looks at the store."""
PATIENCE = 300.0
"""Seconds until workers that do not come are given up."""


def agent_store() -> Store | None:
    """The store that torchrun itself keeps; none where the first worker has to make one."""
    if os.environ.get("TORCHELASTIC_USE_AGENT_STORE") != "True":
        return None
    host, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
    return TCPStore(host, port, is_master=False)


def fresh(store: Store, rank: int, count: int, patience: float = PATIENCE) -> Store:
    """The part of `store` that belongs to this start alone.

    Raises:
        TrainingError: not all workers came.
    """
    return PrefixStore(f"espalier/{meet(store, rank, count, patience)}", store)


def meet(store: Store, rank: int, count: int, patience: float = PATIENCE) -> str:
    """Everybody leaves a fresh word; the first worker lists them all until each has found its own in the list.

    Raises:
        TrainingError: not all workers came.
    """
    mine, end = secrets.token_hex(8), time.monotonic() + patience
    store.set(f"word/{rank}", mine)
    while time.monotonic() < end:
        agreed = _listing(store, count) if rank == 0 else _answer(store, rank, mine)
        if agreed:
            return agreed
        time.sleep(PAUSE)
    raise TrainingError(
        f"worker {rank} waited {patience:g} s and did not meet all {count} workers; see whether the others started"
    )


def _listing(store: Store, count: int) -> str:
    """The first worker's part; the list once all have heard it."""
    listed = "-".join(_read(store, f"word/{rank}") for rank in range(count))
    store.set("listed", listed)
    if any(_read(store, f"heard/{rank}") != listed for rank in range(1, count)):
        return ""
    store.set("agreed", listed)
    return listed


def _answer(store: Store, rank: int, mine: str) -> str:
    """The others' part: tell that the list has this worker's word; a list of an earlier start has not."""
    listed, agreed = _read(store, "listed"), _read(store, "agreed")
    if mine in listed:
        store.set(f"heard/{rank}", listed)
    return agreed if mine in agreed else ""


def _read(store: Store, key: str) -> str:
    return store.get(key).decode() if store.check([key]) else ""
