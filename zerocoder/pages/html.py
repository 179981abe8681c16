"""One page for a browser: no server, no network, no other file, light and dark.

Texts from models, data sets and settings are hostile: what is drawn here is escaped by Jinja, what a script draws it
sets as text, and the page's content security policy runs the page's own script alone and loads nothing, whatever an
escape may have missed.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Mapping
from importlib.resources import files
from typing import Any

import jinja2
from markupsafe import Markup


def render(
    package: str, name: str, values: Mapping[str, Any], filters: Mapping[str, Callable[..., Any]] | None = None
) -> str:
    """The page of `package`'s folder page/: `<name>.html.j2` with `<name>.css` and, where there is one, `<name>.js`.

    The template gets `values` and, behind what all pages share, `style`, `script` and the script's `policy`.
    """
    environment = jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    environment.filters |= dict(filters or {})
    folder = files(package).joinpath("page")
    own = folder.joinpath(f"{name}.js")
    script = _shared("theme.js") + (own.read_text(encoding="utf-8") if own.is_file() else "")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    template = folder.joinpath(f"{name}.html.j2").read_text(encoding="utf-8")
    return environment.from_string(template).render(
        style=Markup(_shared("base.css") + folder.joinpath(f"{name}.css").read_text(encoding="utf-8")),
        script=Markup(script),
        policy=f"default-src 'none'; style-src 'unsafe-inline'; img-src data:; script-src 'sha256-{digest}'",
        **values,
    )


def script_json(value: Any) -> Markup:
    """JSON that stands inside a script element: nothing in it can close the element or open a comment."""
    return Markup(json.dumps(value, separators=(",", ":")).replace("<", "\\u003c"))


def _shared(name: str) -> str:
    return files("zerocoder.pages").joinpath(name).read_text(encoding="utf-8")
