"""Checks of a recipe: its problems, each with the key and the fix, found before any work is done."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import ConfigDict, ValidationError

from nnunet_femur.arguments import suggestion
from nnunet_femur.errors import InputError
from nnunet_femur.recipe import hyperparameters
from nnunet_femur.recipe.hyperparameters import RECIPE_KEY, FinetuneRecipe, Recipe, SliceRecipe
from nnunet_femur.recipe.recipe_rules import problems_of_recipe
from nnunet_femur.recipe.trainer_names import TRAINERS, stock_trainers, user_trainers

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator


R = TypeVar("R", bound=Recipe)

FAMILIES: dict[str, type[Recipe]] = {each.family: each for each in (Recipe, FinetuneRecipe, SliceRecipe)}
"""The recipe of each family of trainers."""

RECIPES: dict[str, type[Recipe]] = {name: getattr(hyperparameters, traits.recipe) for name, traits in TRAINERS.items()}
"""The recipe of each trainer of this package."""


class AnyRecipe(SliceRecipe, FinetuneRecipe):
    """All hyperparameters together, for trainers of users, which may have further ones."""

    model_config = ConfigDict(extra="allow")


@dataclass(frozen=True)
class Problem:
    """A hyperparameter that cannot be used.

    Attributes:
        key: Its path in the recipe, such as ``slice.epochs``; empty for the recipe itself.
        text: The problem and the fix.
    """

    key: str
    text: str

    def __str__(self) -> str:
        """Return the key and the problem in one line."""
        return f"{self.key}: {self.text}" if self.key else self.text


def problems_of(written: Any) -> list[Problem]:
    """Return all problems of a recipe, for every family and every trainer that it names.

    Args:
        written: The content of the recipe in a file.

    Example:
        >>> for problem in problems_of({"epoch": 20, "slice": {"batch_size": 0}}):
        ...     print(problem)
        epoch: unknown hyperparameter. Did you mean 'epochs'?
        slice.batch_size: must be a whole number of at least 1, got 0.
    """
    if not isinstance(written, Mapping):
        return [_not_a_mapping("", written)]
    found: list[Problem] = []
    for family, recipe in FAMILIES.items():
        # No trainer has the name "", so only the values that all trainers of a family share are checked.
        found += _all_problems(recipe, {**written, family: written.get(family, {})}, "")
    for name in written:
        if name not in FAMILIES and isinstance(written[name], Mapping):
            recipe_or_problem = recipe_of_trainer(str(name))
            if isinstance(recipe_or_problem, str):
                found.append(Problem(str(name), recipe_or_problem))
            else:
                found += _all_problems(recipe_or_problem, written, str(name))
    return list(dict.fromkeys(found))


def problems_for(recipe: type[Recipe], written: Any, trainer: str) -> list[Problem]:
    """Return the problems of the values that one trainer reads in a recipe.

    Args:
        recipe: The class of the trainer's recipe.
        written: The whole content of the recipe in a file.
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


def raise_if_any(problems: Collection[Problem], *, where: str, remedy: str = "") -> None:
    """Refuse a recipe that has problems.

    Args:
        problems: The problems of the recipe.
        where: The file, for the message.
        remedy: The fix of all problems together, for the message.

    Raises:
        InputError: There are problems; the message contains all of them (code "invalid-recipe").
    """
    if not problems:
        return
    lines = [str(problem) for problem in problems]
    if len(lines) == 1:
        msg = f"{where}: {lines[0]} {remedy}".rstrip()
    else:
        msg = "\n  ".join([f"{where}: {len(lines)} problems. {remedy}".rstrip(), *lines])
    raise InputError(msg, code="invalid-recipe")


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
        InputError: The recipe has unknown hyperparameters or invalid values; the message contains all of them (code
            "invalid-recipe").

    Example:
        >>> recipe_of_configuration(Recipe, {"femur_recipe": {"epochs": 20}}, "FemurScratchTrainer").epochs
        20
    """
    written = configuration.get(RECIPE_KEY, {})
    remedy = "Correct the plans, or run nnfemur plan again."
    raise_if_any(problems_for(recipe, written, trainer), where=where, remedy=remedy)
    return recipe(**{key: value for key, (value, _) in merged(recipe, written, trainer).items()})


def recipe_of_trainer(name: str) -> type[Recipe] | str:
    """Return the class of a trainer's recipe, or the problem if the trainer has none.

    Args:
        name: The trainer's class name.
    """
    if name in RECIPES:
        return RECIPES[name]
    if name in user_trainers():
        return AnyRecipe
    if name in stock_trainers():
        return "is a trainer of nnU-Net, which reads no recipe. Use FemurScratchTrainer, or remove the recipe."
    return f"unknown trainer or family.{suggestion(name, [*FAMILIES, *TRAINERS])}"


def merged(recipe: type[Recipe], written: Mapping[str, Any], trainer: str) -> dict[str, tuple[Any, str]]:
    """Return the values that a trainer reads in a recipe, each with its path.

    A value for the trainer takes precedence over one for its family, and that over one for every trainer. Values for
    every trainer are left out if only other trainers have the hyperparameter.

    Args:
        recipe: The class of the trainer's recipe.
        written: The whole content of the recipe in a file.
        trainer: The trainer's class name.
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


def requirements(schema: Mapping[str, Any]) -> list[str]:
    """Return the values that the JSON schema of a hyperparameter allows, as phrases of a sentence.

    Args:
        schema: The schema of one property.

    Example:
        >>> requirements({"type": "integer", "minimum": 1})
        ['a whole number of at least 1']
    """
    if "anyOf" in schema:
        return [phrase for each in schema["anyOf"] for phrase in requirements(each)]
    if "enum" in schema:
        return [f"one of {', '.join(map(str, schema['enum']))}"]
    if "const" in schema:
        return [str(schema["const"])]
    kind = schema["type"]
    if kind == "array":
        return [_of_array(schema)]
    simple = {"boolean": "true or false", "string": "text", "null": "null"}
    return [simple[kind] if kind in simple else f"a {'whole ' * (kind == 'integer')}number{_range(schema)}"]


def _all_problems(recipe: type[Recipe], written: Mapping[str, Any], trainer: str) -> list[Problem]:
    """Return the problems of single values; if all values are valid, those of values that contradict each other."""
    if found := problems_for(recipe, written, trainer):
        return found
    values = {key: value for key, (value, _) in merged(recipe, written, trainer).items()}
    key = trainer or (recipe.family if written.get(recipe.family) else "")
    return [Problem(key, f"{problem}.") for problem in problems_of_recipe(recipe(**values))]


def _not_a_mapping(key: str, value: Any) -> Problem:
    return Problem(key, f"must be hyperparameters with their values, as in 'epochs: 20', got {_shown(value)}.")


def _text(recipe: type[Recipe], key: str, chosen: tuple[Any, str], error: Any) -> str:
    value, place = chosen
    if error["type"] == "extra_forbidden":
        near = suggestion(key, list(recipe.model_fields if "." in place else AnyRecipe.model_fields))
        having = [name for name, other in FAMILIES.items() if key in other.model_fields]
        if having:
            return f"only the trainers of the family {' and '.join(having)} have it. Move it there, or remove it."
        return f"unknown hyperparameter.{near}"
    if error["type"] == "value_error":
        return f"{error['ctx']['error']}, got {_shown(value)}."
    schema = _properties(recipe)[key]
    return f"must be {' or '.join(requirements(schema))}, got {_shown(value)}.{_hint(value, schema)}"


def _shown(value: Any) -> str:
    try:
        return json.dumps(value)
    except (TypeError, ValueError):
        return repr(value)


@cache
def _properties(recipe: type[Recipe]) -> dict[str, Any]:
    properties: dict[str, Any] = recipe.model_json_schema()["properties"]
    return properties


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
