"""Problems of the form of a study's file in plain text: unknown keys, missing ones, and values that are not allowed."""

from __future__ import annotations

import json
from functools import cache
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from nnunet_femur.arguments import suggestion
from nnunet_femur.study.schema import StudyFile, json_schema

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def problems_of_form(content: Mapping[str, Any]) -> list[str]:
    """Return the problems of single keys and values, a line each.

    Args:
        content: Content of a study's file.

    Example:
        >>> problems_of_form({"dataset": {"phantoms": 2}, "methods": []})
        ['dataset.phantoms: must be a whole number of at least 6, got 2.']
    """
    try:
        StudyFile.model_validate(content)
    except ValidationError as error:
        schema = _schema_of_messages()
        return [_described(each, schema) for each in error.errors()]
    return []


_schema_of_messages = cache(json_schema)


def _described(error: Any, schema: Mapping[str, Any]) -> str:
    """Return the place of a value that cannot be used, the problem, and the value."""
    kind, place, value = error["type"], list(error["loc"]), error["input"]
    of_key = place[-1:] == ["[key]"]
    if of_key:
        place.pop()
    where = ".".join(map(str, place))
    if kind == "extra_forbidden" or (of_key and kind == "literal_error"):
        parent = _mapping_among(_schema_at(schema, place[:-1]), schema)
        known = [*parent.get("properties", ()), *parent.get("propertyNames", {}).get("enum", ())]
        problem = f"unknown key.{suggestion(str(place[-1]), sorted(known))}"
    elif kind == "missing":
        problem = "missing. Add it."
    elif kind == "invalid_key" or (of_key and kind == "string_type"):
        problem = "the key must be text. Put it in quotes."
    elif kind == "string_pattern_mismatch":
        problem = f"{value!r} must match {error['ctx']['pattern']}."
    elif kind in ("too_short", "string_too_short"):
        problem = "must not be empty."
    elif kind == "value_error":
        problem = f"{error['ctx']['error']}, got {_shown(value)}."
    else:
        problem = f"must be {_expected(_schema_at(schema, place), schema)}, got {_shown(value)}."
    return f"{where}: {problem}"


def _schema_at(schema: Mapping[str, Any], place: Sequence[str | int]) -> dict[str, Any]:
    """Return the part of a JSON schema that describes a place of the content, references resolved."""
    here = dict(schema)
    for part in place:
        here = _mapping_among(here, schema)
        # The keys of a mapping are settings by name, or names of the user's choice.
        others = [here.get("additionalProperties"), *here.get("patternProperties", {}).values()]
        inside = [here.get("items") if isinstance(part, int) else here.get("properties", {}).get(part), *others]
        here = _resolved(next(filter(None, inside), {}), schema)
    return here


def _mapping_among(part: dict[str, Any], schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return the form with keys of a value that has several forms."""
    kinds = [_resolved(each, schema) for each in part.get("anyOf", [part])]
    return next((each for each in kinds if each.get("type") == "object"), kinds[0])


def _resolved(part: Any, schema: Mapping[str, Any]) -> dict[str, Any]:
    if "$ref" not in part:
        return dict(part)
    return {**schema["$defs"][part["$ref"].rpartition("/")[2]], **part}


def _expected(part: Mapping[str, Any], schema: Mapping[str, Any]) -> str:
    """Return the values that a part of the schema allows, as a phrase of a sentence."""
    from nnunet_femur.recipe.recipe_checks import requirements

    if "anyOf" in part:
        return " or ".join(_expected(_resolved(each, schema), schema) for each in part["anyOf"])
    if part.get("type") == "object":
        return "settings with their values, as in 'key: value'"
    if part.get("type") == "array" and "type" not in part["items"]:
        return "a list"
    return " or ".join(requirements(part))


def _shown(value: Any) -> str:
    return json.dumps(value, default=repr)
