"""Build the wheel and the source distribution of the last commit, and check them.

    python .ci/release.py [--tag v0.2.0] [--repository https://github.com/OWNER/NAME] [--out-dir dist]

Only tracked files are built. With --repository, the metadata and the links of the README get its address; the sources
contain no address, so that a fork can be released, too. With --tag, version, changelog and citation must agree with
it. Afterwards, .ci/try_wheel.py installs the wheel and runs its commands. Needs git and uv.
"""

from __future__ import annotations

import argparse
import io
import re
import subprocess
import tarfile
import tempfile
import tomllib
import zipfile
from pathlib import Path, PurePosixPath

REPOSITORY = Path(__file__).resolve().parents[1]
WHEEL_SOURCES = {"nnunet_femur": "nnunet_femur", "trainers": "nnunet_femur/trainers"}
WHEEL_SOURCES["dataset_conversion"] = "nnunet_femur/dataset_conversion"


def main() -> None:
    """Build and check; end with an error at the first problem."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tag", help="tag of the release, such as v0.2.0")
    parser.add_argument("--repository", help="address of the repository")
    parser.add_argument("--out-dir", type=Path, default=Path("dist"))
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        tree = exported(Path(folder) / "tree")
        problems = release_problems(tree, given.tag) if given.tag else []
        if problems:
            raise SystemExit("\n".join(f"error: {problem}" for problem in problems))
        if given.repository:
            fill_in_addresses(tree, given.repository, given.tag or "main")
        expected = wheel_files(tree)
        built = Path(folder) / "built"
        subprocess.run(["uv", "build", "--quiet", "--out-dir", built, tree], check=True)
        (wheel,), (sdist,) = built.glob("*.whl"), built.glob("*.tar.gz")
        require_content(wheel, sdist, expected)
        subprocess.run(["uvx", "--quiet", "twine", "check", "--strict", wheel, sdist], check=True)
        given.out_dir.mkdir(parents=True, exist_ok=True)
        for earlier in given.out_dir.glob("nnunet_femur-*"):
            earlier.unlink()
        for path in (wheel, sdist):
            (given.out_dir / path.name).write_bytes(path.read_bytes())
            print(given.out_dir / path.name, f"{path.stat().st_size / 1e6:.1f} MB")


def release_problems(tree: Path, tag: str) -> list[str]:
    """Return the reasons why a tag cannot be released: files that name another version or another date."""
    version = tag.removeprefix("v")
    changelog = (tree / "CHANGELOG.md").read_text(encoding="utf-8")
    dated = re.search(rf"^## {re.escape(version)} - (20\d\d-\d\d-\d\d)$", changelog, re.MULTILINE)
    expected = [
        ("nnunet_femur/version.py", f'__version__ = "{version}"'),
        ("CITATION.cff", f"version: {version}"),
        ("CITATION.cff", f"date-released: {dated[1]}") if dated else ("CHANGELOG.md", f"## {version} - YYYY-MM-DD"),
    ]
    lacking = [
        f"{name}: has no line {line!r} in the last commit. Commit it, or choose another tag."
        for name, line in expected
        if line not in (tree / name).read_text(encoding="utf-8").splitlines()
    ]
    return lacking if tag.startswith("v") else [f"{tag}: a tag begins with v, as in v{tag}.", *lacking]


def exported(tree: Path) -> Path:
    """Write the files of the last commit to a folder, and return it."""
    archive = subprocess.run(["git", "archive", "HEAD"], cwd=REPOSITORY, check=True, capture_output=True).stdout
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        tar.extractall(tree, filter="data")
    return tree


def fill_in_addresses(tree: Path, repository: str, reference: str) -> None:
    """Add the address of a repository to the metadata and to the links of the README, which indexes show elsewhere.

    Args:
        tree: The exported files, which are changed.
        repository: Address of the repository on GitHub.
        reference: The tag or branch that the README's links name.
    """
    repository = repository.removesuffix("/")
    readme = tree / "README.md"
    readme.write_text(absolute_links(readme.read_text(encoding="utf-8"), repository, reference), encoding="utf-8")
    pyproject = tree / "pyproject.toml"
    text = pyproject.read_text(encoding="utf-8")
    if "urls" in tomllib.loads(text)["project"]:
        return
    owner, name = repository.rsplit("/", 2)[1:]
    urls = {
        "Repository": repository,
        "Documentation": f"https://{owner.lower()}.github.io/{name}/",
        "Changelog": f"{repository}/blob/{reference}/CHANGELOG.md",
        "Issues": f"{repository}/issues",
    }
    lines = "".join(f'{key} = "{url}"\n' for key, url in urls.items())
    pyproject.write_text(f"{text}\n[project.urls]\n{lines}", encoding="utf-8")


def absolute_links(markdown: str, repository: str, reference: str) -> str:
    """Return a text whose links to files of the repository are addresses; a picture gets that of the file itself.

    Links and pictures may be Markdown or HTML.
    """

    def absolute(match: re.Match[str]) -> str:
        """Return one link with its address."""
        before, path, after = match.groups()
        kind = "raw" if before.startswith(("!", "src")) else "blob"
        return f"{before}{repository}/{kind}/{reference}/{path}{after}"

    in_markdown = re.compile(r"(!?\[[^\]]*\]\()(?!\w+:|#)([^)\s]+)(\)|\s)")
    in_html = re.compile(r"""(\b(?:src|href)=["'])(?!\w+:|#)([^"']+)(["'])""")
    return in_html.sub(absolute, in_markdown.sub(absolute, markdown))


def wheel_files(tree: Path) -> set[str]:
    """Return the files of a tree that its wheel must contain, by their places in it."""
    return {
        f"{place}/{path.relative_to(tree / source).as_posix()}"
        for source, place in WHEEL_SOURCES.items()
        for path in (tree / source).rglob("*")
        if path.is_file()
    }


def require_content(wheel: Path, sdist: Path, expected: set[str]) -> None:
    """Check that a wheel contains exactly the expected files, and a source distribution all of them."""
    held = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    if held != expected:
        raise SystemExit(f"error: {wheel.name}: differs from the sources in {sorted(held ^ expected)}")
    with tarfile.open(sdist) as tar:
        names = {PurePosixPath(*PurePosixPath(name).parts[1:]).as_posix() for name in tar.getnames()}
    places = {place: source for source, place in WHEEL_SOURCES.items() if place != source}
    sources = {_source(name, places) for name in expected}
    lacking = {*sources, "CHANGELOG.md", "CITATION.cff", "LICENSE"} - names
    if lacking:
        raise SystemExit(f"error: {sdist.name}: lacks {sorted(lacking)}")


def _source(name: str, places: dict[str, str]) -> str:
    for place, source in places.items():
        if name.startswith(f"{place}/"):
            return source + name.removeprefix(place)
    return name


if __name__ == "__main__":
    main()
