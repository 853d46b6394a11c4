"""Description of the network that a training ended with."""

from nnunet_femur.comparison.final_networks import chosen_on_validation, final_network


def test_rules():
    assert final_network({"final_network": "last"}) == "last epoch"
    assert final_network({"final_network": "lowest_loss"}) == "epoch of the lowest training loss"
    assert final_network({"recipe": {"keep": "lowest_loss"}}) == "epoch of the lowest training loss"
    assert final_network({}) == ""
    assert final_network({"choice": None, "final_network": "of my own"}) == "of my own"


def test_a_place_between_source_and_result():
    choice = {"chosen": "alpha 0.25", "cases": ["L1", "L2"], "candidates": [{"name": "alpha 0.25", "mean_dice": 0.9}]}
    assert final_network({"choice": choice}) == (
        "weights between those that were fine-tuned (alpha 0) and the last (1), at alpha 0.25, "
        "chosen on 2 validation cases by mean 3D Dice (alpha 0.25 0.9000)"
    )


def test_learned_weights_of_planes():
    planes = {
        "chosen": "learned",
        "planes": ["axial", "coronal"],
        "learned": [0.75, 0.25],
        "reason": None,
        "cases": ["L1", "L2"],
        "mean_dice": {"equal": 0.9, "learned": 0.91},
    }
    record = {"final_network": "last", "plane_weights": planes}
    assert chosen_on_validation(record)
    assert final_network(record) == (
        "last epoch; weights of the planes: axial 0.75, coronal 0.25, chosen on 2 validation cases by mean 3D Dice "
        "(equal 0.9000, learned 0.9100)"
    )
    record["plane_weights"] = planes | {"chosen": "equal", "reason": "there is one plane", "cases": []}
    assert final_network(record) == "last epoch; weights of the planes: equal (there is one plane)"
    assert not chosen_on_validation(record)


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
        "the weights that were fine-tuned, chosen on 1 validation case by mean 3D Dice (source 0.9435, last 0.9431)"
    )


def test_a_choice_that_could_not_be_made():
    record = {"choice": {"chosen": "last", "reason": "fold all has no validation cases", "cases": [], "candidates": []}}
    assert final_network(record) == "last epoch (fold all has no validation cases)"
    assert not chosen_on_validation(record)
