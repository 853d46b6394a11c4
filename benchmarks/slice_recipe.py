"""What choices of the recipe of FemurThreePlaneTrainer gain, at equal processor time, over several seeds.

    taskset -c 0 uv run python benchmarks/slice_recipe.py SOURCE --work WORK [--seconds 150] [--seeds 3]
        [--only "study" "+ augmentation" ...]

SOURCE is what `nnfemur convert` takes. All trainings are of one U-Net with a ResNet34 encoder from random weights, on
slices of 64 x 64 pixels. Compared with the trainer's recipe ("ours") are the study's recipe, ours without each of its
choices in turn, and ours with each further choice, for each seed of the initial weights and of the order of slices.
Test cases are scored in 3D; validation cases choose weights of planes.

Equal processor time: a few steps of each recipe, with their loading and augmentation, are measured in seconds that the
processor worked, so that other programs do not count; the number of steps is what fits into `--seconds`. Run it on one
core. Choices that do not change a training, such as weights of planes, are made after the training of the recipe
without them, which is not repeated. Therefore all trainings average their weights, and the choice is which to use.

What is done in WORK is not done again, and a training that was stopped continues. `--only` and `--ours` name some
recipes, or another one as ours. The table is in WORK/slice_recipe.md, and all numbers in WORK/slice_recipe.json.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import time
from pathlib import Path
from typing import Any

from marked_tables import write_results
from slice_methods import DATASET, prepare, seconds_of_step, set_environment
from slice_recipe_tables import gains_table
from transfer import Scorer, new_trainer

from nnunet_femur.atomic_files import write_json, write_text
from nnunet_femur.recipe.slice_planes import OBLIQUE_PLANES, PLANES
from nnunet_femur.records import read_json

CHOICES: dict[str, dict[str, Any]] = {
    "learning rate 0.001": {"learning_rate": 1e-3},
    "falling rate": {"schedule": "poly"},
    "Dice loss too": {"loss": "dice_cross_entropy"},
    "the last network": {"keep": "last"},
    "average of the weights": {"average_decay": 0.95},
    "learned weights of planes": {"plane_weights": "validation"},
    "oblique planes": {"planes": [*PLANES, *OBLIQUE_PLANES]},
    "augmentation": {"augment": True},
    "a third without femur": {"foreground_fraction": 0.67},
    "neighbouring slices": {"neighbours": 1},
    "AdamW": {"optimizer": "AdamW", "weight_decay": 1e-2},
    "pixels are voxels": {"slice_spacing_mm": "voxels"},
    "learning rate 0.003": {"learning_rate": 3e-3},
    "batches of 8": {"batch_size": 8},
    "axial plane counts twice": {"plane_weights": [2, 1, 1]},
}
"""Choices of a recipe, by name."""

AFTERWARDS = frozenset({"average of the weights", "learned weights of planes", "axial plane counts twice"})
"""Choices that do not change the training, so that one training is enough for recipes with and without them."""

RAW_WEIGHTS = "femur_raw_weights"
"""Key of a checkpoint for the weights before averaging. All trainings average, so all have the same cost of it."""

EPOCHS = 5
STUDY, OURS = "study", "ours"


def main() -> None:
    """Train and score what is not done yet, and print the table."""
    arguments = _arguments()
    work = arguments.work.resolve()
    set_environment(work)
    prepare(work, arguments.source, cases=16, size=(64, 64), batch_size=16, split=arguments.split)
    recipes = _recipes(arguments.ours)
    unknown = set(arguments.only or ()) - set(recipes)
    if unknown:
        sys.exit(f"--only: unknown recipes {sorted(unknown)}, choose from {list(recipes)}.")
    runs: list[dict[str, Any]] = []
    for name in arguments.only or recipes:
        for seed in range(arguments.seeds):
            runs.append({"recipe": name, "seed": seed, **_result(recipes[name], seed, arguments, work)})
            dice = sum(runs[-1]["dice"]) / len(runs[-1]["dice"])
            print(f"{name}, seed {seed}: {runs[-1]['steps']} steps, mean Dice {dice:.4f}", flush=True)
            settings = {"seconds": arguments.seconds, "seeds": arguments.seeds, "split": arguments.split}
            write_results(work / "slice_recipe.json", "slice_recipe", runs, **settings)
            write_text(work / "slice_recipe.md", gains_table(runs, against=OURS) + "\n")
    print((work / "slice_recipe.md").read_text(encoding="utf-8"))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path)
    parser.add_argument("--work", type=Path, default=Path("nnfemur-slice-recipe"))
    parser.add_argument("--seconds", type=float, default=150, help="processor time of a training")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--split", default="20/8/12", help="training/validation/test cases")
    parser.add_argument("--score-validation", action="store_true", help="score validation cases besides test cases")
    parser.add_argument("--only", nargs="+", help="names of recipes, as the table has them, in their order")
    parser.add_argument("--ours", nargs="*", choices=list(CHOICES), help="choices of ours [the trainer's own]")
    return parser.parse_args()


def _recipes(ours: list[str] | None) -> dict[str, tuple[str, ...]]:
    """Return the choices of each recipe, by its name."""
    if ours is None:
        from nnunet_femur.recipe.hyperparameters import SliceRecipe, ThreePlaneRecipe

        study, own = (json.loads(each().model_dump_json()) for each in (SliceRecipe, ThreePlaneRecipe))
        differing = {key: value for key, value in own.items() if value != study[key]}
        ours = [name for name, values in CHOICES.items() if values.items() <= differing.items()]
    chosen = tuple(ours)
    without = {f"- {name}": tuple(other for other in chosen if other != name) for name in chosen}
    further = {f"+ {name}": (*chosen, name) for name in CHOICES if name not in chosen}
    return {OURS: chosen, STUDY: (), **without, **further}


def _result(choices: tuple[str, ...], seed: int, arguments: argparse.Namespace, work: Path) -> dict[str, Any]:
    """Return steps, processor seconds, losses and scores of a recipe and seed, and measure what is not done."""
    seconds, with_validation = arguments.seconds, arguments.score_validation
    cases = ", with validation cases" if with_validation else ""
    done = work / "results" / f"{_title(choices)}, seed {seed}, {seconds:g} s{cases}.json"
    if not done.exists():
        done.parent.mkdir(exist_ok=True)
        trained = tuple(name for name in choices if name not in AFTERWARDS)
        state = _trained(trained, seed, seconds, work)
        model, facts = _finished(_model(trained, seed, seconds, work), choices, seed, work)
        scorer = Scorer(work / "nnUNet_raw" / DATASET, validation=with_validation)
        start = time.process_time()
        scores = scorer(model, "5")
        measured = {
            **state,
            **facts,
            "choices": list(choices),
            "cases": [mask.name.split(".")[0] for _, mask in scorer.pairs],
            "dice": [dice for dice, _ in scores],
            "hd95": [hd95 for _, hd95 in scores],
            "prediction_s": (time.process_time() - start) / len(scores),
        }
        write_json(done, measured)
    return read_json(done)


def _title(choices: tuple[str, ...]) -> str:
    return ", ".join(sorted(choices)) or STUDY


def _model(choices: tuple[str, ...], seed: int, seconds: float, work: Path) -> Path:
    return work / "models" / f"{_title(choices)}, seed {seed}, {seconds:g} s"


def _trainer(recipe: dict[str, Any], model: Path, work: Path) -> Any:
    """Return a trainer of fold 5 that writes to a folder."""
    from nnunet_femur.trainers import FemurUnetResNet34Trainer

    folder = work / "nnUNet_preprocessed" / DATASET
    made = new_trainer(FemurUnetResNet34Trainer, folder, "nnUNetPlans", recipe)
    made.output_folder_base, made.output_folder = str(model), str(model / "fold_5")
    (model / "fold_5").mkdir(parents=True, exist_ok=True)
    return made


def _recipe(choices: tuple[str, ...], seed: int) -> dict[str, Any]:
    recipe: dict[str, Any] = {"epochs": EPOCHS, "seed": seed, "checkpoint_every": 1}
    for name in choices:
        recipe |= CHOICES[name]
    return recipe


def _trained(choices: tuple[str, ...], seed: int, seconds: float, work: Path) -> dict[str, Any]:
    """Train a recipe, or continue a training that was stopped; return steps, processor seconds and losses."""
    model = _model(choices, seed, seconds, work)
    state_file, recipe = model / "state.json", _recipe((*choices, "average of the weights"), seed)
    if not state_file.exists():
        trial = _trainer({**recipe, "iterations_per_epoch": 9}, work / "trial", work)
        step_s = seconds_of_step(trial, time.process_time)
        model.mkdir(parents=True, exist_ok=True)
        write_json(state_file, {"iterations": max(1, round(seconds / step_s / EPOCHS)), "step_s": step_s, "seconds": 0})
        shutil.rmtree(work / "trial")
    state = read_json(state_file)
    fold = model / "fold_5"
    if not state.get("losses"):
        trainer = _trainer({**recipe, "iterations_per_epoch": state["iterations"]}, model, work)
        if (fold / "checkpoint_latest.pth").exists():
            trainer.initialize()
            trainer.load_checkpoint(str(fold / "checkpoint_latest.pth"))
        start, ends = [time.process_time()], trainer.on_epoch_end

        def end() -> None:
            ends()
            state["seconds"] += time.process_time() - start[0]
            start[0] = time.process_time()
            write_json(state_file, state)

        trainer.on_epoch_end = end
        trainer.run_training()
        state["losses"] = [float(loss) for loss in trainer.logger.get_value("train_losses", step=None)]
        write_json(state_file, state)
    return {"steps": EPOCHS * state["iterations"], **{key: state[key] for key in ("seconds", "step_s", "losses")}}


def _finished(trained: Path, choices: tuple[str, ...], seed: int, work: Path) -> tuple[Path, dict[str, Any]]:
    """Write the model of a recipe after its training: with averaged weights or not, and with weights of planes."""
    import torch

    finished = work / "finished"
    shutil.rmtree(finished, ignore_errors=True)
    # Whether averaged or not, the weights are the final ones.
    trainer = _trainer({**_recipe(choices, seed), "average_decay": 0.0}, finished, work)
    trainer.on_train_start()
    checkpoint = torch.load(trained / "fold_5" / "checkpoint_final.pth", map_location="cpu", weights_only=False)
    start = time.process_time()
    weights = checkpoint["network_weights" if "average of the weights" in choices else RAW_WEIGHTS]
    # The state of a network that learns weights of planes has an entry more.
    trainer.bare_network.load_state_dict(weights, strict=False)
    trainer.finish_network()
    trainer.current_epoch = EPOCHS - 1
    trainer.save_checkpoint(str(finished / "fold_5" / "checkpoint_final.pth"))
    return finished, {"afterwards_s": time.process_time() - start, **trainer.run_facts()}


if __name__ == "__main__":
    main()
