"""An engine of one's own: a reward "model" that is a table of words and what each is worth.

Named in curate.yaml, beside this file:

    engines:
      words: {kind: "./engine.py:WordReward", worth: {because: 1.0, sorry: -2.0}}
    judge:
      judges: [{name: words, kind: reward-model, engine: words}]
"""

from collections.abc import Sequence

from pydantic import Field

from curate.core.identity import content_id
from curate.engine.base import Capability, Chat, Failure, Score
from curate.engine.registry import ConfiguredEngine, EngineOptions
from curate.records import plain_text


class WordOptions(EngineOptions):
    worth: dict[str, float] = Field(description="What each word adds to the reward.")


class WordReward(ConfiguredEngine):
    Options = WordOptions

    @property
    def capabilities(self) -> frozenset[Capability]:
        return frozenset({"score"})  # a model that writes has "generate", and overrides that method

    @property
    def revision(self) -> str:  # changes with everything that can change an answer
        return content_id("word-reward", 1, self.options.worth)

    def score(self, chats: Sequence[Chat]) -> list[Score | Failure]:
        answers = [plain_text(chat[-1].content).lower().split() for chat in chats]
        return [
            Score(sum(self.options.worth.get(word, 0.0) for word in words), len(words)) for words in answers
        ]
