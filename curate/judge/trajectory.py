"""Show a prompt and its responses to judges that read text, with the calls, results and turns of trajectories.

A response of one plain text is that text. Anything else is what the assistant says, with reasoning, calls and results
between tags (`curate.data.conversation.render_text`). What is shown is the judge's choice:

| option           | default | meaning |
| ---              | ---     | --- |
| `show_reasoning` | false   | show the reasoning before an answer, which its reader does not see either |
| `show_calls`     | true    | show calls of tools and their results |
| `whole`          | false   | show trajectories whole; else from where they branch, and a common beginning once |

A response that would be blank, since it is reasoning or calls and nothing else, is shown with all of it: a judge has to
see that there is no answer, and what there is in its place.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from curate.data.conversation import (
    Conversation,
    count_common,
    escape_content,
    is_plain,
    is_text,
    render_prompt,
    render_response,
)
from curate.records import plain_text


@dataclass(frozen=True, slots=True)
class TextView:
    """Choice of what a judge that reads text sees of conversations; the options of this module's table."""

    show_reasoning: bool = False
    show_calls: bool = True
    whole: bool = False


@dataclass(frozen=True, slots=True)
class JudgedTexts:
    """A question as text.

    Attributes:
        request: The prompt with its tools, and what the responses begin with in common.
        responses: The responses, or what follows their common beginning, in the order of the question.
        are_alike: The responses differ, but not in what is shown.
    """

    request: str
    responses: tuple[str, ...]
    are_alike: bool = False


DEFAULT_VIEW = TextView()


def render_request(messages: Conversation, view: TextView = DEFAULT_VIEW, *, tools: str | None = None) -> str:
    """Render a prompt as text, as far as a view shows it (see `render_prompt`).

    Args:
        messages: The prompt, and what all responses begin with.
        view: What is shown of it.
        tools: JSON text of the tools that models may call.
    """
    return render_prompt(
        messages, tools=tools, show_reasoning=view.show_reasoning, show_calls=view.show_calls
    )


def render_question(
    prompt: Conversation, responses: Sequence[Conversation], view: TextView, *, tools: str | None = None
) -> JudgedTexts:
    """Render a prompt and the responses in question.

    Args:
        prompt: Messages of the prompt.
        responses: Messages of one response, or of several that are compared.
        view: What is shown of them.
        tools: JSON text of the tools that models may call.
    """
    common = count_common(responses) if len(responses) > 1 and not view.whole else 0
    rests = [response[common:] for response in responses]
    has_tags = tools is not None or not is_text(prompt) or not all(map(is_plain, responses))
    texts = tuple(_render_rest(rest, view, has_tags=has_tags) for rest in rests)
    are_alike = len(texts) > 1 and len(set(texts)) == 1 and any(rest != rests[0] for rest in rests)
    request = render_request((*prompt, *responses[0][:common]), view, tools=tools)
    return JudgedTexts(request, texts, are_alike)


def _render_rest(rest: Conversation, view: TextView, *, has_tags: bool) -> str:
    """Render a response; where tags mean something, a plain text must not forge them either."""
    if has_tags and is_plain(rest):
        return plain_text(escape_content(rest[0]).content)
    return render_response(rest, show_reasoning=view.show_reasoning, show_calls=view.show_calls)
