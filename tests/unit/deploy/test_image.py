"""The image keeps what deploy/Dockerfile promises, and what goes into it works without the repository."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY

DOCKERFILE = (REPOSITORY / "deploy" / "Dockerfile").read_text("utf-8")
IGNORED = (REPOSITORY / ".dockerignore").read_text("utf-8").splitlines()
PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text("utf-8"))


@dataclass(frozen=True)
class Instruction:
    word: str
    rest: str


def instructions(text: str) -> list[Instruction]:
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    whole = re.sub(r"\\\n\s*", " ", "\n".join(lines))
    return [Instruction(*line.split(" ", 1)) for line in whole.splitlines()]


def stages() -> list[list[Instruction]]:
    found: list[list[Instruction]] = []
    for instruction in instructions(DOCKERFILE):
        if instruction.word == "FROM":
            found.append([])
        if found:
            found[-1].append(instruction)
    return found


BUILD, FINAL = stages()


def said(stage: list[Instruction], word: str) -> list[str]:
    return [instruction.rest for instruction in stage if instruction.word == word]


def copied_in() -> list[str]:
    """What the build takes from the repository."""
    return [source for rest in said(BUILD, "COPY") for source in shlex.split(rest)[:-1]]


def test_it_runs_as_a_number_that_is_not_root() -> None:
    (user,) = said(FINAL, "USER")

    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", user)


def test_it_runs_as_the_user_that_owns_its_state() -> None:
    (user,) = said(FINAL, "USER")
    number, group = user.split(":")

    assert f"install -d -o {number} -g {group} -m 0750 /var/lib/cleanhours" in said(FINAL, "RUN")[0]


def test_the_base_is_customary_and_has_a_version() -> None:
    (base,) = [i.rest for i in instructions(DOCKERFILE) if i.word == "ARG" and i.rest.startswith("BASE=")]

    assert re.fullmatch(r"BASE=python:3\.\d+-slim-\w+", base)
    assert ["${BASE} AS build", "${BASE}"] == [*said(BUILD, "FROM"), *said(FINAL, "FROM")]


def test_what_runs_takes_nothing_but_what_was_built() -> None:
    assert ["--from=build /opt/cleanhours /opt/cleanhours"] == said(FINAL, "COPY")
    assert [] == said(FINAL, "ADD")


def test_what_runs_can_build_and_install_nothing() -> None:
    (run,) = said(FINAL, "RUN")

    assert "pip uninstall --yes" in run
    assert [] == re.findall(r"\b(apt|apt-get|gcc|g\+\+|make|curl|wget|git|pip install)\b", run)
    assert "venv --without-pip /opt/cleanhours" in said(BUILD, "RUN")[0]


def test_it_compiles_nothing_and_keeps_no_downloads() -> None:
    (install,) = [run for run in said(BUILD, "RUN") if " install " in run]

    assert "--only-binary=:all:" in install
    assert "--no-cache-dir" in install


def test_it_brings_extras_that_there_are() -> None:
    (extras,) = re.findall(r"'\.\[(.*?)\]'", DOCKERFILE)

    assert ["kubernetes", "postgresql"] == extras.split(",")
    assert set(extras.split(",")) <= set(PROJECT["project"]["optional-dependencies"])


def test_it_starts_the_controller() -> None:
    assert ["cleanhours"] == json.loads(said(FINAL, "ENTRYPOINT")[0])
    assert ["controller"] == json.loads(said(FINAL, "CMD")[0])
    assert ["NONE"] == said(FINAL, "HEALTHCHECK")


def test_only_what_is_built_from_is_sent_to_the_builder() -> None:
    assert "*" == next(line for line in IGNORED if not line.startswith("#"))
    assert sorted(copied_in()) == sorted(line[1:] for line in IGNORED if line.startswith("!"))


def environment(folder: Path) -> dict[str, str]:
    """An environment as empty as a container's."""
    return {"PATH": os.environ["PATH"], "HOME": str(folder), "XDG_STATE_HOME": str(folder), "COLUMNS": "90"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from what the Dockerfile copies and nothing else."""
    folder = tmp_path_factory.mktemp("image")
    source = folder / "source"
    source.mkdir()
    for name in copied_in():
        origin = REPOSITORY / name
        if origin.is_dir():
            shutil.copytree(origin, source / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(origin, source / name)
    build = [sys.executable, "-m", "pip", "--disable-pip-version-check", "wheel", "--quiet", "--no-deps"]
    subprocess.run(
        [*build, "--no-build-isolation", "--no-index", "--wheel-dir", folder, source], check=True, timeout=120
    )
    (found,) = folder.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def installed(wheel: Path) -> Path:
    """The folder of a fresh environment's programs: the wheel in it, and the dependencies that are here already."""
    folder = wheel.parent / "opt"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True, timeout=60)
    pip = [
        sys.executable,
        "-m",
        "pip",
        "--python",
        str(folder / "bin" / "python"),
        "--disable-pip-version-check",
    ]
    subprocess.run([*pip, "install", "--quiet", "--no-deps", "--no-index", wheel], check=True, timeout=60)
    (packages,) = folder.glob("lib/python3*/site-packages")
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n", "utf-8")
    return folder / "bin"


@pytest.mark.slow
def test_every_file_of_the_packages_is_in_the_wheel(wheel: Path) -> None:
    roots = [Path(name) for name in PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]]
    expected = {
        str(path.relative_to((REPOSITORY / root).parent))
        for root in roots
        for path in (REPOSITORY / root).rglob("*")  # but what tools leave behind
        if path.is_file() and not any(part.startswith((".", "__pycache__")) for part in path.parts)
    }
    with zipfile.ZipFile(wheel) as content:
        held = {name for name in content.namelist() if ".dist-info/" not in name}

    assert expected == held


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("--version",), "cleanhours"),
        (("controller", "--help"), "--once"),
        (("sources",), "climatology"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_what_is_installed_works_without_the_repository(
    installed: Path, tmp_path: Path, words: tuple[str, ...], expected: str
) -> None:
    done = subprocess.run(
        [installed / "cleanhours", *words],
        cwd=tmp_path,
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert 0 == done.returncode, done.stdout + done.stderr
    assert expected in done.stdout


@pytest.mark.slow
def test_what_is_installed_is_not_the_repository(installed: Path, tmp_path: Path) -> None:
    where = "import cleanhours, cleanhours_plugins as p; print(cleanhours.__file__, *p.__path__)"
    done = subprocess.run(
        [installed / "python", "-c", where],
        cwd=tmp_path,
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        check=True,
    )

    for place in done.stdout.split():
        assert Path(place).is_relative_to(installed.parent)
