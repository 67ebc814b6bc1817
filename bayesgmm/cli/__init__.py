"""The command line: ``bayesgmm compare``, ``fit``, ``select``, ``predict``, ``datasets``.

Nothing but click and the standard library is imported before a command runs, so that ``--help`` answers at once.

- ``main``: the group of commands; one file for each of them.
- ``command``: what they share: options, errors in one line, exit codes.
- ``progress``: phases on the standard error stream.
"""

from bayesgmm.cli.main import main

__all__ = ["main"]
