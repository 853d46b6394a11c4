"""The true-size benchmark: nnUNetv2_predict, TotalSegmentator's code and nnfemur predict on the same CTs, in one run.

Run: uv run python benchmarks/predict.py --true-size

The network has TotalSegmentator's topology (32 features, six stages, windows of 128 voxels of 1.5 mm, 24 outputs) and
dummy weights that find the phantoms, see `true_size_data.py`. Each way is a process of its own, started in turns:

- `nnUNetv2_predict`, stock, with its default options;
- TotalSegmentator's own code with its 6 mm model and `roi_subset` of both femurs, called as `nnfemur baseline` does;
- `nnfemur predict` with its default options, with `--exhaustive`, and with `--quick`.

A stage is wall time in seconds: `start` (Python, imports, the model; of nnfemur predict also the end), `read`,
`localise`, `preprocess`, `network`, `export` (back to the CT's grid), `checks`, `write`, and `other`, the rest.
Processor seconds are those of the process and its children. Memory is the largest sum over the processes, shared pages
counted once (PSS), or the largest resident set of the first one, if that is larger.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager, suppress
from dataclasses import asdict
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
from marked_tables import write_results
from stage_probe import EVENTS, PROGRAM
from true_size_data import CTS, Size, write_cts, write_models
from true_size_masks import compare
from true_size_tables import EXHAUSTIVE, OURS, PEER, STOCK, tables

from nnunet_femur.atomic_files import write_json
from nnunet_femur.baselines.worker_process import isolated
from nnunet_femur.dataset.environment import NNUNET_FOLDERS
from nnunet_femur.records import read_json

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from nnunet_femur.weights.models import SourceModel

OPTIONS: dict[str, tuple[str, ...]] = {
    OURS: (),
    EXHAUSTIVE: ("--exhaustive",),
    f"{OURS} --quick": ("--quick",),
}
"""Options of our ways by name."""

WAYS = (STOCK, PEER, *OPTIONS)

BARE_NETWORK, IN_TORCH = "the bare network", f"{EXHAUSTIVE}, torch, float32"
BARE = (IN_TORCH, BARE_NETWORK)
"""All windows in float32 by PyTorch: within our program, and alone."""

OPTIONS_OF_ALL = OPTIONS | {IN_TORCH: ("--exhaustive", "--backend", "torch", "--precision", "float32")}
PROBE = Path(__file__).with_name("stage_probe.py")
INTERVAL_S = 0.25


def run(
    folder: Path,
    size: Size,
    *,
    cts: Sequence[str] = CTS,
    ways: Sequence[str] = WAYS,
    rounds: int = 1,
    device: str = "cpu",
    resume: bool = False,
    json_file: Path | None = None,
) -> dict[str, Any]:
    """Measure the ways, print the tables, and return the results.

    Args:
        folder: Folder of models, CTs, masks and results.
        size: Sizes of networks and CTs.
        cts: Some of :data:`CTS`.
        ways: Some of :data:`WAYS` and :data:`BARE`.
        rounds: Number of times that each way runs on each CT.
        device: "cpu" or "cuda".
        resume: True to keep what an earlier call has measured.
        json_file: File of the results; None for one in the folder.
    """
    models = write_models(folder / "weights", size, device=device)
    paths = {ct: files for ct, files in write_cts(folder / "cts", size).items() if ct in cts}
    kept = folder / f"measured-{device}.json"
    rows: list[dict[str, Any]] = (read_json(kept) or []) if resume else []
    done = {(row["ct"], row["way"], row["round"]) for row in rows}
    # Everything runs once before anything runs again.
    for number, (ct, (file, _)), way in product(range(rounds), paths.items(), ways):
        if (ct, way, number) not in done:
            print(f"{ct}, {way}, round {number + 1} of {rounds}", file=sys.stderr, flush=True)
            measured = measure(way, file, models, folder / "masks" / ct / way, device=device)
            rows.append({"ct": ct, "way": way, "round": number, **measured})
            write_json(kept, rows)
    masks = {
        ct: compare(
            {way: mask_of(folder / "masks" / ct / way) for way in ways},
            reference,
            labels={STOCK: models[0].femur_channels},
            bases=(EXHAUSTIVE, STOCK),
        )
        for ct, (_, reference) in paths.items()
    }
    wanted = [row for row in rows if row["ct"] in cts and row["way"] in ways and row["round"] < rounds]
    settings = {"size": asdict(size), "device": device, "rounds": rounds, "masks": masks}
    results = write_results(json_file or folder / "true_size.json", "true-size", wanted, **settings)
    print(tables(results))
    return results


def mask_of(folder: Path) -> Path | None:
    """Return the mask that a way wrote into its folder, None without one."""
    found = sorted([*folder.glob("*.nii.gz"), *folder.glob("*.nrrd")])
    return found[0] if found else None


def measure(way: str, ct: Path, models: Sequence[SourceModel], output: Path, *, device: str) -> dict[str, Any]:
    """Run one way in a process and return its times, windows and memory.

    Args:
        way: One of :data:`WAYS`.
        ct: The CT, a NIfTI file.
        models: The femur's model and the 6 mm model.
        output: Folder for the mask; emptied.
        device: "cpu" or "cuda".
    """
    shutil.rmtree(output, ignore_errors=True)
    output.mkdir(parents=True)
    with tempfile.TemporaryDirectory() as name, _prepared(way, ct, models, output, device, Path(name)) as started:
        (program, *arguments), environment = started
        events = Path(name) / "events.jsonl"
        events.touch()
        environment |= {EVENTS: str(events), PROGRAM: program}
        measured = watch([sys.executable, "-P", str(PROBE), *arguments], environment, Path(name))
        found = [json.loads(line) for line in events.read_text(encoding="utf-8").splitlines()]
    return _summary(measured, found, output)


@contextmanager
def _prepared(
    way: str, ct: Path, models: Sequence[SourceModel], output: Path, device: str, work: Path
) -> Iterator[tuple[list[str], dict[str, str]]]:
    """Yield the arguments of the probe and the environment."""
    model = models[0]
    if way == STOCK:
        inputs = work / "inputs"
        inputs.mkdir()
        (inputs / f"{ct.name.removesuffix('.nii.gz')}_0000.nii.gz").symlink_to(ct)
        trainer, _, configuration = model.folder.name.split("__")
        of_model = ["-d", model.dataset, "-tr", trainer, "-c", configuration, "-f", "0", "-device", device]
        environment = os.environ | dict.fromkeys(NNUNET_FOLDERS, str(model.folder.parents[1]))
        yield ["nnunet", "-i", str(inputs), "-o", str(output), *of_model], environment
    elif way == BARE_NETWORK:
        yield ["bare", str(ct), str(model.folder), device], dict(os.environ)
    elif way == PEER:
        with isolated(models) as (_, environment):
            yield ["totalsegmentator", str(ct), str(output / ct.name), device], environment
    else:
        # The 6 mm model locates the femur here, too.
        environment = os.environ | {"TOTALSEG_WEIGHTS_PATH": str(model.folder.parents[1])}
        arguments = ["-i", str(ct), "-m", str(model.folder), "-o", str(output), "--device", device]
        yield ["nnfemur", "predict", *arguments, *OPTIONS_OF_ALL[way]], environment


def watch(command: Sequence[str], environment: dict[str, str], work: Path) -> dict[str, Any]:
    """Run a command, and return its start, wall and processor seconds, and peak memory in GiB with its children's.

    Args:
        command: The program and its arguments.
        environment: Its environment variables.
        work: Folder for its output.

    Raises:
        RuntimeError: The command failed.
    """
    before, began, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.time(), time.perf_counter()
    peak = 0
    with (work / "output.txt").open("w+", encoding="utf-8") as printed:
        process = psutil.Popen(command, env=environment, stdout=printed, stderr=subprocess.STDOUT)
        try:
            while process.poll() is None:
                peak = max(peak, memory_of(process))
                time.sleep(INTERVAL_S)
        finally:
            if process.poll() is None:
                process.kill()
        wall_s = time.perf_counter() - start
        printed.seek(0)
        if process.returncode:
            raise RuntimeError(printed.read())
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    processor_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"began": began, "wall_s": wall_s, "processor_s": processor_s, "gib": peak / 2**30}


def memory_of(process: psutil.Process) -> int:
    """Return the memory of a process and its children in bytes, on Linux with shared pages counted once (PSS)."""
    total = 0
    with suppress(psutil.Error):
        for one in [process, *process.children(recursive=True)]:
            with suppress(psutil.Error):  # The process may have ended.
                info = one.memory_full_info()
                total += getattr(info, "pss", info.rss)
    return total


def _summary(measured: dict[str, Any], events: Sequence[dict[str, Any]], output: Path) -> dict[str, Any]:
    """Return times by stage, windows and memory of a process."""
    began, wall_s = measured.pop("began"), measured["wall_s"]
    memory = next((event for event in events if event["stage"] == "memory"), {})
    measured["gib"] = max(measured["gib"], memory.get("gib", 0.0))
    measured["gpu_gib"] = memory.get("gpu_gib")
    record = read_json(output / "predictions.json")
    if record is None:
        found = _of_events([event for event in events if event["stage"] != "memory"], began)
    else:
        (case,) = record["cases"]
        assert not case["error"], case["error"]
        found = _of_record(case, wall_s)
    found["stages_s"]["other"] = max(0.0, wall_s - sum(found["stages_s"].values()))
    return {**measured, **found}


def _of_events(events: Sequence[dict[str, Any]], began: float) -> dict[str, Any]:
    """Return stages and windows of a program that the probe has measured."""
    stages: dict[str, float] = {}
    windows = {"windows": 0, "windows_localise": 0}
    first = min(event["started"] for event in events if event["stage"] != "model")
    for event in events:
        # A model that is loaded before the CT is read is a part of the start.
        if event["stage"] != "model" or event["started"] > first:
            stages[event["stage"]] = stages.get(event["stage"], 0.0) + event["seconds"]
        windows["windows_localise" if event["stage"] == "localise" else "windows"] += event["windows"]
    return {"stages_s": {"start": first - began, **stages}, **windows}


def _of_record(case: dict[str, Any], wall_s: float) -> dict[str, Any]:
    """Return stages and windows of a case that `nnfemur predict` has recorded."""
    stages, search = case["stage_seconds"], case["search"]
    return {
        "stages_s": {"start": max(0.0, wall_s - sum(stages.values())), **stages},
        "windows": search["windows"],
        "windows_of": search["windows_of_grid"],
        "search": search,
        "backend": ", ".join(each for each in (case.get("backend", ""), case["precision"]) if each),
    }
