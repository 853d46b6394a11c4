"""Jobs at the end of a study: probabilities, ensembles across methods, best configuration and postprocessing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nnunet_femur.dataset.nnunet_names import fold_folder
from nnunet_femur.dataset.raw import IMAGES_TS
from nnunet_femur.study.commands import Job, script
from nnunet_femur.study.study_end import BEST, MethodEnsemble, candidates, postprocessed_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from nnunet_femur.study.methods import Method
    from nnunet_femur.study.study_file import Study


@dataclass(frozen=True)
class SelectionJobs:
    """Builder of the jobs at the end of a study.

    Attributes:
        study: The study.
        device: Device of training and prediction.
        data: Settings of the raw dataset.
    """

    study: Study
    device: str
    data: Mapping[str, Any]

    def jobs(self) -> Iterator[Job]:
        """Yield the jobs, each after the jobs that it waits for."""
        end = self.study.end
        members = {
            (member.name, fold): (member, fold)
            for each in end.ensembles
            for member in each.members
            for fold in each.folds
        }
        for member, fold in members.values():
            yield self._validate(member, fold)
            if self.study.test != "none":
                yield self._probabilities(member, fold)
        for each in end.ensembles:
            yield self._ensemble(each)
        whole = [each for each in end.ensembles if not each.members[0].ends_only]
        if end.postprocessing:
            for method in candidates(self.study.methods):
                yield self._select(
                    postprocessed_name(method.short), [method.name], method.folds, self._predicted(method)
                )
            for each in whole:
                yield self._select(postprocessed_name(each.short), [each.name], each.folds, [f"ensemble-{each.name}"])
        if end.best:
            methods = candidates(self.study.methods)
            folds = set.intersection(*({*each.folds} for each in methods), *({*each.folds} for each in whole))
            after = [name for each in methods for name in self._predicted(each)]
            after += [f"ensemble-{each.name}" for each in whole]
            # Single methods first: nnU-Net prefers them in a tie, since they are simpler.
            yield self._select(
                BEST, [*(each.name for each in methods), *(each.name for each in whole)], sorted(folds), after
            )

    def _validate(self, method: Method, fold: int) -> Job:
        command = (self.study.dataset, method.configuration, str(fold), "-tr", method.trainer, "-p", method.plans)
        return Job(
            "validate",
            f"{method.name}-{fold_folder(fold)}",
            (script("nnUNetv2_train"), *command, "--val", "--npz", "-device", self.device),
            self._folder(method.name) / fold_folder(fold) / "validation" / "summary.json",
            {"probabilities": True},
            after=(f"train-{method.name}-{fold_folder(fold)}",),
        )

    def _probabilities(self, method: Method, fold: int) -> Job:
        study, model = self.study, self._folder(method.name)
        made = model / fold_folder(fold) / "test_probabilities"
        partial = made.with_name(f"{made.name}.partial")
        what = ("-i", str(study.raw / IMAGES_TS), "-o", str(partial), "-m", str(model), "-f", str(fold))
        # Each of nnU-Net's worker processes imports it again, which costs more than a case without a GPU.
        workers = ("-npp", "1", "-nps", "1") if self.device == "cpu" else ()
        return Job(
            "predict",
            f"probabilities-{method.name}-{fold_folder(fold)}",
            (
                script("nnUNetv2_predict_from_modelfolder"),
                *what,
                "--save_probabilities",
                *workers,
                "-device",
                self.device,
            ),
            made,
            {"folds": [fold], **self.data},
            after=(f"train-{method.name}-{fold_folder(fold)}",),
            partial=partial,
        )

    def _ensemble(self, each: MethodEnsemble) -> Job:
        test = self.study.test if len(each.folds) > 1 or self.study.test == "none" else "fold"
        output = self._folder(each.name)
        models = [str(self._folder(member.name)) for member in each.members]
        command = ("ensemble", *models, *_fold_words(each.folds), "--test", test, "-o", str(output))
        names = [f"{member.name}-{fold_folder(fold)}" for member in each.members for fold in each.folds]
        predicted = () if test == "none" else tuple(f"predict-probabilities-{name}" for name in names)
        return Job(
            "ensemble",
            each.name,
            (script("nnfemur"), *command),
            output / "run.json",
            {"members": [member.name for member in each.members], "folds": list(each.folds), "test": test},
            after=(*(f"validate-{name}" for name in names), *predicted),
        )

    def _select(self, name: str, of: Sequence[str], folds: Sequence[int], after: Sequence[str]) -> Job:
        output = self._folder(name)
        models = [str(self._folder(each)) for each in of]
        command = ("select", *models, *_fold_words(folds), "--jobs", "1", "-o", str(output))
        settings = {"candidates": list(of), "folds": list(folds)}
        return Job(
            "select",
            name,
            (script("nnfemur"), *command),
            output / "run.json",
            settings,
            after=tuple(dict.fromkeys(after)),
        )

    def _predicted(self, method: Method) -> list[str]:
        """Return the jobs that predict the validation cases and the test set of a method."""
        in_ensembles = {
            (member.name, fold) for each in self.study.end.ensembles for member in each.members for fold in each.folds
        }
        # A repeated validation writes the masks again, so they must not be read before.
        found = [
            f"{'validate' if (method.name, fold) in in_ensembles else 'train'}-{method.name}-{fold_folder(fold)}"
            for fold in method.folds
        ]
        if self.study.test == "none":
            return found
        if self.study.test == "ensemble" and len(method.folds) > 1:
            return [*found, f"predict-{method.name}-ensemble"]
        return [*found, *(f"predict-{method.name}-{fold_folder(fold)}" for fold in method.folds)]

    def _folder(self, name: str) -> Path:
        return self.study.results / self.study.dataset / name


def _fold_words(folds: Sequence[int]) -> list[str]:
    return [word for fold in folds for word in ("--fold", str(fold))]
