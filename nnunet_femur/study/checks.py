"""What is wrong in the file of a study, all of it at once, in words that say where."""

from __future__ import annotations

import difflib
import json
from dataclasses import fields
from importlib import resources
from typing import TYPE_CHECKING, Any

from nnunet_femur.study.config import PLANS_NAME, methods_of, path_beside
from nnunet_femur.study.trainers import known_trainers

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from nnunet_femur.study.config import Method


def problems_of(content: Mapping[str, Any], beside: Path) -> list[str]:
    """All that is wrong, a line each; empty for a study that can run.

    Args:
        content: The file's content.
        beside: The folder that paths in it are seen from.
    """
    return list(_violations(content)) or [*_of_dataset(content, beside), *_of_methods(content)]


def _violations(content: Mapping[str, Any]) -> Iterator[str]:
    """What does not fit the schema, one line each."""
    from jsonschema import Draft202012Validator

    text = resources.files("nnunet_femur.study").joinpath("study.schema.json").read_text(encoding="utf-8")
    for error in sorted(
        Draft202012Validator(json.loads(text)).iter_errors(content), key=lambda e: list(map(str, e.path))
    ):
        # Of the ways to write a method, the one that is a mapping says what is wrong with a mapping.
        inner = [each for each in error.context or () if each.schema_path[0] == 1]
        for one in inner if error.validator == "oneOf" and isinstance(error.instance, dict) else [error]:
            where = ".".join(str(part) for part in [*error.absolute_path, *(one.path if one is not error else [])])
            yield f"{where or 'the file'}: {_said(one)}"


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
    trainers, hyper_parameters = sorted(known_trainers()), sorted(_hyper_parameters())
    for number, method in enumerate(methods):
        for problem in (
            *_of_names(method, content.get("plans", {PLANS_NAME: {}}), trainers),
            *_of_recipe(method, hyper_parameters),
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


def _of_recipe(method: Method, known: list[str]) -> Iterator[str]:
    for key in method.recipe:
        if key not in known:
            yield f".recipe: there is no {key!r}{_suggestion(str(key), known)}"


def _of_others(method: Method, others: tuple[Method, ...]) -> Iterator[str]:
    if any(other.name == method.name for other in others):
        yield f": {method.name} stands there twice"
    for other in others:
        if (other.trainer, other.plans) == (method.trainer, method.plans) and other.recipe != method.recipe:
            yield (
                f".recipe: differs from that of {other.name}. A trainer has one recipe under one name of plans; "
                "give this method plans of another name"
            )


def _hyper_parameters() -> set[str]:
    from nnunet_femur.training.finetune_recipe import FinetuneRecipe
    from nnunet_femur.training.recipe import SliceRecipe

    return {each.name for recipe in (SliceRecipe, FinetuneRecipe) for each in fields(recipe)}
