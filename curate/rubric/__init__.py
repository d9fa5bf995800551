"""Find what makes a response better, in words: criteria are measured or judged, verified, selected and weighted.

`curate.data.rubric` has the types; judges read them there too. A feature of one's own is a class derived from
`Feature`, named under `rubric.features` of curate.yaml.
"""

from curate.data.features import FEATURES, Feature, FeatureItem, TextView
from curate.rubric.feature_report import FeatureReport, build_rubric, report_features
from curate.rubric.labelled import LabelledPairs, read_labelled_pairs
from curate.rubric.lint import lint_rubric
from curate.rubric.measure import open_features
from curate.rubric.selection import PairMatrix, Selection, SelectionOptions, select_criteria
from curate.rubric.wording import list_findings

__all__ = [
    "FEATURES",
    "Feature",
    "FeatureItem",
    "FeatureReport",
    "LabelledPairs",
    "PairMatrix",
    "Selection",
    "SelectionOptions",
    "TextView",
    "build_rubric",
    "lint_rubric",
    "list_findings",
    "open_features",
    "read_labelled_pairs",
    "report_features",
    "select_criteria",
]
