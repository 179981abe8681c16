"""The report as one page for a browser.

Models' and data sets' texts are hostile: see `zerocoder.pages.html`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import yaml
from markupsafe import Markup

from zerocoder.evaluation.columns import COLUMNS
from zerocoder.evaluation.records import Provenances, Results
from zerocoder.evaluation.report import details, wording
from zerocoder.evaluation.report.provenance import facts
from zerocoder.evaluation.report.sheet import Sheet
from zerocoder.pages.html import render, script_json
from zerocoder.problems import Problem


def html(
    sheet: Sheet,
    results: Results,
    provenance: Provenances,
    settings: Mapping[str, Any],
    problems: Mapping[str, Sequence[Problem]],
) -> str:
    """The page."""
    values = {
        "sheet": sheet,
        "columns": COLUMNS,
        "notes": wording.notes(sheet),
        "intervals_note": wording.INTERVALS_NOTE,
        "wording": wording,
        "facts": facts(provenance),
        "settings": {model: yaml.safe_dump(set_to, sort_keys=False) for model, set_to in settings.items()},
        "index": script_json(
            {
                "models": list(sheet.models),
                "chunk": details.CHUNK,
                "problems": details.index(results, problems),
            }
        ),
        "chunks": [Markup(chunk) for chunk in details.chunks(results, problems)],
    }
    filters: dict[str, Callable[..., str]] = {
        "percent": wording.percent,
        "points": wording.points,
        "span": wording.span,
    }
    return render("zerocoder.evaluation.report", "page", values, filters)
