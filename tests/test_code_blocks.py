"""Every code block of README and docs runs in CI, or is marked and then checked against the real command lines."""

from __future__ import annotations

import argparse
import ast
import inspect
import json
import sys
import tomllib
from functools import cache
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any

import pytest
import typer
import yaml
from typer.testing import CliRunner

import nnunet_femur as nf
from nnunet_femur.cli import _compare, app
from nnunet_femur.recipe.trainer_names import TRAINERS
from tests.code_blocks import NEEDS, PAGES, REPOSITORY, Block, blocks, commands

if TYPE_CHECKING:
    from pathlib import Path

LANGUAGES = {"bash", "powershell", "python", "yaml", "json", "text", ""}
SYSTEM = {
    *("awk", "cat", "cd", "cp", "echo", "export", "eval", "git", "grep", "head", "ls", "mkdir", "rm", "tail", "tmux"),
    *("brew", "apt", "apt-get", "module", "pip", "sbatch", "scancel", "screen", "sinfo", "squeue", "srun", "set"),
}
"""Commands of the system, whose options are not ours to check."""

ELSEWHERE = {"make_cohort.py"}
"""Programs that a page names and that are not part of the repository, as the page states."""

WRAPPERS = {"taskset": 2, "exec": 0, "time": 0, "env": 0}
"""Commands that run the command behind their first so many words."""


class RefusedError(Exception):
    """A command line that the program would refuse."""


def _check(words: list[str]) -> None:
    """Raise :class:`RefusedError` if a program would refuse its command line."""
    name, *arguments = words
    if name in {"nnfemur", "nnfemur-compare"}:
        _check_nnfemur(_compare if name == "nnfemur-compare" else app, arguments)
    elif name in WRAPPERS:
        _check(arguments[WRAPPERS[name] :])
    elif name == "pipx":
        _check_pipx(arguments)
    elif name == "uv":
        _check_uv(arguments)
    elif name == "python":
        _check_python(arguments)
    elif name.endswith(".py"):
        _check_python(words)
    elif name == "TotalSegmentator" or name.startswith("nnUNetv2_"):
        _check_argparse(name, arguments)
    elif name not in SYSTEM and name not in _scripts():
        msg = f"{name}: is not a known program"
        raise RefusedError(msg)


def _check_all(code: str) -> None:
    """Check every command of a shell script."""
    for words in commands(code):
        try:
            _check(words)
        except RefusedError as refused:
            msg = f"{' '.join(words)}\n{refused}"
            raise RefusedError(msg) from refused


def _check_nnfemur(program: typer.Typer, arguments: list[str]) -> None:
    """Parse a command line as `nnfemur` does, without running the verb."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(typer.core.TyperCommand, "invoke", lambda self, ctx: None)
        result = CliRunner().invoke(program, arguments)
    if result.exit_code != 0:
        raise RefusedError(result.output)


def _check_pipx(arguments: list[str]) -> None:
    verb, *rest = arguments
    if verb not in {"run", "install"} or rest[:1] != ["uv"]:
        raise RefusedError(arguments)
    if verb == "run":
        _check(rest)


def _check_uv(arguments: list[str]) -> None:
    verb, *rest = arguments
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))
    known = {"--group": project["dependency-groups"], "--extra": project["project"]["optional-dependencies"]}
    while rest and rest[0].startswith("--"):
        if rest[0] == "--no-project":
            rest = rest[1:]
            continue
        option, value, *rest = rest
        if option == "--with":
            continue
        if value not in known.get(option, ()):
            raise RefusedError(option, value)
    if verb == "run":
        _check(rest)
    elif verb not in {"sync", "build", "pip"}:
        raise RefusedError(verb)


def _check_python(arguments: list[str]) -> None:
    """Check that the program exists in the repository."""
    if not arguments or arguments[0] == "-c":
        return
    if arguments[0] == "-m":
        if not inspect.getmodulename(arguments[1]) and not _importable(arguments[1]):
            raise RefusedError(arguments)
        return
    name = arguments[0].rpartition("/")[2]
    if name not in ELSEWHERE and not any(
        (folder / name).is_file()
        for folder in (
            *(REPOSITORY / part for part in (".ci", "benchmarks", "docs/site", "tests/slurm")),
            REPOSITORY / "nnunet_femur" / "model_export" / "runner",
        )
    ):
        raise RefusedError(arguments)


def _importable(name: str) -> bool:
    from importlib.util import find_spec

    return find_spec(name) is not None


@cache
def _scripts() -> dict[str, Any]:
    return {each.name: each for each in entry_points(group="console_scripts")}


class _ParserFound(Exception):  # noqa: N818
    pass


@cache
def _parser(name: str) -> argparse.ArgumentParser:
    """Return the parser of a console script: its main function is called, and stopped where it parses."""

    def stop(self: argparse.ArgumentParser, *_: object, **__: object) -> None:
        raise _ParserFound(self)

    with pytest.MonkeyPatch.context() as patch:
        main = _scripts()[name].load()
        patch.setattr(argparse.ArgumentParser, "parse_args", stop)
        patch.setattr(sys, "argv", [name])
        with pytest.raises(_ParserFound) as found:
            main()
    parser: argparse.ArgumentParser = found.value.args[0]
    return parser


def _check_argparse(name: str, arguments: list[str]) -> None:
    try:
        given = _parser(name).parse_args(arguments)
    except SystemExit as end:
        if end.code != 0:
            raise RefusedError(name, arguments) from end
        return
    trainer = getattr(given, "tr", None)
    if trainer and not trainer.startswith("$") and trainer not in {*TRAINERS, "nnUNetTrainer"}:
        raise RefusedError(trainer)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(REPOSITORY).as_posix())
class TestPage:
    def test_blocks_have_known_languages_and_marks(self, page: Any) -> None:
        for block in blocks(pages=[page]):
            assert block.language in LANGUAGES, block
            assert set(block.needs) <= set(NEEDS), block

    def test_command_lines_are_accepted(self, page: Any) -> None:
        """All of them, also of blocks that run elsewhere."""
        for block in blocks("bash", pages=[page]):
            try:
                _check_all(block.code)
            except RefusedError as refused:
                pytest.fail(f"{block}: {refused}")

    def test_python_that_does_not_run_is_python(self, page: Any) -> None:
        for block in blocks("python", pages=[page]):
            for tree in _trees(block) if block.needs else ():
                for call in ast.walk(tree):
                    _check_call(call, block)

    def test_data_can_be_parsed(self, page: Any) -> None:
        for block in blocks("yaml", pages=[page]):
            assert yaml.safe_load(block.code), block
        for block in blocks("json", pages=[page]):
            text = block.code.strip()
            assert json.loads(text if text.startswith(("{", "[")) else f"{{{text}}}"), block


def _trees(block: Block) -> list[ast.AST]:
    """Return the syntax trees of a block; a paragraph may also be entries of a list or of a dict."""
    try:
        return [ast.parse(block.code)]
    except SyntaxError:
        trees: list[ast.AST] = []
        for paragraph in block.code.split("\n\n"):
            forms = (paragraph, f"[\n{paragraph}\n]", f"{{\n{paragraph}\n}}", f"class _:\n{paragraph}")
            parsed = [tree for tree in map(_parsed, forms) if tree is not None]
            assert parsed, f"{block}: {paragraph}"
            trees.append(parsed[0])
        return trees


def _parsed(text: str) -> ast.AST | None:
    try:
        return ast.parse(text)
    except SyntaxError:
        return None


def _check_call(call: ast.AST, block: Block) -> None:
    """Check that a function of the package exists, and accepts the arguments of a call."""
    if not (
        isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and isinstance(call.func.value, ast.Name)
    ):
        return
    if call.func.value.id != "nf":
        return
    function = getattr(nf, call.func.attr)
    keywords = {keyword.arg: None for keyword in call.keywords if keyword.arg}
    try:
        inspect.signature(function).bind(*call.args, **keywords)
    except TypeError as error:
        pytest.fail(f"{block}: nf.{call.func.attr}: {error}")


@pytest.mark.parametrize(
    "line",
    [
        "nnfemur convert source --no-such-option",
        "nnfemur study init a.yaml --presett demo",
        "uv run nnfemur-compare results --margins 1",
        "nnUNetv2_train 1 3d_fullres 0 -trainer X",
        "nnUNetv2_train 1 3d_fullres 0 -tr FemurNoSuchTrainer",
        'eval "$(nnfemur environment work)"',
        "uv run --group no-such-group benchmarks/scoring.py",
        "python benchmarks/no_such_program.py",
        "no-such-program --help",
    ],
)
def test_a_wrong_command_line_is_found(line: str) -> None:
    with pytest.raises(RefusedError):
        _check_all(line)


def test_a_block_in_a_list_is_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "1. a:\n\n    <!-- needs: data -->\n    ```bash\n    ls\n    ```\n\n```python\n1\n```\n", encoding="utf-8"
    )
    found = [(block.language, block.code, block.needs) for block in blocks(pages=[page])]
    assert found == [("bash", "ls\n", ("data",)), ("python", "1\n", ())]


def test_commands_of_a_script() -> None:
    script = 'A=1 nnfemur plan -d 1 2>&1 > log | tail -n 1 # why\nfor x in a; do nnfemur env "$x" && cd y; done'
    assert list(commands(script)) == [
        ["nnfemur", "plan", "-d", "1"],
        ["tail", "-n", "1"],
        ["nnfemur", "env", "$x"],
        ["cd", "y"],
    ]
