"""Published figures beside those of this build, as a dataset."""

import dataclasses

import xarray as xr

from jaxlimits.errors import placed
from jaxlimits.studies.anchors import Anchor, check_anchors


@placed("validate")
def validate(**settings: object) -> xr.Dataset:
    """Check this build against every published anchor.

    Parameters
    ----------
    **settings
        Values added to every point, to see which anchors rest on them: ``mem_bw_scale=1.05``.

    Returns
    -------
    xarray.Dataset
        Along ``anchor``, by name: the figure as printed (``stated``) and this build's (``value``),
        their ``unit``, the ``verdict`` (``ok``, ``OFF``, or ``known``: off for the reason in the
        ``remark``), and the ``status``: published, inferred or ours.

    Raises
    ------
    InputError
        An unknown name, one that each anchor has of its own, a value that its field cannot take.

    Examples
    --------
    >>> import jaxlimits as jl
    >>> anchors = jl.validate()
    >>> int((anchors.verdict == "OFF").sum())
    0
    """
    anchors = list(check_anchors(settings))
    columns = [field.name for field in dataclasses.fields(Anchor) if field.name != "name"]
    return xr.Dataset(
        {name: ("anchor", [getattr(each, name) for each in anchors]) for name in columns},
        {"anchor": ("anchor", [each.name for each in anchors])},
    )
