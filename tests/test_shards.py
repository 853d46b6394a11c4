"""Parts of a batch: every case belongs to one part, whatever other cases there are."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from nnunet_femur.shards import Shard, shard_files, with_shards
from tests.refusing import refused

if TYPE_CHECKING:
    from pathlib import Path

CASES = [f"{'LR'[number % 2]}{number}" for number in range(1, 401)]


def test_every_case_belongs_to_one_part() -> None:
    parts = [[case for case in CASES if Shard(number, 16).takes(case)] for number in range(1, 17)]
    assert sorted(case for part in parts for case in part) == sorted(CASES)
    assert all(10 <= len(part) <= 40 for part in parts), "25 on average"


def test_parts_are_those_of_every_machine_and_version() -> None:
    # First 16 hexadecimal digits of the checksums by sha256sum: the remainder by 16 is the last one.
    assert [
        next(number for number in range(1, 17) if Shard(number, 16).takes(case)) for case in ("L1", "R2", "L3")
    ] == [int(digest[15], 16) + 1 for digest in ("dffe8596427fc50e", "d653b016db1da8f5", "842983de8fb1d277")]


@pytest.mark.parametrize("text", ["0/4", "5/4", "1", "a/b", "1/0", "-1/2", "1/2/3", ""])
def test_texts_that_name_no_part(text: str) -> None:
    with refused("invalid-option", repr(text)):
        Shard.parse(text)


def test_texts_that_name_one() -> None:
    assert Shard.parse(" 3/16 ") == Shard.parse(Shard(3, 16)) == Shard(3, 16)
    assert Shard.parse(None) is None


def test_files_of_parts_are_found_the_oldest_first(tmp_path: Path) -> None:
    whole = tmp_path / "table.csv"
    second, first = (Shard(number, 2).file(tmp_path, whole.name) for number in (2, 1))
    first.parent.mkdir()
    for age_s, path in ((30, second), (20, whole), (10, first)):
        path.touch()
        os.utime(path, (1e9 - age_s,) * 2)
    (first.parent / ".1-of-2.table.csv").touch()
    assert shard_files(tmp_path, whole.name) == [second, first]
    assert with_shards(tmp_path, whole.name) == [second, whole, first]
    assert with_shards(tmp_path / "other", whole.name) == []
