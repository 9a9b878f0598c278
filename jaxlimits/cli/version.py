"""``jaxlimits --version``; with ``--verbose``, what a report of an issue should state."""

import platform
from collections.abc import Iterator

import typer

_PACKAGES = ("jax", "jaxlib", "equinox", "numpy", "xarray")


def show_version(*, verbose: bool) -> None:
    """Print the version, or a block with those of everything that results depend on."""
    from jaxlimits._version import __version__

    if not verbose:
        typer.echo(__version__)
        return
    from jaxlimits.cli.tables import label, print_table, text

    print_table((label(), text()), _facts())


def _facts() -> Iterator[tuple[str, str]]:
    from importlib.metadata import version

    import h5py
    import netCDF4

    from jaxlimits._version import __version__
    from jaxlimits.engine.program_cache import keep_programs

    yield "jaxlimits", __version__
    yield "Python", f"{platform.python_version()} ({platform.python_implementation()})"
    yield "platform", platform.platform()
    yield from ((name, version(name)) for name in _PACKAGES)
    libraries = f"netCDF-C {netCDF4.__netcdf4libversion__}, HDF5 {netCDF4.__hdf5libversion__}"
    yield "netCDF4", f"{version('netCDF4')} ({libraries})"
    yield "h5py", f"{version('h5py')} (HDF5 {h5py.version.hdf5_version})"
    yield "devices", _devices()
    yield "cache", f"{keep_programs()}"


def _devices() -> str:
    """The devices in words, or why there are none: that is what a report may be about."""
    from jaxlimits.engine.failures import explained
    from jaxlimits.engine.hardware import device_lines

    try:
        return "; ".join(device_lines())
    except (AssertionError, RuntimeError) as error:
        told = explained(error)
        if told is None:
            raise
        return str(told)
