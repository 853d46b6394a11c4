"""Install a wheel into an empty environment and run its commands there, on Linux, macOS or Windows.

    python .ci/try_wheel.py dist/nnunet_femur-0.2.0-py3-none-any.whl [--packages .venv/lib/python3.11/site-packages]

With --packages, the dependencies are taken from that folder instead of a package index; the wheel's own files come
first. Needs uv.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HELP_OF_ALL = """
from typer.main import get_command
from nnunet_femur.cli import app

def walk(group, names):
    nnfemur.main([*names, "--help"], prog_name="nnfemur", standalone_mode=False)
    for name, child in getattr(group, "commands", {}).items():
        walk(child, [*names, name])

nnfemur = get_command(app)
walk(nnfemur, [])
"""

CONTENT = """
import sys
from importlib.metadata import version
from pathlib import Path
import nnunet_femur, nnunet_femur.dataset_conversion.Dataset001_Femur, nnunet_femur.trainers
from nnunet_femur.recipe.trainer_names import TRAINERS
from nnunetv2.run.run_training import recursive_find_trainer_class_by_name

home = Path(sys.prefix).resolve()
for module in (nnunet_femur, nnunet_femur.trainers, nnunet_femur.dataset_conversion):
    assert home in Path(module.__file__).resolve().parents, f"{module.__file__}: is not of the wheel"
assert version("nnunet_femur") == nnunet_femur.__version__ == sys.argv[1]
# nnU-Net finds the trainers by the variable that nnfemur env sets.
for name in (min(TRAINERS), max(TRAINERS)):
    assert recursive_find_trainer_class_by_name(name).__name__ == name, name
"""


def main() -> None:
    """Install the wheel and run its commands; end with status 1 at the first that fails."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("wheel", type=Path)
    parser.add_argument("--packages", type=Path, help="folder with the dependencies; default: install them")
    parser.add_argument("--python", default=sys.executable, help="Python of the environment")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        environment = Path(folder) / "environment"
        programs = install(given.wheel.resolve(), environment, given.python, given.packages)
        work = Path(folder) / "work"
        work.mkdir()
        for command in commands(programs, given.wheel.name.split("-")[1], work):
            run(command, work)


def install(wheel: Path, environment: Path, python: str, packages: Path | None) -> Path:
    """Make an environment with the wheel, and return the folder of its programs."""
    run(["uv", "venv", "--quiet", "--python", python, str(environment)], Path.cwd())
    programs = environment / ("Scripts" if os.name == "nt" else "bin")
    options = [] if packages is None else ["--no-deps", "--offline"]
    interpreter = programs / ("python.exe" if os.name == "nt" else "python")
    run(["uv", "pip", "install", "--quiet", "--python", str(interpreter), *options, str(wheel)], Path.cwd())
    if packages is not None:
        code = "import sysconfig; print(sysconfig.get_path('purelib'))"
        site = subprocess.run([interpreter, "-c", code], check=True, capture_output=True, text=True).stdout.strip()
        # A line with a folder: files of that folder that end in .pth, such as those of editable installs, do not count.
        (Path(site) / "dependencies.pth").write_text(f"{packages.resolve()}\n", encoding="utf-8")
    return programs


def commands(programs: Path, version: str, work: Path) -> list[list[str]]:
    """Return the commands that a wheel must be able to run, in order."""
    python, nnfemur, compare = (str(programs / name) for name in ("python", "nnfemur", "nnfemur-compare"))
    source = str(work / "source")
    masks = str(work / "source" / "GoldStandard")
    small = ["--size", "48", "32", "32", "--spacing", "10", "6", "6"]
    return [
        [nnfemur, "--version"],
        [python, "-c", HELP_OF_ALL],
        [compare, "--help"],
        [nnfemur, "env", str(work)],
        [python, "-c", CONTENT, version],
        [nnfemur, "phantoms", source, "--cases", "8", *small],
        [nnfemur, "score", masks, masks],
        [nnfemur, "convert", source, "--dataset-id", "1", "--qc"],
        [nnfemur, "study", "init", str(work / "femur.yaml"), "--preset", "quick", "--source", source],
        [nnfemur, "study", str(work / "femur.yaml"), "--dry-run"],
    ]


def run(command: list[str], folder: Path) -> None:
    """Run a command; print its output and end if it fails."""
    started = time.monotonic()
    ours = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "nnUNet_", "VIRTUAL_"))}
    trainers = next(folder.parent.glob("environment/**/nnunet_femur/ext_trainers"), None)
    ours |= {"nnUNet_extTrainer": str(trainers)} if trainers else {}
    ours |= {name: str(folder / name) for name in ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results")}
    ours["PYTHONIOENCODING"] = "utf-8"
    ended = subprocess.run(
        command, cwd=folder, env=ours, check=False, capture_output=True, text=True, encoding="utf-8", errors="replace"
    )
    shown = [each if "\n" not in each else each.strip().splitlines()[0] + " ..." for each in command]
    print(f"{time.monotonic() - started:6.1f} s  {' '.join([Path(shown[0]).name, *shown[1:]])}", flush=True)
    if ended.returncode:
        print(ended.stdout, ended.stderr, f"exit status {ended.returncode}", sep="\n")
        sys.exit(1)


if __name__ == "__main__":
    main()
