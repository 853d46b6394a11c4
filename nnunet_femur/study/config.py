"""The file that says what a study is: read, checked as a whole, its defaults filled in."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

PLANS_NAME = "nnUNetPlans"
CONFIGURATION = "3d_fullres"
FIXED_FOLD = 5
"""The fold that is the study's one split into training and validation."""


@dataclass(frozen=True)
class Method:
    """A network to train: one folder of nnU-Net's results.

    Attributes:
        trainer: Class name of the trainer.
        configuration: "2d" or "3d_fullres".
        plans: Name of the plans.
        folds: Folds to train; 0 to 4 cross-validate, 5 is the fixed split.
        recipe: Hyper-parameters of this trainer under these plans.
    """

    trainer: str
    configuration: str = CONFIGURATION
    plans: str = PLANS_NAME
    folds: tuple[int, ...] = (FIXED_FOLD,)
    recipe: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """nnU-Net's name of the folder."""
        return f"{self.trainer}__{self.plans}__{self.configuration}"


@dataclass(frozen=True)
class Study:
    """What is compared, on which data, and how.

    Attributes:
        file: The file that it was read from.
        folder: Where everything is written: nnU-Net's three folders, and the study's own records.
        dataset_id: nnU-Net's number of the dataset.
        dataset: Its name, ``DatasetNNN_Name``.
        source: Folder or table of CTs and masks; None if the dataset is made of phantoms, or there already.
        phantoms: Number of phantoms to make; None for real data.
        convert: Options of ``nnfemur convert``.
        plans: Options of ``nnfemur plan`` by name of the plans.
        methods: What is trained.
        test: "fold": every fold predicts the test set; "ensemble": all folds of a method together; or "none".
        baseline: Models of TotalSegmentator to compare with: "1.5mm", "3mm".
        compare: Options of ``nnfemur compare``.
        device: "auto", "cpu", "cuda" or "mps".
        threads: Threads of a job without a GPU; None for all there are.
        environment: Environment variables of every job.
        cluster: Account, partitions and resources of jobs on a cluster.
    """

    file: Path
    folder: Path
    dataset_id: int
    dataset: str
    source: Path | None
    phantoms: int | None
    convert: Mapping[str, Any]
    plans: Mapping[str, Mapping[str, Any]]
    methods: tuple[Method, ...]
    test: str
    baseline: tuple[str, ...]
    compare: Mapping[str, Any]
    device: str
    threads: int | None
    environment: Mapping[str, str]
    cluster: Mapping[str, Any]

    @property
    def raw(self) -> Path:
        """The raw dataset."""
        return self.folder / "nnUNet_raw" / self.dataset

    @property
    def results(self) -> Path:
        """nnU-Net's results of all datasets in the folder."""
        return self.folder / "nnUNet_results"

    @property
    def records(self) -> Path:
        """The study's own files: what is done, what is running, logs."""
        return self.folder / "study"


def study_of(content: Mapping[str, Any], file: Path) -> Study:
    """Return the study of a file's content, which has been checked."""
    dataset = content["dataset"]
    number = dataset.get("id", 1)
    methods = methods_of(content)
    convert = dict(dataset.get("convert", {}))
    for key in ("patients", "test-ids"):
        if key in convert:
            convert[key] = str(path_beside(convert[key], file.parent))
    return Study(
        file=file,
        folder=path_beside(content.get("folder", file.stem), file.parent),
        dataset_id=number,
        dataset=f"Dataset{number:03d}_{dataset.get('name', 'Femur')}",
        source=path_beside(dataset["source"], file.parent) if "source" in dataset else None,
        phantoms=dataset.get("phantoms"),
        convert=convert,
        plans=_plans(content, methods),
        methods=methods,
        test=content.get("test", "fold"),
        baseline=tuple(content.get("baseline", ())),
        compare=content.get("compare", {}),
        device=content.get("device", "auto"),
        threads=content.get("threads"),
        environment={key: str(value) for key, value in content.get("environment", {}).items()},
        cluster=content.get("cluster", {}),
    )


def methods_of(content: Mapping[str, Any]) -> tuple[Method, ...]:
    """The methods of a file's content, each with what it shares with the others."""
    shared = {"folds": content.get("folds", [FIXED_FOLD])}
    given = ({"trainer": each} if isinstance(each, str) else each for each in content["methods"])
    return tuple(Method(**{**shared, **each, "folds": tuple(each.get("folds", shared["folds"]))}) for each in given)


def _plans(content: Mapping[str, Any], methods: tuple[Method, ...]) -> dict[str, dict[str, Any]]:
    """The plans that a method uses; by default only the configurations that are trained are preprocessed."""
    given = content.get("plans", {PLANS_NAME: {}})
    used = {name: sorted({each.configuration for each in methods if each.plans == name}) for name in given}
    return {name: {"configuration": used[name], **options} for name, options in given.items() if used[name]}


def path_beside(text: str, beside: Path) -> Path:
    """A path as a file in the folder `beside` means it."""
    return (beside / Path(text).expanduser()).resolve()
