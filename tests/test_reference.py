"""The frozen copy: where it is between its uses."""

from __future__ import annotations

import pytest
import torch
from tiny import tiny_policy

from zerocoder.reference import FrozenCopy

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def moves_copy(monkeypatch: pytest.MonkeyPatch) -> None:
    """On the way to a GPU a parameter keeps its identity and gets other memory; here, too."""
    monkeypatch.setattr(
        torch.nn.Module, "to", lambda self, device: self if device == "cpu" else self._apply(torch.clone)
    )


@pytest.mark.parametrize("fails", [False, True])
def test_an_offloaded_copy_takes_the_devices_memory_only_while_it_is_used(fails: bool) -> None:
    policy = tiny_policy()
    home = {p.data_ptr(): p.clone() for p in policy.parameters()}
    reference = FrozenCopy(policy, offload=True)
    try:
        with reference.model(CPU) as model:
            used = list(model.parameters())
            assert not home.keys() & {p.data_ptr() for p in used} and not any(p.requires_grad for p in used)
            if fails:
                raise KeyboardInterrupt
    except KeyboardInterrupt:
        pass
    after = {p.data_ptr(): p for p in policy.parameters()}
    assert after.keys() == home.keys()  # not even copied back
    assert all(torch.equal(tensor, home[at]) for at, tensor in after.items())


def test_a_copy_that_is_not_offloaded_stays() -> None:
    policy = tiny_policy()
    home = {p.data_ptr() for p in policy.parameters()}
    with FrozenCopy(policy).model(CPU) as model:
        used = {p.data_ptr() for p in model.parameters()}
    assert {p.data_ptr() for p in policy.parameters()} == used and not used & home
