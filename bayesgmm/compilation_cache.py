"""JAX's settings: its persistent compilation cache, switched on when asked and never on import."""

import os
import sys
from pathlib import Path


def default_cache_folder() -> Path:
    """Where compiled programs are kept: ``JAX_COMPILATION_CACHE_DIR`` if set, else this user's cache folder."""
    chosen = os.environ.get("JAX_COMPILATION_CACHE_DIR")
    if chosen:
        return Path(chosen).expanduser()
    if os.environ.get("XDG_CACHE_HOME"):
        caches = Path(os.environ["XDG_CACHE_HOME"]).expanduser()
    elif sys.platform == "win32":
        caches = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        caches = Path.home() / "Library" / "Caches"
    else:
        caches = Path.home() / ".cache"
    return caches / "bayesgmm" / "jax"


def enable_compilation_cache(path: str | os.PathLike[str] | None = None) -> Path:
    """Keep what JAX compiles on disk, so that the next process starts several times faster; return the folder.

    Traced programs are kept there too (``bayesgmm.traced_programs``), which JAX alone does not do, and which saves most
    of what is left. This is a choice for a program, since it sets JAX's global configuration: the library itself never
    makes it, the command line does. Everything is kept, however small. The folder must be the user's own, since what
    lies there is run.
    ``path`` overrides ``JAX_COMPILATION_CACHE_DIR``, which overrides the user's cache folder.
    """
    import jax

    from bayesgmm.traced_programs import keep_in

    folder = (default_cache_folder() if path is None else Path(path).expanduser()).absolute()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ValueError(
            f"Expected a folder that can be written to; got {str(folder)!r} ({error.strerror}). "
            "Pass another path or set JAX_COMPILATION_CACHE_DIR."
        ) from error
    jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
    keep_in(folder / "traced")
    return folder


def settings() -> dict[str, object]:
    """JAX's settings by name, as this thread has them."""
    import jax

    return {name: getattr(jax.config, name, value) for name, value in sorted(jax.config.values.items())}
