from functools import partial
from itertools import product
from pathlib import Path

import arviz as az
import numpy as np
import pyro
import pyro.distributions as dist
import pytest
import torch
import xarray as xr
from torch import nn

import hardpp
from hardpp import sites
from hardpp.diagnostics.alignment_posterior import FILL, Sentences
from hardpp.diagnostics.draws import draw_alignments
from hardpp.diagnostics.posterior import sample_posterior
from hardpp.errors import UsageError
from hardpp.guides.alignment import StepwiseAlignment
from hardpp.guides.prior import Prior
from hardpp.inference.exact import ExactMarginal
from hardpp.nn.attention import BilinearScorer
from hardpp.nn.recurrent import BidirectionalLSTM
from hardpp.types import SequenceBatch
from hardpp.verbs.output import write_posterior
from tests.decoding.tiny import LETTERS, SYMBOLS, padded, tiny_model

LETTER = ["", "", "a", "é", "ŋ", "$"]
PHONE = ["</s>", "<unk>", "AH0", "", "ʃ"]  # an empty token is a token
SOURCES = [[2, 3, 4], [5, 2], [4, 4, 2, 3, 5], [3]]
TARGETS = [[2, 4], [3, 3, 2, 4], [], [4]]
SENTENCES = Sentences(
    ["cat", "dög", "bird", "x y"],
    [[LETTER[s] for s in row] for row in SOURCES],
    [[PHONE[s] for s in row] for row in TARGETS],
)
BATCHES = [[2, 0], [1, 3]]  # of different widths, in no order


def batch(rows):
    source = padded([SOURCES[row] for row in rows])
    return SequenceBatch(*source, *padded([[*TARGETS[row], 0] for row in rows], extra=1))


def batches(split=BATCHES):
    return [(rows, batch(rows)) for rows in split]


def tiny_guide():
    with torch.random.fork_rng():
        torch.manual_seed(5)
        source, target = BidirectionalLSTM(4, 3), BidirectionalLSTM(4, 3)
        scorer = BilinearScorer(target.features, source.features)
        guide = StepwiseAlignment(nn.Embedding(LETTERS, 4), nn.Embedding(SYMBOLS, 4), source, target, scorer)
    return guide.double().eval()


def drawing(guide, model=None, *, site=sites.ALIGNMENT, draws=2, exact=False, **options):
    model = tiny_model(sharpness=1.5) if model is None else model
    return partial(
        draw_alignments,
        model,
        guide,
        site=site,
        draws=draws,
        exact=ExactMarginal() if exact else None,
        **options,
    )


def sampled(guide, draws=40, seed=3, split=BATCHES, exact=True, at_once=16, attributes=None):
    draw = drawing(guide, draws=draws, exact=exact, at_once=at_once, observed=sites.SYMBOL)
    return sample_posterior(draw, batches(split), SENTENCES, seed=seed, attributes=attributes)


@pytest.fixture(scope="module")
def tree():
    return sampled(tiny_guide(), attributes={"objective": "elbo", "quick": True, "checkpoint": None})


def test_dims_and_labels(tree):
    assert tree["posterior/alignment"].dims == ("chain", "draw", "sentence", "step")
    assert tree["posterior/alignment"].shape == (1, 40, 4, 5)
    assert tree["posterior/alignment"].dtype == np.int32
    assert tree["sample_stats/log_weight"].shape == (1, 40, 4)
    assert tree["sample_stats/log_weight_step"].shape == (1, 40, 4, 5)
    assert tree["attention/exact"].dims == ("sentence", "step", "source")
    assert tree["attention/exact"].shape == (4, 5, 5)
    bird = tree["attention/exact"].sel(sentence="bird")
    assert bird.source_token.values.tolist() == ["ŋ", "ŋ", "a", "é", "$"]
    assert bird.target_token.values.tolist() == ["</s>", "", "", "", ""]
    assert tree["constant_data/source_length"].values.tolist() == [3, 2, 5, 1]
    assert tree["constant_data/target_length"].values.tolist() == [3, 5, 1, 2]
    assert tree["constant_data/step_mask"].dtype == bool
    assert tree["observed_data/target"].values.tolist() == [
        [2, 4, 0, -1, -1],
        [3, 3, 2, 4, 0],
        [0, -1, -1, -1, -1],
        [4, 0, -1, -1, -1],
    ]
    assert tree.attrs["inference_library"] == "hardpp"
    assert tree.attrs["inference_library_version"] == hardpp.__version__
    assert (tree.attrs["seed"], tree.attrs["objective"], tree.attrs["quick"]) == (3, "elbo", "True")
    assert "checkpoint" not in tree.attrs
    assert tree["sample_stats"].attrs["draws"] == "iid from guide"


def test_padding_is_marked(tree):
    steps, sources = tree["constant_data/step_mask"].values, tree["constant_data/source_mask"].values
    z = tree["posterior/alignment"].values[0]
    assert tree["posterior/alignment"].attrs["fill"] == FILL
    assert ((z == FILL) == ~steps).all()
    assert (z[:, steps] < tree["constant_data/source_length"].values[np.nonzero(steps)[0]]).all()
    for name in ("prior", "guide", "marginal", "exact"):
        view = tree["attention"][name].values
        assert (np.isnan(view) == ~(steps[:, :, None] & sources[:, None, :])).all()
        np.testing.assert_allclose(np.nansum(view, -1)[steps], 1.0, rtol=1e-12)


def test_exact_and_prior_equal_a_brute_force_enumeration(tree):
    model = tiny_model(sharpness=1.5)
    for n, (source, target) in enumerate(zip(SOURCES, TARGETS, strict=True)):
        alone, T = batch([n]), len(target) + 1
        values, log_joint, log_prior = list(product(range(len(source)), repeat=T)), [], []
        for value in values:
            z = torch.tensor([[*value, 0]])  # one padded step
            trace = pyro.poutine.trace(pyro.condition(model, {sites.ALIGNMENT: z})).get_trace(alone)
            log_joint.append(trace.log_prob_sum())
            log_prior.append(trace.nodes[sites.ALIGNMENT]["log_prob_sum"])
        one_hot = nn.functional.one_hot(torch.tensor(values), len(source)).double()  # (S^T, T, S)
        for name, log_values in (("exact", log_joint), ("prior", log_prior)):
            weights = torch.stack(log_values).softmax(0)
            expected = torch.einsum("v,vts->ts", weights, one_hot).detach()
            found = tree["attention"][name].values[n, :T, : len(source)]
            np.testing.assert_allclose(found, expected, rtol=0, atol=1e-10)
        total = torch.stack(log_joint).logsumexp(0).item()
        assert tree["log_likelihood/target"].values[0, n] == pytest.approx(total, abs=1e-10)


def test_weights_are_those_of_the_draws(tree):
    stats, model, guide = tree["sample_stats"], tiny_model(sharpness=1.5), tiny_guide()
    z = torch.from_numpy(tree["posterior/alignment"].values[0]).long().clamp(min=0)
    for n, target in enumerate(TARGETS):
        alone, T = batch([n]), len(target) + 1
        for k in (0, 17, 39):
            given = {sites.ALIGNMENT: z[k, n, : T + 1].unsqueeze(0)}
            given = {name: nn.functional.pad(value[:, :T], (0, 1)) for name, value in given.items()}
            log_p, log_q = (
                pyro.poutine.trace(pyro.condition(program, given)).get_trace(alone).log_prob_sum().item()
                for program in (model, guide)
            )
            assert stats["log_p"].values[0, k, n] == pytest.approx(log_p, abs=1e-10)
            assert stats["log_q"].values[0, k, n] == pytest.approx(log_q, abs=1e-10)
    log_weight = stats["log_weight"].values
    np.testing.assert_allclose(log_weight, (stats["log_p"] - stats["log_q"]).values)
    np.testing.assert_allclose(log_weight, stats["log_weight_step"].sum("step").values)
    weight = np.exp(log_weight[0])
    np.testing.assert_allclose(stats["ess"].values[0], weight.sum(0) ** 2 / (weight**2).sum(0))
    assert ((stats["ess"].values >= 1) & (stats["ess"].values <= 40)).all()


def test_the_marginal_can_be_computed_again_from_the_file(tree):
    z, log_weight = tree["posterior/alignment"][0], tree["sample_stats/log_weight_step"][0]
    weight = np.exp(log_weight) / np.exp(log_weight).sum("draw")
    again = (weight * (z == tree["attention"].source)).sum("draw")
    known = tree["attention/marginal"].notnull()
    xr.testing.assert_allclose(
        again.where(known).transpose("sentence", "step", "source").drop_vars("chain"),
        tree["attention/marginal"],
    )
    assert tree["attention/marginal"].attrs["weights"] == "per step"


@pytest.mark.parametrize("name", ["guide", "prior"])
def test_the_weighted_draws_converge_to_the_exact_posterior(name):
    guide = tiny_guide() if name == "guide" else Prior(tiny_model(sharpness=1.5))
    tree = sampled(guide, draws=4000, at_once=1000)
    known = tree["attention/exact"].notnull().values
    error = (tree["attention/marginal"] - tree["attention/exact"]).values[known]
    # At most 0.5 / sqrt(effective draws) standard error a cell; 4 of them, over about 40 cells.
    log_weight = tree["sample_stats/log_weight_step"].values[0][:, tree["constant_data/step_mask"].values]
    weight = np.exp(log_weight - log_weight.max(0))
    fewest = (weight.sum(0) ** 2 / (weight**2).sum(0)).min()
    assert fewest > 400
    assert np.abs(error).max() < 4 * 0.5 / np.sqrt(fewest)
    # Without weights the draws are the guide's.
    z = tree["posterior/alignment"][0]
    frequency = (z == tree["attention"].source).mean("draw").transpose("sentence", "step", "source").values
    np.testing.assert_allclose(
        frequency[known], tree["attention/guide"].values[known], atol=4 * 0.5 / 4000**0.5
    )


def test_the_prior_as_guide_is_the_prior():
    tree = sampled(Prior(tiny_model(sharpness=1.5)))
    np.testing.assert_array_equal(tree["attention/guide"].values, tree["attention/prior"].values)


def test_a_guide_that_is_the_posterior_has_constant_weights(tree):
    exact = torch.from_numpy(tree["attention/exact"].values)

    def posterior(given):
        (rows,) = [rows for rows, known in batches() if torch.equal(known.source, given.source)]
        width, steps = given.source.shape[1], given.target.shape[1]
        probs = nn.functional.pad(exact, (0, 0, 0, 1))[rows, :steps, :width].nan_to_num(0.0)
        probs[~given.target_mask] = given.source_mask.double()[(~given.target_mask).nonzero()[:, 0]]
        with sites.output_steps(given.target_mask):
            return pyro.sample(sites.ALIGNMENT, dist.Categorical(probs))

    found = sampled(posterior)
    log_weight, log_p = found["sample_stats/log_weight"][0], found["log_likelihood/target"][0]
    np.testing.assert_allclose(log_weight.values, log_p.values[None].repeat(40, 0), rtol=0, atol=1e-6)
    np.testing.assert_allclose(found["sample_stats/ess"].values, 40.0)


def test_a_seed_gives_the_same_draws_and_leaves_the_global_state_alone():
    torch.manual_seed(0)
    before = torch.random.get_rng_state()
    first = sampled(tiny_guide(), seed=1)
    assert torch.equal(before, torch.random.get_rng_state())
    torch.manual_seed(99)
    xr.testing.assert_identical(
        first["posterior"].to_dataset(), sampled(tiny_guide(), seed=1)["posterior"].to_dataset()
    )
    other = sampled(tiny_guide(), seed=2)["posterior/alignment"]
    assert not np.array_equal(first["posterior/alignment"].values, other.values)


@pytest.mark.parametrize(("draws", "at_once"), [(1, 32), (3, 1), (5, 2)])
def test_draws_come_in_any_portions(draws, at_once):
    tree = sampled(tiny_guide(), draws=draws, at_once=at_once, exact=False)
    assert tree["posterior/alignment"].shape == (1, draws, 4, 5)
    assert np.isfinite(tree["sample_stats/log_weight"].values).all()
    trust = tree["sample_stats/trust"]
    assert "pareto_k" not in tree["sample_stats"]
    assert "fewer than 30" in trust.attrs["pareto_k"]
    assert (trust == "too few draws").all()
    assert "exact" not in tree["attention"]
    assert f"K = {draws} draws" in tree["log_likelihood/target"].attrs["latents"]
    log_weight = tree["sample_stats/log_weight"].values[0]
    bound = np.log(np.exp(log_weight - log_weight.max(0)).mean(0)) + log_weight.max(0)
    np.testing.assert_allclose(tree["log_likelihood/target"].values[0], bound)


def test_weights_are_per_sentence_where_steps_are_no_plate():
    def program(given, observed):
        data = pyro.plate("data", given.source.shape[0], dim=-2)
        steps = pyro.plate("steps", given.target.shape[1], dim=-1)
        logits = torch.zeros(given.source_mask.shape, dtype=torch.float64).masked_fill(
            ~given.source_mask, -torch.inf
        )
        with data:
            with steps, pyro.poutine.mask(mask=given.target_mask):
                z = pyro.sample(
                    sites.ALIGNMENT, dist.Categorical(logits=logits.unsqueeze(1).expand(-1, steps.size, -1))
                )
                if observed:
                    pyro.sample(sites.SYMBOL, dist.Normal(z.double(), 1.0), obs=given.target.double())
            if observed:
                mean = z.double().mean(-1, keepdim=True)
                pyro.sample("sentence", dist.Normal(mean, 1.0), obs=torch.zeros(1, 1))

    draw = drawing(lambda given: program(given, False), lambda given: program(given, True), draws=30)
    tree = sample_posterior(draw, batches(), SENTENCES, seed=0)
    assert "log_weight_step" not in tree["sample_stats"]
    assert tree["attention/marginal"].attrs["weights"] == "per sentence"
    weight = tree["sample_stats/log_weight"][0]
    weight = np.exp(weight - weight.max("draw"))
    again = (weight / weight.sum("draw") * (tree["posterior/alignment"][0] == tree["attention"].source)).sum(
        "draw"
    )
    known = tree["attention/marginal"].notnull()
    xr.testing.assert_allclose(
        again.where(known).transpose("sentence", "step", "source").drop_vars("chain"),
        tree["attention/marginal"],
    )


def test_netcdf_round_trip(tree, tmp_path):
    path = tmp_path / "new folder" / "posterior.nc"
    write_posterior(tree, path)
    assert [file.name for file in path.parent.iterdir()] == ["posterior.nc"]
    with xr.open_datatree(path, engine="h5netcdf") as again:
        assert dict(again.attrs) == dict(tree.attrs)
        for group in tree.children:
            xr.testing.assert_equal(again[group].to_dataset(), tree[group].to_dataset())
            assert again[group].attrs == tree[group].attrs
            for name, variable in tree[group].data_vars.items():
                assert again[group][name].attrs == variable.attrs
                assert again[group][name].dtype == variable.dtype
        assert (
            again["attention"].target_token.values.tolist() == tree["attention"].target_token.values.tolist()
        )


def test_arviz_reads_the_file(tree, tmp_path):
    write_posterior(tree, tmp_path / "posterior.nc")
    data = az.from_netcdf(str(tmp_path / "posterior.nc"))
    for group in tree.children:
        read = data[group] if isinstance(data[group], xr.Dataset) else data[group].to_dataset()
        xr.testing.assert_equal(read, tree[group].to_dataset())
    assert data.attrs["inference_library"] == "hardpp"
    assert data["constant_data"].step_mask.dtype == bool
    assert str(data["attention"].exact.sel(sentence="dög").target_token.values[3]) == "ʃ"


def test_nothing_is_overwritten_unless_forced(tree, tmp_path):
    path = tmp_path / "posterior.nc"
    path.write_text("precious")
    with pytest.raises(UsageError, match=r"posterior\.nc exists"):
        write_posterior(tree, path)
    assert path.read_text() == "precious"
    write_posterior(tree, path, force=True)
    with xr.open_datatree(path, engine="h5netcdf") as again:
        assert "posterior" in again.children
    with pytest.raises(UsageError, match="folder"):
        write_posterior(tree, tmp_path, force=True)


def test_a_failed_write_leaves_the_old_file(tree, tmp_path: Path, monkeypatch):
    path = tmp_path / "posterior.nc"
    path.write_text("precious")

    def fails(self, target, **options):
        target.write(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(xr.DataTree, "to_netcdf", fails)
    with pytest.raises(OSError, match="disk full"):
        write_posterior(tree, path, force=True)
    assert path.read_text() == "precious"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("split", "message"),
    [
        ([[2, 0]], "'dög' is in 0"),
        ([[2, 0], [1, 3], [0]], "'cat' is in 2"),
    ],
)
def test_batches_must_hold_every_sentence_once(split, message):
    with pytest.raises(ValueError, match=message):
        sampled(tiny_guide(), split=split)


@pytest.mark.parametrize(
    ("rows", "message"), [([0, 2], "'cat' has"), ([2], "each of 2 rows"), ([2, 4], "sentences 0 to 3")]
)
def test_batches_must_fit_their_sentences(rows, message):
    with pytest.raises(ValueError, match=message):
        sample_posterior(drawing(tiny_guide()), [(rows, batch([2, 0]))], SENTENCES, seed=0)


@pytest.mark.parametrize(
    ("sentences", "message"),
    [
        (SENTENCES._replace(names=["a", "a", "b", "c"]), "'a' occurs"),
        (SENTENCES._replace(names=["a"]), "as many names"),
        (Sentences([], [], []), "at least 1"),
    ],
)
def test_sentences_must_be_told_apart(sentences, message):
    with pytest.raises(ValueError, match=message):
        sample_posterior(drawing(tiny_guide()), [], sentences, seed=0)


@pytest.mark.parametrize(
    "options",
    [
        {"site": "glimpse"},
        {"draws": 0},
        {"at_once": 0},
        {"site": sites.SYMBOL},
    ],
)
def test_refuses_what_the_programs_do_not_have(options):
    with pytest.raises(UsageError):
        sample_posterior(drawing(tiny_guide(), **options), batches(), SENTENCES, seed=0)
