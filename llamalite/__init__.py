"""llamalite: the Llama 2 paper as software to read, run and scale."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("llamalite")
except PackageNotFoundError:  # a source tree that was never installed
    __version__ = "0.0.0"
