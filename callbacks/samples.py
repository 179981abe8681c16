"""Samples that a person can read: problem, programs, tests and the passing matrix with its consensus marked.

They go to TensorBoard as text and as an image, and to samples.jsonl in the run folder.
"""

from __future__ import annotations

from typing import Any

import lightning as L
import numpy as np
from numpy.typing import NDArray

from zerocoder.execution import Verdict
from zerocoder.interaction import Interaction
from zerocoder.module import StepResult, ZeroCoderModule
from zerocoder.runs import RunFolder

CELL = 24  # pixels
COLOURS = {
    Verdict.PASS: (46, 160, 67),
    Verdict.FAIL: (218, 54, 51),
    Verdict.ERROR: (163, 56, 110),
    Verdict.TIMEOUT: (210, 153, 34),
    Verdict.MEMORY: (188, 108, 37),
    Verdict.UNSUPPORTED: (120, 90, 160),
    Verdict.INFRA: (40, 40, 40),
    Verdict.SKIPPED: (200, 200, 200),
    Verdict.CANCELLED: (236, 202, 120),
    Verdict.BROKEN: (90, 60, 60),
}
MARKS = {
    Verdict.PASS: "1",
    Verdict.FAIL: "0",
    Verdict.ERROR: "e",
    Verdict.TIMEOUT: "t",
    Verdict.MEMORY: "m",
    Verdict.UNSUPPORTED: "u",
    Verdict.INFRA: "?",
    Verdict.SKIPPED: "-",
    Verdict.CANCELLED: "c",
    Verdict.BROKEN: "b",
}


class Samples(L.Callback):
    """Logs the first `problems` of the batch every `every` steps."""

    def __init__(self, run: RunFolder, every: int, problems: int) -> None:
        self.run = run
        self.every = every
        self.problems = problems

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        assert isinstance(pl_module, ZeroCoderModule)
        result = pl_module.result
        if result is None or result.step % self.every:
            return
        for n in range(min(self.problems, len(result.problems))):
            self.run.append_sample(sample_record(result, n))
            if isinstance(trainer.logger, L.pytorch.loggers.TensorBoardLogger):
                board = trainer.logger.experiment
                board.add_text(f"samples/{n}", as_markdown(result, n), result.step)
                chosen = result.problems[n].consensus
                image = matrix_image(result.problems[n].interaction.matrix.verdicts, chosen.solutions, chosen.tests)
                board.add_image(f"matrix/{n}", image, result.step, dataformats="HWC")


def sample_record(result: StepResult, n: int) -> dict[str, Any]:
    """One problem of the step as a JSON object."""
    problem = result.problems[n]
    interaction, chosen, rewards = problem.interaction, problem.consensus, problem.rewards
    return {
        "step": result.step,
        "role": result.role.value,
        "problem": interaction.problem.id,
        "statement": interaction.problem.statement,
        "labelled": interaction.problem.label is not None,
        "solutions": [r.completion.text for r in interaction.group.solutions],
        "tests": _tests(interaction),
        "format_errors": _format_errors(interaction),
        "verdicts": [[Verdict(v).name.lower() for v in row] for row in interaction.matrix.verdicts],
        "columns": interaction.owners.tolist(),
        "consensus": {
            "solutions": np.flatnonzero(chosen.solutions).tolist(),
            "tests": np.flatnonzero(chosen.tests).tolist(),
            "score": chosen.score,
        },
        "rewards": {
            "total": rewards.total.tolist(),
            "valid": rewards.valid.tolist(),
            "mutation": rewards.mutation.tolist(),
            "format": rewards.format.tolist(),
            "counts": rewards.mask.tolist(),
            "lambda": rewards.lam,
        },
        "advantages": result.advantages[n].tolist(),
    }


def _tests(interaction: Interaction) -> list[str]:
    """The tester's answers, or what the solutions met where it was not asked."""
    answers = [r.completion.text for r in interaction.group.tests]
    return answers or [t.code or f"input:\n{t.stdin}\noutput:\n{t.stdout}" for t in interaction.columns if t]


def _format_errors(interaction: Interaction) -> dict[str, dict[str, str]]:
    group = interaction.group
    return {
        name: {str(i): r.answer.reason for i, r in enumerate(rollouts) if hasattr(r.answer, "reason")}
        for name, rollouts in (("solutions", group.solutions), ("tests", group.tests))
    }


def matrix_text(verdicts: NDArray[np.int8], solutions: NDArray[np.bool_], tests: NDArray[np.bool_]) -> str:
    """The matrix as lines, `*` marking the consensus: rows are solutions, columns tests."""
    head = "          " + " ".join("*" if t else " " for t in tests)
    rows = [
        f"  {'*' if chosen else ' '} s{i:<3}  " + " ".join(MARKS[Verdict(v)] for v in row)
        for i, (row, chosen) in enumerate(zip(verdicts, solutions, strict=True))
    ]
    return "\n".join([head.rstrip(), *rows])


def as_markdown(result: StepResult, n: int) -> str:
    problem = result.problems[n]
    interaction, chosen, rewards = problem.interaction, problem.consensus, problem.rewards
    totals = " ".join(f"{r:.2f}" for r in rewards.total)
    parts = [
        f"**{interaction.problem.id}** ({result.role.value}'s turn)",
        _block(interaction.problem.statement),
        _block(matrix_text(interaction.matrix.verdicts, chosen.solutions, chosen.tests)),
        f"rewards of the {result.role.value}: {totals}",
    ]
    solutions = [r.completion.text for r in interaction.group.solutions]
    for title, texts in (("solution", solutions), ("test", _tests(interaction))):
        parts += [f"{title} {i}\n\n" + _block(text) for i, text in enumerate(texts)]
    return "\n\n".join(parts)


def _block(text: str) -> str:
    """A code block by indentation, which hostile text cannot close as it could a fence."""
    return "\n".join("    " + line for line in text.splitlines())


def matrix_image(
    verdicts: NDArray[np.int8], solutions: NDArray[np.bool_], tests: NDArray[np.bool_]
) -> NDArray[np.uint8]:
    """[H, W, 3] pixels: a coloured cell a verdict, a blue mark before the rows and columns of the consensus."""
    rows, columns = verdicts.shape
    image = np.full(((rows + 1) * CELL, (columns + 1) * CELL, 3), 255, dtype=np.uint8)
    blue = np.array((31, 111, 235), dtype=np.uint8)
    for i in range(rows):
        top = (i + 1) * CELL
        if solutions[i]:
            image[top + 6 : top + CELL - 6, 6 : CELL - 6] = blue
        for j in range(columns):
            left = (j + 1) * CELL
            image[top + 1 : top + CELL - 1, left + 1 : left + CELL - 1] = COLOURS[Verdict(verdicts[i, j])]
    for j in np.flatnonzero(tests).tolist():
        left = (j + 1) * CELL
        image[6 : CELL - 6, left + 6 : left + CELL - 6] = blue
    return image
