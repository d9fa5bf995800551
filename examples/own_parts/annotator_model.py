"""An annotator model of one's own: judges that often agree with the others count more.

Named in curate.yaml, beside this file:

    aggregate:
      annotator_model: ./annotator_model.py:Agreement
      # or with options: {kind: ./annotator_model.py:Agreement, power: 4}
"""

import numpy as np
from pydantic import Field

from curate.aggregate.annotators.base import AnnotatorModel
from curate.aggregate.annotators.pairs import PairLabels, build_pair_table
from curate.aggregate.annotators.result import AnnotatorFit, build_fit
from curate.aggregate.votes import Votes
from curate.core.section import Section


class AgreementOptions(Section):
    power: float = Field(2.0, ge=0, description="How much agreement counts; 0: every judge counts the same.")


class Agreement(AnnotatorModel):
    Options = AgreementOptions

    def fit(self, votes: Votes, *, labels: PairLabels | None = None) -> AnnotatorFit:
        table = build_pair_table(votes, labels)  # the judges' votes by pair; people's votes are labels
        judge, judges = table.annotator, len(table.annotators)
        total = np.bincount(table.pair, table.outcome, table.n_pairs)
        agrees = table.outcome * (total[table.pair] - table.outcome) > 0
        n_votes = np.bincount(judge, minlength=judges)
        share = (np.bincount(judge, agrees, judges) + 1) / (n_votes + 2)
        weight = share[judge] ** self.options.power
        lean = np.bincount(table.pair, weight * table.outcome, table.n_pairs)
        lean /= np.maximum(np.bincount(table.pair, weight, table.n_pairs), 1e-12)
        return build_fit("agreement", table, 0.5 + lean / 2, ability=np.log(share / (1 - share)))
