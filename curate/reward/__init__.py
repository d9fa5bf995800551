"""Reward models: a language model with a value head, heads on embeddings, and how both score responses."""

from curate.reward.scorer import PromptResponses, RewardScorer, open_reward_model

__all__ = ["PromptResponses", "RewardScorer", "open_reward_model"]
