"""Parts of a source that several machines convert at the same time make the dataset that one machine makes."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest
from filelock import FileLock

from nnunet_femur.conversion import convert
from nnunet_femur.conversion.staging import locked
from nnunet_femur.shards import Shard
from tests.refusing import refused

PARTS = ("1/3", "2/3", "3/3")


def _volumes(files):
    return {name: digest for name, digest in files.items() if name.endswith(".nrrd")}


@pytest.fixture
def source(hospital):
    return hospital.add_patients(12).folder


@pytest.fixture(params=["locks", "no locks"])
def file_system(request, monkeypatch):
    """A file system, also one that refuses locks, as mounts of object stores do."""
    if request.param == "no locks":

        def refuse(self, *_, **__):
            raise OSError(95, "Operation not supported", self.lock_file)

        monkeypatch.setattr(FileLock, "acquire", refuse)


@pytest.mark.usefixtures("file_system")
def test_parts_at_the_same_time(source, raw, tmp_path, tree):
    with ThreadPoolExecutor(3) as pool:
        results = list(pool.map(lambda part: convert(source, dataset_id=1, raw=raw, shard=part), PARTS))
    assert not (raw / "Dataset001_Femur").exists()
    assert sorted(case for each in results for case in each.written) == sorted(
        {path.name.split("_")[0] for path in (source / "Images").iterdir()}
    )
    whole = convert(source, dataset_id=1, raw=raw)
    assert (whole.written, len(whole.reused)) == ((), 12)
    alone = convert(source, dataset_id=1, raw=tmp_path / "alone")
    assert _volumes(tree(whole.folder)) == _volumes(tree(alone.folder))
    assert whole.split == alone.split
    assert [path.name for path in raw.iterdir()] == ["Dataset001_Femur"], "no files of parts are left"


def test_a_part_that_is_converted_again(source, raw):
    first = convert(source, dataset_id=1, raw=raw, shard="1/2")
    again = convert(source, dataset_id=1, raw=raw, shard="1/2")
    assert first.written == again.reused
    assert first.written
    assert again.written == ()


def test_a_bad_case_stops_its_part_alone(source, raw):
    bad = next(path for path in sorted((source / "Images").iterdir()) if Shard(1, 2).takes(path.name.split("_")[0]))
    bad.write_bytes(b"NRRD0004\n")
    with refused("bad-cases", bad.name):
        convert(source, dataset_id=1, raw=raw, shard="1/2")
    assert [path.name for path in raw.glob("findings*")] == ["findings_Dataset001_Femur.1-of-2.csv"]
    assert len(convert(source, dataset_id=1, raw=raw, shard="2/2").written) > 0


class TestLocks:
    def test_a_part_waits_for_no_other(self, tmp_path):
        with ExitStack() as stack:
            for number in (1, 2, 3):
                stack.enter_context(locked(tmp_path / "Dataset001_Femur", Shard(number, 3)))
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize(("first", "second"), [(None, Shard(1, 2)), (Shard(1, 2), None), (Shard(1, 2),) * 2])
    def test_a_part_and_the_whole_exclude_each_other(self, tmp_path, monkeypatch, first, second):
        monkeypatch.setattr("nnunet_femur.conversion.staging._TRY_S", 0)
        dataset = tmp_path / "Dataset001_Femur"
        with locked(dataset, first), refused("locked", dataset), locked(dataset, second):
            pass
