"""The cache of the labs: made whole, made once, and not for ever."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from vmnet.lab.cache import kept, remembered

DAY = 24 * 3600


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", os.fspath(tmp_path))
    return tmp_path / "vmnet" / "lab"


def saying(word: str) -> Callable[[Path], None]:
    return lambda out: Path(out, "said").write_text(word) and None


def names(cache: Path) -> set[str]:
    return {p.name for p in cache.iterdir()} - {"lock"}


def used(directory: Path, days_ago: int) -> None:
    os.utime(directory, (time.time() - days_ago * DAY,) * 2)


def test_a_directory_is_filled_once(cache):
    assert kept("a", saying("first")) == kept("a", saying("second")) == cache / "a"
    assert (cache / "a" / "said").read_text() == "first"


def test_a_directory_that_could_not_be_filled_is_not_there(cache):
    def fails(out: Path) -> None:
        Path(out, "half").touch()
        raise OSError("no room")

    with pytest.raises(OSError, match="no room"):
        kept("a", fails)
    assert names(cache) == set()
    kept("a", saying("whole"))
    assert names(cache) == {"a"}


def test_what_no_lab_has_used_for_a_month_goes_and_what_one_uses_stays(cache):
    ages = {"present": 31, "other version's": 29, "old": 31, "scratch of a killed lab": 31}
    for name in ages:
        kept(name, saying(name))
    for name, days_ago in ages.items():
        used(cache / name, days_ago)
    kept("present", saying("anew"))
    assert names(cache) == {"present", "other version's"}
    assert (cache / "present" / "said").read_text() == "present"
    used(cache / "other version's", 31)
    kept("present", saying("anew"))
    assert names(cache) == {"present"}


@pytest.mark.parametrize("boot", range(5))  # without the lock one in twelve went well
def test_labs_that_start_together_ask_once(cache, boot):
    asked = []
    together = Barrier(8)

    def find() -> str:
        asked.append("kvm")
        return "kvm"

    def begin(_: int) -> str:
        together.wait(10)
        return remembered("accelerator", str(boot), find)

    with ThreadPoolExecutor(8) as labs:
        answers = list(labs.map(begin, range(8)))
    assert (answers, len(asked)) == (["kvm"] * 8, 1)


def test_an_answer_for_another_boot_is_forgotten(cache):
    assert remembered("accelerator", "one", lambda: "kvm") == "kvm"
    assert remembered("accelerator", "two", lambda: "qemu") == "qemu"
    assert names(cache) == {"accelerator-two"}


def test_an_answer_that_was_never_written_down_is_asked_for_again(cache):
    remembered("accelerator", "boot", lambda: "kvm")
    (cache / "accelerator-boot").write_text("")
    assert remembered("accelerator", "boot", lambda: "qemu") == "qemu"
