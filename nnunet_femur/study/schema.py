"""Form of a study's file: pydantic models, and the JSON schema that editors read.

``python -m nnunet_femur.study.schema`` writes ``study.schema.json`` again after a model has changed.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from nnunet_femur.atomic_files import write_text

FILE = Path(__file__).with_name("study.schema.json")
"""The exported schema."""

Stage = Literal[
    "phantoms", "convert", "plan", "train", "validate", "predict", "baseline", "ensemble", "select", "compare"
]
Configuration = Literal["2d", "3d_fullres"]


def _hyphens(name: str) -> str:
    return name.replace("_", "-")


def _unique(values: list[Any]) -> list[Any]:
    if len(set(values)) < len(values):
        msg = "must not contain a value twice"
        raise ValueError(msg)
    return values


def _text_or_number(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, str | int):
        msg = "must be text or a whole number"
        raise ValueError(msg)  # noqa: TRY004 - pydantic collects ValueErrors
    return value


def _as_settings(value: Any) -> Any:
    return {"trainer": value} if isinstance(value, str) else value


def _optional(description: str, *, alias: str | None = None) -> Any:
    """Return a key that may be missing; then the command's own default holds, so that the models need none."""
    return Field(None, alias=alias, description=description)


Text = Annotated[str, Field(min_length=1)]
Count = Annotated[int, Field(ge=1)]
TextOrNumber = Annotated[str | int, BeforeValidator(_text_or_number)]
_Unique = (AfterValidator(_unique), Field(json_schema_extra={"uniqueItems": True}))
Folds = Annotated[list[Annotated[int, Field(ge=0, le=5)]], *_Unique, Field(min_length=1)]


def _ensembles(value: Any) -> Any:
    lists = value if isinstance(value, list) else [None]
    if value != "pairs" and not all(
        isinstance(names, list) and len(names) > 1 and all(isinstance(name, str) for name in names) for names in lists
    ):
        msg = "must be pairs, or lists of two or more methods"
        raise ValueError(msg)
    return value


_METHODS = {"type": "array", "items": {"type": "string", "minLength": 1}, "minItems": 2}
# One function gives one problem, where a union of both forms would give one of each.
Ensembles = Annotated[
    Any,
    AfterValidator(_ensembles),
    WithJsonSchema({"anyOf": [{"type": "string", "enum": ["pairs"]}, {"type": "array", "items": _METHODS}]}),
]


class _Section(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False, alias_generator=_hyphens)


class ConvertOptions(_Section):
    """Options of ``nnfemur convert``."""

    seed: int = _optional("Seed of the split into patients.")
    layout: Literal["auto", "pairs", "totalsegmentator", "csv"] = _optional("Layout of the source.")
    images_folder: str = _optional("Folder of the CTs, with the layout pairs.")
    masks_folder: str = _optional("Folder of the masks, with the layout pairs.")
    id_pattern: str = _optional("Regular expression of a case id, with the layout pairs.")
    segment: list[str] = _optional("Names of the segments that are femur.")
    labels: TextOrNumber = _optional("Values of a mask that are femur, as 1,2.")
    padding_hu: int = _optional("Value of padding in HU.")
    keep_padding: bool = _optional("Keep the padding as it is.")
    min_volume_ml: Annotated[float, Field(ge=0)] = _optional("Least volume of each femur in ml.")
    patients: str = _optional("Table with the patient of each case.")
    split: str = _optional("Training, validation and test cases in proportion, as 24/8/8.")
    test_ids: str = _optional("File with the ids of the test set, one a line.")
    jobs: Count = _optional("Processes.")
    qc: bool = _optional("Draw a picture of every case.")


class DatasetOptions(_Section):
    """The dataset: converted from a source, made of phantoms, or an existing one of nnU-Net."""

    id: Annotated[int, Field(ge=1, le=999)] = _optional("nnU-Net's number of the dataset.")
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+$")] = _optional("Its name after the number.")
    source: Text = _optional("Folder or table that nnfemur convert reads.")
    phantoms: Annotated[int, Field(ge=6)] = _optional("Number of phantoms to make instead.")
    convert: ConvertOptions = _optional("Options of nnfemur convert.")


class PlanOptions(_Section):
    """Options of ``nnfemur plan``."""

    from_: Literal["dataset", "totalsegmentator"] = _optional("Source of the plans.", alias="from")
    spacing: Literal["source", "native"] = _optional("Spacing of plans from TotalSegmentator.")
    fast: bool = _optional("Use TotalSegmentator's 3 mm model.")
    preset: Literal["default", "small"] = _optional("Size of networks; small: for CPUs.")
    planner: Text = _optional("Planner of nnU-Net: ResEncM, ResEncL, ResEncXL, a class name, or MODULE.CLASS.")
    configuration: Annotated[list[Configuration], Field(min_length=1)] = _optional(
        "Configurations to preprocess; by default those that a method uses."
    )
    epochs: Count = _optional("Epochs of every trainer.")
    iterations: Count = _optional("Iterations in an epoch of every trainer.")
    pretrained: bool = _optional("Start encoders of 2D networks from ImageNet weights.")
    recipe: Any = _optional("Hyperparameters, see docs/recipes.md.")
    jobs: Count = _optional("Processes.")


class MethodOptions(_Section):
    """A network to train."""

    trainer: str = Field(description="Class name of the trainer.")
    configuration: Configuration = _optional("Configuration of the plans.")
    plans: str = _optional("Name of the plans.")
    folds: Folds = _optional("Folds to train; 0 to 4 cross-validate, 5 is the fixed split.")
    recipe: Any = _optional("Hyperparameters of this trainer under these plans.")


class CompareOptions(_Section):
    """Options of ``nnfemur compare``."""

    intersect: bool = _optional("Compare on the cases that all methods predicted.")
    published: str = _optional("Published figures to print beside ours: paper.")
    reference: str = _optional("Older name of `published`.")
    empty_masks: Literal["strict", "formula", "brats"] = _optional("Scores of empty masks.")
    test: Literal["wilcoxon", "permutation"] = _optional("Paired test.")
    against: str = _optional("Method that the others are tested to be not worse than; a part of its name.")
    margin: list[str | float] = _optional("Largest losses that do not count: a number for 3D Dice, or NAME=NUMBER.")
    covariates: Text = _optional("CSV file with a column case and columns such as side or sex: scores of subgroups.")
    raters: Annotated[
        dict[Annotated[str, Field(pattern=r"^[^=/]+$")], Text], Field(json_schema_extra={"additionalProperties": False})
    ] = _optional("Folders of masks of second readers, by name of the reader.")
    in_slices: list[str] = _optional("Methods that work in slices.")
    slice_surfaces: bool = _optional("Measure surface distances in slices too.")
    measurements: bool = _optional("Compare clinical measurements of the femurs too; by default, yes.")
    calibration: bool = _optional("Compare probabilities with the reference, where they were saved; by default, yes.")
    supplement: bool = _optional("Write checklist, methods paragraph and model cards for a publication.")


class JobResources(_Section):
    """Resources of the jobs of one stage on a cluster."""

    model_config = ConfigDict(alias_generator=None)

    mem_mb: Count = _optional("Memory in MB.")
    minutes: Count = _optional("Time limit in minutes.")
    cpus: Count = _optional("CPUs.")


class ClusterOptions(_Section):
    """Accounts, partitions and resources of jobs on a cluster, for ``--profile slurm``."""

    account: TextOrNumber = _optional("Account that jobs are charged to.")
    partition: str = _optional("Partition of jobs without a GPU.")
    gpu_partition: str = _optional("Partition of jobs with a GPU.")
    gres: str = _optional("GPU that a job requests, as gpu:a100:1.")
    qos: str = _optional("Quality of service.")
    constraint: str = _optional("Features that a node must have.")
    extra: str = _optional("Further options of sbatch.")
    jobs: Count = _optional("Jobs in the queue at a time.")
    resources: dict[Stage, JobResources] = _optional("Resources by stage.")


class StudyFile(_Section):
    """A study of nnunet_femur."""

    folder: Text = _optional("Folder of everything that is written, relative to this file.")
    dataset: DatasetOptions = Field(description="CTs and masks.")
    plans: Annotated[
        dict[Annotated[str, Field(pattern=r"^[A-Za-z0-9-]+$")], PlanOptions],
        Field(min_length=1, json_schema_extra={"additionalProperties": False}),
    ] = _optional("Options of nnfemur plan by the name of the plans.")
    folds: Folds = _optional("Folds of every method; 0 to 4 cross-validate, 5 is the fixed split.")
    test: Literal["fold", "ensemble", "none"] = _optional("Prediction of the test set.")
    methods: list[
        Annotated[MethodOptions, BeforeValidator(_as_settings, json_schema_input_type=str | MethodOptions)]
    ] = Field(description="Networks to train: a trainer, or a trainer with its settings.")
    baseline: Annotated[list[Literal["1.5mm", "3mm"]], *_Unique] = _optional("Models of TotalSegmentator to compare.")
    ensembles: Ensembles = _optional(
        "Ensembles across methods: pairs, or lists of methods, each by its trainer or its full name."
    )
    best_configuration: bool = _optional("Choose the best method or ensemble on the validation cases, as nnU-Net does.")
    postprocessing: bool = _optional("Choose postprocessing of each method on its validation cases, as nnU-Net does.")
    compare: CompareOptions = _optional("Options of nnfemur compare.")
    device: Literal["auto", "cpu", "cuda", "mps"] = _optional("Device of networks.")
    threads: Count = _optional("Threads of a job without a GPU.")
    environment: dict[str, TextOrNumber] = _optional("Environment variables of every job.")
    cluster: ClusterOptions = _optional("Settings of a cluster, for --profile slurm.")


_OF_TRAINER = "#/$defs/recipe_trainer"


def json_schema() -> dict[str, Any]:
    """Return the JSON schema of a study's file, recipes included.

    Example:
        >>> sorted(json_schema()["required"])
        ['dataset', 'methods']
    """
    content = _without_defaults(StudyFile.model_json_schema())
    definitions = content["$defs"]
    definitions["PlanOptions"]["properties"]["recipe"]["$ref"] = "#/$defs/recipe_plans"
    definitions["MethodOptions"]["properties"]["recipe"]["$ref"] = _OF_TRAINER
    definitions |= recipe_definitions()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **content}


def recipe_definitions() -> dict[str, Any]:
    """Return the schema's definitions of recipes: of one trainer, of a family of trainers, and of plans."""
    from nnunet_femur.recipe.recipe_checks import FAMILIES, AnyRecipe

    properties = _without_defaults(AnyRecipe.model_json_schema()["properties"])
    families = {
        f"recipe_{family}": {"$ref": _OF_TRAINER, "propertyNames": {"enum": sorted(recipe.model_fields)}}
        for family, recipe in FAMILIES.items()
    }
    shared = {name: {"$ref": f"{_OF_TRAINER}/properties/{name}"} for name in properties}
    of_families = {family: {"$ref": f"#/$defs/recipe_{family}"} for family in FAMILIES}
    return {
        # Trainers of users may have hyperparameters of their own.
        "recipe_trainer": {"type": "object", "properties": properties},
        **families,
        "recipe_plans": {
            "type": "object",
            "description": "Hyperparameters of every trainer that has them, of a family of trainers, or of a trainer.",
            "properties": {**shared, **of_families},
            "additionalProperties": {"$ref": _OF_TRAINER},
        },
    }


def _without_defaults(schema: Any) -> Any:
    """Remove titles, which repeat the names, and defaults, which differ from command to command."""
    if isinstance(schema, dict):
        # Below "properties" these words are names of settings.
        return {
            key: {name: _without_defaults(each) for name, each in value.items()}
            if key in ("properties", "$defs")
            else _without_defaults(value)
            for key, value in schema.items()
            if key not in ("title", "default")
        }
    return [_without_defaults(each) for each in schema] if isinstance(schema, list) else schema


def schema_text() -> str:
    """Return the schema as the text of ``study.schema.json``."""
    return json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    write_text(FILE, schema_text())
