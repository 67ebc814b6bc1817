"""What is shown while something runs."""

import time

from bayesgmm.inference.progress import progress_reporter


def test_the_display_shows_count_rate_and_time(capsys):
    with progress_reporter(True) as report:
        for done in (0, 50, 100):
            report("sampling", done, 100)
            time.sleep(0.02)
    shown = capsys.readouterr().err
    assert "sampling" in shown
    assert "100/100" in shown
    assert "/s" in shown
