"""The jobs of a study: commands as typed, their order, and the settings that make them due again."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from typer.main import get_command

from nnunet_femur.cli import app
from nnunet_femur.study.job import environment_of
from nnunet_femur.study.jobs import jobs_of
from nnunet_femur.study.study_file import read_study

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

    from nnunet_femur.study.commands import Job
    from nnunet_femur.study.study_file import Study


def _typed(job: Job, folder: Path) -> str:
    """Return the command as a user would type it, in the study's folder."""
    return " ".join([Path(job.command[0]).name, *job.command[1:]]).replace(f"{folder}{os.sep}", "")


class TestCommands:
    def test_of_all_stages(self, study: Study) -> None:
        jobs = jobs_of(study)
        typed = {name: _typed(job, study.folder) for name, job in jobs.items()}
        unet = "FemurUnetResNet34Trainer__nnUNetPlans__3d_fullres"
        assert typed["phantoms"] == "nnfemur phantoms drop --cases 8"
        assert typed["convert"] == "nnfemur convert drop --dataset-id 1 --name Femur"
        assert typed["plan-nnUNetPlans"] == (
            "nnfemur plan --dataset-id 1 --plans-name nnUNetPlans --configuration 3d_fullres --preset small "
            "--recipe study/recipes/nnUNetPlans.json"
        )
        assert typed[f"train-{unet}-fold_1"] == (
            "nnUNetv2_train Dataset001_Femur 3d_fullres 1 -tr FemurUnetResNet34Trainer -p nnUNetPlans -device cpu"
        )
        assert typed[f"predict-{unet}-fold_1"] == (
            f"nnfemur predict -i nnUNet_raw/Dataset001_Femur/imagesTs -m nnUNet_results/Dataset001_Femur/{unet} "
            f"-o nnUNet_results/Dataset001_Femur/{unet}/fold_1/test.partial --fold 1 --exhaustive --device cpu"
        )
        assert typed["compare"] == (
            "nnfemur compare nnUNet_results/Dataset001_Femur -o nnUNet_results/comparison --measurements"
        )
        assert len(jobs) == 3 + 2 * 2 * 2 + 1

    def test_options_are_typed_in_every_form(self, write: Callable[..., Path], tmp_path: Path) -> None:
        (tmp_path / "source").mkdir()
        study = read_study(
            write(
                dataset={"source": "source", "convert": {"qc": True, "keep-padding": False, "segment": ["a b", "c"]}},
                plans={"nnUNetPlans": {"pretrained": False, "epochs": 2}},
                compare={"measurements": False, "intersect": False},
            )
        )
        jobs = jobs_of(study)
        assert jobs["compare"].command[-1:] == ("--no-measurements",)
        assert jobs["convert"].command[-5:] == ("--qc", "--segment", "a b", "--segment", "c")
        assert {"--no-pretrained", "--epochs"} <= set(jobs["plan-nnUNetPlans"].command)

    def test_are_accepted_by_the_command_line(self, write: Callable[..., Path], tmp_path: Path) -> None:
        (tmp_path / "source").mkdir()
        compare = {
            "published": "paper",
            "reference": "paper",
            "empty-masks": "brats",
            "in-slices": ["a"],
            "measurements": True,
            "calibration": False,
            "raters": {"Dr. B": "reader"},
            "covariates": "cases.csv",
        }
        (tmp_path / "reader").mkdir()
        (tmp_path / "cases.csv").write_text("case,sex\n")
        convert = {"qc": True, "test-ids": "t.txt", "min-volume-ml": 5, "split": "2/1/1"}
        plans = {"nnUNetPlans": {"preset": "small", "pretrained": False, "epochs": 2}}
        for dataset in ({"phantoms": 8}, {"source": "source", "convert": convert}):
            study = read_study(write(dataset=dataset, plans=plans, compare=compare, baseline=["1.5mm", "3mm"]))
            for job in jobs_of(study).values():
                if Path(job.command[0]).stem == "nnfemur":
                    verb, *arguments = job.command[1:]
                    get_command(app).commands[verb].make_context(verb, list(arguments))

    def test_an_ensemble_predicts_once_for_all_folds(self, write: Callable[..., Path]) -> None:
        study = read_study(write(test="ensemble"))
        jobs = [job for job in jobs_of(study).values() if job.stage == "predict"]
        assert len(jobs) == 2
        assert "--fold 0 --fold 1 --exhaustive --device" in _typed(jobs[0], study.folder)
        assert jobs[0].made == study.results / study.dataset / study.methods[0].name / "test"
        assert len(jobs[0].after) == 2

    def test_baselines(self, write: Callable[..., Path]) -> None:
        study = read_study(write(baseline=["1.5mm", "3mm"], methods=[]))
        jobs = jobs_of(study, device="cuda")
        assert _typed(jobs["baseline-3mm"], study.folder) == "nnfemur baseline -d 1 --device gpu --fast"
        assert jobs["compare"].after == ("baseline-1.5mm", "baseline-3mm")

    def test_run_without_a_gpu_in_few_processes(self, write: Callable[..., Path]) -> None:
        study = read_study(write(environment={"nnUNet_def_n_proc": 5}))
        environment = environment_of(study, "cpu", 3)
        assert environment["nnUNet_results"] == str(study.results)
        assert (environment["OMP_NUM_THREADS"], environment["nnUNet_def_n_proc"]) == ("3", "5")
        assert environment["nnUNet_n_proc_DA"] == "0"

    def test_beside_a_gpu_start_no_more_processes_than_they_have_cpus(self, study: Study) -> None:
        assert environment_of(study, "cuda", 3)["nnUNet_n_proc_DA"] == "3"
        assert environment_of(study, "cuda", 64)["nnUNet_n_proc_DA"] == "12", "nnU-Net's own number"


class TestOrder:
    def test_every_job_is_after_those_it_waits_for(self, write: Callable[..., Path]) -> None:
        plans = {"nnUNetPlans": {}, "TotalSegmentatorPlans": {"from": "totalsegmentator"}}
        fine = {"trainer": "FemurFinetuneTrainer", "plans": "TotalSegmentatorPlans"}
        study = read_study(write(plans=plans, methods=["FemurScratchTrainer", fine], baseline=["1.5mm"]))
        seen: set[str] = set()
        for name, job in jobs_of(study).items():
            assert {*job.after, *job.once} <= seen, name
            seen.add(name)
        assert jobs_of(study)["plan-TotalSegmentatorPlans"].once == ("plan-nnUNetPlans",), "never at the same time"

    def test_an_existing_dataset_is_not_converted(self, write: Callable[..., Path]) -> None:
        jobs = jobs_of(read_study(write(dataset={"id": 1})))
        assert "convert" not in jobs
        assert jobs["plan-nnUNetPlans"].once == ()


class TestSettings:
    """Settings that a change of the file changes, and those that it does not."""

    def _changed(self, write: Callable[..., Path], before: dict[str, Any], after: dict[str, Any]) -> set[str]:
        old, new = (jobs_of(read_study(write(**changes))) for changes in (before, after))
        return {name.partition("__")[0] for name, job in new.items() if job.settings != old[name].settings}

    def test_a_recipe_concerns_its_own_trainer(self, write: Callable[..., Path]) -> None:
        unet, scratch = "FemurUnetResNet34Trainer", "FemurScratchTrainer"
        other = [unet, {"trainer": scratch, "recipe": {"epochs": 4}}]
        assert self._changed(write, {}, {"methods": other}) == {"plan-nnUNetPlans", f"train-{scratch}"}

    def test_plans_concern_all_their_trainers(self, write: Callable[..., Path]) -> None:
        after = {"plans": {"nnUNetPlans": {"preset": "small", "epochs": 2}}}
        assert self._changed(write, {}, after) == {
            "plan-nnUNetPlans", "train-FemurUnetResNet34Trainer", "train-FemurScratchTrainer"
        }  # fmt: skip

    def test_numbers_of_processes_change_no_settings(self, write: Callable[..., Path]) -> None:
        after = {"plans": {"nnUNetPlans": {"preset": "small", "jobs": 7}}, "threads": 3, "cluster": {"jobs": 2}}
        assert self._changed(write, {}, after) == set()

    def test_options_of_the_comparison_concern_it_alone(self, write: Callable[..., Path]) -> None:
        assert self._changed(write, {}, {"compare": {"test": "permutation"}}) == {"compare"}

    def test_masks_of_a_reader_concern_the_comparison_alone(self, write: Callable[..., Path], tmp_path: Path) -> None:
        (tmp_path / "reader").mkdir()
        (tmp_path / "cases.csv").write_text("case,sex\n")
        file = write(compare={"raters": {"Dr. B": "reader"}, "covariates": "cases.csv"})
        before = jobs_of(read_study(file))
        words = before["compare"].command
        assert words[words.index("--rater") + 1] == f"Dr. B={tmp_path / 'reader'}"
        assert words[words.index("--covariates") + 1] == str(tmp_path / "cases.csv")
        assert before["compare"].settings == jobs_of(read_study(file))["compare"].settings
        (tmp_path / "reader" / "L6.nrrd").write_text("x")
        after = jobs_of(read_study(file))
        assert {name for name in after if after[name].settings != before[name].settings} == {"compare"}

    def test_a_further_file_of_the_source_concerns_everything(self, write: Callable[..., Path], tmp_path: Path) -> None:
        (tmp_path / "source").mkdir()
        file = write(dataset={"source": "source"})
        before = jobs_of(read_study(file))
        for name in (".DS_Store", "Thumbs.db"):
            (tmp_path / "source" / name).write_text("somebody looked at the folder")
        assert before == jobs_of(read_study(file))
        (tmp_path / "source" / "new.nrrd").write_text("x")
        after = jobs_of(read_study(file))
        assert {name for name in after if after[name].settings == before[name].settings} == {"compare"}


class TestEnvironment:
    def test_threads_of_jobs_sleep_while_they_wait(
        self, write: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
        for device in ("cpu", "cuda"):
            assert environment_of(read_study(write()), device, 2)["OMP_WAIT_POLICY"] == "PASSIVE"
        of_file = read_study(write(environment={"OMP_WAIT_POLICY": "ACTIVE"}))
        assert environment_of(of_file, "cpu", 2)["OMP_WAIT_POLICY"] == "ACTIVE"

    def test_the_users_choice_stays(self, write: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("OMP_WAIT_POLICY", "ACTIVE")
        assert "OMP_WAIT_POLICY" not in environment_of(read_study(write()), "cpu", 2)
