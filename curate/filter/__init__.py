"""Say which prompts and responses are left out, and why: the stage `filter`, and one file a kind of filter.

Nothing is deleted. A filter writes decisions into the table `filter_decisions`: judges are not asked about what is
dropped, and exports leave it out with the reason. Taking a filter out of curate.yaml brings back what it dropped.

A filter of one's own is a class derived from `Filter` or `TextFilter`, named as `kind: ./mine.py:Mine`.
"""

from curate.filter.base import Decision, Filter, FilterOptions, Item, Items, TextFilter, TextFilterOptions
from curate.filter.registry import FILTERS, build_filter_schemas, open_filters
from curate.filter.stage import filter_items, has_decisions, preview_filters, reads_judgments

__all__ = [
    "FILTERS",
    "Decision",
    "Filter",
    "FilterOptions",
    "Item",
    "Items",
    "TextFilter",
    "TextFilterOptions",
    "build_filter_schemas",
    "filter_items",
    "has_decisions",
    "open_filters",
    "preview_filters",
    "reads_judgments",
]
