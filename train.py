"""Train a policy: `python train.py selector=dyb4`. `python train.py --help` lists what can be set.

Composes the config, builds executor, policy, data, module and callbacks, and hands them to Lightning. With
`trainer.devices` above 1 it starts itself once for each of them (docs/ranks.md).
"""

from __future__ import annotations

import copy
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from zerocoder import cli, launch, preflight
from zerocoder.compose import load, load_for_dry_run, to_dict, to_yaml
from zerocoder.config import Config
from zerocoder.console import log_files, quiet_libraries, say, stages
from zerocoder.files import write_json
from zerocoder.rollout.engine import sampling_of
from zerocoder.runs import RunFolder
from zerocoder.world import World

if TYPE_CHECKING:
    import lightning as L
    from lightning.pytorch.loggers import TensorBoardLogger
    from transformers import PreTrainedModel

    from zerocoder.datamodule import ProblemDataModule
    from zerocoder.evaluation.records import Scores
    from zerocoder.execution import Executor
    from zerocoder.module import ZeroCoderModule
    from zerocoder.reference import Reference

CONF = Path(__file__).parent / "conf"
EXAMPLES = (
    "selector=dyb4",
    "selector=b4 selector.beta0=1e5 trainer.max_steps=20",
    "algorithm=offline",
    "data=jsonl data.source.path=problems.jsonl selector=codet data.calibration=0",
    "experiment=qwen2.5-coder-7b dry_run=true",
    "trainer.resume=latest",
)


def main(argv: list[str]) -> int:
    config, no_data = load_for_dry_run(argv, CONF)
    if config.dry_run:
        return preflight.dry_run(config, no_data)
    place = launch.place(config.trainer)
    if place is None or (place.is_local_main and not launch.by_us()):
        preflight.check(config)
    if place is None and config.trainer.devices * config.trainer.num_nodes > 1:
        return launch.start(config.trainer)
    cuda = preflight.device(config.trainer.accelerator).type == "cuda"
    with (
        launch.joined(place or World(), cuda) as world,
        RunFolder.open(config, world) as run,
        launch.node_executor(config.verifier, world) as executor,
    ):
        isolation = executor.isolation  # starts the workers, before anything touches a GPU
        if world.is_main:
            announce(config, run, isolation)
        train(config, run, executor, world)
    return 0


def announce(config: Config, run: RunFolder, isolation: str) -> None:
    log_files.append(run.path / "log.txt")
    run.write_environment(isolation, config.trainer.seed)
    say(f"run folder {run.path}\nisolation  {isolation}")
    launch.tell_run(run.path)


def train(config: Config, run: RunFolder, executor: Executor, world: World) -> None:
    """Build the parts, filter the problems, train between two evaluations, write the summary."""
    module, data = build(config, executor, world)
    with closing(module.sampler.engine):
        data.load()
        report_source(config, data, run)
        logger = build_logger(config, run)
        before = evaluate(config, run, module, data, logger, "before")
        data.prepare(module.policy, module.sampler, executor)
        report_data(data)
        module.method.prepare(data.training, module.policy, module.sampler, config.data.cache_folder, world)
        trainer = build_trainer(config, run, module, data, logger)
        fit(trainer, module, data, run)
        after = evaluate(config, run, module, data, logger, "after")
    if world.is_main:
        finish(config, run, trainer, data, before, after)


def build(config: Config, executor: Executor, world: World) -> tuple[ZeroCoderModule, ProblemDataModule]:
    import torch
    from lightning import seed_everything

    quiet_libraries()
    seed_everything(config.trainer.seed, verbose=False)
    from zerocoder.datamodule import ProblemDataModule
    from zerocoder.logprobs import check_head
    from zerocoder.lora import add_adapters
    from zerocoder.models import load_policy, load_tokenizer
    from zerocoder.module import ZeroCoderModule
    from zerocoder.rollout.sampler import Sampler

    if config.trainer.threads is not None:
        torch.set_num_threads(config.trainer.threads)
    device = preflight.device(config.trainer.accelerator, local_rank=world.local_rank)
    if device.type == "cuda":
        torch.cuda.set_device(device)
    tokenizer = load_tokenizer(config.model)
    policy = load_policy(config.model, device)
    check_head(policy)
    if config.model.lora is not None:
        add_adapters(policy, config.model.lora, config.model.path)
    reference = build_reference(config, policy) if config.algorithm.kl_coefficient else None
    engine = config.rollout.start(policy, tokenizer)
    sampler = Sampler(engine, tokenizer, config.rollout, config.model.prompt_style, config.trainer.seed)
    selector = copy.deepcopy(config.selector)  # DyB4 changes as it runs, the config does not
    module = ZeroCoderModule(policy, reference, sampler, executor, selector, config.algorithm, config.trainer, world)
    return module, ProblemDataModule(config, world)


def build_reference(config: Config, policy: PreTrainedModel) -> Reference:
    from zerocoder.models import load_policy
    from zerocoder.reference import FrozenCopy, WithoutAdapters

    if config.model.lora is not None:
        return WithoutAdapters(policy)
    offload = config.trainer.offload_reference
    return FrozenCopy(load_policy(config.model, "cpu" if offload else policy.device), offload)


def build_trainer(
    config: Config, run: RunFolder, module: ZeroCoderModule, data: ProblemDataModule, logger: TensorBoardLogger
) -> L.Trainer:
    import lightning as L
    from lightning.fabric.plugins.environments import LightningEnvironment

    from callbacks.build import build_callbacks
    from zerocoder.checkpoint_io import StreamedCheckpointIO
    from zerocoder.strategies import build_strategy

    sharded = config.trainer.sharding is not None  # DeepSpeed writes files of its own
    return L.Trainer(
        max_steps=config.trainer.max_steps,
        max_epochs=-1,
        accelerator=config.trainer.accelerator,
        devices=config.trainer.devices,
        num_nodes=config.trainer.num_nodes,
        strategy=build_strategy(config.trainer, config.algorithm),
        precision=config.trainer.precision,  # type: ignore[arg-type]
        deterministic=config.trainer.deterministic,
        logger=logger,
        callbacks=build_callbacks(config, run, module, data),
        # The ranks run already, whoever started them: `launch` has brought their places into one form.
        plugins=[LightningEnvironment(), *([] if sharded else [StreamedCheckpointIO()])],
        enable_checkpointing=False,  # callbacks/checkpoints.py writes them, with the Hugging Face folder beside
        enable_progress_bar=False,
        enable_model_summary=False,
        log_every_n_steps=1,
    )


def build_logger(config: Config, run: RunFolder) -> TensorBoardLogger:
    from lightning.pytorch.loggers import TensorBoardLogger

    # On a resume, what was logged after the checkpoint is taken back: those steps are run again.
    logger = TensorBoardLogger(
        run.path, name="", version="tensorboard", default_hp_metric=False, purge_step=run.resume_step
    )
    logger.log_hyperparams(to_dict(config))
    logger.experiment.add_text("config", "```yaml\n" + to_yaml(config) + "\n```", 0)
    logger.experiment.add_text("environment", "```json\n" + run.environment_text() + "\n```", 0)
    return logger


def evaluate(
    config: Config,
    run: RunFolder,
    module: ZeroCoderModule,
    data: ProblemDataModule,
    logger: TensorBoardLogger,
    moment: str,
) -> Scores | None:
    """Held-out scores of the policy as it is; a resumed run reads those of "before" from its folder."""
    from zerocoder.evaluation.records import read_summary
    from zerocoder.evaluation.report import METRICS, summary
    from zerocoder.evaluation.runner import evaluate_policy

    problems = [p for p in data.heldout if p.label is not None]
    if not config.trainer.evaluate or not problems:
        return None
    file = run.path / f"evaluation_{moment}.json"
    if moment == "before" and module.world.from_main(file.exists()):
        return read_summary(file)
    with stages(f"held-out {moment}") as progress:
        scores = evaluate_policy(
            module.sampler.engine,
            module.sampler.tokenizer,
            config.model.prompt_style,
            problems,
            module.executor,
            sampling_of(config.rollout),
            config.model.max_prompt_tokens,
            config.algorithm.max_mutants,
            progress,
            world=module.world,
            n=config.trainer.eval_answers,
        )
    if module.world.is_main:
        write_json(file, summary(scores))
    step = module.global_step if moment == "after" else 0
    logger.log_metrics({f"eval/{name}": getattr(scores, name) for name in METRICS}, step=step)
    return scores


def report_source(config: Config, data: ProblemDataModule, run: RunFolder) -> None:
    """What of the data set is not trained on, and why."""
    if not data.world.is_main:
        return
    left_out: dict[str, int] = config.data.source.report()
    if left_out:
        say("rows left out: " + ", ".join(f"{count} {reason}" for reason, count in left_out.items()))
    if data.findings is not None:
        say(data.findings.line(dropped=config.data.decontaminate == "drop"))
        write_json(run.path / "contamination.json", data.findings.as_dict())


def report_data(data: ProblemDataModule) -> None:
    if data.filter_report is not None:
        say("\n".join(data.filter_report.lines()))
    dropped = f" ({data.too_long} with over-long prompts dropped)" if data.too_long else ""
    rewarded = sum(p.label is not None for p in data.training)
    calibrates = data.run.algorithm.method.selects and data.run.selector.needs_labels
    uses = [
        *([f"{rewarded} of them rewarded by their labels"] if rewarded else []),
        *([f"{len(data.calibration)} labelled ones for calibration"] if calibrates else []),
        f"{len(data.heldout)} held out",
    ]
    say(f"training on {len(data.training)} problems{dropped}, {', '.join(uses)}")


def fit(trainer: L.Trainer, module: ZeroCoderModule, data: ProblemDataModule, run: RunFolder) -> None:
    try:
        trainer.fit(module, datamodule=data, ckpt_path=run.resume_checkpoint)
    except SystemExit as stop:  # Lightning's answer to an interrupt, after the callbacks wrote their checkpoint
        begun = run.checkpoints()
        how = f"continue with trainer.resume={run.path}" if begun else "before its first checkpoint; start it anew"
        say(f"stopped after step {trainer.global_step}{';' if begun else ','} {how}")
        raise KeyboardInterrupt from stop
    module.sampler.engine.sync_weights(module.policy)


def finish(
    config: Config,
    run: RunFolder,
    trainer: L.Trainer,
    data: ProblemDataModule,
    before: Scores | None,
    after: Scores | None,
) -> None:
    """Write summary.json and print the table before -> after."""
    from callbacks.build import seen_by
    from zerocoder.evaluation.report import comparison_table, summary

    scores = {"before": before, "after": after}
    run.write_summary(
        {
            "steps": trainer.global_step,
            "checkpoint": str(run.checkpoint_path(trainer.global_step).relative_to(run.path)),
            "training_problems": len(data.training),
            "ranks": {} if data.filter_report is None else data.filter_report.ranks,
            **seen_by(trainer.callbacks),  # type: ignore[attr-defined]
            **{f"heldout_{k}": summary(v) for k, v in scores.items() if v is not None},
        }
    )
    if before is not None and after is not None:
        method = config.algorithm.method
        what = config.selector.name if method.selects else method.name
        title = f"held-out problems, {config.trainer.max_steps} steps of {what}"
        Console().print(comparison_table({"before": before, "after": after}, title))
    say(f"checkpoint {run.checkpoint_path(trainer.global_step)}")


if __name__ == "__main__":
    cli.run(
        main, lambda argv: to_yaml(load(argv, CONF)), lambda: cli.usage(__doc__, "train.py", "config", CONF, EXAMPLES)
    )
