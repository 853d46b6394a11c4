"""A study's file, read and checked as a whole, with its defaults filled in."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nnunet_femur.arguments import suggestion
from nnunet_femur.dataset.nnunet_names import PLANS_NAME
from nnunet_femur.errors import InputError
from nnunet_femur.records import read_mapping
from nnunet_femur.study.methods import FIXED_FOLD, Method
from nnunet_femur.study.study_end import StudyEnd, end_of, end_problems

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from nnunet_femur.recipe.recipe_checks import Problem


@dataclass(frozen=True)
class Study:
    """Methods, data and machine of a study, as :func:`read_study` returns them.

    Attributes:
        file: The file that the study was read from.
        folder: Folder of everything that is written: nnU-Net's three folders, and the records of jobs.
        dataset_id: nnU-Net's number of the dataset.
        dataset: Name of the dataset, ``DatasetNNN_Name``.
        source: Folder or table of CTs and masks; None if the dataset is made of phantoms, or exists already.
        phantoms: Number of phantoms to make; None for real data.
        convert: Options of ``nnfemur convert``.
        plans: Options of ``nnfemur plan`` by name of the plans.
        methods: Networks to train.
        test: "fold": each fold predicts the test set; "ensemble": all folds of a method together; or "none".
        baseline: Models of TotalSegmentator to compare with: "1.5mm", "3mm".
        end: Ensembles across methods, best configuration and postprocessing.
        compare: Options of ``nnfemur compare``.
        device: "auto", "cpu", "cuda" or "mps".
        threads: Threads of a job without a GPU; None: all CPUs.
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
    end: StudyEnd
    compare: Mapping[str, Any]
    device: str
    threads: int | None
    environment: Mapping[str, str]
    cluster: Mapping[str, Any]

    @property
    def raw(self) -> Path:
        """Folder of the raw dataset."""
        return self.folder / "nnUNet_raw" / self.dataset

    @property
    def results(self) -> Path:
        """Folder of nnU-Net's results of all datasets."""
        return self.folder / "nnUNet_results"

    @property
    def records(self) -> Path:
        """Folder of the status, logs and records of jobs."""
        return self.folder / "study"


def read_study(file: str | Path) -> Study:
    """Read and check the file of a study.

    Args:
        file: The file, as ``nnfemur study init`` writes it.

    Returns:
        The study, with defaults filled in and absolute paths.

    Raises:
        InputError: The file is missing or not YAML (code "unreadable" or "invalid-file"), or has problems; the message
            lists all of them (code "invalid-study").

    Example:
        >>> from nnunet_femur.study import read_study, write_preset
        >>> write_preset("paper.yaml", "paper", source="source")
        >>> study = read_study("paper.yaml")
        >>> study.dataset, len(study.methods)
        ('Dataset001_Femur', 13)
    """
    path = Path(file).expanduser().resolve()
    content = read_mapping(path)
    problems = problems_of(content, path.parent)
    if problems:
        count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        msg = f"{path}: {count}:\n" + "\n".join(f"  {problem}" for problem in problems)
        raise InputError(msg, code="invalid-study")
    return _study_of(content, path)


def problems_of(content: Mapping[str, Any], folder: Path) -> list[str]:
    """Return all problems of a study, a line each; empty for a study that can run.

    Args:
        content: Content of the file.
        folder: Folder that paths in the file are relative to.

    Example:
        >>> problems_of({"dataset": {"phantoms": 8}, "metods": []}, Path())
        ['methods: missing. Add it.', "metods: unknown key. Did you mean 'methods'?"]
    """
    from nnunet_femur.study.form_problems import problems_of_form

    found = problems_of_form(content)
    if not found:
        found = [
            *_dataset_problems(content, folder),
            *_plan_problems(content),
            *_method_problems(content),
            *_compare_problems(content, folder),
        ]
        found = found or [*end_problems(content, _methods_of(content))]
    return [*found, *_recipe_problems(content)]


def _study_of(content: Mapping[str, Any], file: Path) -> Study:
    dataset = content["dataset"]
    number = dataset.get("id", 1)
    methods = _methods_of(content)
    convert = dict(dataset.get("convert", {}))
    for key in ("patients", "test-ids"):
        if key in convert:
            convert[key] = str(_path_beside(convert[key], file.parent))
    return Study(
        file=file,
        folder=_path_beside(content.get("folder", file.stem), file.parent),
        dataset_id=number,
        dataset=f"Dataset{number:03d}_{dataset.get('name', 'Femur')}",
        source=_path_beside(dataset["source"], file.parent) if "source" in dataset else None,
        phantoms=dataset.get("phantoms"),
        convert=convert,
        plans=_used_plans(content, methods),
        methods=methods,
        test=content.get("test", "fold"),
        baseline=tuple(content.get("baseline", ())),
        end=end_of(content, methods),
        compare=_compare_of(content.get("compare", {}), file.parent),
        device=content.get("device", "auto"),
        threads=content.get("threads"),
        environment={key: str(value) for key, value in content.get("environment", {}).items()},
        cluster=content.get("cluster", {}),
    )


def _compare_of(options: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Return the options of the comparison, with absolute paths."""
    found = dict(options)
    if "covariates" in found:
        found["covariates"] = str(_path_beside(found["covariates"], folder))
    if "raters" in found:
        found["raters"] = {name: str(_path_beside(of, folder)) for name, of in found["raters"].items()}
    return found


def _methods_of(content: Mapping[str, Any]) -> tuple[Method, ...]:
    """Return the methods of a file, with the folds that all methods share."""
    shared = {"folds": content.get("folds", [FIXED_FOLD])}
    given = ({"trainer": each} if isinstance(each, str) else each for each in content["methods"])
    return tuple(Method(**{**shared, **each, "folds": tuple(each.get("folds", shared["folds"]))}) for each in given)


def _used_plans(content: Mapping[str, Any], methods: tuple[Method, ...]) -> dict[str, dict[str, Any]]:
    """Return the plans that a method uses; by default only configurations that are trained are preprocessed."""
    given = content.get("plans", {PLANS_NAME: {}})
    used = {name: sorted({each.configuration for each in methods if each.plans == name}) for name in given}
    return {name: {"configuration": used[name], **options} for name, options in given.items() if used[name]}


def _path_beside(text: str, folder: Path) -> Path:
    """Return a path of the file, which is relative to the folder of the file."""
    return (folder / Path(text).expanduser()).resolve()


def _dataset_problems(content: Mapping[str, Any], folder: Path) -> Iterator[str]:
    dataset = content["dataset"]
    if "source" not in dataset:
        return
    if "phantoms" in dataset:
        yield "dataset: has both a source and phantoms. Remove one of them."
    source = _path_beside(dataset["source"], folder)
    if not source.exists():
        yield f"dataset.source: {source} not found. Correct the path."


def _plan_problems(content: Mapping[str, Any]) -> Iterator[str]:
    from nnunet_femur.planning.planners import planner_problem

    for name, options in content.get("plans", {}).items():
        if "planner" not in options:
            continue
        if options.get("from") == "totalsegmentator":
            yield f"plans.{name}.planner: TotalSegmentator's plans need no planner. Remove it."
        elif problem := planner_problem(options["planner"]):
            yield f"plans.{name}.planner: {problem}"


def _compare_problems(content: Mapping[str, Any], folder: Path) -> Iterator[str]:
    options = content.get("compare", {})
    given = {f"raters.{name}": of for name, of in options.get("raters", {}).items()}
    if "covariates" in options:
        given["covariates"] = options["covariates"]
    for key, text in given.items():
        path = _path_beside(text, folder)
        if not path.exists():
            yield f"compare.{key}: {path} not found. Correct the path."


def _method_problems(content: Mapping[str, Any]) -> Iterator[str]:
    from nnunet_femur.recipe.trainer_names import known_trainers

    methods = _methods_of(content)
    if not methods and not content.get("baseline"):
        yield "methods: must not be empty without a baseline. Add a method or a baseline to compare."
    # Read only once, since the names come from a hundred source files.
    trainers = sorted(known_trainers())
    for number, method in enumerate(methods):
        for problem in (
            *_name_problems(method, content.get("plans", {PLANS_NAME: {}}), trainers),
            *_repetition_problems(method, methods[:number]),
        ):
            yield f"methods.{number}{problem}"


def _name_problems(method: Method, plans: Mapping[str, Any], trainers: list[str]) -> Iterator[str]:
    if method.trainer not in trainers:
        yield f".trainer: unknown trainer {method.trainer}.{suggestion(method.trainer, trainers)}"
    if method.plans not in plans:
        yield f".plans: must be one of the study's plans ({', '.join(plans)}), got {method.plans}."
        return
    of = plans[method.plans]
    known = ["3d_fullres"] if of.get("from") == "totalsegmentator" else of.get("configuration", [method.configuration])
    if method.configuration not in known:
        yield (
            f".configuration: must be a configuration of the plans {method.plans} ({', '.join(known)}), "
            f"got {method.configuration}."
        )


def _repetition_problems(method: Method, others: Iterable[Method]) -> Iterator[str]:
    for other in others:
        if other.name == method.name:
            yield f": repeats {method.name}. Remove one of them."
        if (other.trainer, other.plans) == (method.trainer, method.plans) and other.recipe != method.recipe:
            yield (
                f".recipe: differs from that of {other.name}. A trainer has one recipe under one name of plans. "
                "Give this method plans of another name."
            )


def _recipe_problems(content: Mapping[str, Any]) -> Iterator[str]:
    """Yield problems of the recipes of plans and methods, also where something else in the file is wrong."""
    from nnunet_femur.recipe.recipe_checks import problems_of as problems_of_recipe
    from nnunet_femur.recipe.trainer_names import stock_trainers

    shared = _recipes(content.get("plans"))
    found: dict[str, None] = {}
    for name, recipe in shared.items():
        found |= {f"plans.{name}.recipe{_below(problem)}": None for problem in problems_of_recipe(recipe)}
    methods = content.get("methods")
    for number, method in enumerate(methods if isinstance(methods, list) else []):
        if not isinstance(method, dict) or not method.get("recipe", {}) or "trainer" not in method:
            continue
        trainer, plans, recipe = str(method["trainer"]), str(method.get("plans", PLANS_NAME)), method["recipe"]
        # A method's values are checked together with those that its plans give all trainers.
        of_plans = shared.get(plans)
        together = {**(of_plans if isinstance(of_plans, dict) else {}), trainer: recipe}
        for problem in problems_of_recipe(together):
            own = problem.key.partition(".")[0] == trainer
            if problem.key == trainer and isinstance(recipe, dict) and trainer not in stock_trainers():
                # The trainer does not exist, which is reported where it is named.
                continue
            if own:
                key = problem.key.removeprefix(trainer).removeprefix(".")
                found[f"methods.{number}.recipe{_below(replace(problem, key=key))}"] = None
            elif of_plans is not None:
                found[f"plans.{plans}.recipe{_below(problem)}"] = None
    yield from found


def _recipes(plans: Any) -> dict[Any, Any]:
    """Return the recipes of plans by the name of the plans."""
    items = plans.items() if isinstance(plans, dict) else ()
    return {name: options["recipe"] for name, options in items if isinstance(options, dict) and "recipe" in options}


def _below(problem: Problem) -> str:
    return f".{problem}" if problem.key else f": {problem}"
