"""The reference: pages that are made of the schema, the registries and the docstrings."""

import itertools
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from jaxlimits.guide.markdown_tables import code, table
from jaxlimits.guide.names import NAMES, Facts
from jaxlimits.guide.pages import Page, made_page

if TYPE_CHECKING:
    import pydantic


def fields_page() -> str:
    """Return the body of the page of every numeric field, by record."""
    parts = [_FIELDS]
    by_record = itertools.groupby(NAMES["fields"].all_facts(), key=lambda facts: facts["record"])
    for record, facts in by_record:
        titles = ("name", "unit", "default", "values", "meaning")
        parts += [f"## Of the {record}", table(titles, map(_field_row, facts))]
    return _body(parts)


def metrics_page() -> str:
    """Return the body of the page of every metric."""
    titles = ("name", "unit", "needs", "meaning")
    rows = map(_metric_row, NAMES["metrics"].all_facts())
    return _body([_METRICS, table(titles, rows)])


def switches_page() -> str:
    """Return the body of the page of every switch."""
    titles = ("name", "default", "other choices", "meaning")
    rows = map(_switch_row, NAMES["switches"].all_facts())
    return _body([_SWITCHES, table(titles, rows)])


def reductions_page() -> str:
    """Return the body of the page of every reduction, with its keys."""
    from jaxlimits.engine.reductions import REDUCTIONS, reduction_table

    parts = [_REDUCTIONS, reduction_table()]
    for kind in dict.fromkeys(REDUCTIONS.values()):
        title = f"## {' and '.join(map(code, kind.ops))}"
        keeps = f"This reduction keeps {kind.keeps}. It reduces {kind.reduces}."
        parts += [title, keeps, *_keys(kind.keys)]
    return _body(parts)


def grid_keys_page() -> str:
    """Return the body of the page of every key of a grid file, and of the files that extend it."""
    from jaxlimits.codesign import problem_file
    from jaxlimits.grid import file
    from jaxlimits.uncertainties.distributions import DistributionTable
    from jaxlimits.uncertainties.uncertain import UncertainTables

    tables: Mapping[str, type[pydantic.BaseModel]] = {
        "A grid file": file.GridTables,
        "An axis, `[axes]`": file.AxisTable,
        "A reduction, `[reduce.NAME]`": file.ReductionTable,
        "A requirement, `[require.NAME]`": file.RequirementTable,
        "Sensitivities": file.SensitivityTable,
        "A study of uncertain inputs": UncertainTables,
        "A distribution, `[uncertain]`": DistributionTable,
        "A design problem": problem_file.ProblemTables,
        "A range, `[vary]`": problem_file.RangeTable,
        "A price, `[price.NAME]`": problem_file.PriceTable,
        "A term of a price": problem_file.TermTable,
        "The objective, `[objective]`": problem_file.ObjectiveTable,
        "A bound, `[[budget]]`": problem_file.BudgetTable,
    }
    sections = ((f"## {title}", *_keys(shape)) for title, shape in tables.items())
    return _body([_GRID_KEYS, *itertools.chain.from_iterable(sections)])


def file_layout_page() -> str:
    """Return the body of the page of what a result holds, from the grid ``smoke``.

    The layout is built by the code that lays out every result.
    """
    from jaxlimits.grid.plan import Plan
    from jaxlimits.grid.scenario import bind
    from jaxlimits.run.pipeline import load_grid
    from jaxlimits.store.index import INDEX_ATTRIBUTES
    from jaxlimits.store.layout import make_layout

    spec = load_grid("smoke")
    plan = Plan(shape=spec.shape, block=spec.shape)
    result = make_layout(spec, bind(spec), plan).template
    titles = ("variable", "type", "dimensions", "attributes")
    rows = (
        (code(name), each.dtype, ", ".join(map(str, each.dims)), _attributes(each.attrs))
        for name, each in result.variables.items()
    )
    stated = ((code(name), type(value).__name__) for name, value in result.attrs.items())
    further = ((code(name), "of the index of a result in shards") for name in INDEX_ATTRIBUTES)
    heads = ("global attribute", "type")
    return _body(
        [
            _LAYOUT,
            *("## Variables of `smoke.nc`", table(titles, rows)),
            *("## Global attributes", table(heads, [*stated, *further])),
        ]
    )


def figures_page() -> str:
    """Return the body of the page of every kind of figure, with its options."""
    from jaxlimits.plot import registry

    parts = [_FIGURES]
    for name, kind in registry.kinds().items():
        rows = ((code(option), each.help) for option, each in kind.options.items())
        parts += [f"## `{name}`", kind.summary, table(("option", "meaning"), rows)]
    return _body(parts)


def python_page() -> str:
    """Return the body of the page of the public names of the package."""
    from jaxlimits.guide.python_reference import python_sections

    return _body([_PYTHON, *python_sections()])


def reference_pages() -> list[Page]:
    """Return every page that this module makes."""
    return [
        made_page("reference/fields", "Fields", fields_page),
        made_page("reference/metrics", "Metrics", metrics_page),
        made_page("reference/switches", "Switches", switches_page),
        made_page("reference/grid-keys", "Keys of grid files", grid_keys_page),
        made_page("reference/reductions", "Reductions", reductions_page),
        made_page("reference/figures", "Figures", figures_page),
        made_page("reference/file-layout", "Layout of a result", file_layout_page),
        made_page("reference/python", "Python", python_page),
    ]


def _body(parts: Iterable[str]) -> str:
    return "\n\n".join(parts) + "\n"


def _field_row(facts: Facts) -> tuple[str, ...]:
    meaning = facts["meaning"]
    if "set by" in facts:
        meaning += f" (set by {facts['set by']})"
    return code(facts["name"]), facts["unit"], facts["default"], facts["values"], meaning


def _metric_row(facts: Facts) -> tuple[str, ...]:
    codes = f" ({', '.join(facts['codes'])})" if "codes" in facts else ""
    meaning = facts["meaning"] + codes
    return code(facts["name"]), facts["unit"], facts.get("needs", ""), meaning


def _switch_row(facts: Facts) -> tuple[str, ...]:
    others = [code(choice) for choice in facts["choices"] if choice != facts["default"]]
    return code(facts["name"]), code(facts["default"]), ", ".join(others), facts["meaning"]


def _keys(shape: "type[pydantic.BaseModel]") -> Iterator[str]:
    """The keys of a table of a file; nothing where it has none of its own."""
    rows = [
        (code(field.alias or name), _default(field), field.description or "")
        for name, field in shape.model_fields.items()
    ]
    if rows:
        yield table(("key", "default", "meaning"), rows)


def _default(field: "pydantic.fields.FieldInfo") -> str:
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True)
    return code(f"{value}") if value not in (None, "", [], {}) else ""


def _attributes(attributes: Mapping[object, object]) -> str:
    return ", ".join(f"`{name}`" for name in attributes)


_FIELDS = """Each field is a number of a record. It can be an axis of a grid, a fixed value
(`[base]`, `--set`), the unknown of `solve`, and the variable of a derivative. `NAME_scale`
multiplies the field `NAME`. The command `jaxlimits catalog fields` prints this table, and
`jaxlimits catalog fields NAME` prints one field."""
_METRICS = """Each metric is an output of a point. The column *needs* names what a metric is
absent without. For each continuous metric and each field there are also
`METRIC_elasticity_FIELD`, `METRIC_derivative_FIELD` and `METRIC_doubling_FIELD`."""
_SWITCHES = """A switch chooses a convention. The page [The model](../explanation/model.md)
explains what the two conventions decide that change answers most: `kv_sharding` and
`collective_algorithm`."""
_REDUCTIONS = """A reduction keeps what is asked of a grid instead of every point. The page
[Sweep a billion points](../how-to/billion-points.md) uses them."""
_GRID_KEYS = """A grid is a TOML file. The command `jaxlimits init sweep` writes one that explains
each of its lines. Values of quantities are text with a unit, as `"8 TB/s"`."""
_LAYOUT = """A result is one NetCDF4 file in the form CF-1.11. A dimension stands for each axis.
Values are in SI units. NaN means that a point does not fit in memory, or what the attributes
`absent` and `nan_means` say; the `_FillValue` 9.96921e36 means that a point was not computed.

Names are characters of a fixed width, and numeric axes are strictly monotonic. `units` (CF),
`si_unit` and `display_unit` stand on every quantity, and `flag_meanings` on codes. The file is
compressed by zlib with shuffle, which every reader has.

What does not vary (model, chip, sizes, settings) is a coordinate without a dimension, so that
`xr.concat` of results keeps it. In the result of a shipped grid as it is, it is an attribute:
`ds.limits.with_scenario()` makes a coordinate of it, and `jl.join([one, other])` keeps it. The
global attributes hold the full text of the grid, the overrides, the catalog entries that were
used, the version, and a hash of all that.

A dense result above 1 GiB is a folder of ordinary NetCDF files with one small index, which opens
as if it were the whole. `jaxlimits pack` makes one file of them."""
_FIGURES = """`jaxlimits plot RESULT KIND` draws a figure; `jl.plot.KIND(dataset)` and
`dataset.limits.plot.KIND()` draw the same figure in Python, with underscores in the name."""
_PYTHON = """These are the public names of the package, `import jaxlimits as jl`. Each example
runs as a test."""
