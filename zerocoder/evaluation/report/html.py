"""The report as one page for a browser: no server, no network, no other file.

Models' and data sets' texts are hostile: what is drawn here is escaped by Jinja, what the script draws it sets as text,
and the page's content security policy runs that one script and loads nothing, whatever an escape may have missed.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Any

import jinja2
import yaml
from markupsafe import Markup

from zerocoder.evaluation.columns import COLUMNS
from zerocoder.evaluation.records import Provenances, Results
from zerocoder.evaluation.report import details, wording
from zerocoder.evaluation.report.provenance import facts
from zerocoder.evaluation.report.sheet import Sheet
from zerocoder.problems import Problem


def html(
    sheet: Sheet,
    results: Results,
    provenance: Provenances,
    settings: Mapping[str, Any],
    problems: Mapping[str, Sequence[Problem]],
) -> str:
    """The page."""
    environment = jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    environment.filters |= {"percent": wording.percent, "points": wording.points, "span": wording.span}
    script = _asset("page.js")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return environment.from_string(_asset("page.html.j2")).render(
        sheet=sheet,
        columns=COLUMNS,
        notes=wording.notes(sheet),
        intervals_note=wording.INTERVALS_NOTE,
        wording=wording,
        facts=facts(provenance),
        settings={model: yaml.safe_dump(values, sort_keys=False) for model, values in settings.items()},
        style=Markup(_asset("page.css")),
        script=Markup(script),
        script_hash=digest,
        index=_script_json(
            {
                "models": list(sheet.models),
                "chunk": details.CHUNK,
                "problems": details.index(results, problems),
            }
        ),
        chunks=[Markup(chunk) for chunk in details.chunks(results, problems)],
    )


def _script_json(value: Any) -> Markup:
    """JSON that stands inside a script element: nothing in it can close the element or open a comment."""
    return Markup(json.dumps(value, separators=(",", ":")).replace("<", "\\u003c"))


def _asset(name: str) -> str:
    return files("zerocoder.evaluation.report").joinpath("page", name).read_text(encoding="utf-8")
