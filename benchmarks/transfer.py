"""The same budget of training, six ways: what a transfer from TotalSegmentator's shape of weights is worth.

    uv run benchmarks/transfer.py DROP --epochs 8 --iterations 25 --seeds 1

DROP holds CTs and masks of single femurs as a hospital sends them. A dummy for TotalSegmentator's femur model, at
3 mm instead of 1.5, is trained on phantoms, or on another drop (--source; ids begin with the side, L or R), or weights
are taken from --weights. DROP is converted, and fold 5 is trained: on its training cases, scored on its validation and
test cases, which no method has seen. Compared are

- the source itself: the union of its two femurs, with no training at all;
- FemurFinetuneTrainer, FemurFinetunePaperTrainer and FemurScratchTrainer on guarded data;
- stock nnU-Net: `-pretrained_weights` and SGD 1e-2, on the same data;
- the study's mistake: the same, but the data were preprocessed under the dataset's own plans and their folder renamed.
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

DATASET = 1
OWN = "OwnPlans"
MISTAKE = "MistakePlans"
CONFIGURATION = "3d_fullres"


def prepare(drop: Path, work: Path, *, epochs: int, iterations: int, weights: Path | None, dummy_model: dict) -> Path:
    """Convert and plan; returns the preprocessed dataset."""
    from nnunet_femur.conversion import convert
    from nnunet_femur.dataset.environment import variables
    from nnunet_femur.testing import write_dummy_weights

    os.environ.update(variables(work))
    os.environ.update(nnUNet_n_proc_DA="0", nnUNet_def_n_proc="1", nnUNet_compile="f")
    os.environ["TOTALSEG_WEIGHTS_PATH"] = str(weights or work / "weights")
    from nnunet_femur.dataset.raw import RawDataset
    from nnunet_femur.planning import plan

    raw = work / "nnUNet_raw"
    raw.mkdir(parents=True, exist_ok=True)
    if not list(raw.glob("Dataset*")):
        convert(drop, dataset_id=DATASET, raw=raw)
    if weights is None:
        start = time.perf_counter()
        write_dummy_weights(work / "weights", tasks=("femur",), **{"spacing_mm": 3.0, **dummy_model})
        print(f"dummy trained in {time.perf_counter() - start:.0f} s")
    size = {"preset": "small", "epochs": epochs, "iterations": iterations, "jobs": 2}
    planned = plan(DATASET, source="totalsegmentator", **size)
    print(planned.ceiling)
    own = plan(DATASET, plans_name=OWN, configurations=(CONFIGURATION,), preset="default", jobs=2)
    print(own.ceiling)
    _make_the_mistake(planned.folder)
    return planned.folder, RawDataset.find(DATASET).folder


def cases_of_drop(drop: Path) -> list[tuple[Path, Path, str]]:
    """CT, mask and side of every case of a drop."""
    images, masks = (sorted((drop / name).glob("*.nrrd")) for name in ("Images", "GoldStandard"))
    sides = {"L": "left", "R": "right"}
    return [(image, mask, sides[image.name[0]]) for image, mask in zip(images, masks, strict=True)]


def _make_the_mistake(folder: Path) -> None:
    """Rename data of the dataset's own plans to the name that the source's plans expect."""
    plans = json.loads((folder / "nnUNetPlans.json").read_text())
    plans["plans_name"] = MISTAKE
    identifier = plans["configurations"][CONFIGURATION]["data_identifier"] = f"{MISTAKE}_{CONFIGURATION}"
    (folder / f"{MISTAKE}.json").write_text(json.dumps(plans))
    shutil.rmtree(folder / identifier, ignore_errors=True)
    shutil.copytree(folder / f"{OWN}_{CONFIGURATION}", folder / identifier)


class Scorer:
    """Predicts unseen cases as nnUNetv2_predict does and scores them on the CTs' own grids.

    The cases are those of the test set, and unless told otherwise the validation cases of fold 5 before them.
    """

    def __init__(self, raw: Path, *, validation: bool = True) -> None:
        description = json.loads((raw / "dataset.json").read_text())
        fold = json.loads((raw / "splits_final.json").read_text())[5]
        ending = description["file_ending"]
        self.description = description
        shown = fold["val"] if validation else []
        self.pairs = [(raw / "imagesTr" / f"{c}_0000{ending}", raw / "labelsTr" / f"{c}{ending}") for c in shown]
        tests = sorted((raw / "labelsTs").glob(f"*{ending}"))
        self.pairs += [(raw / "imagesTs" / path.name.replace(ending, f"_0000{ending}"), path) for path in tests]

    def __call__(self, model: Path, fold: str, *, checkpoint: str = "checkpoint_final.pth", femur: Any = (1,)) -> list:
        """Dice and HD95 in mm of every unseen case."""
        import torch
        from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor

        from nnunet_femur.evaluation import Bone, score_case

        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        predictor = nnUNetPredictor(device=device, use_mirroring=False, allow_tqdm=False)
        predictor.initialize_from_trained_model_folder(str(model), (fold,), checkpoint)
        # The source's own reader cannot read NRRD.
        predictor.plans_manager.plans["image_reader_writer"] = "SimpleITKIOWithReorient"
        reader = predictor.plans_manager.image_reader_writer_class()
        rows = []
        for image, mask in self.pairs:
            data, properties = reader.read_images([str(image)])
            predicted = predictor.predict_single_npy_array(data, properties)
            reference = reader.read_seg(str(mask))[0][0] > 0
            spacing = tuple(float(mm) for mm in properties["spacing"])
            scored = score_case(Bone(reference, spacing), Bone(np.isin(predicted, femur), spacing))
            whole = {s.metric: s.value for s in scored.scores if s.protocol == "volume" and s.region == "whole"}
            rows.append((whole["dice"], whole["hd95"]))
        return rows


def _stock(epochs: int, iterations: int) -> type:
    from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

    class StockTrainer(nnUNetTrainer):
        """nnU-Net's own trainer, shortened: SGD 1e-2, momentum 0.99, poly decay, its augmentation."""

        def __init__(self, plans: dict, configuration: str, fold: int, dataset_json: dict, device: Any = None) -> None:
            super().__init__(plans, configuration, fold, dataset_json, device)
            self.num_epochs, self.num_iterations_per_epoch, self.num_val_iterations_per_epoch = epochs, iterations, 2

    return StockTrainer


def new_trainer(trainer_class: type, folder: Path, plans_name: str, recipe: dict, *, fold: int = 5) -> Any:
    """A silent trainer of a fold, its recipe changed so."""
    import torch

    plans = json.loads((folder / f"{plans_name}.json").read_text())
    plans["continue_training"] = False
    plans["configurations"][CONFIGURATION].setdefault("femur_recipe", {})[trainer_class.__name__] = recipe
    description = json.loads((folder / "dataset.json").read_text())
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.manual_seed(recipe.get("seed", 0))
    np.random.seed(recipe.get("seed", 0))  # noqa: NPY002 - nnU-Net's generator
    trainer = trainer_class(plans, CONFIGURATION, fold, description, device)
    trainer.print_to_log_file = lambda *_, **__: None
    trainer.logger.plot_progress_png = lambda *_: None
    return trainer


def train(
    trainer_class: type,
    folder: Path,
    plans_name: str,
    *,
    recipe: dict,
    pretrained: Path | None,
    after_epoch: Any,
    fold: int = 5,
) -> tuple[Path, float]:
    """Train a fold; returns the model's folder and the seconds of the epochs."""
    from nnunetv2.run.load_pretrained_weights import load_pretrained_weights

    trainer = new_trainer(trainer_class, folder, plans_name, recipe, fold=fold)
    if pretrained is not None:
        trainer.initialize()
        load_pretrained_weights(trainer.network, str(pretrained))
    model = Path(trainer.output_folder_base)
    ends, begins = trainer.on_epoch_end, trainer.on_epoch_start
    spent: list[float] = []

    def start() -> None:
        spent.append(time.perf_counter())
        begins()

    def end() -> None:
        spent[-1] = time.perf_counter() - spent[-1]
        ends()
        if after_epoch is not None:
            trainer.save_checkpoint(str(Path(trainer.output_folder) / "checkpoint_shown.pth"))
            after_epoch(model)

    trainer.on_epoch_start, trainer.on_epoch_end = start, end
    trainer.run_training()
    return model, sum(spent)


def _row(name: str, scores: list, seconds: float | None) -> str:
    dice, hd95 = np.array(scores).T
    spent = "" if seconds is None else f"{seconds:.0f}"
    spread = f"{dice.mean():.4f} ± {dice.std(ddof=1):.4f}"
    return f"| {name} | {spread} | {dice.min():.4f} | {hd95.mean():.2f} ± {hd95.std(ddof=1):.2f} | {spent} |"


def main() -> None:
    """Run all methods and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("drop", type=Path)
    parser.add_argument("--work", type=Path, default=Path("nnfemur-transfer-benchmark"))
    parser.add_argument("--weights", type=Path, help="Folder of TotalSegmentator's weights, in place of the dummy.")
    parser.add_argument("--source", type=Path, help="Another drop, to train the dummy on.")
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--iterations", type=int, default=25)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--only", nargs="*", help="Names of methods to run.")
    parser.add_argument("--recipe", type=json.loads, default={}, help="JSON for FemurFinetuneTrainer, to try things.")
    parser.add_argument("--dummy_model", type=json.loads, default={}, help="JSON of arguments of write_dummy_weights.")
    options = parser.parse_args()
    work = options.work.resolve()
    folder, raw = prepare(
        options.drop.resolve(),
        work,
        epochs=options.epochs,
        iterations=options.iterations,
        weights=options.weights,
        dummy_model={
            **options.dummy_model,
            "training": None if options.source is None else cases_of_drop(options.source),
        },
    )
    from nnunet_femur.trainers import FemurFinetunePaperTrainer, FemurFinetuneTrainer, FemurScratchTrainer
    from nnunet_femur.weights import find_model

    source = find_model()
    score = Scorer(raw)
    own = score(source.folder, "0", femur=source.femur_channels)
    lines = [
        "| method | 3D Dice | lowest | HD95 (mm) | training (s) |",
        "|---|---:|---:|---:|---:|",
        _row("source, left or right", own, None),
    ]
    print("\n".join(lines), flush=True)
    lowest = float(np.mean([dice for dice, _ in own]))
    curve: list[float] = []

    def follow(model: Path) -> None:
        scores = score(model, "5", checkpoint="checkpoint_shown.pth")
        curve.append(float(np.mean([dice for dice, _ in scores])))

    stock = _stock(options.epochs, options.iterations)
    shared = {"augment": True, "mirror": False}
    methods = {
        # Its weights are the last, as in the other rows: the choice would be made on cases that are scored here.
        "FemurFinetuneTrainer": (
            FemurFinetuneTrainer,
            "nnUNetPlans",
            {**shared, "choose": "last", **options.recipe},
            False,
            follow,
        ),
        "FemurFinetunePaperTrainer": (FemurFinetunePaperTrainer, "nnUNetPlans", shared, False, None),
        "FemurScratchTrainer": (FemurScratchTrainer, "nnUNetPlans", shared, False, None),
        "stock -pretrained_weights, SGD 1e-2": (stock, "nnUNetPlans", {}, True, None),
        "the study's mistake": (stock, MISTAKE, {}, True, None),
    }
    for name, (trainer, plans_name, recipe, pretrained, after_epoch) in methods.items():
        if options.only and not any(part in name for part in options.only):
            continue
        scores, seconds = [], []
        for seed in range(options.seeds):
            checkpoint = source.checkpoint if pretrained else None
            model, spent = train(
                trainer,
                folder,
                plans_name,
                recipe={**recipe, "seed": seed},
                pretrained=checkpoint,
                after_epoch=after_epoch,
            )
            scores += _score_final(score, model, trainer)
            seconds.append(spent)
        print(_row(name, scores, float(np.median(seconds))), flush=True)
    if curve:
        print(f"\nFemurFinetuneTrainer, mean Dice after each epoch (source: {lowest:.4f}):")
        print(", ".join(f"{dice:.4f}" for dice in curve))
        print(f"lowest of them minus the source: {min(curve) - lowest:+.4f}")


def _score_final(score: Scorer, model: Path, trainer: type) -> list:
    # nnU-Net looks a trainer up by its name; that of the shortened stock one stands in this file only.
    if not trainer.__module__.startswith("nnunet_femur"):
        import torch

        path = model / "fold_5" / "checkpoint_final.pth"
        checkpoint = torch.load(path, weights_only=False)
        torch.save({**checkpoint, "trainer_name": "nnUNetTrainer"}, path)
    return score(model, "5")


if __name__ == "__main__":
    main()
