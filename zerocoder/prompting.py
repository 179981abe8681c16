"""Prompts as token ids: a problem and a role -> what the rollout engine continues.

`zerocoder.prompts` writes the chat; this file puts it through the tokenizer's own chat template. It is a file of its
own so that `prompts` stays free of transformers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from zerocoder.problems import Problem, Role
from zerocoder.prompts import PromptStyle, messages

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

TEMPLATE_OPTIONS: Mapping[str, Any] = {"enable_thinking": False}
"""Variables handed to every chat template; a template that does not know one ignores it. Hybrid models such as Qwen3
would otherwise spend the completion's tokens on thinking, which the paper's settings (2,048 tokens) leave no room for.
"""


def prompt_ids(
    tokenizer: PreTrainedTokenizerBase,
    problem: Problem,
    role: Role,
    style: PromptStyle = PromptStyle.STANDARD,
    options: Mapping[str, Any] = TEMPLATE_OPTIONS,
) -> tuple[int, ...]:
    """The prompt that asks the policy, in `role`, to answer `problem`: token ids [P], ready to be continued.

    `options` are variables of the tokenizer's chat template.
    """
    ids = tokenizer.apply_chat_template(
        messages(problem, role, style), add_generation_prompt=True, tokenize=True, return_dict=False, **options
    )
    return tuple(int(token) for token in cast(list[int], ids))
