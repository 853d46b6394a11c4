"""Jobs of a study: the public command of each, its result, the settings that determine it, and its order."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nnunet_femur.dataset.raw import IMAGES_TS
from nnunet_femur.study.commands import Job, option_words, script
from nnunet_femur.study.removed_methods import removed_methods
from nnunet_femur.study.selection_jobs import SelectionJobs

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from nnunet_femur.study.methods import Method
    from nnunet_femur.study.study_file import Study


_FILE_MANAGER_FILES = ("Thumbs.db", "desktop.ini")
"""Files that file managers write into folders."""

_OF_DATA = ("phantoms", "convert", "plan")
"""Stages before the first network."""

COMPARE = "compare"
"""Name of the last job, which reads the results of all others."""


def jobs_of(study: Study, *, device: str = "cpu") -> dict[str, Job]:
    """Return all jobs of a study by name, each after the jobs that it waits for.

    Args:
        study: The study.
        device: Device of training and prediction: "cpu", "cuda" or "mps".
    """
    return {job.name: job for job in _Builder(study, device).jobs()}


@dataclass(frozen=True)
class _Builder:
    study: Study
    device: str

    def jobs(self) -> Iterator[Job]:
        """Yield all jobs, each after the jobs that it waits for."""
        found = list(self._work())
        yield from found
        yield self._compare(found)

    def _work(self) -> Iterator[Job]:
        study = self.study
        if study.phantoms is not None:
            yield self._phantoms()
        if study.source is not None or study.phantoms is not None:
            yield self._convert()
        first = ["convert"] if self._data else []
        for name in study.plans:
            # One after the other, since plans of a dataset share its folder of preprocessed data.
            yield self._plan(name, after=tuple(first))
            first = [f"plan-{name}"]
        for method in study.methods:
            yield from (self._train(method, fold) for fold in method.folds)
            yield from self._predict(method)
        yield from SelectionJobs(study, self.device, self._data).jobs()
        yield from map(self._baseline, study.baseline)

    def _compare(self, jobs: Sequence[Job]) -> Job:
        from nnunet_femur.comparison.supplement.supplement_files import ANSWERS_FILE
        from nnunet_femur.comparison.supplement.supplement_files import FOLDER as SUPPLEMENT

        study = self.study
        last = [job.name for job in jobs if job.stage not in _OF_DATA]
        report = study.results / "comparison" / "report.html"
        removed = removed_methods(study, jobs)
        options = option_words({"measurements": True, **study.compare, **({"without": removed} if removed else {})})
        command = ("compare", str(study.results / study.dataset), "-o", str(report.parent), *options)
        settings = {"compare": dict(study.compare), "of": last}
        if tables := [*filter(None, [study.compare.get("covariates")]), *study.compare.get("raters", {}).values()]:
            settings["files"] = {path: _state(Path(path)) for path in tables}
        if removed:
            settings["without"] = removed
        answers = report.parent / SUPPLEMENT / ANSWERS_FILE
        reads = (answers,) if study.compare.get("supplement") else ()
        command = (script("nnfemur"), *command)
        return Job("compare", "", command, report, settings, after=tuple(last), reads=reads)

    def _phantoms(self) -> Job:
        drop = self.study.folder / "drop"
        cases = str(self.study.phantoms)
        command = (script("nnfemur"), "phantoms", str(drop), "--cases", cases)
        return Job("phantoms", "", command, drop, {"cases": self.study.phantoms})

    def _convert(self) -> Job:
        study = self.study
        source = study.source or study.folder / "drop"
        number, _, name = study.dataset.removeprefix("Dataset").partition("_")
        options = ("--dataset-id", str(int(number)), "--name", name, *option_words(study.convert))
        return Job(
            "convert",
            "",
            (script("nnfemur"), "convert", str(source), *options),
            study.raw / "conversion.json",
            self._data,
            once=("phantoms",) if study.phantoms is not None else (),
        )

    def _plan(self, name: str, after: tuple[str, ...]) -> Job:
        study = self.study
        options = dict(study.plans[name])
        recipes = {each.trainer: dict(each.recipe) for each in study.methods if each.plans == name and each.recipe}
        recipe = {**options.pop("recipe", {}), **recipes}
        command = ("plan", "--dataset-id", str(study.dataset_id), "--plans-name", name, *option_words(options))
        # The job writes the recipe to a file, since it does not fit into a command line.
        given = ("--recipe", str(self.study.records / "recipes" / f"{name}.json")) if recipe else ()
        return Job(
            "plan",
            name,
            (script("nnfemur"), *command, *given),
            study.folder / "nnUNet_preprocessed" / study.dataset / f"{name}.json",
            {**self._plan_settings(name), "recipe": recipe},
            once=after,
        )

    def _train(self, method: Method, fold: int) -> Job:
        model = self.study.results / self.study.dataset / method.name / f"fold_{fold}"
        command = (self.study.dataset, method.configuration, str(fold), "-tr", method.trainer, "-p", method.plans)
        return Job(
            "train",
            f"{method.name}-fold_{fold}",
            (script("nnUNetv2_train"), *command, "-device", self.device),
            model / "checkpoint_final.pth",
            {**self._plan_settings(method.plans), "recipe": dict(method.recipe)},
            once=(f"plan-{method.plans}",),
            resumes="checkpoint_*.pth",
            model=model,
            trainer=method.trainer,
        )

    def _predict(self, method: Method) -> Iterator[Job]:
        study = self.study
        model = study.results / study.dataset / method.name
        together = study.test == "ensemble" and len(method.folds) > 1
        groups = [] if study.test == "none" else [method.folds] if together else [(fold,) for fold in method.folds]
        for folds in groups:
            made = (model if together else model / f"fold_{folds[0]}") / "test"
            partial = made.with_name("test.partial")
            what = ("-i", str(study.raw / IMAGES_TS), "-m", str(model), "-o", str(partial))
            # All windows, as in nnU-Net's validation: the same masks on every machine, whatever finds the femur there.
            how = (*(word for fold in folds for word in ("--fold", str(fold))), "--exhaustive", "--device", self.device)
            yield Job(
                "predict",
                f"{method.name}-{'ensemble' if together else f'fold_{folds[0]}'}",
                (script("nnfemur"), "predict", *what, *how),
                made,
                {"folds": list(folds), **({"joined by": "mean probability"} if together else {}), **self._data},
                after=tuple(f"train-{method.name}-fold_{fold}" for fold in folds),
                partial=partial,
            )

    def _baseline(self, model: str) -> Job:
        study = self.study
        command = ("baseline", "-d", str(study.dataset_id), "--device", "gpu" if self.device == "cuda" else self.device)
        fast = ("--fast",) if model == "3mm" else ()
        made = study.results / study.dataset / f"TotalSegmentator__total__{model}" / "test"
        once = ("convert",) if self._data else ()
        return Job("baseline", model, (script("nnfemur"), *command, *fast), made, self._data, once=once)

    def _plan_settings(self, name: str) -> dict[str, Any]:
        """Return the settings of preprocessed data, which depend neither on recipes nor on the number of processes."""
        options = {key: value for key, value in self.study.plans[name].items() if key not in ("recipe", "jobs")}
        return {**self._data, "plan": options, "shared recipe": self.study.plans[name].get("recipe", {})}

    @property
    def _data(self) -> dict[str, Any]:
        """Return the settings of the raw dataset; empty if the study uses an existing dataset."""
        study = self.study
        if study.phantoms is not None:
            return {"phantoms": study.phantoms, "convert": dict(study.convert)}
        if study.source is None:
            return {}
        options = {key: value for key, value in study.convert.items() if key not in ("jobs", "qc")}
        return {"source": str(study.source), "files": _state(study.source), "convert": options}


def _state(source: Path) -> list[int]:
    """Return number, bytes and latest change (ns) of a source's files: another one when a file is added or replaced."""
    files = [source] if source.is_file() else [path for path in source.rglob("*") if path.is_file()]
    # File managers write files into folders that a user opens; these must not start a study from scratch.
    stats = [path.stat() for path in files if not (path.name.startswith(".") or path.name in _FILE_MANAGER_FILES)]
    return [len(stats), sum(stat.st_size for stat in stats), max((stat.st_mtime_ns for stat in stats), default=0)]
