"""Ctrl-C at a chosen moment."""


def raised_at(calls, function):
    """The function, interrupted from the keyboard at call number ``calls`` (from 0)."""
    count = iter(range(10**6))

    def run(*args):
        if next(count) == calls:
            raise KeyboardInterrupt
        return function(*args)

    return run
