"""One self-contained HTML page on a fit: what was asked, what was found, how sure it is.

- ``page``: ``write_report``, the one door.
- ``words``: sentences, every one computed from the results.
- ``sections``: the tables.
- ``figures``: plots as data URIs.
- ``reproduce``: code, versions and times.
"""

from bayesgmm.report.page import write_report

__all__ = ["write_report"]
