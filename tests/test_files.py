import errno
import os
import stat
from pathlib import Path

import pytest

from espalier.errors import OutputError
from espalier.files import replacing, write_text


def test_text_is_written_with_its_folders(tmp_path: Path) -> None:
    write_text(tmp_path / "a" / "b" / "c.txt", "Grüße\n")
    assert (tmp_path / "a" / "b" / "c.txt").read_bytes() == "Grüße\n".encode()


def test_an_old_file_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "c.txt"
    write_text(path, "a long first version")
    write_text(path, "short")
    assert path.read_text(encoding="utf-8") == "short"
    assert os.listdir(tmp_path) == ["c.txt"]


def test_the_file_can_be_read_by_others(tmp_path: Path) -> None:
    write_text(tmp_path / "c.txt", "x")
    assert stat.S_IMODE((tmp_path / "c.txt").stat().st_mode) == 0o644


@pytest.mark.parametrize("error", [RuntimeError("broken"), KeyboardInterrupt()])
def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path: Path, error: BaseException) -> None:
    path = tmp_path / "c.txt"
    write_text(path, "old")

    def write() -> None:
        with replacing(path) as temporary:
            temporary.write_text("half", encoding="utf-8")
            raise error

    with pytest.raises(type(error)):
        write()
    assert path.read_text(encoding="utf-8") == "old"
    assert os.listdir(tmp_path) == ["c.txt"]


def test_a_full_disk_is_one_message(tmp_path: Path) -> None:
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    expected = r"cannot write .*c\.bin: No space left on device; choose"
    with pytest.raises(OutputError, match=expected), replacing(tmp_path / "c.bin"):
        raise full
    assert os.listdir(tmp_path) == []


def test_a_folder_that_is_a_file_is_one_message(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x", encoding="utf-8")
    with pytest.raises(OutputError, match="cannot write"):
        write_text(tmp_path / "file" / "c.txt", "x")


def test_a_folder_in_the_place_of_the_file_is_one_message(tmp_path: Path) -> None:
    (tmp_path / "c.txt" / "inside").mkdir(parents=True)
    with pytest.raises(OutputError, match="cannot write"):
        write_text(tmp_path / "c.txt", "x")
    assert os.listdir(tmp_path) == ["c.txt"]
