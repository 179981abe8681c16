"""The reward function for TRL: rewards by hand, and one real step of the installed trl's GRPOTrainer."""

from __future__ import annotations

import pickle
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from zerocoder.execution import Limits, Verdict
from zerocoder.execution.trl import PassingReward, passing_reward, reward_of
from zerocoder.problems import ZeroCoderError

RIGHT = "Here it is:\n```python\ndef add(a, b):\n    return a + b\n```"
HALF = "```python\ndef add(a, b):\n    return abs(a) + b\n```"
ENDLESS = "```python\ndef add(a, b):\n    while True: pass\n```"
PROSE = "I cannot do that."
TESTS = ["assert add(1, 2) == 3", "assert add(-1, 1) == 0"]
SCRIPT = "```python\nprint(int(input()) + 1)\n```"
STREAMS = [{"stdin": "1\n", "stdout": "2\n"}, {"stdin": "5\n", "stdout": "6"}, {"stdin": "5\n", "stdout": "7"}]


@pytest.fixture(scope="module")
def reward() -> Iterator[PassingReward]:
    reward = PassingReward(workers=1, limits=Limits(cpu_seconds=0.2))
    yield reward
    reward.close()


def test_share_of_tests_passed(reward: PassingReward) -> None:
    completions = [RIGHT, HALF, ENDLESS, PROSE]
    columns = {"tests": [TESTS] * 4, "entry_point": ["add"] * 4, "trainer_state": object()}
    assert reward(prompts=[""] * 4, completions=completions, completion_ids=[[]] * 4, **columns) == [1.0, 0.5, 0.0, 0.0]


def test_all_or_nothing() -> None:
    strict = PassingReward(all_or_nothing=True, workers=1)
    logged: dict[str, float] = {}
    columns = {"tests": [TESTS] * 2, "entry_point": ["add"] * 2, "log_metric": logged.__setitem__}
    assert strict(["", ""], [ENDLESS, RIGHT], **columns) == [0.0, 1.0]
    assert logged["verdict/timeout"] == logged["verdict/cancelled"] > 0  # its first failure settles it
    assert strict(["", ""], [HALF, RIGHT], **columns) == [0.0, 1.0]
    strict.close()


def test_problems_are_told_apart_and_order_is_kept(reward: PassingReward) -> None:
    other = ["assert add(1, 2) == -1"]
    completions = [RIGHT, SCRIPT, RIGHT, SCRIPT]
    rewards = reward([""] * 4, completions, tests=[TESTS, STREAMS, other, None], entry_point=["add", None, "add", None])
    assert rewards == [1.0, pytest.approx(2 / 3), 0.0, None]


def test_conversations(reward: PassingReward) -> None:
    parts = [{"type": "text", "text": RIGHT[:20]}, {"type": "text", "text": RIGHT[20:]}]
    completions: list[Any] = [
        [{"role": "assistant", "content": "thinking"}, {"role": "assistant", "content": RIGHT}],
        [{"role": "assistant", "content": parts}],
        [{"role": "assistant", "content": None}],
        [],
    ]
    assert reward([""] * 4, completions, tests=[TESTS] * 4, entry_point=["add"] * 4) == [1.0, 1.0, 0.0, 0.0]


def test_our_failures_are_left_out() -> None:
    verdicts = np.array([Verdict.PASS, Verdict.INFRA], dtype=np.int8)
    assert reward_of(verdicts) is None
    assert reward_of(verdicts, all_or_nothing=True) is None
    assert reward_of(np.array([Verdict.PASS, Verdict.UNSUPPORTED, Verdict.FAIL, Verdict.PASS], dtype=np.int8)) == 0.5


def test_verdicts_go_to_the_trainers_log(reward: PassingReward) -> None:
    logged: dict[str, float] = {}
    reward([""] * 2, [HALF, PROSE], tests=[TESTS] * 2, entry_point=["add"] * 2, log_metric=logged.__setitem__)
    assert set(logged) == {f"verdict/{kind.name.lower()}" for kind in Verdict}
    assert {name: share for name, share in logged.items() if share} == {
        "verdict/pass": 0.25,
        "verdict/fail": 0.25,
        "verdict/skipped": 0.5,
    }


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({}, "no column 'tests'"),
        ({"tests": [[]], "entry_point": ["add"]}, "at least one test"),
        ({"tests": ["assert add(1, 2) == 3"], "entry_point": ["add"]}, "must be a list"),
        ({"tests": [[3]], "entry_point": ["add"]}, "a test is a string"),
        ({"tests": [[" "]], "entry_point": ["add"]}, "a test is a string"),
        ({"tests": [[{"stdin": "1"}]]}, "a test is a string"),
        ({"tests": [[*TESTS, *STREAMS]], "entry_point": ["add"]}, "mixes"),
        ({"tests": [TESTS]}, "entry_point"),
        ({"tests": [TESTS], "entry_point": ["a b"]}, "'a b'"),
    ],
)
def test_columns_that_describe_no_tests(reward: PassingReward, columns: dict[str, Any], message: str) -> None:
    with pytest.raises(ZeroCoderError, match=message) as mistake:
        reward([""], [RIGHT], **columns)
    assert "\n" not in str(mistake.value)


def test_a_copy_for_another_process_works() -> None:
    copy = pickle.loads(pickle.dumps(PassingReward(all_or_nothing=True, workers=1)))
    assert copy.all_or_nothing
    assert copy([""], [RIGHT], tests=[TESTS], entry_point=["add"]) == [1.0]
    copy.close()


def test_ranks_share_the_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = passing_reward._executor.num_workers
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    assert PassingReward()._executor.num_workers == max(1, whole // 2)
    assert PassingReward(workers=3)._executor.num_workers == 3


def test_it_imports_neither_trl_nor_torch() -> None:
    code = "import sys, zerocoder.execution.trl; print(sorted({'torch', 'trl', 'transformers'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=Path(__file__).parents[2])
    assert done.stdout == "[]\n", done.stderr


@pytest.mark.slow  # the imports alone can take a minute
def test_a_step_of_the_real_trainer(tmp_path: Path, reward: PassingReward, monkeypatch: pytest.MonkeyPatch) -> None:
    """TRL calls it with its own arguments, logs it by its name, and gives no advantage where it says None."""
    pytest.importorskip("trl", reason="trl is not installed: pip install 'zerocoder[trl]'")
    datasets = pytest.importorskip("datasets")
    monkeypatch.setenv("TRL_EXPERIMENTAL_SILENCE", "1")
    from tiny import tiny_policy, tiny_tokenizer
    from transformers import TrainerCallback
    from trl import GRPOConfig, GRPOTrainer
    from trl.trainer.utils import get_callable_name, is_async_callable

    assert get_callable_name(passing_reward) == "passing_reward"
    assert not is_async_callable(passing_reward)

    tokenizer = tiny_tokenizer()
    prompt = [{"role": "user", "content": "add"}]
    answers = {"add": [RIGHT, HALF], "other": [RIGHT, PROSE]}
    texts: list[str] = []

    def scripted(prompts: list[Any], trainer: Any) -> dict[str, Any]:
        """Stands in for sampling, which a random model would fill with noise."""
        left = {name: list(texts) for name, texts in answers.items()}
        texts[:] = [left[messages[-1]["content"]].pop(0) for messages in prompts]
        return {
            "prompt_ids": [
                tokenizer.apply_chat_template(p, add_generation_prompt=True, return_dict=False) for p in prompts
            ],
            "completion_ids": [[*tokenizer(text)["input_ids"], tokenizer.eos_token_id] for text in texts],
            "logprobs": None,
        }

    trainer = GRPOTrainer(
        model=tiny_policy(),
        reward_funcs=reward,
        args=GRPOConfig(
            output_dir=str(tmp_path),
            max_steps=1,
            per_device_train_batch_size=4,
            num_generations=2,
            max_completion_length=256,
            use_cpu=True,
            bf16=False,
            save_strategy="no",
            logging_steps=1,
            report_to=[],
            disable_tqdm=True,
        ),
        train_dataset=datasets.Dataset.from_dict(
            {
                "prompt": [prompt, [{"role": "user", "content": "other"}]],
                "tests": [TESTS, None],
                "entry_point": ["add", None],
            }
        ),
        processing_class=tokenizer,
        rollout_func=scripted,
    )
    advantages: list[float] = []

    class Keeper(TrainerCallback):
        """Keeps the advantages, which the trainer forgets when it logs."""

        def on_step_end(self, *args: Any, **kwargs: Any) -> None:
            advantages.extend(trainer._logs["advantages"])

    trainer.add_callback(Keeper())
    trainer.train()
    log = trainer.state.log_history[0]
    assert log["rewards/passing_reward/mean"] == pytest.approx(0.75)  # of 1.0 and 0.5; the others are left out
    assert log["reward"] == pytest.approx(0.75)
    assert log["verdict/pass"] == pytest.approx(0.75)
    by_answer = sorted(zip(texts, advantages, strict=True), key=lambda pair: pair[1])
    # the group of rewards 1.0 and 0.5 has the mean 0.75 and the standard deviation 0.25 * sqrt(2)
    assert [advantage for _, advantage in by_answer] == pytest.approx([-(0.5**0.5), 0.0, 0.0, 0.5**0.5], abs=1e-3)
    assert by_answer[0][0] == HALF
