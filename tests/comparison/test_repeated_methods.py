"""Selections whose masks are those of another method are compared once."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from nnunet_femur.comparison.discovery import discover

if TYPE_CHECKING:
    from tests.comparison.conftest import Tree

A, B = "FemurScratchTrainer__nnUNetPlans__3d_fullres", "nnUNetTrainer__nnUNetPlans__3d_fullres"
OF_A, BEST = "Postprocessed__FemurScratch__validation", "BestConfiguration__validation__postprocessed"
LARGEST = ["remove_all_but_largest_component_from_segmentation"]


def _select(tree: Tree, name: str, recipe: dict[str, Any], **facts: Any) -> None:
    tree.test(name)
    (tree.method(name) / "run.json").write_text(json.dumps({"method": "x", "recipe": recipe, **facts}))


def _compared(tree: Tree) -> list[str]:
    found = discover(tree.results)
    return list(dict.fromkeys(one.method for one in found.predictions))


@pytest.fixture(autouse=True)
def _methods(tree: Tree) -> None:
    tree.test(A)
    tree.test(B)


@pytest.mark.parametrize(
    ("postprocessing", "changed", "compared"),
    [(None, 0, False), (None, None, False), (LARGEST, 0, False), (LARGEST, 1, True), (LARGEST, None, True)],
)
def test_postprocessing_that_changed_nothing(
    tree: Tree, postprocessing: list[str] | None, changed: int | None, *, compared: bool
) -> None:
    _select(tree, OF_A, {"chosen": A, "postprocessing": postprocessing}, changed_test_masks=changed)
    assert (OF_A in _compared(tree)) is compared
    assert any(OF_A in note and A in note for note in discover(tree.results).notes) is not compared


def test_the_best_configuration_is_one_of_the_postprocessed_methods(tree: Tree) -> None:
    _select(tree, OF_A, {"chosen": A, "postprocessing": LARGEST}, changed_test_masks=2)
    _select(tree, BEST, {"best of": [A, B], "chosen": A, "postprocessing": LARGEST}, changed_test_masks=2)
    assert _compared(tree) == [A, OF_A, B]


def test_the_best_configuration_alone_is_compared(tree: Tree) -> None:
    _select(tree, BEST, {"best of": [A, B], "chosen": A, "postprocessing": LARGEST}, changed_test_masks=2)
    assert BEST in _compared(tree)


def test_of_a_method_that_is_not_compared(tree: Tree) -> None:
    _select(tree, OF_A, {"chosen": "Other__nnUNetPlans__2d", "postprocessing": None})
    assert OF_A in _compared(tree)


def test_with_other_folds_than_the_method(tree: Tree) -> None:
    _select(tree, OF_A, {"chosen": A, "postprocessing": None})
    tree.test(OF_A, "fold_1/test")
    assert OF_A in _compared(tree), "the method itself has no such predictions"
