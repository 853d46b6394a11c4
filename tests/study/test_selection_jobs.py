"""Jobs at the end of a study: commands as typed, their order, and the settings that make them due again."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from typer.main import get_command

from nnunet_femur.cli import app
from nnunet_femur.study.forecast import Size, bytes_of, seconds_of
from nnunet_femur.study.jobs import jobs_of
from nnunet_femur.study.study_file import read_study

if TYPE_CHECKING:
    from collections.abc import Callable

    from nnunet_femur.study.commands import Job

UNET = "FemurUnetResNet34Trainer__nnUNetPlans__3d_fullres"
SCRATCH = "FemurScratchTrainer__nnUNetPlans__3d_fullres"
PAIR = "Ensemble__FemurUnetResNet34+FemurScratch__mean"
BEST = "BestConfiguration__validation__postprocessed"
WHOLE_END = {"ensembles": "pairs", "best-configuration": True, "postprocessing": True}


@pytest.fixture
def jobs(write: Callable[..., Path]) -> Callable[..., dict[str, Job]]:
    def make(**content: object) -> dict[str, Job]:
        return jobs_of(read_study(write(**{**WHOLE_END, **content})))

    return make


def _typed(job: Job) -> str:
    """Return the command as a user would type it, in nnU-Net's results of the dataset."""
    text = " ".join([Path(job.command[0]).name, *job.command[1:]])
    results = next(each for each in job.made.parents if each.name == "Dataset001_Femur")
    return text.replace(f"{results}{os.sep}", "").replace(f"{results.parents[1]}{os.sep}", "")


class TestCommands:
    def test_of_all_stages(self, jobs: Callable[..., dict[str, Job]]) -> None:
        found = jobs()
        assert _typed(found[f"validate-{UNET}-fold_1"]) == (
            "nnUNetv2_train Dataset001_Femur 3d_fullres 1 -tr FemurUnetResNet34Trainer -p nnUNetPlans --val --npz "
            "-device cpu"
        )
        assert _typed(found[f"predict-probabilities-{UNET}-fold_1"]) == (
            f"nnUNetv2_predict_from_modelfolder -i nnUNet_raw/Dataset001_Femur/imagesTs "
            f"-o {UNET}/fold_1/test_probabilities.partial -m {UNET} -f 1 --save_probabilities -npp 1 -nps 1 -device cpu"
        )
        assert _typed(found[f"ensemble-{PAIR}"]) == (
            f"nnfemur ensemble {UNET} {SCRATCH} --fold 0 --fold 1 --test fold -o {PAIR}"
        )
        assert _typed(found[f"select-{BEST}"]) == (
            f"nnfemur select {UNET} {SCRATCH} {PAIR} --fold 0 --fold 1 --jobs 1 -o {BEST}"
        )
        name = "Postprocessed__FemurUnetResNet34+FemurScratch__validation"
        assert _typed(found[f"select-{name}"]) == f"nnfemur select {PAIR} --fold 0 --fold 1 --jobs 1 -o {name}"
        stages = [job.stage for job in found.values()]
        assert {stage: stages.count(stage) for stage in ("validate", "predict", "ensemble", "select")} == {
            "validate": 4, "predict": 8, "ensemble": 1, "select": 4
        }  # fmt: skip

    def test_are_accepted_by_the_command_line(self, jobs: Callable[..., dict[str, Job]]) -> None:
        for job in jobs().values():
            if job.stage in ("ensemble", "select"):
                verb, *arguments = job.command[1:]
                get_command(app).commands[verb].make_context(verb, list(arguments))

    def test_of_folds_together(self, jobs: Callable[..., dict[str, Job]]) -> None:
        assert "--test ensemble" in _typed(jobs(test="ensemble")[f"ensemble-{PAIR}"])
        assert "--test fold" in _typed(jobs(test="ensemble", folds=[5])[f"ensemble-{PAIR}"])

    def test_without_a_test_set(self, jobs: Callable[..., dict[str, Job]]) -> None:
        found = jobs(test="none")
        assert "--test none" in _typed(found[f"ensemble-{PAIR}"])
        assert not [name for name in found if name.startswith("predict")]

    def test_names_of_rules_are_words(self, jobs: Callable[..., dict[str, Job]]) -> None:
        rules = [job.rule for job in jobs().values()]
        assert all(rule.isidentifier() for rule in rules)
        assert len({*rules}) == len(rules)


class TestOrder:
    def test_every_job_is_after_those_it_waits_for(self, jobs: Callable[..., dict[str, Job]]) -> None:
        for content in ({}, {"test": "none"}, {"test": "ensemble"}, {"ensembles": []}):
            seen: set[str] = set()
            found = jobs(**content)
            for name, job in found.items():
                assert {*job.after, *job.once} <= seen, name
                seen.add(name)
            assert {*found["compare"].after} >= {name for name in found if name.startswith(("select", "ensemble"))}

    def test_masks_are_read_after_they_were_written_last(self, jobs: Callable[..., dict[str, Job]]) -> None:
        after = jobs()["select-Postprocessed__FemurScratch__validation"].after
        assert {*after} == {f"{stage}-{SCRATCH}-fold_{fold}" for stage in ("validate", "predict") for fold in (0, 1)}
        alone = jobs(ensembles=[])["select-Postprocessed__FemurScratch__validation"].after
        assert {*alone} == {f"{stage}-{SCRATCH}-fold_{fold}" for stage in ("train", "predict") for fold in (0, 1)}


class TestSettings:
    def test_a_further_ensemble_changes_no_training(self, write: Callable[..., Path]) -> None:
        before, after = (jobs_of(read_study(write(**content))) for content in ({}, WHOLE_END))
        assert {name for name in before if before[name].settings != after[name].settings} == {"compare"}

    def test_a_further_method_makes_the_choice_due(self, jobs: Callable[..., dict[str, Job]]) -> None:
        methods = ["FemurUnetResNet34Trainer", "FemurScratchTrainer", "FemurThreePlaneTrainer"]
        before, after = jobs(methods=methods[:2]), jobs(methods=methods)
        assert {name for name in before if before[name].settings != after[name].settings} == {
            f"select-{BEST}", "compare"
        }  # fmt: skip


class TestForecast:
    def test_of_the_end_is_short_beside_trainings(self, write: Callable[..., Path]) -> None:
        study = read_study(write(**WHOLE_END, dataset={"id": 1}, plans=None))
        size = Size(32, 8, 300 * 336 * 256)
        took = {name: seconds_of(job, study, size, "cuda") for name, job in jobs_of(study).items()}
        # A pair of eight validation and eight test cases, 3 s a member and case; 12 s to start.
        assert took[f"ensemble-{PAIR}"] == pytest.approx(12 + 2 * 16 * 3)
        assert took[f"validate-{UNET}-fold_0"] < took[f"train-{UNET}-fold_0"]
        stored = bytes_of(jobs_of(study)[f"predict-probabilities-{UNET}-fold_0"], study, size)
        assert 1e7 < stored / 8 < 1e8, "tens of megabytes a case"

    def test_of_stock_trainers_is_that_of_their_epochs(self, write: Callable[..., Path]) -> None:
        size = Size(32, 8, 300 * 336 * 256)
        hours = {}
        for trainer, planner in (
            ("nnUNetTrainer", None),
            ("nnUNetTrainer_250epochs", None),
            ("nnUNetTrainer", "ResEncL"),
        ):
            plans = {"nnUNetPlans": {"planner": planner} if planner else {}}
            study = read_study(write(plans=plans, methods=[trainer], folds=[5], dataset={"id": 1}))
            job = next(job for job in jobs_of(study).values() if job.stage == "train")
            hours[trainer, planner] = seconds_of(job, study, size, "cuda") / 3600
        stock = hours["nnUNetTrainer", None]
        assert hours["nnUNetTrainer_250epochs", None] == pytest.approx(stock / 4, rel=0.01)
        assert hours["nnUNetTrainer", "ResEncL"] == pytest.approx(35 / 12 * stock, rel=0.02)
