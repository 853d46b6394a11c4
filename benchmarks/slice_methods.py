"""The eight 2D networks by the study's recipe and FemurThreePlaneTrainer, after the same minutes of training each.

    uv run python benchmarks/slice_methods.py WORK [--source DROP] [--minutes 2] [--cases 16] [--trainers NAME ...]

Without `--source`, phantoms are made; a source is what `nnfemur convert` takes. Everything goes through the commands a
user would type (convert, plan, nnUNetv2_train, nnUNetv2_predict, score); what is done in WORK is not done again, so a
run that was stopped goes on.

Each trainer keeps its recipe; only its number of iterations is set, after a measurement of its step, so that its
training takes the minutes. Encoders start from random weights. Seconds are those that `run.json` notes, the
prediction's include the start of its command. Scores are of whole volumes of the test cases, mean ± deviation.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nnunet_femur.study.commands import script

if TYPE_CHECKING:
    from collections.abc import Callable

DATASET = "Dataset001_Femur"
CONFIGURATION = "3d_fullres"
TRAINERS = (
    *(
        f"Femur{a}{e}Trainer"
        for a in ("Unet", "UnetPlusPlus")
        for e in ("ResNet34", "ResNet50", "DeepLabV3", "MobileNetV3")
    ),
    "FemurThreePlaneTrainer",
)
TRIAL_STEPS = 4
"""Steps whose median is taken as a step's duration, after as many to warm up."""


def main() -> None:
    """Train, predict and score every trainer that is not done yet, and print the table."""
    arguments = _arguments()
    work = arguments.work.resolve()
    set_environment(work)
    prepare(work, arguments.source, cases=arguments.cases, size=arguments.slice_size, batch_size=arguments.batch_size)
    if arguments.trial:
        print(json.dumps(_seconds_of_step(arguments.trial)))
        return
    rows = {name: _result(name, work, arguments) for name in arguments.trainers}
    print(f"\n| trainer | 3D Dice | HD95 mm | training s | steps | prediction s a case |\n|{'---|' * 6}")
    for name, row in rows.items():
        print(
            f"| {name} | {_mean(row['dice'])} | {_mean(row['hd95'], 1)} | {row['training_s']:.0f} | {row['steps']} "
            f"| {row['prediction_s']:.1f} |"
        )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path, help="folder of everything that is written")
    parser.add_argument("--source", type=Path, help="CTs and masks; default: phantoms")
    parser.add_argument("--minutes", type=float, default=2.0, help="training of each")
    parser.add_argument("--cases", type=int, default=16, help="phantoms")
    parser.add_argument("--trainers", nargs="+", default=list(TRAINERS))
    parser.add_argument("--slice-size", type=int, nargs=2, default=(64, 64), help="rows and columns of a slice")
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--trial", help=argparse.SUPPRESS)
    return parser.parse_args()


def set_environment(work: Path) -> None:
    """nnU-Net's folders below `work`, and its settings for one process."""
    from nnunet_femur.dataset.environment import variables

    for folder in ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results", "log"):
        (work / folder).mkdir(parents=True, exist_ok=True)
    os.environ.setdefault("nnUNet_n_proc_DA", "0")
    os.environ |= {**variables(work), "nnUNet_def_n_proc": "1", "OMP_WAIT_POLICY": "PASSIVE"}


def prepare(
    work: Path, source: Path | None, *, cases: int, size: tuple[int, int], batch_size: int, split: str = "24/8/8"
) -> None:
    """Convert and plan, with the study's recipe at this size of slice; no source: that many phantoms."""
    if (work / "prepared").exists():
        return
    nnfemur = [sys.executable, "-m", "nnunet_femur"]
    if source is None:
        source = work / "drop"
        _run([*nnfemur, "phantoms", source, "--cases", str(cases)], work, "phantoms")
    _run([*nnfemur, "convert", source, "--dataset-id", "1", "--split", split], work, "convert")
    plan = ["plan", "-d", "1", "--configuration", CONFIGURATION, "--no-pretrained", "--jobs", "1"]
    _run([*nnfemur, *plan], work, "plan")
    changes = {"slice_size": list(size), "batch_size": batch_size, "validation_iterations": 2, "seed": 0}
    _change_recipe(work, "slice", **changes)
    (work / "prepared").touch()


def _change_recipe(work: Path, whose: str, **changes: Any) -> None:
    path = work / "nnUNet_preprocessed" / DATASET / "nnUNetPlans.json"
    plans = json.loads(path.read_text())
    plans["configurations"][CONFIGURATION].setdefault("femur_recipe", {}).setdefault(whose, {}).update(changes)
    path.write_text(json.dumps(plans))


def _result(name: str, work: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    done = work / f"{name}.json"
    if not done.exists():
        print(f"{name} ...", flush=True)
        done.write_text(json.dumps(_measure(name, work, arguments)))
    return json.loads(done.read_text())


def _measure(name: str, work: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    model = work / "nnUNet_results" / DATASET / f"{name}__nnUNetPlans__{CONFIGURATION}" / "fold_0"
    if not (model / "run.json").exists():
        resumed = any(model.glob("checkpoint_*.pth"))
        if not resumed:
            # Of a process of its own, whose memory and threads are those of the training.
            trial = [sys.executable, __file__, str(work), "--trial", name, "--device", arguments.device]
            step_s, epochs = json.loads(
                subprocess.run(trial, check=True, capture_output=True, text=True).stdout.splitlines()[-1]
            )
            _change_recipe(work, name, iterations_per_epoch=max(1, round(60 * arguments.minutes / step_s / epochs)))
        train = [script("nnUNetv2_train"), DATASET, CONFIGURATION, "0", "-tr", name, "-device", arguments.device]
        _run([*train, *(["--c"] if resumed else [])], work, f"train-{name}")
    run = json.loads((model / "run.json").read_text())
    raw, predicted = work / "nnUNet_raw" / DATASET, model / "test"
    shutil.rmtree(predicted, ignore_errors=True)
    start = time.perf_counter()
    predict = [
        script("nnUNetv2_predict"),
        "-d",
        "1",
        "-c",
        CONFIGURATION,
        "-tr",
        name,
        "-f",
        "0",
        "-npp",
        "1",
        "-nps",
        "1",
    ]
    folders = ["-i", str(raw / "imagesTs"), "-o", str(predicted), "-device", arguments.device]
    _run([*predict, *folders], work, f"predict-{name}")
    prediction_s = time.perf_counter() - start
    scores = _scores(predicted, raw / "labelsTs")
    return {
        "dice": scores["dice"],
        "hd95": scores["hd95"],
        "training_s": run["seconds"],
        "steps": run["iterations_per_epoch"] * run["epochs_done"],
        "prediction_s": prediction_s / len(scores["dice"]),
    }


def _seconds_of_step(name: str) -> tuple[float, int]:
    """Median duration of a training step with its loading, and the number of epochs."""
    import torch
    from nnunetv2.run.run_training import get_trainer_from_args

    arguments = _arguments()
    torch.set_num_threads(os.cpu_count() or 1)
    os.environ["nnUNet_results"] = str(arguments.work.resolve() / "trial")
    device = torch.device(arguments.device)
    trainer = get_trainer_from_args(DATASET, CONFIGURATION, 0, name, "nnUNetPlans", device=device)
    return seconds_of_step(trainer), trainer.num_epochs


def seconds_of_step(trainer: Any, clock: Callable[[], float] = time.perf_counter) -> float:
    """Median duration of a training step with its loading, by this clock, of a trainer that is new."""
    trainer.on_train_start()
    # Freezes the layers that the recipe does not train.
    trainer.on_train_epoch_start()
    seconds = []
    for _ in range(2 * TRIAL_STEPS):
        start = clock()
        trainer.train_step(next(trainer.dataloader_train))
        seconds.append(clock() - start)
    return statistics.median(seconds[TRIAL_STEPS:])


def _scores(predicted: Path, reference: Path) -> dict[str, list[float]]:
    from nnunet_femur.comparison.score_files import score_files
    from nnunet_femur.progress import SILENT

    scores = score_files(
        predicted, reference, policy="strict", slice_surfaces=False, in_slices=True, progress=SILENT
    ).scores
    chosen = scores[(scores.protocol == "volume") & (scores.region == "whole") & (scores.plane == "all")]
    return {metric: chosen[chosen.metric == metric].value.tolist() for metric in ("dice", "hd95")}


def _mean(values: list[float], digits: int = 3) -> str:
    return f"{statistics.mean(values):.{digits}f} ± {statistics.pstdev(values):.{digits}f}"


def _run(command: list[Any], work: Path, title: str) -> None:
    log = work / "log" / f"{title}.log"
    with log.open("w") as output:
        if subprocess.run(list(map(str, command)), stdout=output, stderr=subprocess.STDOUT, check=False).returncode:
            sys.exit(f"{title} failed, see {log}")


if __name__ == "__main__":
    main()
