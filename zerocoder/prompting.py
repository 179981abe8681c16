"""Prompts as token ids: a problem and a role -> what the rollout engine continues.

`zerocoder.prompts` writes the chat; this file puts it through the tokenizer's own chat template. It is a file of its
own so that `prompts` stays free of transformers.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from zerocoder.problems import Problem, Role, ZeroCoderError
from zerocoder.prompts import PLAIN_QUESTION, PromptStyle, messages

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

TEMPLATE_OPTIONS: Mapping[str, Any] = {"enable_thinking": False}
"""Variables handed to every chat template; a template that does not know one ignores it. Hybrid models such as Qwen3
would otherwise spend the completion's tokens on thinking, which the paper's settings (2,048 tokens) leave no room for.
"""


PLAIN = "plain"
PLAIN_TEMPLATE = (
    "{% for message in messages %}"
    "{% if message['role'] == 'system' %}{{ message['content'] }}\n\n"
    f"{{% elif message['role'] == 'user' %}}{PLAIN_QUESTION}\n"
    "{{ message['content'] }}\n\n### Answer\n"
    "{% else %}{{ message['content'] }}\n\n{% endif %}"
    "{% endfor %}"
)
"""A chat as one text for a base model to continue: `model.chat_template=plain`."""


def chat_template_of(setting: str, tokenizer: PreTrainedTokenizerBase) -> str:
    """The chat template that `model.chat_template` stands for: `plain`, or the text of a Jinja file.

    Raises ZeroCoderError for a file that is missing or holds no template.
    """
    if setting == PLAIN:
        starts = tokenizer.bos_token_id is not None and tokenizer("a").input_ids[:1] == [tokenizer.bos_token_id]
        return ("{{ bos_token }}" if starts else "") + PLAIN_TEMPLATE
    file = Path(setting).expanduser()
    try:
        template = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "no UTF-8 text"
        raise ZeroCoderError(
            f"model.chat_template={setting} cannot be read ({reason}): give a Jinja file, or {PLAIN}"
        ) from error
    if "messages" not in template:
        raise ZeroCoderError(f"model.chat_template={setting} is no chat template: it does not mention messages")
    return template


def prompt_ids(
    tokenizer: PreTrainedTokenizerBase,
    problem: Problem,
    role: Role,
    style: PromptStyle = PromptStyle.STANDARD,
    options: Mapping[str, Any] = TEMPLATE_OPTIONS,
) -> tuple[int, ...]:
    """The prompt that asks the policy, in `role`, to answer `problem`: token ids [P], ready to be continued.

    `options` are variables of the tokenizer's chat template. Raises ZeroCoderError where the template is broken.
    """
    from jinja2 import TemplateError

    chat = messages(problem, role, style)
    try:
        ids = tokenizer.apply_chat_template(
            chat, add_generation_prompt=True, tokenize=True, return_dict=False, **options
        )
    except TemplateError as error:
        raise ZeroCoderError(
            f"the model's chat template cannot be filled in ({' '.join(str(error).split())[:160]}): "
            f"set model.chat_template to a Jinja file that takes system, user and assistant turns, or to {PLAIN}"
        ) from error
    return tuple(int(token) for token in cast(list[int], ids))
