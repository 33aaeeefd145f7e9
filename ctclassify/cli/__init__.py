"""The command line: ``ctclassify tag``, ``labels``, ``info``."""

from ctclassify.cli.main import main

__all__ = ["main"]
