"""A Zarr store says all that the file says: every bit, what was not computed, attributes."""

import numpy as np
import pytest
import xarray as xr

import jaxlimits as jl
from jaxlimits.store.index import INDEX_ATTRIBUTES, read_listing
from jaxlimits.store.results import open_result
from jaxlimits.store.zarr import write_zarr


def export(result, target, **options):
    with open_result(result, stored=True) as dataset:
        write_zarr(dataset, target, **options)
    return target


@pytest.mark.parametrize("made", ["smoke", "smoke_sharded", "named"])
@pytest.mark.parametrize("stored", [False, True])
def test_a_store_holds_the_same_bits_and_words(made, stored, request, tmp_path):
    result = request.getfixturevalue(made)
    target = export(result, tmp_path / "out.zarr")
    with (
        open_result(result, stored=stored) as file,
        xr.open_zarr(target, mask_and_scale=not stored, consolidated=True) as store,
    ):
        assert set(store.variables) == set(file.variables)
        assert set(store.coords) == set(file.coords)
        for name, variable in file.variables.items():
            found = store.variables[name]
            words = variable.dtype.kind in "OTU"
            assert found.dims == variable.dims
            assert words or found.dtype == variable.dtype
            one, other = found.to_numpy(), variable.to_numpy()
            assert one.tolist() == other.tolist() if words else one.tobytes() == other.tobytes()
            assert {k: np.asarray(v).tolist() for k, v in found.attrs.items()} == {
                k: np.asarray(v).tolist() for k, v in variable.attrs.items()
            }
        assert store.attrs == {k: v for k, v in file.attrs.items() if k not in INDEX_ATTRIBUTES}


def test_what_was_not_computed_stays_apart_from_what_does_not_fit(smoke_sharded, tmp_path):
    import shutil

    (tmp_path / "smoke.nc").write_bytes(smoke_sharded.read_bytes())
    shards = tmp_path / "smoke.shards"
    shutil.copytree(smoke_sharded.with_name("smoke.shards"), shards)
    with jl.open(smoke_sharded) as whole:
        names = read_listing(whole).names
    (shards / names[-1]).unlink()
    with pytest.warns(jl.IncompleteResultWarning):
        target = export(tmp_path / "smoke.nc", tmp_path / "out.zarr")
    with xr.open_zarr(target, mask_and_scale=False) as store:
        values, limit = store.utps.to_numpy(), store.limit.to_numpy()
        fill = store.utps.attrs["_FillValue"]
    assert (values == np.float32(fill)).sum() == (limit == -1).sum() > 0
    assert np.isnan(values).any()


def test_values_are_written_in_chunks(tmp_path, monkeypatch, smoke):
    from jaxlimits.store import chunks

    monkeypatch.setattr(chunks, "TARGET_BYTES", 4096)
    target = export(smoke, tmp_path / "out.zarr")
    assert len(list((target / "utps").glob("[0-9]*"))) > 8


def test_a_store_is_replaced_with_force_only_and_nothing_else_ever_is(smoke, tmp_path):
    target = export(smoke, tmp_path / "out.zarr")
    with pytest.raises(jl.ResultError, match="exists; choose another name, or replace"):
        export(smoke, target)
    export(smoke, target, force=True)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("mine")
    with pytest.raises(jl.ResultError, match="is not a Zarr store"):
        export(smoke, tmp_path / "mine", force=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine", "out.zarr"]


def test_a_failed_export_leaves_nothing(smoke, tmp_path, monkeypatch):
    def full(*args, **options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(xr.Dataset, "to_zarr", full)
    with pytest.raises(jl.ResultError, match="No space left"):
        export(smoke, tmp_path / "out.zarr")
    assert list(tmp_path.iterdir()) == []
