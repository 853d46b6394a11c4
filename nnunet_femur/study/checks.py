"""What is wrong in the file of a study, all of it at once, in words that say where."""

from __future__ import annotations

import difflib
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from nnunet_femur.errors import InputError
from nnunet_femur.recipe.trainer_names import known_trainers
from nnunet_femur.records import read_mapping
from nnunet_femur.study.config import PLANS_NAME, methods_of, path_beside, study_of
from nnunet_femur.study.schema import read_schema

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from nnunet_femur.recipe.recipe_checks import Problem
    from nnunet_femur.study.config import Method, Study


def read_study(file: Path) -> Study:
    """Read and check a study's file.

    Raises:
        InputError: The file is missing or no YAML, or something in it is wrong; the message has all of it.
    """
    file = file.expanduser().resolve()
    content = read_mapping(file)
    problems = problems_of(content, file.parent)
    if problems:
        msg = f"{file}: {len(problems)} to mend:\n" + "\n".join(f"  {problem}" for problem in problems)
        raise InputError(msg)
    return study_of(content, file)


def problems_of(content: Mapping[str, Any], beside: Path) -> list[str]:
    """All that is wrong, a line each; empty for a study that can run.

    Args:
        content: The file's content.
        beside: The folder that paths in it are seen from.
    """
    found = list(_violations(content))
    if not found:
        found = [*_of_dataset(content, beside), *_of_methods(content)]
    return [*found, *_of_recipes(content)]


def _violations(content: Mapping[str, Any]) -> Iterator[str]:
    """What does not fit the schema, one line each."""
    from jsonschema import Draft202012Validator

    for error in sorted(Draft202012Validator(read_schema()).iter_errors(content), key=lambda e: list(map(str, e.path))):
        # Of the ways to write a method, the one that is a mapping says what is wrong with a mapping.
        inner = [each for each in error.context or () if each.schema_path[0] == 1]
        for one in inner if error.validator == "oneOf" and isinstance(error.instance, dict) else [error]:
            path = [*error.absolute_path, *(one.path if one is not error else [])]
            if "recipe" in map(str, path):
                # Their own check knows each trainer's recipe.
                continue
            yield f"{'.'.join(map(str, path)) or 'the file'}: {_said(one)}"


def _said(error: Any) -> str:
    if error.validator != "additionalProperties" or not isinstance(error.schema.get("properties"), dict):
        return str(error.message)
    known = sorted(error.schema["properties"])
    unknown = [str(key) for key in error.instance if key not in known]
    return "; ".join(f"there is no {key!r} here{_suggestion(key, known)}" for key in unknown)


def _suggestion(word: str, known: list[str]) -> str:
    near = difflib.get_close_matches(word, known, n=1)
    return f", did you mean {near[0]!r}?" if near else f"; there is {', '.join(known)}" if len(known) < 20 else ""


def _of_dataset(content: Mapping[str, Any], beside: Path) -> Iterator[str]:
    dataset = content["dataset"]
    if "source" not in dataset:
        return
    if "phantoms" in dataset:
        yield "dataset: give a source or phantoms, not both"
    source = path_beside(dataset["source"], beside)
    if not source.exists():
        yield f"dataset.source: there is no {source}"


def _of_methods(content: Mapping[str, Any]) -> Iterator[str]:
    methods = methods_of(content)
    if not methods and not content.get("baseline"):
        yield "methods: empty, and there is no baseline either, so there is nothing to compare"
    # Looked up once: every job of a study checks its file, and these come from a hundred others.
    trainers = sorted(known_trainers())
    for number, method in enumerate(methods):
        for problem in (
            *_of_names(method, content.get("plans", {PLANS_NAME: {}}), trainers),
            *_of_others(method, methods[:number]),
        ):
            yield f"methods.{number}{problem}"


def _of_names(method: Method, plans: Mapping[str, Any], trainers: list[str]) -> Iterator[str]:
    if method.trainer not in trainers:
        yield f".trainer: there is no {method.trainer}{_suggestion(method.trainer, trainers)}"
    if method.plans not in plans:
        yield f".plans: {method.plans} is not among the plans: {', '.join(plans)}"
        return
    of = plans[method.plans]
    known = ["3d_fullres"] if of.get("from") == "totalsegmentator" else of.get("configuration", [method.configuration])
    if method.configuration not in known:
        yield f".configuration: the plans {method.plans} have {', '.join(known)}, not {method.configuration}"


def _of_recipes(content: Mapping[str, Any]) -> Iterator[str]:
    """Problems of the recipes of plans and of methods, also where something else in the file is wrong."""
    from nnunet_femur.recipe.recipe_checks import problems_of
    from nnunet_femur.recipe.trainer_names import stock_trainers

    shared = _recipes(content.get("plans"))
    found: dict[str, None] = {}
    for name, recipe in shared.items():
        found |= {f"plans.{name}.recipe{_below(problem)}": None for problem in problems_of(recipe)}
    methods = content.get("methods")
    for number, method in enumerate(methods if isinstance(methods, list) else []):
        if not isinstance(method, dict) or not method.get("recipe", {}) or "trainer" not in method:
            continue
        trainer, plans, recipe = str(method["trainer"]), str(method.get("plans", PLANS_NAME)), method["recipe"]
        # A method's values are judged together with those that its plans give all trainers.
        of_plans = shared.get(plans)
        together = {**(of_plans if isinstance(of_plans, dict) else {}), trainer: recipe}
        for problem in problems_of(together):
            own = problem.key.partition(".")[0] == trainer
            if problem.key == trainer and isinstance(recipe, dict) and trainer not in stock_trainers():
                # There is no such trainer, which is reported where it is named.
                continue
            if own:
                key = problem.key.removeprefix(trainer).removeprefix(".")
                found[f"methods.{number}.recipe{_below(replace(problem, key=key))}"] = None
            elif of_plans is not None:
                found[f"plans.{plans}.recipe{_below(problem)}"] = None
    yield from found


def _recipes(plans: Any) -> dict[Any, Any]:
    """The recipes of plans by the name of the plans."""
    items = plans.items() if isinstance(plans, dict) else ()
    return {name: options["recipe"] for name, options in items if isinstance(options, dict) and "recipe" in options}


def _below(problem: Problem) -> str:
    return f".{problem}" if problem.key else f": {problem}"


def _of_others(method: Method, others: tuple[Method, ...]) -> Iterator[str]:
    if any(other.name == method.name for other in others):
        yield f": {method.name} stands there twice"
    for other in others:
        if (other.trainer, other.plans) == (method.trainer, method.plans) and other.recipe != method.recipe:
            yield (
                f".recipe: differs from that of {other.name}. A trainer has one recipe under one name of plans; "
                "give this method plans of another name"
            )
