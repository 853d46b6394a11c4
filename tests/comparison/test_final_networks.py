"""The network that a training ended with, in words."""

from nnunet_femur.comparison.final_networks import chosen_on_validation, final_network


def test_rules():
    assert final_network({"final_network": "last"}) == "last epoch"
    assert final_network({"final_network": "lowest_loss"}) == "epoch of the lowest training loss"
    assert final_network({}) == ""
    assert final_network({"choice": None, "final_network": "of my own"}) == "of my own"


def test_a_choice_on_validation_cases():
    record = {
        "final_network": "last",
        "choice": {
            "chosen": "source",
            "reason": None,
            "cases": ["L1"],
            "candidates": [{"name": "source", "mean_dice": 0.94351}, {"name": "last", "mean_dice": 0.9431}],
        },
    }
    assert chosen_on_validation(record)
    assert final_network(record) == (
        "the weights that were fine-tuned, chosen on 1 validation case by their mean 3D Dice "
        "(source 0.9435, last 0.9431)"
    )


def test_a_choice_that_could_not_be_made():
    record = {"choice": {"chosen": "last", "reason": "fold all has no validation cases", "cases": [], "candidates": []}}
    assert final_network(record) == "last epoch (fold all has no validation cases)"
    assert not chosen_on_validation(record)
