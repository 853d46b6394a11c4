"""Problems of a recipe, each with its key and a remedy, found before anything runs."""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import ConfigDict, ValidationError

from nnunet_femur.errors import InputError
from nnunet_femur.recipe.hyperparameters import (
    RECIPE_KEY,
    FinetunePaperRecipe,
    FinetuneRecipe,
    Recipe,
    SliceRecipe,
    ThreePlaneRecipe,
)
from nnunet_femur.recipe.recipe_rules import problems_of_recipe

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

R = TypeVar("R", bound=Recipe)

FAMILIES: dict[str, type[Recipe]] = {each.family: each for each in (Recipe, FinetuneRecipe, SliceRecipe)}
"""The recipe of each family of trainers."""

_NETWORKS = tuple(
    f"{architecture}{encoder}"
    for architecture in ("Unet", "UnetPlusPlus")
    for encoder in ("ResNet34", "ResNet50", "DeepLabV3", "MobileNetV3")
)

TRAINERS: dict[str, type[Recipe]] = {
    "FemurScratchTrainer": Recipe,
    "FemurFinetuneTrainer": FinetuneRecipe,
    "FemurFinetunePaperTrainer": FinetunePaperRecipe,
    "FemurThreePlaneTrainer": ThreePlaneRecipe,
    **{f"Femur{part}{network}Trainer": SliceRecipe for part in ("", "Head") for network in _NETWORKS},
}
"""The recipe of each trainer of this package, which are not imported for it: that takes seconds."""


class AnyRecipe(SliceRecipe, FinetuneRecipe):
    """All hyper-parameters together, for trainers of users, which may have further ones of their own."""

    model_config = ConfigDict(extra="allow")


@dataclass(frozen=True)
class Problem:
    """A hyper-parameter that cannot be used.

    Attributes:
        key: Its place in the recipe, as in ``slice.epochs``; empty for the recipe itself.
        text: The problem and the fix.
    """

    key: str
    text: str

    def __str__(self) -> str:
        """The problem in a line."""
        return f"{self.key}: {self.text}" if self.key else self.text


def raise_if_any(problems: Collection[Problem], *, where: str, remedy: str = "") -> None:
    """Refuse a recipe that has problems.

    Raises:
        InputError: With all of them.
    """
    if not problems:
        return
    lines = [str(problem) for problem in problems]
    if len(lines) == 1:
        msg = f"{where}: {lines[0]} {remedy}".rstrip()
    else:
        msg = "\n  ".join([f"{where}: {len(lines)} problems. {remedy}".rstrip(), *lines])
    raise InputError(msg)


def recipe_of_configuration(
    recipe: type[R], configuration: Mapping[str, Any], trainer: str, *, where: str = f"{RECIPE_KEY} in the plans"
) -> R:
    """Return the recipe of a trainer under a configuration of nnU-Net's plans.

    Args:
        recipe: The class of the trainer's recipe.
        configuration: The configuration, its inheritance resolved.
        trainer: The class name of the trainer.
        where: The file, for messages.

    Raises:
        InputError: The recipe has an unknown hyperparameter or an invalid value; the message has all of them.
    """
    written = configuration.get(RECIPE_KEY, {})
    remedy = "Correct the plans, or run nnfemur plan again."
    raise_if_any(problems_for(recipe, written, trainer), where=where, remedy=remedy)
    return recipe(**{key: value for key, (value, _) in merged(recipe, written, trainer).items()})


def problems_of(written: Any) -> list[Problem]:
    """Return all problems of a recipe, for every family and every trainer that it names.

    Args:
        written: The recipe, as it is written in a file.
    """
    if not isinstance(written, Mapping):
        return [_not_a_mapping("", written)]
    found: list[Problem] = []
    for family, recipe in FAMILIES.items():
        # Of a family's trainers, none is called "", so that only what all of them share is looked at.
        found += _all_problems(recipe, {**written, family: written.get(family, {})}, "")
    for name in written:
        if name not in FAMILIES and isinstance(written[name], Mapping):
            recipe_or_problem = recipe_of_trainer(str(name))
            if isinstance(recipe_or_problem, str):
                found.append(Problem(str(name), recipe_or_problem))
            else:
                found += _all_problems(recipe_or_problem, written, str(name))
    return list(dict.fromkeys(found))


def _all_problems(recipe: type[Recipe], written: Mapping[str, Any], trainer: str) -> list[Problem]:
    """Return the problems of single values, or, where there are none, those of values that do not fit together."""
    if found := problems_for(recipe, written, trainer):
        return found
    values = {key: value for key, (value, _) in merged(recipe, written, trainer).items()}
    key = trainer or (recipe.family if written.get(recipe.family) else "")
    return [Problem(key, f"{problem}.") for problem in problems_of_recipe(recipe(**values))]


def recipe_of_trainer(name: str) -> type[Recipe] | str:
    """Return the recipe of a trainer by its class name; a text about the problem if it has none."""
    from nnunet_femur.recipe.trainer_names import foreign_trainers, stock_trainers

    if name in TRAINERS:
        return TRAINERS[name]
    if name in foreign_trainers():
        return AnyRecipe
    if name in stock_trainers():
        return "is nnU-Net's own trainer, which reads no recipe. Use FemurScratchTrainer, or remove the recipe."
    return f"unknown trainer or family.{_suggestion(name, [*FAMILIES, *TRAINERS])}"


def problems_for(recipe: type[Recipe], written: Any, trainer: str) -> list[Problem]:
    """Return the problems of what one trainer reads in a recipe.

    Args:
        recipe: The class of the trainer's recipe.
        written: The whole recipe, as it is written in a file.
        trainer: The trainer's class name.
    """
    if not isinstance(written, Mapping):
        return [_not_a_mapping("", written)]
    found = [
        _not_a_mapping(name, written[name])
        for name in (*FAMILIES, *TRAINERS, trainer)
        if name in written and not isinstance(written[name], Mapping)
    ]
    chosen = merged(recipe, written, trainer)
    try:
        recipe(**{key: value for key, (value, _) in chosen.items()})
    except ValidationError as error:
        first: dict[str, Any] = {}
        for each in error.errors():
            first.setdefault(str(each["loc"][0]), each)
        for key, each in first.items():
            found.append(Problem(chosen[key][1], _text(recipe, key, chosen[key], each)))
    return list(dict.fromkeys(found))


def merged(recipe: type[Recipe], written: Mapping[str, Any], trainer: str) -> dict[str, tuple[Any, str]]:
    """Return what a trainer reads in a recipe: each value with its place, the nearest one of several.

    Values for every trainer that this one does not have, but others do, are not among them.
    """
    sections = {*FAMILIES, *TRAINERS, trainer}
    chosen: dict[str, tuple[Any, str]] = {}
    for key, value in written.items():
        of_others = key in AnyRecipe.model_fields and key not in recipe.model_fields
        if key not in sections and not isinstance(value, Mapping) and not of_others:
            chosen[str(key)] = (value, str(key))
    for section in (recipe.family, trainer):
        own = written.get(section, {})
        if isinstance(own, Mapping):
            chosen |= {str(key): (value, f"{section}.{key}") for key, value in own.items()}
    return chosen


def _not_a_mapping(key: str, value: Any) -> Problem:
    return Problem(key, f"must be hyper-parameters with their values, as in 'epochs: 20', got {_shown(value)}.")


def _text(recipe: type[Recipe], key: str, chosen: tuple[Any, str], error: Any) -> str:
    value, place = chosen
    if error["type"] == "extra_forbidden":
        near = _suggestion(key, list(recipe.model_fields if "." in place else AnyRecipe.model_fields))
        having = [name for name, other in FAMILIES.items() if key in other.model_fields]
        if having:
            return f"only the trainers of the family {' and '.join(having)} have it. Move it there, or remove it."
        return f"unknown hyper-parameter.{near}"
    if error["type"] == "value_error":
        return f"{error['ctx']['error']}, got {_shown(value)}."
    schema = _properties(recipe)[key]
    return f"must be {' or '.join(requirements(schema))}, got {_shown(value)}.{_hint(value, schema)}"


def _suggestion(word: str, known: list[str]) -> str:
    near = difflib.get_close_matches(word, known, n=1)
    return f" Did you mean {near[0]!r}?" if near else f" Known: {', '.join(sorted(known))}."


def _shown(value: Any) -> str:
    try:
        return json.dumps(value)
    except (TypeError, ValueError):
        return repr(value)


@cache
def _properties(recipe: type[Recipe]) -> dict[str, Any]:
    properties: dict[str, Any] = recipe.model_json_schema()["properties"]
    return properties


def requirements(schema: Mapping[str, Any]) -> list[str]:
    """Return the values that a JSON schema of a hyper-parameter allows, as phrases of a sentence."""
    if "anyOf" in schema:
        return [phrase for each in schema["anyOf"] for phrase in requirements(each)]
    if "enum" in schema:
        return [f"one of {', '.join(map(str, schema['enum']))}"]
    kind = schema["type"]
    if kind == "array":
        return [_of_array(schema)]
    simple = {"boolean": "true or false", "string": "text", "null": "null"}
    return [simple[kind] if kind in simple else f"a {'whole ' * (kind == 'integer')}number{_range(schema)}"]


def _of_array(schema: Mapping[str, Any]) -> str:
    if "prefixItems" in schema:
        of = " or ".join(requirements(schema["prefixItems"][0]))
        return f"a list of {len(schema['prefixItems'])}, each {of}"
    return f"a list, each {' or '.join(requirements(schema['items']))}"


def _range(schema: Mapping[str, Any]) -> str:
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is not None and high is not None:
        return f" from {low:g} to {high:g}"
    words = {"minimum": "of at least", "exclusiveMinimum": "above", "exclusiveMaximum": "below"}
    bounds = [f"{word} {schema[key]}" for key, word in words.items() if key in schema]
    return f" {' and '.join(bounds)}" if bounds else ""


def _hint(value: Any, schema: Mapping[str, Any]) -> str:
    kinds = set(_kinds(schema))
    if isinstance(value, str) and kinds & {"integer", "number"} and _is_number(value):
        return " Remove the quotes."
    if "boolean" in kinds and str(value).lower() in {"yes", "no", "on", "off", "true", "false", "0", "1"}:
        return " Write true or false, without quotes."
    if isinstance(value, float) and "integer" in kinds and value.is_integer():
        return f" Write {value:.0f}."
    return ""


def _kinds(schema: Mapping[str, Any]) -> Iterator[str]:
    each: Iterable[Mapping[str, Any]] = schema.get("anyOf", [schema])
    return (one["type"] for one in each if "type" in one)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
