"""Short, readable names of methods."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


def method_names(methods: Iterable[str]) -> dict[str, str]:
    """Names for tables and figures, by method.

    ``FemurUnetResNet34Trainer__nnUNetPlans__3d_fullres`` becomes ``FemurUnetResNet34 · 3d_fullres``. Plans are
    named if they are not nnU-Net's default, and methods that would share a name keep their own, as do those that a
    user has named.

    Args:
        methods: ``TRAINER__PLANS__CONFIGURATION``, with or without ``DatasetNNN_NAME/`` before it.
    """
    short = {method: _short(method) for method in dict.fromkeys(methods)}
    counts = Counter((method.rpartition("/")[0], name) for method, name in short.items())
    return {
        method: name if counts[method.rpartition("/")[0], name] == 1 else method.rpartition("/")[2]
        for method, name in short.items()
    }


def _short(method: str) -> str:
    name = method.rpartition("/")[2]
    if name.count("__") != 2:
        return name
    trainer, plans, configuration = name.split("__")
    parts = (trainer.removesuffix("Trainer") or trainer, plans, configuration)
    return " · ".join(part for part in parts if part != "nnUNetPlans")
