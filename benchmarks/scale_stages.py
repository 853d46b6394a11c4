"""Hours, disk and memory of each command on forty CTs of true size: the first table of docs/scale.md.

Run: uv run python benchmarks/scale_stages.py [--folder benchmark-scale] [--cases 40] [--write]

Makes phantoms of one leg with 300 x 336 x 256 voxels (`nnfemur phantoms`, seed 0) and the dummy model of
`true_size_data.py`, and runs every command on all of them, with its default options. Wall time, processor time and
memory are those of the command with its processes. Numbers of CTs other than that of the run are extrapolated: the
seconds of a case do not depend on the number of cases, and the start of a command is counted with each. A stage that
was measured is not run again. `--tiny` tests the program.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from marked_tables import origin, replace_table, write_results
from scale import PAGE, stage_table
from true_size import watch
from true_size_data import TINY, TRUE_SIZE, write_models

from nnunet_femur.atomic_files import write_json
from nnunet_femur.dataset.environment import variables
from nnunet_femur.records import read_json

NUMBERS = (40, 1000, 20_000)
"""Numbers of CTs in the table."""

OUTPUTS = {
    "convert": "nnUNet_raw",
    "plan": "nnUNet_preprocessed",
    "predict": "predicted",
    "baseline": "nnUNet_results",
    "measure": "measured",
    "compare": "compared",
}
"""Stages in their order, and the folder that each of them writes."""


def main() -> None:
    """Run the stages that are not measured yet, print the table, and write it into the page if asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=Path("benchmark-scale"), help="where everything is written")
    parser.add_argument("--weights", type=Path, help="models of benchmarks/predict.py [default: in the folder]")
    parser.add_argument("--cases", type=int, default=NUMBERS[0])
    parser.add_argument("--write", action="store_true", help="write the table into docs/scale.md")
    parser.add_argument("--tiny", action="store_true", help="tiny networks and CTs, to test the program")
    options = parser.parse_args()
    folder, size = options.folder.resolve(), TINY if options.tiny else TRUE_SIZE
    model, _ = write_models((options.weights or folder / "weights").resolve(), size)
    os.environ |= {**variables(folder), "TOTALSEG_WEIGHTS_PATH": str(model.folder.parents[1])}
    source = folder / "source"
    if not source.exists():
        partial = folder / "source.partial"
        numbers = [*map(str, size.ct_zyx), "--spacing", *map(str, size.ct_mm_zyx)]
        _run("phantoms", str(partial), "--cases", str(options.cases), "--size", *numbers)
        partial.rename(source)
    rows = measure(folder, _commands(folder, source, model.folder))
    results = write_results(folder / "scale_stages.json", "scale", rows, cases=options.cases)
    text = f"{stage_table(rows, NUMBERS)}\n\n{origin(results)}"
    print(text)
    if options.write:
        replace_table(PAGE, "scale-stages", text)


def _commands(folder: Path, source: Path, model: Path) -> dict[str, list[str]]:
    """Return the options of each stage."""
    out = {stage: str(folder / name) for stage, name in OUTPUTS.items()}
    cts = [str(folder / OUTPUTS["convert"] / "Dataset001_Femur" / name) for name in ("imagesTr", "imagesTs")]
    return {
        "convert": [str(source), "-d", "1"],
        "plan": ["-d", "1"],
        "predict": ["-i", *cts, "-m", str(model), "-o", out["predict"]],
        "baseline": ["-d", "1"],
        "measure": [out["predict"], "--ct", *cts, "-o", out["measure"]],
        "compare": [out["baseline"], "--method", f"predict={out['predict']}", "-o", out["compare"]],
    }


def measure(folder: Path, commands: dict[str, list[str]]) -> list[dict[str, Any]]:
    """Return time, memory and disk of each stage, and its number of CTs.

    Args:
        folder: Folder of all outputs.
        commands: Options of each stage.
    """
    kept = folder / "measured.json"
    rows: list[dict[str, Any]] = read_json(kept) or []
    done = {row["stage"] for row in rows}
    for stage, arguments in commands.items():
        if stage in done:
            continue
        print(f"{stage} ...", file=sys.stderr, flush=True)
        output = folder / OUTPUTS[stage]
        shutil.rmtree(output, ignore_errors=True)
        for name in variables(folder).values():
            Path(name).mkdir(parents=True, exist_ok=True)
        measured = _run(stage, *arguments)
        size = sum(path.stat().st_size for path in output.rglob("*") if path.is_file())
        rows.append({"stage": stage, "cases": _cases(folder, stage), **measured, "bytes": size})
        write_json(kept, rows)
    return rows


def _run(*arguments: str) -> dict[str, Any]:
    """Run `nnfemur`, and return its times and memory."""
    with tempfile.TemporaryDirectory() as work:
        return watch([sys.executable, "-m", "nnunet_femur", *arguments], dict(os.environ), Path(work))


def _cases(folder: Path, stage: str) -> int:
    """Return the number of CTs, or of masks for compare, that a stage works on."""
    training, test = (len(list(folder.glob(f"nnUNet_raw/*/{name}/*"))) for name in ("imagesTr", "imagesTs"))
    # Test cases are not preprocessed; compare scores all masks of the baseline, and the test set of predict.
    return {"plan": training, "compare": training + 2 * test}.get(stage, training + test)


if __name__ == "__main__":
    main()
