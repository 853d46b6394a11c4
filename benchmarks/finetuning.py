"""Harm and gains of fine-tuning over seeds, sources and recipes, on test cases that no training and no choice used.

    uv run python benchmarks/finetuning.py WORK DROP [DROP ...] --source same=DROP --source other=phantoms
        [--recipes ours field decoder ...] [--seeds 3] [--epochs 6] [--iterations 40 | --seconds 60]
        [--training-cases 4 8 12 24] [--line] [--last]

A DROP is a folder that `nnfemur convert` takes; it is split into training, validation and test cases. Each training
seed uses the next DROP. A source is a dummy for TotalSegmentator's model, at 4 mm, trained on the cases of another
folder (ids begin with the side, L or R) or on phantoms. Fold 5 is trained. The test cases are scored with the source's
weights, with the last weights, with `--line` with weights between the two, and with those that the trainer chose on its
validation cases.

`--iterations` gives all recipes the same steps, `--seconds` the same processor time: a few steps of each recipe, with
their loading and augmentation, are measured after the warm-up epochs, and the number of steps is what fits. The choice
of the final weights takes further time; `--last` leaves it out, and all recipes end with their last weights.
`--training-cases` repeats all with the first N training cases. Results are in
WORK/results, one file a training; what is done is not done again, so use another WORK for other DROPs, another --split
or another --dummy-model. The tables are in WORK/finetuning.md, and all numbers in WORK/finetuning.json. Trainings with
another number of epochs, iterations or seconds have tables of their own.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import time
from pathlib import Path
from typing import Any

import numpy as np
from finetuning_tables import write_tables
from slice_methods import seconds_of_step
from transfer import CONFIGURATION, DATASET, Scorer, cases_of_drop, new_trainer, train

from nnunet_femur.atomic_files import write_json
from nnunet_femur.records import read_json

SHARED = {"augment": True, "mirror": False, "validation_iterations": 2}
"""Hyperparameters of all recipes. Mirroring is one of the recipes."""

TENTH = "a tenth of all iterations"

RESIDUAL = "residual encoder from random weights"

RECIPES: dict[str, tuple[str, dict[str, Any]]] = {
    "ours": ("FemurFinetuneTrainer", {}),
    "field: SGD 0.001, warm-up": (
        "FemurFinetuneTrainer",
        {
            "optimizer": "SGD",
            "learning_rate": 1e-3,
            "weight_decay": 3e-5,
            "warmup_epochs": 0,
            "ramp_iterations": TENTH,
        },
    ),
    "encoder frozen": ("FemurFinetuneTrainer", {"trained_layers": "decoder"}),
    "adapters": ("FemurFinetuneTrainer", {"trained_layers": "adapters", "learning_rate": 1e-3}),
    "mirroring": ("FemurFinetuneTrainer", {"mirror": True}),
    "learning rate 0.001": ("FemurFinetuneTrainer", {"learning_rate": 1e-3}),
    "learning rate 0.003": ("FemurFinetuneTrainer", {"learning_rate": 3e-3}),
    "average of the weights": ("FemurFinetuneTrainer", {"average_decay": 0.99}),
    "new head (the study's)": ("FemurFinetunePaperTrainer", {}),
    "from random weights": ("FemurScratchTrainer", {}),
    RESIDUAL: ("FemurScratchTrainer", {}),
}
"""Trainer and hyperparameters of each recipe."""

RESIDUAL_PLANS = "ResidualPlans"
RESIDUAL_BLOCKS = (1, 3, 4, 6, 6, 6, 6, 6)
"""Blocks of the stages of nnU-Net's residual encoders."""

FIRST_CURVE_FOLD = 6
"""Folds of fewer training cases follow the study's fixed split."""


def main() -> None:
    """Run what is not done yet, and write the tables."""
    options = _arguments()
    work = options.work.resolve()
    (work / "results").mkdir(parents=True, exist_ok=True)
    sizes = sorted(set(options.training_cases)) if options.training_cases else [None]
    for name in options.source:
        for drop_index in range(min(options.seeds, len(options.drop))):
            seeds = range(drop_index, options.seeds, len(options.drop))
            jobs = [
                (recipe, seed, size)
                for seed in seeds
                for recipe in options.recipes
                for size in sizes
                if not _result_file(work, options, name, recipe, seed, size).exists()
            ]
            if jobs:
                _run(options, work, name, options.drop[drop_index].resolve(), jobs)
    found = [json.loads(path.read_text()) for path in sorted((work / "results").glob("*.json"))]
    print(write_tables(work, found))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path, help="folder of everything that is written")
    parser.add_argument("drop", type=Path, nargs="+", help="CTs and masks to fine-tune on")
    parser.add_argument("--source", action="append", required=True, help="NAME=FOLDER or NAME=phantoms")
    parser.add_argument("--recipes", nargs="+", default=["ours"], choices=list(RECIPES), metavar="NAME")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--iterations", type=int, default=40, help="of an epoch")
    parser.add_argument("--seconds", type=float, help="processor time of a training, in place of --iterations")
    parser.add_argument("--training-cases", type=int, nargs="+", help="numbers of training cases")
    parser.add_argument(
        "--line", action="store_true", help="score weights between source and last on the test cases too"
    )
    parser.add_argument("--last", action="store_true", help="end with the last weights, without a choice")
    parser.add_argument("--split", default="24/8/8")
    parser.add_argument("--dummy-model", type=json.loads, default={}, help="JSON of arguments of write_dummy_weights")
    options = parser.parse_args()
    if not all("=" in each for each in options.source):
        parser.error("--source must be NAME=FOLDER or NAME=phantoms.")
    options.source = dict(each.split("=", 1) for each in options.source)
    names = [drop.resolve().name for drop in options.drop]
    if len(set(names)) < len(names):
        parser.error(f"each DROP must have another name, got {names}.")
    return options


def _budget(options: argparse.Namespace) -> str:
    """Return the length of a training, for the names of files and the titles of tables."""
    length = f"{options.iterations} iterations" if options.seconds is None else f"{options.seconds:g} s in all"
    return f"{options.epochs} epochs, {length}{', last weights' if options.last else ''}"


def _result_file(
    work: Path, options: argparse.Namespace, source: str, recipe: str, seed: int, size: int | None
) -> Path:
    cases = "all" if size is None else str(size)
    title = "-".join((source, recipe, cases, _budget(options), f"seed{seed}"))
    return work / "results" / f"{title.replace(' ', '_').replace(':', '').replace(',', '')}.json"


def _run(
    options: argparse.Namespace, work: Path, source: str, drop: Path, jobs: list[tuple[str, int, int | None]]
) -> None:
    """Train and score all jobs of a source and a drop, which share their preprocessed data."""
    sizes = sorted(set(options.training_cases or ()))
    weights = _write_source(work / "sources" / source, options.source[source], options.dummy_model)
    folder, raw = _prepare(work / f"{drop.name}-{source}", drop, weights, options.split, sizes)
    score = Scorer(raw, validation=False)
    for recipe, seed, size in jobs:
        file = _result_file(work, options, source, recipe, seed, size)
        print(f"{file.stem} ...", flush=True)
        fold = 5 if size is None else FIRST_CURVE_FOLD + sizes.index(size)
        found = _measure(options, folder, score, recipe=recipe, seed=seed, fold=fold)
        facts = {"source": source, "drop": drop.name, "recipe": recipe, "seed": seed, "training_cases": size}
        write_json(file, {"budget": _budget(options), **facts, **found})


def _write_source(folder: Path, origin: str, dummy_model: dict[str, Any]) -> Path:
    from nnunet_femur.testing import write_dummy_weights

    training = None if origin == "phantoms" else cases_of_drop(Path(origin).resolve())
    settings = {"spacing_mm": 4.0, "iterations": 600} | dummy_model
    write_dummy_weights(folder, tasks=("femur",), training=training, **settings)
    return folder


def _prepare(work: Path, drop: Path, weights: Path, split: str, sizes: list[int]) -> tuple[Path, Path]:
    """Convert and plan; return the preprocessed and the raw dataset. The environment is that of this work."""
    from nnunet_femur.conversion import convert
    from nnunet_femur.dataset.environment import variables
    from nnunet_femur.dataset.raw import RawDataset
    from nnunet_femur.planning import plan

    os.environ |= {**variables(work), "TOTALSEG_WEIGHTS_PATH": str(weights)}
    os.environ |= {"nnUNet_n_proc_DA": "0", "nnUNet_def_n_proc": "1", "nnUNet_compile": "f"}
    (work / "nnUNet_raw").mkdir(parents=True, exist_ok=True)
    convert(drop, dataset_id=DATASET, raw=work / "nnUNet_raw", split=split)
    raw = RawDataset.find(DATASET).folder
    planned = work / "nnUNet_preprocessed" / raw.name
    if planned.exists():
        # Planning refuses folds that are not those of the raw dataset.
        shutil.copy(raw / "splits_final.json", planned)
    folder = plan(DATASET, source="totalsegmentator", preset="small", jobs=1).folder
    _write_curve_folds(folder, sizes)
    _write_residual_plans(folder)
    return folder, raw


def _write_residual_plans(folder: Path) -> None:
    """Write plans with a residual encoder on the same data: as many stages, features, patches and patches a batch."""
    plans = json.loads((folder / "nnUNetPlans.json").read_text())
    plans["plans_name"] = RESIDUAL_PLANS
    configuration = plans["configurations"][CONFIGURATION]
    del configuration["femur_source"]
    architecture = configuration["architecture"]
    architecture["network_class_name"] = "dynamic_network_architectures.architectures.unet.ResidualEncoderUNet"
    arguments = architecture["arch_kwargs"]
    del arguments["n_conv_per_stage"]
    arguments["n_blocks_per_stage"] = RESIDUAL_BLOCKS[: arguments["n_stages"]]
    arguments["n_conv_per_stage_decoder"] = [1] * (arguments["n_stages"] - 1)
    write_json(folder / f"{RESIDUAL_PLANS}.json", plans)


def _write_curve_folds(folder: Path, sizes: list[int]) -> None:
    """Add folds with the first cases of a random order of fold 5's training cases; each contains the smaller ones."""
    path = folder / "splits_final.json"
    folds = json.loads(path.read_text())[:FIRST_CURVE_FOLD]
    order = np.random.default_rng(0).permutation(folds[5]["train"]).tolist()
    too_many = [size for size in sizes if size > len(order)]
    if too_many:
        message = f"--training-cases must be at most {len(order)}, got {too_many}."
        raise SystemExit(message)
    write_json(path, folds + [{"train": sorted(order[:size]), "val": folds[5]["val"]} for size in sizes])


def _measure(
    options: argparse.Namespace, folder: Path, score: Scorer, *, recipe: str, seed: int, fold: int
) -> dict[str, Any]:
    from nnunet_femur import trainers

    trainer_name, changes = RECIPES[recipe]
    trainer_class = getattr(trainers, trainer_name)
    plans_name = RESIDUAL_PLANS if recipe == RESIDUAL else "nnUNetPlans"
    hyperparameters = {**SHARED, **changes, "epochs": options.epochs, "seed": seed}
    if options.last and trainer_name == "FemurFinetuneTrainer":
        hyperparameters["choose"] = "last"
    iterations = options.iterations
    if options.seconds is not None:
        trial = new_trainer(trainer_class, folder, plans_name, _with_tenth(hyperparameters, 9), fold=fold)
        # Before that epoch, only the segmentation heads are trained, in shorter steps.
        trial.current_epoch = getattr(trial.recipe, "warmup_epochs", 0)
        iterations = max(1, round(options.seconds / seconds_of_step(trial, time.process_time) / options.epochs))
    start = time.process_time()
    model, seconds = train(
        trainer_class,
        folder,
        plans_name,
        recipe=_with_tenth(hyperparameters, iterations),
        pretrained=None,
        after_epoch=None,
        fold=fold,
    )
    return {
        "processor_s": time.process_time() - start,
        "training_s": seconds,
        "steps": iterations * options.epochs,
        "choice": (read_json(model / f"fold_{fold}" / "run.json") or {}).get("choice"),
        "cases": [path.name for _, path in score.pairs],
        "scores": _scores(model, str(fold), score, line=options.line),
    }


def _with_tenth(recipe: dict[str, Any], iterations: int) -> dict[str, Any]:
    """Return a recipe with its number of iterations, and a warm-up over a tenth of all of them where it has one."""
    made = {**recipe, "iterations_per_epoch": iterations}
    if made.get("ramp_iterations") == TENTH:
        made["ramp_iterations"] = round(0.1 * iterations * recipe["epochs"])
    return made


def _scores(model: Path, fold: str, score: Scorer, *, line: bool) -> dict[str, list]:
    """Dice and HD95 in mm of each test case by the final weights and, after a choice, by source, last and the line."""
    import torch

    from nnunet_femur.training.finetune.weight_choice import ALPHAS, interpolate, interpolation_name

    found = {"final": score(model, fold)}
    checkpoint = torch.load(model / f"fold_{fold}" / "checkpoint_final.pth", map_location="cpu", weights_only=False)
    choice = checkpoint.get("femur_choice")
    source = _source_by_name(checkpoint["network_weights"]) if choice is not None and choice["candidates"] else None
    if source is None:
        return found
    last = checkpoint.get("femur_last_weights", checkpoint["network_weights"])
    others = {"source": source, "last": last}
    if line:
        others |= {interpolation_name(alpha): interpolate(source, last, alpha) for alpha in ALPHAS}
    for name, weights in others.items():
        if name == choice["chosen"]:
            found[name] = found["final"]
            continue
        torch.save({**checkpoint, "network_weights": weights}, model / f"fold_{fold}" / "checkpoint_shown.pth")
        found[name] = score(model, fold, checkpoint="checkpoint_shown.pth")
    return found


def _source_by_name(weights: dict[str, Any]) -> dict[str, Any] | None:
    """Return the source's weights by the names of a fine-tuned network; None if that has another segmentation head."""
    from nnunet_femur.networks.merged_heads import source_key
    from nnunet_femur.weights import find_model, load_checkpoint

    of_source = load_checkpoint(find_model().checkpoint)["network_weights"]
    if not any(".head." in name for name in weights):
        return None
    return {name: of_source.get(source_key(name), tensor) for name, tensor in weights.items()}


if __name__ == "__main__":
    main()
