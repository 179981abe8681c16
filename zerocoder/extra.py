"""The callbacks of a user's own, which `callbacks.extra` names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import lightning as L
from hydra.utils import instantiate

from zerocoder.problems import ZeroCoderError


def build_extra(nodes: Sequence[Mapping[str, Any]]) -> list[L.Callback]:
    """One callback a node. Raises ZeroCoderError, naming the node, for one that cannot be made or is something else."""
    return [_build(node, f"callbacks.extra[{i}]: {node['_target_']}") for i, node in enumerate(nodes)]


def _build(node: Mapping[str, Any], name: str) -> L.Callback:
    try:
        made = instantiate(dict(node))
    except Exception as error:  # whatever the class raises; Hydra's own words around it fill several lines
        reason = " ".join(str(error.__cause__ or error).split())
        raise ZeroCoderError(f"{name} cannot be made: {reason}; correct its _target_ or arguments") from error
    if not isinstance(made, L.Callback):
        raise ZeroCoderError(f"{name} is no Lightning callback; name a class that is one")
    return made
