"""ProblemDataModule: the data set's splits, the rank pre-filter, the calibration set and the stream of batches.

Every batch is a function of (seed, step), so the position in the data is the step itself and a resumed run continues
with the batch that the unbroken run would have drawn.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import lightning as L
import numpy as np
import torch
from torch.utils.data import DataLoader, IterableDataset

from zerocoder.algorithms.base import Labels, require_labels
from zerocoder.answers import EXTRACTOR
from zerocoder.compose import CONF
from zerocoder.config import Config
from zerocoder.console import bar, say
from zerocoder.datasets.contamination import Findings, find_matches
from zerocoder.evaluation.benchmarks import read_benchmarks
from zerocoder.execution import Executor
from zerocoder.prefilter import FilterReport, fingerprint, keep_diverse, measure_ranks
from zerocoder.problems import Problem, ZeroCoderError
from zerocoder.prompts import prompts_hash
from zerocoder.rollout.engine import request_seed
from zerocoder.rollout.sampler import Sampler
from zerocoder.world import World, current

if TYPE_CHECKING:
    from transformers import PreTrainedModel


_WHERE_IT_RUNS = ("workers", "cache_mb", "address", "patience_seconds")
"""Settings of a verifier that decide no verdict."""


class ProblemDataModule(L.LightningDataModule):
    """Problems for one run.

    `load` reads the data set, `prepare` filters it with the initial policy and sets the calibration problems aside.
    Only `calibration` and `heldout` problems carry labels, and of the `training` problems those that the algorithm is
    rewarded by; what is trained on without ground truth has none to read.
    All ranks hold all problems; the loader hands each its share of every batch.
    """

    def __init__(self, config: Config, world: World | None = None) -> None:
        super().__init__()
        self.world = world or current()
        self.config = config.data
        self.run = config
        self.candidates: list[Problem] = []
        self.heldout: list[Problem] = []
        self.calibration: list[Problem] = []
        self.training: list[Problem] = []
        self.findings: Findings | None = None
        self.filter_report: FilterReport | None = None
        self.too_long = 0
        self.next_step = 0

    def load(self) -> None:
        """Read the data set, drop what is evaluated on, and apply `limit` and `heldout_limit`."""
        source = self.config.source
        training, heldout = source.train(), source.heldout()
        if not training:
            raise ZeroCoderError("data.source holds no training problems")
        clean = self._decontaminated(training, heldout)
        if not clean:
            raise ZeroCoderError(
                f"all {len(training)} training problems are evaluation problems too (data.decontaminate=report keeps "
                "them)"
            )
        self.candidates = self._sampled(clean, self.config.limit, "limit")
        require_labels(self.run.algorithm.method, self.candidates)
        self.heldout = self._sampled(heldout, self.config.heldout_limit, "heldout_limit")

    def _decontaminated(self, training: list[Problem], heldout: list[Problem]) -> list[Problem]:
        """The training problems that may be trained on; sets `findings`."""
        if self.config.decontaminate == "off":
            return training
        missing: list[str] = []
        chosen = read_benchmarks(self.config.against, CONF / "benchmark", {}, missing.append)
        for line in missing if self.world.is_main else []:
            say(f"not compared with a benchmark: {line}")
        named = {benchmark.name: problems for benchmark, problems in chosen}
        self.findings = find_matches(training, {"its held-out problems": heldout, **named}, self.config.overlap)
        if self.config.decontaminate == "report":
            return training
        return [problem for problem in training if problem.id not in self.findings.ids]

    def prepare(self, policy: PreTrainedModel, sampler: Sampler, executor: Executor) -> None:
        """Drop over-long prompts, filter by rank under the initial `policy`, set the calibration problems aside."""
        fitting = [p for p in self.candidates if sampler.fits(p, self.run.model.max_prompt_tokens)]
        self.too_long = len(self.candidates) - len(fitting)
        if not fitting:
            raise ZeroCoderError(
                f"all {len(self.candidates)} training problems have prompts over model.max_prompt_tokens="
                f"{self.run.model.max_prompt_tokens}; raise it"
            )
        self.candidates = fitting
        kept = self._filtered(fitting, policy, sampler, executor) if self.config.tau else fitting
        self.calibration = self._choose_calibration(kept)
        self.training = self._as_trained_on(kept)
        if len(self.training) < self.config.batch_size:
            raise ZeroCoderError(
                f"data.batch_size={self.config.batch_size} is larger than the {len(self.training)} problems left "
                f"for training; lower data.batch_size or data.tau={self.config.tau}"
            )

    def _filtered(
        self, problems: list[Problem], policy: PreTrainedModel, sampler: Sampler, executor: Executor
    ) -> list[Problem]:
        settings = {
            "rollout": sampler.config.deciding,
            "prompts": [prompts_hash(sampler.prompt_style), sampler.tokenizer.chat_template],
            "extractor": EXTRACTOR,
            "seed": sampler.seed,
            "verifier": {k: v for k, v in asdict(self.run.verifier).items() if k not in _WHERE_IT_RUNS},
            "unit": self.run.algorithm.test_unit,
        }
        key = fingerprint(policy, settings) if self.world.is_main else "unused"
        with bar("pre-filter", len(problems)) as advance:
            ranks = measure_ranks(
                problems,
                sampler,
                executor,
                self.run.algorithm.test_unit,
                self.config.cache_folder / "prefilter" / f"{key}.jsonl",
                advance,
                self.world,
            )
        kept, self.filter_report = keep_diverse(problems, ranks, self.config.tau)
        return kept

    def _as_trained_on(self, kept: Sequence[Problem]) -> list[Problem]:
        """The same problems in the same order for every algorithm, with the labels that it is rewarded by."""
        labels: Labels = self.run.algorithm.method.labels
        chosen = {p.id for p in self.calibration}
        others = [p for p in kept if p.id not in chosen]
        few = self.calibration if self.run.algorithm.labelled_rewards else []
        return [
            *(others if labels is Labels.ALL else [p.unlabelled() for p in others]),
            *(few if labels is not Labels.NONE else [p.unlabelled() for p in few]),
        ]

    def _choose_calibration(self, kept: Sequence[Problem]) -> list[Problem]:
        wanted = self.config.calibration
        labelled = [p for p in kept if p.label is not None]
        if len(labelled) < wanted:
            raise ZeroCoderError(
                f"data.calibration={wanted} labelled problems are wanted, but only {len(labelled)} problems with "
                "solution and tests are left after the pre-filter; lower data.calibration (0: label-free, with "
                "selector=maxpass, codet or b4) or add labels"
            )
        return self._sampled(labelled, wanted, "calibration set")

    def labelled_probe(self, size: int) -> list[Problem]:
        """A fixed sample of labelled training candidates to measure the policy on; none where no labels exist.

        Calibration problems are passed over. Runs that differ in them have all but as many of their samples in common.
        """
        labelled, taken = [p for p in self.candidates if p.label is not None], {p.id for p in self.calibration}
        free = [i for i in self._order(len(labelled), "probe") if labelled[i].id not in taken]
        return [labelled[i] for i in sorted(free[:size])]

    def labelled_training(self) -> list[Problem]:
        """What is trained on without a label, with it, to measure by: never to be handed to the module.

        Everything that is trained on, where all of it keeps its label; without those that have none.
        """
        watched = {p.id for p in self.training if p.label is None} or {p.id for p in self.training}
        return [p for p in self.candidates if p.id in watched and p.label is not None and p.label.tests]

    def _sampled(self, problems: list[Problem], size: int | None, what: str) -> list[Problem]:
        """A seeded sample in the problems' own order."""
        if size is None or size >= len(problems):
            return problems
        return [problems[i] for i in sorted(self._order(len(problems), what)[:size])]

    def _order(self, count: int, what: str) -> list[int]:
        """The numbers below `count` in a seeded order."""
        order: list[int] = np.random.default_rng(request_seed(self.run.trainer.seed, what)).permutation(count).tolist()
        return order

    def batch(self, step: int) -> list[Problem]:
        """The problems of a step, over all ranks: a seeded permutation a pass, its remainder below a batch left out."""
        size = self.config.batch_size
        per_pass = len(self.training) // size
        number, at = divmod(step, per_pass)
        order = np.random.default_rng(request_seed(self.run.trainer.seed, "pass", number)).permutation(
            len(self.training)
        )
        return [self.training[i] for i in order[at * size : (at + 1) * size]]

    def train_dataloader(self) -> DataLoader[list[Problem]]:
        # A generator of its own: making an iterator draws a seed, and a resumed run makes one more.
        return DataLoader(_Stream(self), batch_size=None, generator=torch.Generator().manual_seed(0))

    def transfer_batch_to_device(self, batch: Any, device: torch.device, dataloader_idx: int) -> Any:
        return batch  # problems are texts

    def state_dict(self) -> dict[str, Any]:
        return {"next_step": self.trainer.global_step if self.trainer is not None else self.next_step}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.next_step = int(state_dict["next_step"])


class _Stream(IterableDataset[list[Problem]]):
    """This rank's shares of the batches from the datamodule's next step on, without end; max_steps stops it."""

    def __init__(self, data: ProblemDataModule) -> None:
        self.data = data

    def __iter__(self) -> Iterator[list[Problem]]:
        step = self.data.next_step
        while True:
            yield self.data.world.share(self.data.batch(step))
            step += 1
