"""Chats with images as vLLM takes them: one token in the place of each image, and the images beside the tokens."""

from __future__ import annotations

from collections.abc import Sequence

from curate.engine.base import Failure
from curate.engine.local.vision import VisionTokens
from curate.records import Part


class PlacedImageTokens(VisionTokens):
    """`VisionTokens` that leave the place of an image as the template wrote it: vLLM fills it in itself.

    A chat that would be too long with its images filled in is a Failure, as with them.
    """

    def _fill_image_tokens(self, ids: Sequence[int], images: Sequence[Part]) -> list[int] | Failure:
        filled = super()._fill_image_tokens(ids, images)
        if isinstance(filled, Failure):
            return filled
        return self.check_length(len(filled)) or list(ids)
