"""The JSON schema of a study's file, for checks and for editors; its recipes come from the trainers' models.

``python -m nnunet_femur.study.schema`` writes the recipes into ``study.schema.json`` again after a model has changed.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from nnunet_femur.atomic_files import write_text

FILE = Path(__file__).with_name("study.schema.json")
_OF_TRAINER = "#/$defs/recipe_trainer"


def read_schema() -> dict[str, Any]:
    """Return the schema as it is in the file."""
    content: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8"))
    return content


def recipe_definitions() -> dict[str, Any]:
    """Return the schema's definitions of recipes: of one trainer, of a family of trainers, and of plans."""
    from nnunet_femur.recipe.recipe_checks import FAMILIES, AnyRecipe

    # Defaults and titles are left out: the former differ from trainer to trainer.
    properties = {
        name: {key: value for key, value in each.items() if key not in ("title", "default")}
        for name, each in AnyRecipe.model_json_schema()["properties"].items()
    }
    families = {
        f"recipe_{family}": {"$ref": _OF_TRAINER, "propertyNames": {"enum": sorted(recipe.model_fields)}}
        for family, recipe in FAMILIES.items()
    }
    shared = {name: {"$ref": f"{_OF_TRAINER}/properties/{name}"} for name in properties}
    of_families = {family: {"$ref": f"#/$defs/recipe_{family}"} for family in FAMILIES}
    return {
        # Trainers of users may have hyper-parameters of their own.
        "recipe_trainer": {"type": "object", "properties": properties},
        **families,
        "recipe_plans": {
            "type": "object",
            "description": "Hyper-parameters of every trainer that has them, of a family of trainers, or of a trainer.",
            "properties": {**shared, **of_families},
            "additionalProperties": {"$ref": _OF_TRAINER},
        },
    }


def _line_by_line(definitions: dict[str, Any]) -> str:
    """Definitions as JSON with a line for each hyper-parameter."""
    text = []
    for name, definition in definitions.items():
        rest = {key: value for key, value in definition.items() if key != "properties"}
        lines = [f"{json.dumps(key)}: {json.dumps(value)}" for key, value in rest.items()]
        if "properties" in definition:
            each = (f"        {json.dumps(key)}: {json.dumps(it)}" for key, it in definition["properties"].items())
            lines.append('"properties": {\n' + ",\n".join(each) + "\n      }")
        text.append(f"    {json.dumps(name)}: {{\n      " + ",\n      ".join(lines) + "\n    }")
    return ",\n".join(text)


if __name__ == "__main__":
    # The recipes are the last definitions of the file.
    before = FILE.read_text(encoding="utf-8").partition(',\n    "recipe_')[0].removesuffix("\n  }\n}\n")
    write_text(FILE, f"{before},\n{_line_by_line(recipe_definitions())}\n  }}\n}}\n")
