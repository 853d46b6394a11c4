"""All figures of a GPU, and the study on it, in one command that may be stopped and called again.

    uv run python benchmarks/gpu.py --folder WORK                      # until it prints that everything is done
    uv run python benchmarks/gpu.py --folder WORK --source DROP        # the study on these CTs and masks
    uv run python benchmarks/gpu.py --folder WORK --tiny               # the same commands on two CPU cores, in minutes

A call takes at most `--minutes` (9). It ends with status 75 if there is more to do: call it again with the same folder.
`until uv run python benchmarks/gpu.py --folder WORK; do [ $? = 75 ] || break; done` does that. Status 0: everything is
done. Status 1: a step failed twice; its log is in WORK/logs, and `--retry` tries it again.

Steps, in this order:

- true-size: prediction of one CT by TotalSegmentator's topology (benchmarks/predict.py --true-size)
- backends: one window of it in each precision, in channels_last_3d and by torch.compile (benchmarks/backends.py)
- slice-prediction: prediction of one volume by a network of slices (benchmarks/slice_prediction.py)
- training-data, training-NAME: steps, loaders and epochs of each trainer (benchmarks/training.py)
- weights: dummy weights, trained on phantoms, if TotalSegmentator's are not installed
- source: 40 phantoms, unless --source names CTs and masks
- study: the fourteen methods of the study and this package's own, by their full recipes (WORK/study.yaml, which may be
  edited); 24 training, 8 validation and 8 test cases. FemurScratchTrainer trains 100 epochs instead of 1000.

WORK/gpu.json has all results, WORK/tables the tables. Without --tiny, the tables of docs/performance.md and
docs/results.md are replaced too.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from chunks import AGAIN, DONE, Chunks, Step
from gpu_tables import SUMMARY, write_tables

HERE = Path(__file__).parent
TRAINERS = (
    "FemurScratchTrainer",
    "FemurFinetuneTrainer",
    "FemurThreePlaneTrainer",
    *(
        f"Femur{architecture}{encoder}Trainer"
        for architecture in ("Unet", "UnetPlusPlus")
        for encoder in ("ResNet34", "ResNet50", "DeepLabV3", "MobileNetV3")
    ),
)
"""Trainers that differ in network or recipe; those of the femur's ends have the same networks."""

FEW_TRAINERS = (*TRAINERS[:3], "FemurUnetMobileNetV3Trainer")
"""One of each kind, for machines without a GPU."""

OURS: tuple[Any, ...] = (
    {"trainer": "FemurFinetuneTrainer", "plans": "TotalSegmentatorPlans"},
    "FemurThreePlaneTrainer",
    {"trainer": "FemurScratchTrainer", "plans": "TotalSegmentatorPlans", "recipe": {"epochs": 100}},
)
"""Methods of the study that are this package's own."""

CASES, TINY_CASES = 40, 8
TINY_TRAINERS = ("FemurFinetuneTrainer", "FemurUnetMobileNetV3Trainer")
TINY_METHODS = ({"trainer": "FemurFinetunePaperTrainer", "plans": "TotalSegmentatorPlans"}, "FemurUnetResNet34Trainer")


def main() -> None:
    """Run one chunk, write the tables, and end with the status."""
    started = time.monotonic()
    arguments = _arguments()
    folder = arguments.folder.resolve()
    (folder / "results").mkdir(parents=True, exist_ok=True)
    if arguments.make == "weights":
        make_weights(folder / "weights", tiny=arguments.tiny, device=arguments.device)
        return
    environment = _environment(folder, tiny=arguments.tiny)
    os.environ.update(environment)
    steps = _chosen(all_steps(folder, arguments, dummy="TOTALSEG_WEIGHTS_PATH" in environment), arguments.only)
    if any(step.name == "study" for step in steps):
        write_study(folder, arguments)
    chunks = Chunks(folder, 60 * arguments.minutes - (time.monotonic() - started), say=_say)
    if arguments.retry:
        chunks.forget_failures()
    status = chunks.run(steps)
    docs = arguments.docs or (None if arguments.tiny else HERE.parent / "docs")
    made = write_tables(folder, chunks.state, _notes(arguments, environment), docs)
    _say(f"Tables: {', '.join(made) or 'none yet'}. Results: {folder / SUMMARY}")
    _say({DONE: "Everything is done.", AGAIN: "There is more to do: call it again."}.get(status, "Steps failed."))
    sys.exit(status)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True, help="folder of everything that is written")
    parser.add_argument("--source", type=Path, help="CTs and masks of the study; default: 40 phantoms")
    parser.add_argument("--minutes", type=float, default=9.0, help="longest duration of a call")
    parser.add_argument("--only", nargs="+", help="names of steps, or their beginnings")
    parser.add_argument("--workers", type=int, default=8, help="processes that load training batches")
    parser.add_argument("--device", help="default: cuda, with --tiny cpu")
    parser.add_argument("--tiny", action="store_true")
    parser.add_argument("--retry", action="store_true", help="try steps again that failed twice")
    parser.add_argument("--docs", type=Path, help="folder of the pages whose tables are replaced")
    parser.add_argument("--make", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    arguments.device = arguments.device or ("cpu" if arguments.tiny else "cuda")
    if arguments.device == "cuda" and not arguments.make:
        _require_cuda(parser)
    return arguments


def _require_cuda(parser: argparse.ArgumentParser) -> None:
    import torch

    if not torch.cuda.is_available():
        parser.error("PyTorch finds no CUDA device. nnfemur doctor shows why. For a trial on the CPU: --tiny.")


def _environment(folder: Path, *, tiny: bool) -> dict[str, str]:
    """Return the variables of all steps; TOTALSEG_WEIGHTS_PATH only if the weights are dummies."""
    from nnunet_femur.errors import FemurError
    from nnunet_femur.weights import find_crop_model, find_model

    environment = {"OMP_WAIT_POLICY": "PASSIVE", "PYTHONUNBUFFERED": "1"}
    if tiny:
        environment |= {"OMP_NUM_THREADS": "1", "nnUNet_compile": "f"}
    own = str(folder / "weights")
    try:
        if not tiny and os.environ.get("TOTALSEG_WEIGHTS_PATH") != own and not (folder / "weights").exists():
            find_model()
            find_crop_model()
            return environment
    except FemurError:
        _say("TotalSegmentator's weights are not installed: the run makes dummies.")
    return {**environment, "TOTALSEG_WEIGHTS_PATH": own}


def all_steps(folder: Path, arguments: argparse.Namespace, *, dummy: bool) -> list[Step]:
    """Return all steps.

    Args:
        folder: Folder of the run.
        arguments: The options of the command.
        dummy: True to make dummy weights.
    """
    tiny = ("--tiny",) if arguments.tiny else ()
    results, device = folder / "results", ("--device", arguments.device)

    def script(name: str, *options: object) -> tuple[str, ...]:
        return (sys.executable, str(HERE / f"{name}.py"), *map(str, options))

    training: tuple[object, ...] = ("--folder", folder / "training", *tiny, *device)
    if arguments.source is not None:
        training += ("--source", arguments.source.resolve())
    workers = 0 if arguments.tiny else arguments.workers
    kind = tiny or ("--true-size",)
    true_size = (*kind, "--resume", "--folder", folder / "true-size", "--json", results / "true-size.json", *device)
    backends = ("--folder", folder / "true-size", "--json", results / "backends.json", *(tiny or ("--compile",)))
    slices = ("--part", 12, "--repetitions", 1, "--iterations", 1) if arguments.tiny else ("--part", 1)
    steps = [
        Step("true-size", script("predict", *true_size), 60, resumable=True),
        Step("backends", script("backends", *backends), 240, after=("true-size",)),
        Step(
            "slice-prediction",
            script("slice_prediction", *slices, "--json", results / "slice-prediction.json"),
            120,
        ),
        Step("training-data", script("training", "--part", "data", *training), 300),
    ]
    for name in TINY_TRAINERS if arguments.tiny else TRAINERS:
        file = results / f"training-{name}.json"
        options = (*training, "--trainers", name, "--workers", workers, "--json", file)
        steps.append(Step(f"training-{name}", script("training", *options), 240, after=("training-data",)))
    after: tuple[str, ...] = ()
    if dummy:
        steps.append(Step("weights", script("gpu", "--folder", folder, "--make", "weights", *tiny, *device), 300))
        after += ("weights",)
    if arguments.source is None:
        size = ("48", "32", "32") if arguments.tiny else ("300", "336", "256")
        spacing = ("10", "6", "6") if arguments.tiny else ("2", "0.74", "0.74")
        cases = str(TINY_CASES if arguments.tiny else CASES)
        nnfemur = (sys.executable, "-m", "nnunet_femur")
        options = (str(folder / "phantoms"), "--cases", cases, "--size", *size, "--spacing", *spacing)
        steps.append(Step("source", (*nnfemur, "phantoms", *options), 400))
        after += ("source",)
    study = (sys.executable, "-m", "nnunet_femur", "study", str(folder / "study.yaml"))
    steps.append(Step("study", study, 60, resumable=True, after=after))
    return steps


def _chosen(steps: list[Step], only: list[str] | None) -> list[Step]:
    if only is None:
        return steps
    chosen = [step for step in steps if any(step.name.startswith(name) for name in only)]
    if not chosen:
        sys.exit(f"--only {' '.join(only)}: no such step. Steps: {', '.join(step.name for step in steps)}")
    names = {step.name for step in chosen}
    return [replace(step, after=tuple(name for name in step.after if name in names)) for step in chosen]


def make_weights(folder: Path, *, tiny: bool, device: str) -> None:
    """Write dummy weights: at true size TotalSegmentator's topology, trained on phantoms; tiny ones are untrained."""
    from nnunet_femur.testing import write_dummy_weights

    settings: dict[str, Any] = {"features": 32, "patch": 128, "iterations": 500}
    if tiny:
        settings = {"spacing_mm": 8.0, "features": 4, "patch": 16, "iterations": 0}
    write_dummy_weights(folder, tasks=("femur", "crop"), device=device, **settings)


def write_study(folder: Path, arguments: argparse.Namespace) -> None:
    """Write ``study.yaml`` from the preset of the paper, unless it exists."""
    import yaml

    from nnunet_femur.atomic_files import write_text
    from nnunet_femur.study.presets import preset_text

    file = folder / "study.yaml"
    if file.exists():
        return
    jobs = max(1, min(8, (os.cpu_count() or 2) // 2))
    source = arguments.source.resolve() if arguments.source is not None else folder / "phantoms"
    content = yaml.safe_load(preset_text("paper"))
    content |= {"folder": "study", "device": arguments.device}
    content["dataset"] |= {"source": str(source), "convert": {"split": "24/8/8", "seed": 0, "jobs": jobs}}
    # A training goes on from its last checkpoint: frequent ones lose little at the end of a chunk.
    own, transferred = content["plans"]["nnUNetPlans"], content["plans"]["TotalSegmentatorPlans"]
    for plans in (own, transferred):
        plans.update(jobs=jobs, recipe={name: {"checkpoint_every": 2} for name in ("volume", "finetune")})
    own["pretrained"] = not arguments.tiny and _has_encoders()
    content["methods"] += OURS
    if arguments.tiny:
        content |= {"methods": list(TINY_METHODS), "threads": 1}
        for plans in (own, transferred):
            plans.update(preset="small", epochs=1, iterations=2, jobs=1)
    else:
        content["environment"] = {"nnUNet_n_proc_DA": arguments.workers}
    write_text(file, yaml.safe_dump(content, sort_keys=False))


def _has_encoders() -> bool:
    from nnunet_femur.errors import FemurError
    from nnunet_femur.weights.encoders import find_weights_file

    try:
        for encoder in ("ResNet34", "ResNet50"):
            find_weights_file(encoder, "imagenet")
    except FemurError:
        _say("ImageNet weights are not installed: the networks of slices start from random weights.")
        return False
    return True


def _notes(arguments: argparse.Namespace, environment: dict[str, str]) -> list[str]:
    """Return sentences about the study's data and weights."""
    cases = TINY_CASES if arguments.tiny else CASES
    data = "CTs and masks of a source folder" if arguments.source else f"{cases} phantoms (`nnfemur phantoms`)"
    weights = "its own weights"
    if "TOTALSEG_WEIGHTS_PATH" in environment:
        weights = "untrained dummy weights" if arguments.tiny else "dummy weights, trained on phantoms"
    return [f"Data: {data}.", f"TotalSegmentator: its code with {weights}."]


def _say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    main()
