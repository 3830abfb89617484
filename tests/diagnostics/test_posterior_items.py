"""One item of a posterior, and several runs in one, as people work with them in either line of ArviZ."""

import warnings
from typing import Any

import arviz as az
import matplotlib.pyplot as plt
import numpy as np
import pytest
import xarray as xr

import hardpp
from hardpp.diagnostics.posterior_chains import join_chains
from hardpp.diagnostics.posterior_file import Posterior
from hardpp.diagnostics.posterior_items import item
from hardpp.errors import CheckpointError, UsageError
from hardpp.verbs.output import write_posterior
from tests.diagnostics.test_alignment_posterior import sampled, tiny_guide

RUN = {"model": "alignment", "data": "abc", "guide": "variational", "run": "one", "training_seed": 0}


@pytest.fixture(scope="module")
def tree() -> xr.DataTree:
    return sampled(tiny_guide(), attributes=RUN)


@pytest.fixture
def one(tree: xr.DataTree) -> Any:
    return Posterior(tree).item("bird")


def dataset(group: Any) -> xr.Dataset:
    return group if isinstance(group, xr.Dataset) else group.to_dataset()


def test_an_item_has_no_padding_and_tokens_for_labels(tree: xr.DataTree) -> None:
    for name, target, source in (("cat", ["AH0", "ʃ", "</s>"], ["a", "é", "ŋ"]), ("x y", None, ["é"])):
        found = item(tree, name)
        if target is not None:
            assert found["posterior"]["step"].values.tolist() == target
            assert found["attention"]["step"].values.tolist() == target[::-1]
        assert found["attention"]["source"].values.tolist() == source
        for group in found.children.values():
            for variable in group.data_vars.values():
                assert "sentence" not in variable.dims
                if variable.dtype.kind in "if":
                    assert not (variable == -1).any()
                    assert not variable.isnull().any()
    whole = tree["attention/exact"].sel(sentence="cat").values[:3, :3]
    np.testing.assert_array_equal(item(tree, "cat")["attention/exact"].values[::-1], whole)


def test_tokens_that_occur_more_than_once_are_told_apart_by_their_places(tree: xr.DataTree) -> None:
    assert item(tree, "bird")["attention"]["source"].values.tolist() == ["ŋ 1", "ŋ 2", "a", "é", "$"]
    assert item(tree, "dög")["posterior"]["step"].values.tolist() == ["1", "2", "AH0", "ʃ", "</s>"]


def test_names_that_are_not_there_are_refused_with_the_nearest(tree: xr.DataTree) -> None:
    with pytest.raises(UsageError, match="no sentence 'brid' among these 4") as refused:
        item(tree, "brid")
    assert refused.value.hint == "did you mean 'bird'?"


def test_arviz_summarises_and_draws_one_item(one: Any) -> None:
    summary = az.summary(one)
    assert len(summary) == one.posterior.sizes["step"]
    names = ["plot_forest", "plot_trace"]
    names += ["plot_posterior", "plot_ppc"] if hasattr(az, "from_pyro") else ["plot_dist", "plot_ppc_dist"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what ArviZ and matplotlib have to settle with one another
        for name in names:
            assert getattr(az, name)(one) is not None
            plt.close("all")
    assert az.extract(one, var_names="alignment").sizes["sample"] == 40


def test_an_item_becomes_a_frame_with_a_row_a_draw(one: Any) -> None:
    assert len(dataset(one.posterior).to_dataframe()) == 40 * one.posterior.sizes["step"]
    if hasattr(one, "to_dataframe"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # ArviZ 0.2x sorts in a way that pandas is about to give up
            assert len(one.to_dataframe()) == 40


def test_imshow_reads_like_a_page(tree: xr.DataTree) -> None:
    axes = plt.figure().subplots()
    Posterior(tree).item("cat").attention.exact.plot.imshow(ax=axes)
    heights = {label.get_text(): label.get_position()[1] for label in axes.get_yticklabels()}
    assert heights["AH0"] > heights["ʃ"] > heights["</s>"]
    assert axes.get_ylim()[0] < axes.get_ylim()[1]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["a", "é", "ŋ"]
    plt.close("all")


def test_loo_is_refused_and_the_group_says_why(tree: xr.DataTree, one: Any) -> None:
    with pytest.raises((KeyError, AttributeError), match="draw"):
        az.loo(one)
    assert "az.loo" in tree["log_likelihood"].attrs["loo"]
    assert tree["log_likelihood/target"].dims == ("chain", "sentence")


def test_replicates_are_drawn_from_the_model_one_step_ahead(tree: xr.DataTree) -> None:
    anew = sampled(tiny_guide(), draws=4000, at_once=1000, exact=False)["posterior_predictive/target"].values
    target = tree["observed_data/target"].values
    mask = tree["constant_data/step_mask"].values
    assert (anew[0][:, ~mask] == -1).all()
    # p(the true symbol), summed over its steps, is log p(target): steps are independent given those before.
    share = (anew[0] == target).mean(0)
    for n in range(len(target)):
        log_p = float(tree["log_likelihood/target"].values[0, n])
        found = np.log(share[n][mask[n]]).sum()
        spread = np.sqrt(((1 - share[n]) / share[n] / 4000)[mask[n]].sum())
        assert abs(found - log_p) < 4 * spread


def test_runs_become_chains(tree: xr.DataTree) -> None:
    other = sampled(tiny_guide(), seed=3, attributes={**RUN, "run": "two", "training_seed": 1})
    joined = join_chains([tree, other])
    assert joined["posterior/alignment"].shape == (2, 40, 4, 5)
    assert joined["attention/exact"].dims == ("chain", "sentence", "step", "source")
    assert joined["observed_data/target"].dims == ("sentence", "step")
    assert joined["sample_stats/trust"].shape == (2, 4)
    assert joined.attrs["run"] == "one, two"
    assert joined.attrs["training_seed"] == "0, 1"
    one = Posterior(joined).item("cat")
    assert az.summary(one)["r_hat"].notna().any()
    for attributes, message in (
        ({"model": "caption"}, "run one and run two are of different model alignment and caption"),
        ({"data": "other"}, "run one and run two are of different data"),
    ):
        wrong = sampled(tiny_guide(), attributes={**RUN, "run": "two", **attributes})
        with pytest.raises(UsageError, match=message):
            join_chains([tree, wrong])
    with pytest.raises(UsageError, match=r"run one and run two are not of the same items .*posterior"):
        join_chains([tree, sampled(tiny_guide(), draws=5, attributes={**RUN, "run": "two"})])
    with pytest.raises(UsageError, match="run one is there twice"):
        join_chains([tree, tree])


def test_chains_of_which_one_has_no_exact_posterior_say_so(tree: xr.DataTree) -> None:
    about = {**RUN, "run": "two", "training_seed": 1}
    drawn = sampled(tiny_guide(), exact=False, attributes=about)
    for trees, words in (
        ((tree, drawn), "exactly; lower bound"),
        ((drawn, tree), "guide; summed out exactly"),
    ):
        joined = join_chains(trees)
        assert words in joined["log_likelihood/target"].attrs["latents"]
        assert joined["log_likelihood/target"].attrs["units"] == "nats"
        exact = joined["attention/exact"].isnull().all(("sentence", "step", "source"))
        assert exact.values.tolist() == [each is drawn for each in trees]


def test_trees_that_lack_a_group_are_no_chains(tree: xr.DataTree) -> None:
    other = sampled(tiny_guide(), attributes={**RUN, "run": "two", "training_seed": 1})
    del other["attention"]
    with pytest.raises(UsageError, match=r"run one and run two lacks groups of a posterior \(attention\)"):
        join_chains([tree, other])


def test_a_file_is_read_back_and_others_are_refused(tree: xr.DataTree, tmp_path: Any) -> None:
    path = tmp_path / "posterior.nc"
    write_posterior(tree, path)
    posterior = hardpp.read_posterior(path)
    assert posterior.names == ["cat", "dög", "bird", "x y"]
    assert posterior.tree.identical(tree)
    assert "4 of 4 posteriors can be trusted (4 exact)" in repr(posterior)
    text = tmp_path / "text.nc"
    text.write_text("no netCDF")
    strange = xr.DataTree.from_dict({"/posterior": xr.Dataset({"mu": ("draw", [1.0])})})
    strange.to_netcdf(tmp_path / "strange.nc", engine="h5netcdf")
    older = tree.copy()
    older.attrs = {key: value for key, value in tree.attrs.items() if key != "posterior_format"}
    write_posterior(older, tmp_path / "older.nc")
    cut, nameless = tree.copy(), tree.copy()
    del cut["constant_data"]
    nameless.attrs = {key: value for key, value in tree.attrs.items() if key != "datum"}
    write_posterior(cut, tmp_path / "cut.nc")
    write_posterior(nameless, tmp_path / "nameless.nc")
    cases = {
        "nothing.nc": "is no file",
        "text.nc": "is no netCDF file that can be read",
        "strange.nc": "is not a posterior of hardpp, but of an unknown program",
        "older.nc": "has format 1",
        "cut.nc": "there are no groups constant_data",
        "nameless.nc": "it is not said what items are called",
    }
    for name, message in cases.items():
        with pytest.raises(CheckpointError, match=message) as refused:
            hardpp.read_posterior(tmp_path / name)
        assert name in str(refused.value)
        assert refused.value.exit_code == 4
