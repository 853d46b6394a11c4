"""Facts about a dataset: numbers by set, voxels, and patients in two sets."""

import json

import pytest

from nnunet_femur.comparison.reference_masks import open_references
from nnunet_femur.comparison.supplement.dataset_facts import dataset_facts

HEADER = "case,patient,side,set,spacing_mm,volume_ml"
ROWS = (
    "L1,p1,left,train,0.7 0.8 2,100",
    "L2,p2,left,train,0.7 0.7 1,300",
    "L3,p3,left,train,1 1 4,200",
    "L4,p4,left,validation,1 1 1,150",
    "R5,p5,right,validation,1 1 1,250",
    "L6,p6,left,test,1 1 3,120",
    "R7,p7,right,test,1 1 3,130",
)


def _facts(tree, rows=ROWS, *, folds=None):
    (tree.raw / "cases.csv").write_text("\n".join([HEADER, *rows]) + "\n")
    if folds is not None:
        (tree.raw / "splits_final.json").write_text(json.dumps(folds))
    return dataset_facts(open_references(tree.dataset, results=tree.results, raw=tree.raw.parent))


def test_sets(tree):
    facts = _facts(tree)
    assert [(one.name, one.cases, one.patients, dict(one.sides)) for one in facts.sets] == [
        ("train", 3, 3, {"left": 3}),
        ("validation", 2, 2, {"left": 1, "right": 1}),
        ("test", 2, 2, {"left": 1, "right": 1}),
    ]
    train = facts.sets[0]
    assert (train.volume_ml, train.slice_mm, train.pixel_mm) == ((100, 200, 300), (1, 2, 4), (0.7, 0.8, 1))
    assert facts.cases == 7
    assert facts.folds[0] == (4, 1)
    assert facts.shared_patients == ()
    assert not facts.phantoms


def test_a_patient_in_two_sets_is_named(tree):
    rows = [row.replace("p7", "p1").replace("p5", "p2") for row in ROWS]
    folds = [{"train": ["L1", "L2", "L3", "L4"], "val": ["R5"]}]
    test, fold = _facts(tree, rows, folds=folds).shared_patients
    assert "p1" in test
    assert "fold 0" in fold
    assert "p2" in fold


def test_without_a_table_of_cases(tree):
    (tree.raw / "cases.csv").unlink()
    facts = dataset_facts(open_references(tree.dataset, results=tree.results, raw=tree.raw.parent))
    assert [(one.name, one.cases, one.volume_ml) for one in facts.sets] == [("train", 5, None), ("test", 2, None)]
    assert not facts.patients_known
    assert facts.conversion == {}


@pytest.mark.parametrize(("made", "phantoms"), [("all", True), ("some", False)])
def test_phantoms_of_a_study(tree, made, phantoms):
    """A study that makes phantoms leaves their record beside nnU-Net's folders."""
    cases = ["L1", "L2", "L3", "L4", "R5", "L6", "R7"]
    (tree.base / "drop").mkdir()
    (tree.base / "drop" / "phantoms.json").write_text(json.dumps({"cases": cases if made == "all" else cases[1:]}))
    assert _facts(tree).phantoms is phantoms
