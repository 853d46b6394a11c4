"""Records of the baseline that several machines write for parts of a dataset."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from nnunet_femur.baselines.baseline_record import RUN_JSON, RunRecord, join_records
from nnunet_femur.baselines.settings import Job, Outcome
from nnunet_femur.shards import Shard, with_shards

if TYPE_CHECKING:
    from pathlib import Path

SETTINGS = {"fast": False}
PARTS = {Shard(1, 2): ("L1", "L2"), Shard(2, 2): ("R3",)}


def _job(folder: Path, case: str) -> Job:
    return Job(case, folder / "cts" / f"{case}.nrrd", folder / "test" / f"{case}.nrrd")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder in which two parts have written masks and records."""
    for name in ("cts", "test"):
        (tmp_path / name).mkdir()
    for shard, cases in PARTS.items():
        record = RunRecord(shard.file(tmp_path, RUN_JSON), SETTINGS, device="cpu")
        jobs = [_job(tmp_path, case) for case in cases]
        for job in jobs:
            job.ct.write_text(f"CT of {job.case}")
        assert record.start(jobs) == jobs
        for job in jobs:
            job.output.write_text(f"mask of {job.case}")
            record.add(job, Outcome(job.case, volume_ml=400.0))
    return tmp_path


def test_parts_are_joined(folder: Path) -> None:
    content = json.loads(join_records(folder).read_text())
    assert sorted(content["cases"]) == ["L1", "L2", "R3"]
    assert (content["settings"], content["method"]) == (SETTINGS, "TotalSegmentator")


def test_a_run_of_all_cases_finds_those_of_parts_done(folder: Path) -> None:
    others = with_shards(folder, RUN_JSON)
    record = RunRecord(folder / RUN_JSON, SETTINGS, device="cpu", others=others)
    assert record.start([_job(folder, case) for case in ("L1", "L2", "R3")]) == []
    assert sorted(json.loads((folder / RUN_JSON).read_text())["cases"]) == ["L1", "L2", "R3"]


def test_a_part_of_other_settings_is_done_again(folder: Path) -> None:
    others = with_shards(folder, RUN_JSON)
    record = RunRecord(Shard(1, 2).file(folder, RUN_JSON), {"fast": True}, device="cpu", others=others)
    assert len(record.start([_job(folder, "L1")])) == 1


def test_a_part_that_was_joined_is_not_done_again(folder: Path) -> None:
    join_records(folder)
    Shard(1, 3).file(folder, RUN_JSON).unlink(missing_ok=True)
    record = RunRecord(Shard(1, 3).file(folder, RUN_JSON), SETTINGS, device="cpu", others=with_shards(folder, RUN_JSON))
    assert record.start([_job(folder, "R3")]) == []
