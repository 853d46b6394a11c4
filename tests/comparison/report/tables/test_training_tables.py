"""The table of the trainings."""

from dataclasses import replace

from nnunet_femur.comparison.report.tables.training_tables import state_of, training_tables
from nnunet_femur.comparison.training_curves import TrainingCurve
from tests.comparison.made import data_of

UNET = "FemurUnetResNet34Trainer__nnUNetPlans__3d_fullres"
CURVE = TrainingCurve(UNET, "5", (0.4, 0.2), (0.5, 0.3), (0.8, 0.7), (60.0, 90.0), steps=50, planned=2, lowest=0.0)


def test_a_row_per_network():
    data = replace(data_of((UNET, "test", "5", "L1", 0.9)), curves=(CURVE, replace(CURVE, fold="0", steps=None)))
    (table,) = training_tables(data)
    first, second = table.rows
    assert first.label == "FemurUnetResNet34 · 3d_fullres, fold 5"
    values = {column.title: cell.value for column, cell in zip(table.columns, first.cells, strict=True)}
    assert values == {
        "Training: epochs": 2,
        "Training: steps": 100,
        "Training: minutes": 2.5,
        "Loss, last epoch: training": 0.2,
        "Loss, last epoch: validation": 0.3,
        "Pseudo Dice: last epoch": 0.7,
        "Pseudo Dice: highest": 0.8,
        "fall per epoch (%)": 50.0,
        "state": None,
    }
    assert str(first.cells[-1]) == "still falling"
    assert second.cells[1].value is None, "the number of steps is not known"


def test_states():
    assert state_of(replace(CURVE, train_loss=(0.4, 0.39))) == "settled"
    assert state_of(replace(CURVE, planned=3)) == "2 of 3 epochs"
    assert state_of(replace(CURVE, train_loss=(0.4,), planned=1)) == "–"


def test_without_records_there_is_no_table():
    assert list(training_tables(data_of((UNET, "test", "5", "L1", 0.9)))) == []
