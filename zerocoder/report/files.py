"""The files of a report, each written whole or not at all."""

from __future__ import annotations

from pathlib import Path

from zerocoder.files import write_text
from zerocoder.problems import ZeroCoderError
from zerocoder.report.document import Document
from zerocoder.report.figures import FIGURES
from zerocoder.report.html import html
from zerocoder.report.markdown import markdown


def write(document: Document, folder: Path) -> None:
    """report.md with its pictures beside it, and report.html; pictures of an earlier report that are no more go.

    Raises ZeroCoderError where the folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _write(document, folder)
    except OSError as error:
        raise ZeroCoderError(f"the report cannot be written to {folder}: {error.strerror}; see --out") from error


def _write(document: Document, folder: Path) -> None:
    drawn = {picture.name: picture.svg for picture in document.pictures}
    for figure in FIGURES:
        if figure.name not in drawn:
            (folder / f"{figure.name}.svg").unlink(missing_ok=True)
    for name, svg in drawn.items():
        write_text(folder / f"{name}.svg", svg)
    write_text(folder / "report.md", markdown(document))
    write_text(folder / "report.html", html(document))
