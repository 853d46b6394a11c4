"""A run of a study: its result, and its failures as an error."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from nnunet_femur.study import run as run_module
from nnunet_femur.study.engine import Event
from nnunet_femur.study.run import JobsFailedError, StudyResult, run_study
from nnunet_femur.study.study_file import read_study
from tests.refusing import refused

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from nnunet_femur.study.study_file import Study
    from nnunet_femur.study.watch import Watch


class TestRunStudy:
    @pytest.fixture
    def engine(
        self, record: Callable[..., None], study: Study, monkeypatch: pytest.MonkeyPatch
    ) -> Callable[[str], None]:
        """Replace the engine by one that ends one job, or by one that ends all."""

        def run(_: object, watch: Watch, *, ending: str) -> int:
            for name in watch.jobs:
                if ending in ("all", name):
                    watch.look([Event("started", name)])
                    record(name, "done")
                    watch.look([Event("finished", name)])
            return 0 if ending == "all" else 1

        return lambda ending: monkeypatch.setattr(run_module, "_run", lambda *given: run(*given, ending=ending))

    def test_returns_the_report(self, study: Study, engine: Callable[[str], None]) -> None:
        engine("all")
        result = run_study(str(study.file))
        assert result.report == study.results / "comparison" / "report.html"
        assert (len(result.done), result.up_to_date, result.failed) == (12, 0, ())
        assert str(result.report) in repr(result)
        assert run_study(study).up_to_date == 0, "this engine does everything again"

    def test_failures_have_the_result(self, study: Study, engine: Callable[[str], None]) -> None:
        engine("phantoms")
        with pytest.raises(JobsFailedError) as caught:
            run_study(study)
        assert caught.value.code == "job-failed"
        result = caught.value.result
        assert isinstance(result, StudyResult)
        assert (result.done, len(result.failed)) == (("phantoms",), 11)
        assert result.failed[0].job in str(caught.value)
        assert str(study.file) in str(caught.value)

    def test_a_study_runs_once_at_a_time(self, study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
        def run_again(*_: object) -> int:
            with refused("locked", study.folder):
                run_study(study)
            return 1

        monkeypatch.setattr(run_module, "_run", run_again)
        with refused("job-failed"):
            run_study(study)

    def test_scores_are_a_table(self, tmp_path: Path) -> None:
        (tmp_path / "scores.csv").write_text("method,value\na,0.5\n")
        assert StudyResult(tmp_path / "report.html").scores["value"].tolist() == [0.5]


class TestFolds:
    @pytest.mark.parametrize("trainer", ["nnUNetTrainer", "FemurScratchTrainer"])
    def test_that_the_dataset_lacks_are_refused(
        self, write: Callable[..., Path], trainer: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """nnU-Net's own trainers would train on a random split of the cases."""
        monkeypatch.setattr(run_module, "_run", lambda *_: 1)
        study = read_study(write(dataset={"id": 1}, methods=[trainer], folds=[1, 5]))
        study.raw.mkdir(parents=True)
        splits = study.raw / "splits_final.json"
        splits.write_text(json.dumps([{"train": ["a"], "val": ["b"]}] * 5))
        with refused("invalid-folds", splits, trainer, "fold 5"):
            run_study(study)
        splits.write_text(json.dumps([{"train": ["a"], "val": ["b"]}] * 6))
        with refused("job-failed"):
            run_study(study)
