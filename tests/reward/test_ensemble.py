"""Several reward models as one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from curate.core.errors import CurateError
from curate.data.conversation import text_answer, text_message
from curate.reward.ensemble import open_ensemble
from curate.reward.scorer import EncodingScorer, PromptResponses, open_reward_model
from tests.conftest import MakeModel

REQUEST = PromptResponses((text_message("user", "which?"),), (text_answer("A"), text_answer("the quick fox")))
OPTIONS = {"penalty": 0.5, "dtype": "auto", "budget": 4096, "max_length": None}


def test_the_mean_less_what_the_models_disagree_about(make_model: MakeModel, tmp_path: Path) -> None:
    models = [str(make_model(head="reward", seed=seed)) for seed in (1, 2)]
    single = np.stack([open_reward_model(model, folder=tmp_path).score([REQUEST])[0] for model in models])
    ensemble = open_ensemble(models, folder=tmp_path, **OPTIONS)  # type: ignore[arg-type]
    assert isinstance(ensemble, EncodingScorer)
    (scores,) = ensemble.score([REQUEST])
    assert scores == pytest.approx(single.mean(axis=0) - 0.5 * single.var(axis=0), abs=1e-4)
    chat = "<|im_start|>user\nwhich?<|im_end|>\n<|im_start|>assistant\nA<|im_end|>\n"
    rendered = PromptResponses((), ((),), encoded=ensemble.encode_own(chat))
    assert ensemble.score([rendered])[0][0] == pytest.approx(scores[0], abs=1e-4)


def test_models_that_read_in_another_way_are_refused(make_model: MakeModel, tmp_path: Path) -> None:
    models = [str(make_model(head="reward")), str(make_model(head="reward", chat_template=None))]
    with pytest.raises(CurateError, match="only models of one training"):
        open_ensemble(models, folder=tmp_path, **OPTIONS)  # type: ignore[arg-type]
