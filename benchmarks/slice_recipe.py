"""What each choice of FemurThreePlaneTrainer's recipe gains over the study's, at equal processor time.

    taskset -c 0 uv run python benchmarks/slice_recipe.py DROP --work WORK [--seconds 80] [--seeds 2]

DROP is what `nnfemur convert` takes; half of the cases are trained on, the others, validation and test, are scored in
3D. All trainings are of one U-Net with a ResNet34 encoder from random weights. Compared are the study's recipe, ours,
ours without each of its choices in turn, and ours with each further choice that was thought of, for each seed of the
initial weights and of the order of slices.

Equal processor time: a few steps of each recipe, with their loading and augmentation, are measured in seconds that the
processor worked, so that other programs do not count; the number of steps is what fits into `--seconds`. Run it on one
core. What is done in WORK is not done again; `--only` and `--ours` name some recipes, or another one as ours.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from pathlib import Path
from typing import Any

from slice_methods import DATASET, prepare, seconds_of_step, set_environment
from transfer import Scorer, new_trainer, train

CHOICES: dict[str, dict[str, Any]] = {
    "learning rate 0.001": {"learning_rate": 1e-3},
    "falling rate": {"schedule": "poly"},
    "Dice loss too": {"loss": "dice_cross_entropy"},
    "the last network": {"keep": "last"},
    "a third without femur": {"foreground_fraction": 0.67},
    "AdamW": {"optimizer": "AdamW", "weight_decay": 1e-2},
    "augmentation": {"augment": True},
    "neighbouring slices": {"neighbours": 1},
    "pixels are voxels": {"slice_spacing_mm": "voxels"},
    "learning rate 0.003": {"learning_rate": 3e-3},
    "batches of 8": {"batch_size": 8},
    "axial plane counts twice": {"plane_weights": [2, 1, 1]},
}
EPOCHS = 5


def main() -> None:
    """Train and score what is not done yet, and print the table."""
    arguments = _arguments()
    work = arguments.work.resolve()
    set_environment(work)
    prepare(work, arguments.drop, cases=16, size=(64, 64), batch_size=16, split="8/4/4")
    recipes = _recipes(arguments.ours)
    rows: dict[str, list[dict[str, Any]]] = {}
    for seed in range(arguments.seeds):
        for name, choices in recipes.items():
            if not arguments.only or name in arguments.only:
                rows.setdefault(name, []).append(_result(choices, seed, arguments.seconds, work))
                print(f"seed {seed}, {name}: {json.dumps(rows[name][-1])}", flush=True)
    seeds = " | ".join(f"seed {seed}" for seed in range(arguments.seeds))
    print(f"\n| recipe | steps | processor s | {seeds} | 3D Dice | HD95 mm |\n|---|{'---:|' * (4 + arguments.seeds)}")
    for name, runs in rows.items():
        dice, hd95 = ([statistics.mean(run[metric]) for run in runs] for metric in ("dice", "hd95"))
        steps, seconds = (statistics.mean(run[key] for run in runs) for key in ("steps", "seconds"))
        single = " | ".join(f"{value:.3f}" for value in dice)
        means = f"{statistics.mean(dice):.3f} | {statistics.mean(hd95):.1f}"
        print(f"| {name} | {steps:.0f} | {seconds:.0f} | {single} | {means} |")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("drop", type=Path)
    parser.add_argument("--work", type=Path, default=Path("nnfemur-slice-recipe"))
    parser.add_argument("--seconds", type=float, default=80, help="processor time of a training")
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--only", nargs="+", help="names of recipes, as the table has them")
    parser.add_argument("--ours", nargs="*", choices=list(CHOICES), help="choices of ours [the trainer's own]")
    return parser.parse_args()


def _recipes(ours: list[str] | None) -> dict[str, tuple[str, ...]]:
    """The choices of each recipe, in the order of CHOICES."""
    if ours is None:
        from nnunet_femur.recipe.hyperparameters import ThreePlaneRecipe

        own = ThreePlaneRecipe().as_dict()
        ours = [name for name, values in CHOICES.items() if all(own[key] == value for key, value in values.items())]
    chosen = tuple(ours)
    without = {f"- {name}": tuple(other for other in chosen if other != name) for name in chosen}
    further = {f"+ {name}": (*chosen, name) for name in CHOICES if name not in chosen}
    return {"the study's": (), "ours": chosen, **without, **further}


def _result(choices: tuple[str, ...], seed: int, seconds: float, work: Path) -> dict[str, Any]:
    title = ", ".join(sorted(choices)) or "study"
    done = work / "results" / f"{title}, seed {seed}, {seconds:g} s.json"
    if not done.exists():
        recipe: dict[str, Any] = {}
        for name in choices:
            recipe |= CHOICES[name]
        measured = _measure(recipe, seed, seconds, work)
        done.parent.mkdir(exist_ok=True)
        done.write_text(json.dumps(measured))
    return json.loads(done.read_text())


def _measure(recipe: dict[str, Any], seed: int, seconds: float, work: Path) -> dict[str, Any]:
    import torch

    from nnunet_femur.trainers import FemurUnetResNet34Trainer

    folder, raw = work / "nnUNet_preprocessed" / DATASET, work / "nnUNet_raw" / DATASET
    recipe = {**recipe, "epochs": EPOCHS, "seed": seed, "checkpoint_every": EPOCHS}
    trial = new_trainer(FemurUnetResNet34Trainer, folder, "nnUNetPlans", {**recipe, "iterations_per_epoch": 9})
    recipe["iterations_per_epoch"] = round(seconds / seconds_of_step(trial, time.process_time) / EPOCHS)
    start = time.process_time()
    model, _ = train(FemurUnetResNet34Trainer, folder, "nnUNetPlans", recipe=recipe, pretrained=None, after_epoch=None)
    taken = time.process_time() - start
    checkpoint = torch.load(model / "fold_5" / "checkpoint_final.pth", map_location="cpu", weights_only=False)
    losses = [float(loss) for loss in checkpoint["logging"]["train_losses"]]
    scores = Scorer(raw)(model, "5")
    return {
        "steps": EPOCHS * recipe["iterations_per_epoch"],
        "seconds": taken,
        "losses": losses,
        "dice": [dice for dice, _ in scores],
        "hd95": [hd95 for _, hd95 in scores],
    }


if __name__ == "__main__":
    main()
