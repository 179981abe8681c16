"""The tokenizer of zerocoder-nano: byte-level BPE over a few hundred tokens, digits and quoted letters kept apart.

Testers compute letter by letter and digit by digit, so neither may hide inside a merged token; everything else
(words with their leading space, brackets with their neighbours) merges freely to keep turns short.
"""

from __future__ import annotations

from collections.abc import Iterable

from tokenizers import AddedToken, Regex, Tokenizer, decoders, pre_tokenizers
from tokenizers.models import BPE
from tokenizers.trainers import BpeTrainer
from transformers import PreTrainedTokenizerFast

USER, ASSISTANT, END, PAD = "<|user|>", "<|assistant|>", "<|end|>", "<|pad|>"
CONTEXT = 512
QUOTED_LETTERS = 8  # letters after an opening quote that are kept apart

# A system message joins the first user turn: the policy has no separate role for it.
CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{% if message['role'] == 'assistant' %}" + ASSISTANT + "{{ message['content'] }}" + END + "{% else %}"
    "" + USER + "{{ message['content'] }}{% endif %}"
    "{% endfor %}"
    "{% if add_generation_prompt %}" + ASSISTANT + "{% endif %}"
)

_QUOTED = "|".join(f'(?<="[A-Za-z]{{{n}}})[A-Za-z]' if n else '(?<=")[A-Za-z]' for n in range(QUOTED_LETTERS))
# Words with one leading separator; signs; runs of symbols with single spaces inside; line breaks with their indent.
_PIECES = r"""\n+ *|[ (\[.]?[A-Za-z_]+|"| ?- ?| ?[^\sA-Za-z0-9"-]+(?: [^\sA-Za-z0-9"-]+)* ?| +"""


def train_tokenizer(texts: Iterable[str], vocabulary: int) -> PreTrainedTokenizerFast:
    """A tokenizer of at most `vocabulary` tokens learnt from `texts`, ready to be saved beside the model."""
    tokenizer = Tokenizer(BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_QUOTED), "isolated"),
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.Split(Regex(_PIECES), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    special = [PAD, USER, ASSISTANT, END]
    trainer = BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=[AddedToken(text, special=True, normalized=False) for text in special],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token=END,
        pad_token=PAD,
        additional_special_tokens=[USER, ASSISTANT],
        model_max_length=CONTEXT,
        padding_side="left",
        clean_up_tokenization_spaces=False,
    )
    fast.chat_template = CHAT_TEMPLATE
    return fast


def wrap(prompt: str) -> str:
    """What the chat template makes of one user message plus the generation prompt."""
    return f"{USER}{prompt}{ASSISTANT}"
