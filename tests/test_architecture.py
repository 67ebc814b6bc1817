"""The rules of the house, read from the imports of every source file."""

import ast
import functools
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "bayesgmm"

# Which room may import which: a room sees its own line and the lines above it. A file named with its room is
# placed apart from the rest of it.
ROOMS = [
    {
        "float64",
        "random_state",
        "tables",
        "gamma_draws",
        "kernel",
        "exponential",
        "logarithm",
        "tiled_product",
        "row_blocks",
        "covariances",
        "data",
        "datasets",
        "compilation_cache",
        "compiled",
        "traced_programs",
        "cores",
        "pytree",
    },
    {"mixture", "criteria.information"},  # formulas in the log-likelihood, p and n, which every result offers
    {"models"},
    {"posterior", "io"},
    {"inference"},
    {"criteria"},
    {"plots", "report", "estimators"},
    {"cli", "__main__"},
]
LAYER = {f"bayesgmm.{room}": layer for layer, rooms in enumerate(ROOMS) for room in rooms}

# Slow to import, or extras: to be imported where used.
HEAVY = {
    "matplotlib",
    "pandas",
    "polars",
    "pyarrow",
    "narwhals",
    "arviz_plots",
    "sklearn",
    "dask",
    "jinja2",
    "rich",
}
MAY_IMPORT_HEAVY = {"plots", "estimators"}


class Source:
    """One file: its dotted name, and what it imports and mentions."""

    def __init__(self, path):
        self.path = path
        parts = path.relative_to(ROOT).with_suffix("").parts
        if parts[0] == "models":
            parts = ("bayesgmm", *parts)
        self.is_package = parts[-1] == "__init__"
        self.module = ".".join(parts[:-1] if self.is_package else parts)
        self.tree = ast.parse(path.read_text(encoding="utf-8"), str(path))
        self.aliases = {}
        self.imports = [(name, at_top) for node, at_top in _walk(self.tree) for name in self._imported(node)]

    @property
    def room(self):
        parts = self.module.split(".")
        return parts[1] if len(parts) > 1 else ""

    def _imported(self, node):
        if isinstance(node, ast.Import):
            for name in node.names:
                bound = name.asname or name.name.split(".")[0]
                self.aliases[bound] = name.name if name.asname else bound
                yield name.name
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                here = self.module.split(".")
                here = here[: len(here) - node.level + self.is_package]
                base = ".".join([*here, *filter(None, [base])])
            for name in node.names:
                self.aliases[name.asname or name.name] = f"{base}.{name.name}"
                yield f"{base}.{name.name}"

    def mentions(self):
        """Every dotted name, spelled out through the imports."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Attribute | ast.Name):
                parts = []
                while isinstance(node, ast.Attribute):
                    parts.append(node.attr)
                    node = node.value
                if isinstance(node, ast.Name) and node.id in self.aliases:
                    yield ".".join([self.aliases[node.id], *reversed(parts)])


def _walk(tree, at_top=True):
    """Import statements, with whether importing the module runs them; those for type checkers are left out."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            for other in node.orelse:
                yield from _walk(other, at_top)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            yield node, at_top
        else:
            inside = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            yield from _walk(node, at_top and not inside)


@functools.cache
def sources():
    """Every file of the package, with models/ under its installed name."""
    files = [p for p in PACKAGE.rglob("*.py") if PACKAGE / "models" not in p.parents]
    return [Source(path) for path in sorted([*files, *(ROOT / "models").rglob("*.py")])]


def project_files():
    """Every Python file that is ours, tests and examples included."""
    for folder in ("bayesgmm", "models", "tests", "examples"):
        yield from (p for p in (ROOT / folder).rglob("*.py") if PACKAGE / "models" not in p.parents)


def within(name, module):
    """Whether a dotted name is a module or something in it."""
    return name == module or name.startswith(module + ".")


def violations(rule):
    """What a rule, a function of one source, finds in all of them, as lines to read."""
    return [f"{source.path.relative_to(ROOT)}: {found}" for source in sources() for found in rule(source)]


def layer_of(name):
    """The line of ``ROOMS`` that a dotted name belongs to: that of its longest listed beginning."""
    while name and name not in LAYER:
        name = name.rpartition(".")[0]
    return LAYER.get(name)


def test_every_module_has_a_room():
    found = violations(lambda s: [s.room] if s.room and layer_of(s.module) is None else [])
    assert not found, "place these in ROOMS above, where the design wants them"


def test_imports_go_one_way():
    def upward(source):
        own = layer_of(source.module)
        for name, _ in source.imports:
            layer = layer_of(name)
            if None not in (own, layer) and layer > own:
                yield f"imports {name}, which lies above it"

    assert not violations(upward)


def test_modules_import_one_another_without_cycles():
    modules = {source.module: source for source in sources()}

    def target(name):
        return name if name in modules else name.rpartition(".")[0]

    graph = {
        module: {target(n) for n, at_top in source.imports if at_top} & set(modules) - {module}
        for module, source in modules.items()
    }
    # A package and its files load each other by design; what must not happen is a ring of files.
    files = {m: {t for t in targets if not modules[t].is_package} for m, targets in graph.items()}
    done = set()

    def visit(module, path):
        assert module not in path, f"a ring of imports: {' -> '.join([*path, module])}"
        if module not in done:
            for other in sorted(files[module]):
                visit(other, [*path, module])
            done.add(module)

    for module in files:
        visit(module, [])


def test_sample_sites_lie_in_models_only():
    def sites(source):
        names = {name for name in source.mentions() if within(name, "numpyro")}
        return names & {"numpyro.sample", "numpyro.primitives.sample"} if source.room != "models" else ()

    assert not violations(sites)


def test_numpyro_infer_is_used_in_inference_only():
    def uses(source):
        names = {name for name, _ in source.imports} | set(source.mentions())
        return {n for n in names if within(n, "numpyro.infer") and source.room != "inference"}

    assert not violations(uses)


def test_heavy_libraries_are_imported_where_used():
    def heavy(source):
        if source.room in MAY_IMPORT_HEAVY:
            return ()
        return [n for n, at_top in source.imports if at_top and n.split(".")[0] in HEAVY]

    assert not violations(heavy)


def test_the_umbrella_arviz_is_never_imported():
    assert not violations(lambda s: [n for n, _ in s.imports if within(n, "arviz")])


def test_jax_configuration_is_touched_by_the_compilation_cache_only():
    def touches(source):
        names = {name for name, _ in source.imports} | set(source.mentions())
        names = {n for n in names if within(n, "jax.config") or n.startswith("numpyro.enable_x64")}
        return names if source.module != "bayesgmm.compilation_cache" else ()

    assert not violations(touches)


def test_models_are_imported_as_part_of_the_package():
    twins = [
        f"{path.relative_to(ROOT)}: {name}"
        for path in project_files()
        for name, _ in Source(path).imports
        if within(name, "models")
    ]
    assert not twins, "import bayesgmm.models: the other name makes a second copy of every module"


def test_no_catch_all_modules():
    names = {"utils", "util", "helpers", "misc", "common", "tools"}
    assert not [path for path in project_files() if path.stem in names]


def loaded_after(code):
    """The top-level modules that a fresh Python has loaded after running some code."""
    code += "\nimport sys; print(*sorted({m.split('.')[0] for m in sys.modules}))"
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    return set(run.stdout.splitlines()[-1].split())


def test_importing_the_package_loads_nothing():
    assert not loaded_after("import bayesgmm; dir(bayesgmm)") & {
        "jax",
        "numpy",
        "pandas",
        "numpyro",
        "matplotlib",
    }


def test_help_starts_without_jax():
    loaded = loaded_after(
        "from bayesgmm.cli import main\ntry: main(['--help'])\nexcept SystemExit as end: assert not end.code"
    )
    assert not loaded & {"jax", "numpyro", "pandas", "matplotlib"}


def test_public_names_are_declared_once():
    import bayesgmm

    declared = {*bayesgmm._MODULE_OF, *bayesgmm._SUBMODULES}
    assert set(bayesgmm.__all__) == declared
    assert len(bayesgmm.__all__) == len(declared)
    block = next(n for n in Source(PACKAGE / "__init__.py").tree.body if isinstance(n, ast.If))
    typed = {
        a.asname or a.name: n.module for n in block.body if isinstance(n, ast.ImportFrom) for a in n.names
    }
    assert typed == {**bayesgmm._MODULE_OF, **dict.fromkeys(bayesgmm._SUBMODULES, "bayesgmm")}


def test_every_public_name_whose_module_exists_can_be_had():
    import bayesgmm

    for name, module in bayesgmm._MODULE_OF.items():
        path = ROOT.joinpath(*module.split("."))
        if path.with_suffix(".py").exists() or (path / "__init__.py").exists():
            assert getattr(bayesgmm, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = bayesgmm.nonsense


def test_a_clone_without_links_names_the_remedy(tmp_path):
    package = tmp_path / "bayesgmm"
    package.mkdir()
    (package / "__init__.py").write_bytes((PACKAGE / "__init__.py").read_bytes())
    (package / "models").write_text("../models")
    run = subprocess.run(
        [sys.executable, "-c", "import bayesgmm"], cwd=tmp_path, capture_output=True, text=True
    )
    assert run.returncode
    assert "ImportError" in run.stderr
    assert "core.symlinks" in run.stderr


def test_the_compilation_cache_is_set_up_on_request_only(tmp_path):
    code = (
        "import jax, bayesgmm; before = jax.config.jax_compilation_cache_dir\n"
        f"folder = bayesgmm.enable_compilation_cache({str(tmp_path / 'cache')!r})\n"
        "assert folder.is_dir() and jax.config.jax_compilation_cache_dir == str(folder) != before\n"
        "import jax.numpy as jnp; jax.jit(lambda x: x + 1)(jnp.ones(3)).block_until_ready()\n"
        "assert list(folder.iterdir())"
    )
    assert "jax" in loaded_after(code)
