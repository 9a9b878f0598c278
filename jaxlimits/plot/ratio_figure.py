"""A metric over that of another machine, another value of an axis, or another result."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np
import xarray as xr

from jaxlimits import units
from jaxlimits.errors import InputError, unknown_name
from jaxlimits.plot import looks, scales, style
from jaxlimits.plot.found import free_dims, lacking_of, needed, panel_dims
from jaxlimits.plot.kind import kind
from jaxlimits.plot.options import Layout
from jaxlimits.plot.panels import new_panels

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MACHINE = "chip"
_RATIO = "ratio"
_MISSING = "one of both has no value"


def _lacks(dataset: xr.Dataset, asked: Mapping[str, Any]) -> str:
    if _MACHINE not in dataset.dims and "vs" not in asked:
        return "the result has one machine; name what it is compared with by `vs`"
    return lacking_of(
        dataset, axes=1 if isinstance(asked.get("vs"), xr.Dataset) else 2, asked=asked
    )


@kind(lacks=_lacks)
def ratio(
    dataset: xr.Dataset,
    *,
    of: str = "utps",
    vs: str | xr.Dataset | None = None,
    along: str | None = None,
    x: str | None = None,
    by: str | None = None,
    **layout: Unpack[Layout],
) -> "Figure":
    """Draw a metric over that of another machine, of another value of an axis, or of a result.

    The line across is one: no difference. Where the axis across has names there are bars. What has
    no value on one of both sides has no ratio.

    Parameters
    ----------
    vs
        What everything is divided by: a machine, as ``b200``, a value of another axis, or another
        result (on the command line its .nc file), point by point where both have the same values
        of axes; by default the first machine.
    along
        The axis that ``vs`` is a value of; by default the first that has this value.
    x, by
        The axis across, and that of the lines or bars; by default machines are lines.

    Examples
    --------
    >>> import jaxlimits as jl
    >>> ds = jl.sweep("paper").sel(llm="llama3-70b", seq_len=4096, tp_size=8)
    >>> figure = jl.plot.ratio(ds, vs="xpu-hbm3", x="batch_size")
    >>> figure.axes[0].get_ylabel()
    'utps over that of xpu-hbm3'
    """
    whole = dataset[needed(dataset, of)]
    if isinstance(vs, xr.Dataset):
        quotient, words = _over_result(whole, vs, of), "the other result"
    else:
        along = _axis_of(whole, vs, along)
        place, words = _place_of(whole[along], vs)
        rest = np.delete(np.arange(whole.sizes[along]), place)
        quotient = whole.isel({along: rest}) / whole.isel({along: place}, drop=True)
        by = by or (along if x != along and len(rest) > 1 else None)
        quotient = quotient if len(rest) > 1 else quotient.isel({along: 0})
    found = quotient.rename(_RATIO).assign_attrs(long_name=f"{of} over that of {words}")
    shown = found.to_dataset()
    if by is None and len(free_dims(found, layout)) == 1:
        by, shown = "line", shown.expand_dims(line=[""])
    x, by = panel_dims(shown[_RATIO], layout, x=x, by=by)
    panels = new_panels(shown, **layout)
    names = [""] if by == "line" else _names(shown[_RATIO].transpose(by, ...))
    is_numeric = style.is_numeric(shown[x])
    for axes, part in panels:
        field = part[_RATIO].transpose(by, x)
        axes.axhline(1.0, color="0.35", linewidth=0.9, zorder=0.5)
        (_draw_lines if is_numeric else _draw_bars)(axes, field, names)
        axes.grid(axis="both" if is_numeric else "y", color="0.9", linewidth=0.6)
        axes.set_axisbelow(True)
        if is_numeric:
            scales.scale_by_grid(axes, "x", style.shown(part[x]), small=panels.are_small)
            scales.scale_by_values(axes, "y", found.to_numpy().ravel(), small=panels.are_small)
        else:
            scales.plain_numbers(axes.yaxis)
        if bool(field.isnull().all()):
            style.say_nothing_is(axes, size=panels.text_size, words=_MISSING)
    panels.label(shown[x] if is_numeric else "", str(found.attrs["long_name"]))
    panels.set_legend()
    return panels.figure


def _names(field: xr.DataArray) -> list[str]:
    """Names of lines or bars; one that is nowhere says so."""
    named = zip(style.names(field[field.dims[0]]), field, strict=True)
    return [f"{name}: no ratio" if bool(row.isnull().all()) else name for name, row in named]


def _over_result(whole: xr.DataArray, other: xr.Dataset, of: str) -> xr.DataArray:
    """The quotient with another result at the points that both have."""
    reference = other[needed(other, of)]
    for dim in reference.dims:  # what is chosen of the one is chosen of the other
        if dim not in whole.dims and dim in whole.coords and whole[dim].item() in other[dim]:
            reference = reference.sel({dim: whole[dim].item()}, drop=True)
    single = [dim for dim, size in reference.sizes.items() if size == 1 and dim not in whole.dims]
    one, two = xr.align(whole, reference.squeeze(single, drop=True), join="inner")
    extra = [str(dim) for dim in two.dims if dim not in one.dims]
    if extra:
        problem = f"the other result also lies along {', '.join(extra)}"
        remedy = f"keep one value of it, as .sel({extra[0]}=…)"
        raise InputError(problem, where="plot", key="vs", remedy=remedy)
    if not one.size:
        dims = ", ".join(map(str, whole.dims))
        problem, remedy = "both results have no point in common", f"sweep the same {dims}"
        raise InputError(problem, where="plot", key="vs", remedy=remedy)
    return one / two


def _axis_of(whole: xr.DataArray, vs: object, along: str | None) -> str:
    """The axis that a value belongs to."""
    dims = [str(dim) for dim in whole.dims if whole.sizes[dim] > 1]
    if along is not None:
        if along not in dims:
            raise unknown_name("dimension", along, dims, where="plot", key="along")
        return along
    if vs is None:
        return _MACHINE
    named = [dim for dim in dims if not style.is_numeric(whole[dim])]
    ordered = sorted(named, key=lambda dim: dim != _MACHINE)
    for dim in ordered:
        if str(vs) in whole[dim].values.astype(str):
            return dim
    if not ordered:
        problem, remedy = "no axis has names", f"say of which it is a value, as along={dims[0]!r}"
        raise InputError(problem, where="plot", key="vs", value=vs, remedy=remedy)
    known = [str(value) for dim in ordered for value in whole[dim].values]
    raise unknown_name("value of an axis", str(vs), known, where="plot", key="vs")


def _place_of(axis: xr.DataArray, vs: object) -> tuple[int, str]:
    """The place of a value on its axis, and its words; the first where none is named."""
    if vs is None:
        place = 0
    elif not style.is_numeric(axis):
        known = [str(value) for value in axis.values]
        if str(vs) not in known:
            raise unknown_name(str(axis.name), str(vs), known, where="plot", key="vs")
        place = known.index(str(vs))
    else:
        try:
            value = units.parse(str(vs), axis.attrs.get("si_unit", "1"))
        except units.UnitError as error:
            raise InputError(str(error), where="plot", key="vs", value=vs) from None
        place = int(np.abs(axis.to_numpy() - value).argmin())
    (words,) = style.names(axis.isel({axis.name: [place]}))
    return place, words


def _draw_lines(axes: "Axes", field: xr.DataArray, names: list[str]) -> None:
    by, x = field.dims
    across = style.shown(field[x])
    for name, row, look in zip(names, field.to_numpy(), style.styles_of(field[by]), strict=True):
        axes.plot(across, row, label=name, markersize=4.5, **look)


def _draw_bars(axes: "Axes", field: xr.DataArray, names: list[str]) -> None:
    by, x = field.dims
    places, wide = np.arange(field.sizes[x]), 0.8 / field.sizes[by]
    machines = style.styles_of(field[x]) if field.sizes[by] == 1 and x == _MACHINE else None
    for number, (name, row, look) in enumerate(
        zip(names, field.to_numpy(), style.styles_of(field[by]), strict=True)
    ):
        at = places + (number - (len(names) - 1) / 2) * wide
        colour = look["color"] if machines is None else [each["color"] for each in machines]
        axes.bar(at, row, 0.92 * wide, label=name, color=colour)
    labels = style.names(field[x], bare=True)
    axes.set_xticks(places, labels, fontsize=looks.points(8))
    scales.plain_numbers(axes.yaxis)
