"""Run the README's snippets as they stand, all in one process, and print what they found as JSON; see test_readme.py.

A process of its own: without the type checks of the tests it takes half the time, and what Python's snippets compiled
serves the shell's. Where the README leaves its settings to an engine, the engine searches and draws less here.
"""

import functools
import json
import os
import re
import shlex
import sys
from pathlib import Path

FEWER = {
    "EM": {"n_init": 6, "moves": 1},
    "NUTS": {"num_warmup": 200, "num_samples": 250},
    "HMC": {"num_warmup": 200, "num_samples": 250},
    "Gibbs": {"num_warmup": 200, "num_samples": 250},
}
COMPARE = ["--samples", "100", "--max-components", "4"]
README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")


def snippets(language):
    return re.findall(rf"^```{language}\n(.*?)^```", README, flags=re.MULTILINE | re.DOTALL)


def shell_lines():
    return [line for text in snippets("sh") for line in text.splitlines() if line.startswith("bayesgmm ")]


def ask_less(kind, settings):
    """An engine's own defaults, smaller; what is said in a call is done."""
    whole = kind.__init__

    @functools.wraps(whole)
    def start(self, *args, **given):
        whole(self, *args, **(given if args else {**settings, **given}))

    kind.__init__ = start


def run_python():
    """The names that the snippets, run in order, leave behind; and what a test wants to know of them."""
    names = {}
    for snippet in snippets("python"):
        exec(compile(snippet, "README.md", "exec"), names)
    cold = names["mcmc"].get_samples(group_by_chain=True)
    return {
        "best": names["table"].best.n_components,
        "r_hat": names["post"].diagnostics().max_r_hat,
        "cold means": sorted(map(sorted, cold["means"][..., 1].mean(axis=1).tolist())),
        "em means": sorted(names["em"].means[:, 1].tolist()),
    }


def run_shell():
    """Exit code, and what was printed, of every command."""
    from click.testing import CliRunner

    from bayesgmm.cli import main
    from bayesgmm.datasets import load_dataset

    rows = load_dataset("faithful").iloc[:150]
    rows.to_csv("my.csv", index=False)
    rows.iloc[:10].to_csv("new.csv", index=False)
    done = {}
    for line in shell_lines():
        fewer = COMPARE * line.startswith("bayesgmm compare")
        result = CliRunner().invoke(main, [*shlex.split(line, comments=True)[1:], *fewer])
        done[line] = (result.exit_code, result.output)
    return done


if __name__ == "__main__":
    import bayesgmm

    os.chdir(sys.argv[1])
    for name, settings in FEWER.items():
        ask_less(getattr(bayesgmm, name), settings)
    found = {"python": run_python(), "shell": run_shell()}
    Path("found.json").write_text(json.dumps(found), encoding="utf-8")
