"""Methods that the file of a study no longer contains are not compared, and nothing of them is lost."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from typer.main import get_command

from nnunet_femur.cli import app
from nnunet_femur.study.job_records import Records, Status
from nnunet_femur.study.jobs import COMPARE, jobs_of
from nnunet_femur.study.study_file import read_study

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from nnunet_femur.study.study_file import Study

END = {"ensembles": "pairs", "best-configuration": True, "postprocessing": True}
UNET = "FemurUnetResNet34Trainer__nnUNetPlans__3d_fullres"
PAIR = "Ensemble__FemurUnetResNet34+FemurScratch__mean"


def _finish(study: Study) -> None:
    records = Records(study.records)
    for job in jobs_of(study).values():
        job.made.parent.mkdir(parents=True, exist_ok=True)
        job.made.touch()
        records.write_done(job, Status("done", job.command, job.settings, "log", "here", 0.0))


def _left_out(words: Sequence[str]) -> list[str]:
    return [name for option, name in pairwise(words) if option == "--without"]


def test_an_ensemble_and_selections(write: Callable[..., Path]) -> None:
    _finish(read_study(write(**END)))
    assert _left_out(jobs_of(read_study(write(**END)))[COMPARE].command) == []
    job = jobs_of(read_study(write(ensembles=[], postprocessing=True)))[COMPARE]
    assert _left_out(job.command) == [
        "BestConfiguration__validation__postprocessed",
        PAIR,
        "Postprocessed__FemurUnetResNet34+FemurScratch__validation",
    ]
    assert job.settings["without"] == _left_out(job.command)
    given = get_command(app).commands[COMPARE].make_context(COMPARE, list(job.command[2:])).params
    assert given["without"] == _left_out(job.command)


def test_a_trained_method_and_a_baseline(write: Callable[..., Path]) -> None:
    _finish(read_study(write(baseline=["1.5mm", "3mm"])))
    study = read_study(write(methods=["FemurScratchTrainer"], baseline=["3mm"]))
    assert _left_out(jobs_of(study)[COMPARE].command) == [UNET, "TotalSegmentator__total__1.5mm"]
    again = jobs_of(read_study(write(baseline=["1.5mm", "3mm"])))
    assert _left_out(again[COMPARE].command) == []
    assert Records(study.records).outdated(again.values()) == {}, "nothing is trained again"


def test_results_of_others_stay(write: Callable[..., Path]) -> None:
    study = read_study(write())
    _finish(study)
    (study.results / study.dataset / "nnUNetTrainer__nnUNetPlans__2d" / "fold_0").mkdir(parents=True)
    assert _left_out(jobs_of(study)[COMPARE].command) == []
