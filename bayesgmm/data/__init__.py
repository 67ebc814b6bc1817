"""Input to rows: arrays, data frames, files and bundled names become checked float64 rows, with their standardisation.

- ``rows``: ``Data`` and ``as_data``, the one door.
- ``reading``: what kind of thing was given, and its columns.
- ``cells``: one column's cells as float64, exactly or not at all.
- ``moments``: extremes, mean and second moments, from one pass.
- ``checks``: what fitting and predicting ask of the rows, and of the row weights.
- ``few_values``: features that count or code rather than measure.
- ``standardisation``: centring and scaling, with inverse and Jacobian.
"""

from bayesgmm.data.checks import check_fit, check_independent, check_sample_weight, check_width
from bayesgmm.data.few_values import few_valued
from bayesgmm.data.moments import RowMoments
from bayesgmm.data.rows import Data, as_data
from bayesgmm.data.standardisation import Standardisation
from bayesgmm.datasets import list_datasets, load_dataset

__all__ = [
    "Data",
    "RowMoments",
    "Standardisation",
    "as_data",
    "check_fit",
    "check_independent",
    "check_sample_weight",
    "check_width",
    "few_valued",
    "list_datasets",
    "load_dataset",
]
