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
    monkeypatch.setattr(torch.nn.Module, "to", lambda self, device: self._apply(torch.clone))


@pytest.mark.parametrize("fails", [False, True])
def test_an_offloaded_copy_takes_the_devices_memory_only_while_it_is_used(fails: bool) -> None:
    policy = tiny_policy()
    home = {t.data_ptr(): t.clone() for t in (*policy.parameters(), *policy.buffers())}
    reference = FrozenCopy(policy, offload=True)
    try:
        with reference.model(CPU) as model:
            used = [*model.parameters(), *model.buffers()]
            assert not home.keys() & {t.data_ptr() for t in used} and not any(t.requires_grad for t in used)
            if fails:
                raise KeyboardInterrupt
    except KeyboardInterrupt:
        pass
    after = {t.data_ptr(): t for t in (*policy.parameters(), *policy.buffers())}
    assert after.keys() == home.keys()  # not even copied back
    assert all(torch.equal(tensor, home[at]) for at, tensor in after.items())


def test_a_copy_that_is_not_offloaded_stays() -> None:
    policy = tiny_policy()
    home = {p.data_ptr() for p in policy.parameters()}
    with FrozenCopy(policy).model(CPU) as model:
        used = {p.data_ptr() for p in model.parameters()}
    assert {p.data_ptr() for p in policy.parameters()} == used and not used & home
