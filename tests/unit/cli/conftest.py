"""The command line as a person gets it: arguments in, exit code and both streams out."""

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from io import StringIO

import pytest

from daemon.cli import main


@dataclass(frozen=True)
class Done:
    """What came of one command."""

    returncode: int
    stdout: str
    stderr: str


@pytest.fixture
def fluxmedic(monkeypatch, capsys) -> Callable[..., Done]:
    """Run the program's own entry in this process: a fresh interpreter a command would take half a second each."""

    def run(*arguments: str, **environment: str) -> Done:
        with monkeypatch.context() as patch:
            for name in [*os.environ]:
                if name.startswith(("FLUXMEDIC_", "KUBECONFIG")):
                    patch.delenv(name)
            for name, value in environment.items():
                patch.setenv(name, value)
            patch.setattr(sys, "argv", ["fluxmedic", *arguments])
            patch.setattr(sys, "stdin", StringIO())
            capsys.readouterr()
            code: object = 0
            try:
                main()
            except SystemExit as left:
                code = left.code
        out, error = capsys.readouterr()
        return Done(code if isinstance(code, int) else int(code is not None), out, error)

    return run
