"""Table of the files that the commands write: path, content, and each column or key.

`tests/docs/site/test_written_files.py` compares it with files that the commands have written.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class WrittenFile:
    """A file that a command writes.

    Attributes:
        path: Path relative to the folder of its group; capitals stand for names.
        content: Content in one sentence.
        fields: Meaning of each column of a table, or of each key at the top of a JSON file, in the order of the file.
            In a list of objects, the keys of one object.
        note: What the table of fields leaves out.
    """

    path: str
    content: str
    fields: dict[str, str] = field(default_factory=dict)
    note: str = ""


@dataclass(frozen=True)
class Group:
    """Files in one folder, written by one command.

    Attributes:
        title: Heading.
        folder: The folder, as text with Markdown.
        command: The commands.
        page: Page that explains the files.
        files: The files.
    """

    title: str
    folder: str
    command: str
    page: str
    files: tuple[WrittenFile, ...]


_SCORE = {
    "method": "folder name of the method in nnU-Net's results, or the name given with --method",
    "set": "`validation` (cross-validation or fixed split) or `test`",
    "fold": "number of the fold; `ensemble` for all folds together; `none` without folds",
    "case": "case id",
    "patient": "patient of the case; the unit of tests and intervals",
    "protocol": "`volume`, `slices`, `paper` or `measurements`",
    "plane": "`axial`, `coronal`, `sagittal`, or `all`",
    "region": "`whole`, `proximal`, `shaft`, `distal` or `ends`; for measurements the side",
    "metric": "name of the metric, such as `dice` or `hd95`",
    "value": "the score",
    "unit": "`1`, `mm`, `ml`, `deg`, ...",
}

_ROW_OF_FEMUR = {
    "case": "file name of the mask without its ending",
    "side": "`left`, `right` or `unknown`",
    "side_source": "origin of the side: `label`, `shape`, `other-bone` or `id`; empty if it is unknown",
}

_END_OF_FEMUR = {
    "missing": "each quantity without a value, with the code of the reason",
    "findings": "doubtful properties of the mask, each with its code",
    "error": "the reason why mask or CT could not be read; empty if they could",
}

DATASET = Group(
    "Raw dataset",
    "`nnUNet_raw/DatasetNNN_NAME`",
    "nnfemur convert",
    "conversion.md",
    (
        WrittenFile("imagesTr/CASE_0000.nrrd, imagesTs/CASE_0000.nrrd", "CT: int16 HU, RAS orientation, gzip."),
        WrittenFile("labelsTr/CASE.nrrd, labelsTs/CASE.nrrd", "Mask on the CT's grid: uint8, 1 for femur."),
        WrittenFile(
            "dataset.json",
            "nnU-Net's description of the dataset.",
            {
                "channel_names": "`CT` for channel 0",
                "labels": "values of the masks by name",
                "numTraining": "number of training and validation cases",
                "file_ending": "`.nrrd`",
                "overwrite_image_reader_writer": "nnU-Net's reader, which reorients",
            },
        ),
        WrittenFile(
            "cases.csv",
            "One row for each case.",
            {
                "case": "case id",
                "patient": "patient; both femurs of a patient are in the same set",
                "side": "`left`, `right`, `both` or `unknown`",
                "source_image": "source of the CT, relative to the source folder",
                "source_mask": "source of the mask",
                "set": "`train`, `validation` or `test`",
                "fold": "the fold of 0 to 4 that validates on the case; empty for test cases",
                "size": "voxels along x, y, z, as written",
                "spacing_mm": "spacing along x, y, z in mm, as written",
                "volume_ml": "volume of the femur in ml",
                "notes": "findings about the case",
            },
        ),
        WrittenFile(
            "conversion.json",
            "Everything that determined the dataset, so that a second run can tell what is up to date.",
            {
                "made_by": "`nnunet_femur`",
                "versions": "versions of the software that determines the written bytes",
                "options": "options of the command",
                "decisions": "conventions of the written volumes and of the split",
                "counts": "number of cases by set and side",
                "given_sets": "number of cases whose set the source names",
                "findings": "findings about the source folder",
                "files": "SHA-256 of the files above",
                "cases": "for each case: sources and written files with SHA-256, geometry, volume, findings",
            },
            note="Cases that were left out are under `left_out`. `updates` lists those of `nnfemur convert --update`: "
            "added and replaced cases, their status, and the model that predicted them.",
        ),
        WrittenFile("splits_final.json", "nnU-Net's folds: 0 to 4 by patient, and the fixed split as fold 5."),
        WrittenFile(
            "findings_DatasetNNN_NAME.csv, or the file of --report",
            "All findings; without --report only if there are errors, then in the current folder.",
            {
                "severity": "`error`, `warning` or `note`",
                "code": "code of the [finding](findings.md)",
                "file": "the file, relative to the source folder",
                "problem": "the problem, with any action that was taken",
                "remedy": "the fix",
            },
        ),
        WrittenFile("qc/contact_sheet.png, qc/cases/CASE.png, qc/index.html", "Pictures of all cases, with --qc."),
    ),
)

PLANS = Group(
    "Planned dataset",
    "`nnUNet_preprocessed/DatasetNNN_NAME`",
    "nnfemur plan",
    "recipes.md",
    (
        WrittenFile("PLANS.json, dataset_fingerprint.json, PLANS_CONFIGURATION/", "nnU-Net's own files."),
        WrittenFile(
            "femur_plan.json",
            "A record for each plans file, by its name.",
            {
                "raw": "fingerprint of the raw dataset that was planned",
                "source": "TotalSegmentator's checkpoint, its time and the kind of spacing; null for other plans",
                "preset": "`default` or `small`",
                "planner": "planner class of nnU-Net; null for the default",
                "configurations": "nnU-Net's configurations that were preprocessed",
                "recipe": "hyperparameters that trainings read",
                "outputs": "sizes of the written files",
                "ceiling": "Dice that resampling alone costs; not for 2D alone",
            },
            note="Plans of `--keep-plans` name the plans that were kept under `kept`.",
        ),
    ),
)

TRAINING = Group(
    "Trained fold",
    "`nnUNet_results/DatasetNNN_NAME/TRAINER__PLANS__CONFIGURATION/fold_K`",
    "nnUNetv2_train",
    "publication.md#training-curves",
    (
        WrittenFile("checkpoint_final.pth, progress.png, training_log_*.txt, validation/", "nnU-Net's own files."),
        WrittenFile(
            "run.json",
            "Facts that are needed to repeat or to judge the training.",
            {
                "trainer": "name of the trainer",
                "plans": "name of the plans",
                "configuration": "nnU-Net's configuration",
                "fold": "number of the fold",
                "works_in_slices": "true if the network sees slices",
                "ends_only": "true if it segments only the ends of the femur",
                "command": "command line",
                "recipe": "all hyperparameters",
                "precision": "precision of training and validation",
                "epochs_done": "epochs of the training",
                "epochs_planned": "epochs of the recipe",
                "iterations_per_epoch": "steps of an epoch",
                "final_network": "`lowest_loss` or `last`: rule that chose the final weights",
                "curves": "losses, pseudo Dice, learning rate and seconds of each epoch",
                "parameters": "number of parameters of the network",
                "seconds": "duration of all epochs in s, also those before an interruption",
                "peak_memory_mib": "peak memory of the last process in MiB",
                "peak_device_memory_mib": "peak memory of the GPU in MiB; null without one",
                "device": "name of the GPU, or `cpu`",
                "processes": "number of processes",
                "platform": "operating system",
                "python": "version of Python",
                "versions": "versions of the software",
            },
            note="Trainers that choose their final weights add `choice`; those that learn weights of planes, "
            "`plane_weights`. Trainings from earlier weights (`-pretrained_weights`) add `started_from`, also in "
            "`started_from.json`.",
        ),
    ),
)

PREDICTIONS = Group(
    "Predictions of new CTs",
    "the folder of `--output`",
    "nnfemur predict",
    "prediction.md#files",
    (
        WrittenFile(
            "shards/3-of-16.*", "Records and tables of a part of the cases (`--shard`); `nnfemur merge` joins them."
        ),
        WrittenFile("CASE.nrrd, or another --format; CASE.stl", "Mask on the CT's own grid; surface with --stl."),
        WrittenFile(
            "predictions.csv",
            "One row for each case.",
            {
                "case": "name of the case",
                "review_score": "urgency of a look at the case, from 0 to 1",
                "side": "`left`, `right`, `both` or `unknown`",
                "side_source": "origin of the side, such as `network` or `shape`",
                "volume_ml": "volume of the femur in ml",
                "pieces": "number of its pieces",
                "disagreement": "1 minus the mean Dice of all pairs of folds; empty with one fold",
                "seconds": "time that the case took, in s",
                "warnings": "what is doubtful, as text",
                "findings": "codes of the [findings](findings.md)",
                "error": "the reason why there is no mask; empty if there is one",
                "source": "path of the CT as it was given",
                "files": "names of the written files",
            },
        ),
        WrittenFile(
            "predictions.json",
            "The same with model, options and versions.",
            {
                "model": "name, folds and SHA-256 of the model",
                "options": "options of the command",
                "versions": "versions of the software",
                "device": "device that computed",
                "backend": "library that computed the network: `torch` or `openvino`",
                "precision": "precision of the network",
                "notes": "deviations from the options",
                "cases": "for each case the values of the table, the state of its files, seconds of each stage, and "
                "the part of the CT that was searched",
            },
        ),
    ),
)

REVIEW = Group(
    "Review of predictions",
    "the folder of the masks",
    "nnfemur review",
    "review.md",
    (
        WrittenFile("review.html", "Page of all masks; it contains the images that it shows."),
        WrittenFile(
            "review.json",
            "Marks of the reviewer.",
            {
                "made_by": "`nnunet_femur`",
                "version": "version of this package",
                "cases": "for each case: mask, SHA-256 of the mask that was marked, path of the CT, mark, note",
            },
        ),
    ),
)

SELECTION = Group(
    "Ensembles, postprocessed methods, best configuration",
    "`nnUNet_results/DatasetNNN_NAME/Ensemble__A+B__mean` and others",
    "nnfemur ensemble, nnfemur select",
    "study.md#the-end-as-nnu-net-makes-it",
    (
        WrittenFile("fold_K/test/CASE.nrrd, test/CASE.nrrd, postprocessing.pkl", "Masks and nnU-Net's own files."),
        WrittenFile(
            "run.json",
            "Record of a selection; that of an ensemble ends after `recipe` with `versions`.",
            {
                "made_by": "the part of the package that wrote it",
                "method": "`Ensemble`, `BestConfiguration` or `Postprocessed`",
                "works_in_slices": "true if the chosen network sees slices",
                "ends_only": "true if it predicts only the ends of the femur",
                "command": "command line",
                "recipe": "candidates, choice, postprocessing and folds; of an ensemble its members",
                "validated": "false: the validation cases made the choice, so they are not compared",
                "validation_dice": "nnU-Net's mean Dice of each candidate on the validation cases",
                "validation_dice_postprocessed": "that of the chosen one after postprocessing",
                "changed_test_masks": "number of test masks that postprocessing changed; with 0, the entry is a copy "
                "and is not compared",
                "versions": "versions of the software",
            },
        ),
    ),
)

BASELINE = Group(
    "TotalSegmentator's masks",
    "`nnUNet_results/DatasetNNN_NAME/TotalSegmentator__total__1.5mm`",
    "nnfemur baseline",
    "baseline.md",
    (
        WrittenFile(
            "shards/3-of-16.*", "Records and tables of a part of the cases (`--shard`); `nnfemur merge` joins them."
        ),
        WrittenFile("validation/CASE.nrrd, test/CASE.nrrd", "Union of femur_left and femur_right, on the CT's grid."),
        WrittenFile(
            "run.json",
            "Record of the run.",
            {
                "method": "name of the method",
                "works_in_slices": "false",
                "command": "command line",
                "settings": "options, versions, and SHA-256 of the weights",
                "device": "device that computed",
                "platform": "operating system",
                "cases": "for each case seconds, volume, SHA-256 of its mask, or its problem with a code",
            },
        ),
    ),
)

MEASURED = Group(
    "Measurements",
    "the folder of `--output`",
    "nnfemur measure",
    "measuring.md",
    (
        WrittenFile(
            "shards/3-of-16.*", "Records and tables of a part of the cases (`--shard`); `nnfemur merge` joins them."
        ),
        WrittenFile(
            "measurements.csv",
            "One row for each femur.",
            {**_ROW_OF_FEMUR, "KEY": "a column for each [quantity](#quantities)", **_END_OF_FEMUR},
            note="A position or direction has three columns, `KEY_x`, `KEY_y` and `KEY_z` (LPS).",
        ),
        WrittenFile(
            "measurements.json",
            "One object for each femur.",
            {**_ROW_OF_FEMUR, "KEY": "a value for each [quantity](#quantities), or null", **_END_OF_FEMUR},
            note="`missing` contains code and text of the reason by quantity. A position or direction is a list.",
        ),
        WrittenFile("CASE_SIDE.mrk.json", "Landmarks and axes as markups of 3D Slicer, in LPS mm."),
        WrittenFile("CASE_SIDE.png", "Picture of the femur from front, side and above."),
        WrittenFile("CASE_SIDE.stl, CASE_SIDE.ply", "Closed surface for models, with --stl or --ply."),
        WrittenFile(
            "surface_quality.csv",
            "One row for each surface.",
            {
                "case": "name of the mask",
                "side": "`left`, `right` or `unknown`",
                "KEY": "a column for each [property](../surfaces.md#quality)",
                "problems": "what deviates, or empty",
                "error": "the reason if there is no surface",
            },
        ),
    ),
)

COMPARISON = Group(
    "Comparison",
    "`comparison` in the results, or the folder of `--output`",
    "nnfemur compare",
    "scoring.md",
    (
        WrittenFile("report.html, report.md", "The report; the HTML file contains its figures."),
        WrittenFile("scores.csv", "One row for each score.", _SCORE),
        WrittenFile(
            "measurements.csv",
            "One row for each method, femur and clinical endpoint, with --measurements.",
            {
                **{name: _SCORE[name] for name in ("method", "set", "fold", "case", "patient")},
                "side": "`whole` for the only femur of a reference, else `left` or `right`",
                "measurement": "name of the endpoint",
                "unit": "unit of its error",
                "reference": "value of the reference; empty for points and axes",
                "prediction": "value of the prediction; empty for points and axes",
                "error": "difference; empty if a measurement is missing",
                "reference_missing": "code of the reason if the reference could not be measured",
                "prediction_missing": "code of the reason if the prediction could not be measured",
            },
        ),
        WrittenFile("tables/NAME.md, .csv, .tex, .json; tables/all.tex", "Every table of the report in four formats."),
        WrittenFile("figures/NAME.png, figures/NAME.svg", "Every figure of the report."),
        WrittenFile("supplement/", "Checklist, methods section and model cards, with --supplement."),
        WrittenFile(
            "scores-cache.jsonl, measurements-cache.jsonl, figures/index.json, tables/index.json",
            "What the next report in the folder reuses.",
        ),
    ),
)

EXPORTED = Group(
    "Exported model",
    "the folder of the command",
    "nnfemur export",
    "export.md",
    (
        WrittenFile("MODEL.zip, a weights folder, or FOLD.onnx", "The model."),
        WrittenFile("MODEL_CARD.md", "Data, training, scores, limits and licence of the model."),
        WrittenFile(
            "parity.json",
            "Comparison of the exported with the original model on a phantom.",
            {
                "made_by": "`nnunet_femur`",
                "target": "`nnunet`, `totalsegmentator` or `onnx`",
                "date": "day of the export",
                "model": "dataset, trainer, configuration, folds and SHA-256 of the original",
                "versions": "versions of the software",
                "parity": "CT, program, tolerance, and differing voxels of each fold",
            },
        ),
        WrittenFile("SHA256SUMS", "Checksums of all files, as `sha256sum -c` reads them."),
    ),
)

STUDY = Group(
    "Study",
    "the folder of the study",
    "nnfemur study",
    "study.md#files",
    (
        WrittenFile("nnUNet_raw/, nnUNet_preprocessed/, nnUNet_results/", "nnU-Net's folders, as above."),
        WrittenFile("study/logs/JOB.log", "Command and output of each job, of all its runs."),
        WrittenFile(
            "study/done/JOB.json, study/jobs/JOB.json",
            "Record of each finished job; status of each job.",
            {
                "state": "`running`, `done` or `failed`",
                "command": "command line",
                "settings": "settings by which a later run decides that the job is up to date",
                "log": "path of the log",
                "host": "name of the machine",
                "started": "start in seconds since 1970",
                "seconds": "duration in s",
                "news": "last progress",
                "peak_memory_mib": "peak memory in MiB",
                "reason": "reason of a failure",
            },
        ),
        WrittenFile("study/events.jsonl", "Start, end and failure of each job of the latest run."),
        WrittenFile("study/engine.log", "Output of Snakemake."),
    ),
)

PHANTOMS = Group(
    "Phantoms",
    "the folder of the command",
    "nnfemur phantoms",
    "python.md",
    (
        WrittenFile("Images/CASE_CT.nrrd, GoldStandard/CASE_GS.nrrd", "CT in HU, and its exact mask."),
        WrittenFile("phantoms.json", "Arguments of the cohort."),
    ),
)

GROUPS = (
    DATASET,
    PLANS,
    TRAINING,
    PREDICTIONS,
    REVIEW,
    SELECTION,
    BASELINE,
    MEASURED,
    COMPARISON,
    EXPORTED,
    STUDY,
    PHANTOMS,
)
"""All groups, in the order of the work."""


def fields_of(group: Group, path: str) -> list[str]:
    """Return the columns or keys of a file.

    Example:
        >>> fields_of(COMPARISON, "scores.csv")[:3]
        ['method', 'set', 'fold']
    """
    return next(list(each.fields) for each in group.files if path in each.path)
