"""Control tokens of chat templates that were left in a text, such as `<|im_end|>` or `[/INST]`."""

from __future__ import annotations

import re

from curate.filter.base import TextFilter

_TOKENS = re.compile(
    r"<\|(?:im_start|im_end|endoftext|end_of_text|eot_id|eom_id|start_header_id|end_header_id|begin_of_text|"
    r"assistant|user|system|end|return|channel|message|start)\|>|\[/?INST\]|<</?SYS>>|<start_of_turn>|<end_of_turn>|"
    r"<\uff5c[^<>\uff5c]{1,40}\uff5c>"
)


class SpecialTokens(TextFilter):
    """Leave out texts with residue of a chat template: the end of generation was missed, or turns were glued."""

    def find_flaw(self, text: str) -> tuple[str, float | None] | None:
        residue = _TOKENS.search(text) or text.count("</s>") > text.count("<s>")  # a pair of them is HTML
        return None if not residue else ("holds a control token of a chat template", None)
