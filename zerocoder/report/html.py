"""The report as one page for a browser, its pictures inside. Hostile texts: see `zerocoder.pages.html`."""

from __future__ import annotations

import base64

from zerocoder.pages.html import render
from zerocoder.report.document import Document, Picture


def html(document: Document) -> str:
    """The page."""
    filters = {"kind": lambda block: type(block).__name__, "address": _address}
    return render("zerocoder.report", "report", {"document": document}, filters)


def _address(picture: Picture) -> str:
    """The picture as an address: an image, which runs nothing and loads nothing."""
    return f"data:image/svg+xml;base64,{base64.b64encode(picture.svg.encode()).decode()}"
