"""The shapes of vLLM, verl and NeMo Gym: required fields, failures, rollouts that are rewarded together."""

from __future__ import annotations

import asyncio
import math
from typing import Any

import httpx
import pytest
from fastapi.testclient import TestClient

from curate.reward.transforms import RewardTransform
from curate.serve.app import make_app
from curate.serve.limits import ServerLimits
from tests.serve.test_app import Lengths

CHAT = "<|im_start|>user\nWhy?<|im_end|>\n<|im_start|>assistant\nSo.<|im_end|>\n"
USAGE = {"prompt_tokens", "total_tokens", "completion_tokens"}
HEAD = {"id", "object", "created", "model", "data", "usage"}


@pytest.mark.parametrize(
    ("path", "body", "fields", "read"),
    [
        (
            "/classify",
            {"input": CHAT},
            {"index", "label", "probs", "num_classes"},
            lambda row: row["probs"][-1],
        ),
        (
            "/v1/classify",
            {"input": [CHAT]},
            {"index", "label", "probs", "num_classes"},
            lambda row: row["probs"][-1],
        ),
        ("/pooling", {"input": CHAT}, {"index", "object", "data"}, lambda row: row["data"][-1]),
        (
            "/v1/embeddings",
            {"input": CHAT},
            {"index", "object", "embedding"},
            lambda row: row["embedding"][-1],
        ),
        (
            "/score",
            {"queries": "Why?", "documents": ["So."]},
            {"index", "object", "score"},
            lambda row: row["score"],
        ),
        (
            "/score",
            {"text_1": ["Why?"], "text_2": "So."},
            {"index", "object", "score"},
            lambda row: row["score"],
        ),
        (
            "/v1/score",
            {"queries": "Why?", "items": ["So."]},
            {"index", "object", "score"},
            lambda row: row["score"],
        ),
    ],
)
def test_vllms_answers_have_their_fields(path: str, body: Any, fields: set[str], read: Any) -> None:
    with TestClient(make_app(Lengths(), ServerLimits())) as client:
        answer = client.post(path, json={"model": "m"} | body).json()
        assert (set(answer), set(answer["usage"]), set(answer["data"][0])) == (HEAD, USAGE, fields)
        assert read(answer["data"][-1]) == 3.0
        activated = client.post(path, json={"model": "m", "use_activation": True} | body).json()
        assert read(activated["data"][-1]) == pytest.approx(1 / (1 + math.exp(-3)))


def test_reranked_documents_come_best_first() -> None:
    body = {"model": "m", "query": "Why?", "documents": ["a", {"text": "four"}, "of"], "top_n": 2}
    with TestClient(make_app(Lengths(), ServerLimits())) as client:
        answer = client.post("/rerank", json=body).json()
        assert client.post("/v2/rerank", json=body).json()["results"] == answer["results"]
    assert set(answer) == {"id", "model", "usage", "results"}
    assert answer["results"] == [
        {"index": 1, "document": {"text": "four"}, "relevance_score": 4.0},
        {"index": 2, "document": {"text": "of"}, "relevance_score": 2.0},
    ]


def test_an_empty_shard_is_answered() -> None:
    with TestClient(make_app(Lengths(), ServerLimits())) as client:
        answer = client.post("/get_reward", json={"query": [], "prompts": [], "labels": []}).json()
        assert answer == {"rewards": [], "scores": [], "extra_logs": {}}
        assert client.post("/rewards", json={"prompts": [], "completions": []}).json() == {"rewards": []}


def rollout(answer: str, **fields: Any) -> dict[str, Any]:
    output = [
        {"type": "reasoning", "summary": [{"type": "summary_text", "text": "Hm."}]},
        {"type": "function_call", "call_id": "c", "name": "add", "arguments": '{"a": 1}'},
        {"type": "function_call_output", "call_id": "c", "output": "3"},
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": answer}]},
    ]
    asked = {"input": [{"role": "user", "content": "Why?"}], "tools": [{"type": "function", "name": "add"}]}
    return {"responses_create_params": asked, "response": {"id": "r", "output": output}} | fields


def test_a_rollout_comes_back_with_its_reward() -> None:
    body = rollout("So.", _ng_task_index=3, verifier_metadata={"x": 1})
    with TestClient(make_app(Lengths(), ServerLimits())) as client:
        answer = client.post("/verify", json=body).json()
        assert answer.pop("reward") > 3
        assert answer["_ng_task_index"] == 3
        assert (answer["verifier_metadata"], answer["response"]) == ({"x": 1}, body["response"])
        empty = body | {"response": {"output": []}}
        failed = client.post("/verify", json=empty).json()
    assert failed["_ng_failure_class"] == "judge_failed"
    assert failed["_ng_failure_judge_error"] == "the response holds no answer"


def plain(answer: str, task: int) -> dict[str, Any]:
    message = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": answer}]}
    output = [message] if answer else []
    return {
        "responses_create_params": {"input": "Why?"},
        "response": {"output": output},
        "_ng_task_index": task,
    }


def post_all(limits: ServerLimits, bodies: list[dict[str, Any]]) -> list[dict[str, Any]]:
    async def main() -> list[httpx.Response]:
        application = make_app(Lengths(), limits)
        async with (
            application.router.lifespan_context(application),
            httpx.AsyncClient(
                transport=httpx.ASGITransport(application), base_url="http://test", timeout=60
            ) as client,
        ):
            return await asyncio.gather(*(client.post("/verify", json=body) for body in bodies))

    return [response.json() for response in asyncio.run(main())]


def test_a_cohort_is_rewarded_together_and_a_failure_is_no_zero() -> None:
    limits = ServerLimits(transform=RewardTransform("centre"), cohort=3)
    bodies = [plain("a", 1), plain("b", 2), plain("aaa", 1), plain("bbbbb", 2), plain("", 1), plain("bbb", 2)]
    answers = post_all(limits, bodies)
    assert [answer["reward"] for answer in answers if "_ng_failure_class" not in answer] == [-1, -2, 1, 2, 0]
    assert [place for place, answer in enumerate(answers) if "_ng_failure_class" in answer] == [4]


def test_a_cohort_that_does_not_fill_fails_with_a_reason() -> None:
    limits = ServerLimits(transform=RewardTransform("centre"), cohort=3, cohort_seconds=0.2)
    answers = post_all(limits, [plain("a", 1), plain("aaa", 1)])
    assert {answer["_ng_failure_judge_error"] for answer in answers} == {
        "only 2 of 3 rollouts of this prompt came in 0.2 seconds"
    }


def test_rewards_are_made_of_the_scores_of_one_prompt() -> None:
    limits = ServerLimits(transform=RewardTransform("centre", clip=1.5))
    with TestClient(make_app(Lengths(), limits)) as client:
        scores = client.post("/score", json={"prompt": "?", "responses": ["a", "aaaaa"]}).json()["scores"]
        body = {"prompts": ["?", "!", "?", "!"], "completions": ["a", "aa", "aaa", "aaaa"]}
        rewards = client.post("/rewards", json=body).json()["rewards"]
        alone = client.post("/get_reward", json={"query": [CHAT]})
    assert scores == [-1.5, 1.5]
    assert rewards == [-1, -1, 1, 1]
    assert (alone.status_code, "there is only one" in alone.json()["error"]) == (422, True)


def test_a_row_that_cannot_be_read_leaves_the_others_their_rewards() -> None:
    from curate.engine.base import Failure, Score

    class Choosy(Lengths):
        def score(self, asked: Any, **options: Any) -> Any:
            scores = super().score(asked, **options)
            return [values * (math.nan if values[0] == 1 else 1) for values in scores]

        def score_each(self, asked: Any) -> list[Score | Failure]:
            return [Failure("the chat template does not take the chat")]

    with TestClient(make_app(Choosy(), ServerLimits())) as client:
        answer = client.post("/rewards", json={"prompts": ["?", "?"], "completions": ["a", "aa"]}).json()
        whole = client.post("/score", json={"prompt": "?", "responses": ["a", "aa"]})
    assert answer == {"rewards": [None, 2.0], "errors": {"0": "the chat template does not take the chat"}}
    assert whole.status_code == 422
    assert "response 0: the chat template does not take the chat" in whole.json()["error"]
