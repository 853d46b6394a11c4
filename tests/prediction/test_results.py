"""Records of a batch: what is written is read again, and the order of review."""

from __future__ import annotations

import csv
import json
import os
from dataclasses import replace
from typing import TYPE_CHECKING

from rich.console import Console

from nnunet_femur.cli.predict import _print_table
from nnunet_femur.prediction.results import (
    RECORD,
    TABLE,
    CaseResult,
    PredictionResult,
    join_results,
    read_results,
    write_results,
)
from nnunet_femur.shards import Shard

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

GOOD = CaseResult("b", "b.nrrd", volume_ml=412.0, pieces=1, side="left", side_source="shape", review_score=0.0)
DOUBTFUL = CaseResult(
    "c",
    "c.nrrd",
    volume_ml=40.0,
    pieces=2,
    warnings=("2 pieces of 30.0, 10.0 ml", "cut"),
    findings=("pieces", "cut-by-view"),
    review_score=0.37,
)
FAILED = CaseResult("d", "d.nrrd", error="d.nrrd: is truncated.", code="unreadable", review_score=1.0)
OLD = CaseResult("a", "a.nrrd", volume_ml=400.0, pieces=1)


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    write_results(tmp_path, (FAILED, GOOD, DOUBTFUL), {"model": {}})
    assert read_results(tmp_path) == {"b": GOOD, "c": DOUBTFUL, "d": FAILED}
    rows = list(csv.DictReader((tmp_path / TABLE).open(encoding="utf-8")))
    assert [row["case"] for row in rows] == ["b", "c", "d"]
    assert [row["review_score"] for row in rows] == ["0.000", "0.370", "1.000"]
    assert [row["findings"] for row in rows] == ["", "pieces cut-by-view", ""]


def test_records_of_older_versions_have_no_score_and_no_side(tmp_path: Path) -> None:
    write_results(tmp_path, (OLD,), {})
    content = json.loads((tmp_path / RECORD).read_text())
    for key in ("review_score", "findings", "side", "side_source"):
        del content["cases"][0][key]
    (tmp_path / RECORD).write_text(json.dumps(content))
    assert read_results(tmp_path) == {"a": OLD}


class TestShards:
    def test_results_of_parts_are_read_and_joined(self, tmp_path: Path) -> None:
        write_results(tmp_path, (GOOD, OLD), {"device": "cpu"}, shard=Shard(1, 2))
        write_results(tmp_path, (FAILED,), {"device": "cuda"}, shard=Shard(2, 2))
        os.utime(Shard(1, 2).file(tmp_path, RECORD), (1e9, 1e9))
        assert not (tmp_path / RECORD).exists()
        expected = {"a": OLD, "b": GOOD, "d": FAILED}
        assert read_results(tmp_path) == expected
        content = json.loads(join_results(tmp_path).read_text())
        assert (content["device"], [case["case"] for case in content["cases"]]) == ("cuda", ["a", "b", "d"])
        rows = list(csv.DictReader((tmp_path / TABLE).open(encoding="utf-8")))
        assert [row["case"] for row in rows] == ["a", "b", "d"]

    def test_the_latest_result_of_a_case_counts(self, tmp_path: Path) -> None:
        write_results(tmp_path, (replace(FAILED, case="b"),), {}, shard=Shard(1, 2))
        write_results(tmp_path, (GOOD,), {})
        os.utime(Shard(1, 2).file(tmp_path, RECORD), (1e9, 1e9))
        assert read_results(tmp_path) == {"b": GOOD}


class TestReview:
    RESULT = PredictionResult(None, (OLD, GOOD, DOUBTFUL, FAILED), skipped=("a",))

    def test_order(self) -> None:
        assert [case.case for case in self.RESULT.for_review()] == ["d", "c", "a", "b"]
        assert list(self.RESULT.to_frame().index) == ["a", "b", "c", "d"]
        table = self.RESULT.review_list()
        assert list(table.index) == ["d", "c", "a", "b"]
        assert table.loc["c", "findings"] == "pieces cut-by-view"

    def test_the_command_prints_the_worst_first(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setattr("rich.console.Console", lambda: Console(width=200))
        _print_table(self.RESULT)
        lines = capsys.readouterr().out.splitlines()
        assert [line.split()[0] for line in lines[1:5]] == ["d", "c", "a", "b"]
        assert [line.split()[2] for line in lines[1:5]] == ["1.00", "0.37", "-", "0.00"]
