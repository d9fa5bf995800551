"""Personal data that have a form: leave out what holds them, or mask them in exports."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from pydantic import Field

from curate.data.personal_data import Form, find_forms, write_findings
from curate.filter.base import Decision, Filter, Items, Target, TextFilterOptions


class PersonalDataOptions(TextFilterOptions):
    """Options of `personal-data`."""

    action: Literal["drop", "report", "route", "mask"] = Field(  # type: ignore[assignment]  # one more
        "drop",
        description="drop: exports leave it out. mask: exports hold `[EMAIL]` in its place. report: count. route: a "
        "response is left out until people let it stay (`curate verify plan --filter NAME`).",
    )
    forms: list[Form] = Field(
        ["email", "phone", "card", "iban", "us-ssn"], min_length=1, description="What is looked for."
    )


class PersonalData(Filter):
    """Find personal data that have a form; addresses and numbers that are made for examples do not count."""

    Options = PersonalDataOptions
    version = 2
    options: PersonalDataOptions

    @property
    def target(self) -> Target:
        target: Target = self.options.of
        return target

    def find(self, items: Items) -> Iterator[Decision]:
        for item in items:
            forms = find_forms(f"{item.history}\n{item.text}", self.options.forms)
            if forms:
                yield Decision(
                    item, f"holds personal data: {', '.join(forms)}", other=write_findings(forms=forms)
                )
