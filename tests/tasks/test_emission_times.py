"""When tokens are said, in figures: quantiles, exact posteriors against every path, delays of matches."""

import itertools
import math
from typing import Any

import pytest
import torch
from utterances import by_hand, legal_paths, online, transducer, utterances

from hardpp.data.speech.utterances import Segment, Utterance
from hardpp.diagnostics.emissions import exact_emissions
from hardpp.errors import UsageError
from hardpp.tasks.configuration import resolve
from hardpp.tasks.online_alignment.data import SpeechDescription
from hardpp.tasks.online_alignment.emission_times import quantiles
from hardpp.tasks.online_alignment.evaluation import Transcript, delays, matches
from hardpp.tasks.online_alignment.network import OnlineNetwork, speech_parts, target_informed_guide

CLOSE = {"rtol": 0, "atol": 1e-9}


def test_quantiles_are_the_first_frames_that_reach_their_share() -> None:
    generator = torch.Generator().manual_seed(3)
    frames = torch.rand(3, 4, 7, generator=generator, dtype=torch.float64).pow(6)
    frames = frames / frames.sum(-1, keepdim=True)
    for mass in (0.5, 0.89):
        found = quantiles(frames, mass)
        for b, t in itertools.product(range(3), range(4)):
            row = frames[b, t].tolist()
            for share, which in zip((0.5, (1 - mass) / 2, (1 + mass) / 2), found, strict=True):
                s = int(which[b, t])
                assert sum(row[: s + 1]) >= share - 1e-12
                assert sum(row[:s]) < share
            median, low, high = (int(which[b, t]) for which in found)
            assert low <= median <= high
            assert sum(row[low : high + 1]) >= mass - 1e-12


def test_quantiles_of_what_is_certain_and_of_padding() -> None:
    certain = torch.nn.functional.one_hot(torch.tensor([[0, 3, 4]]), 5).double()
    for which in quantiles(certain):
        assert which.tolist() == [[0, 3, 4]]
    assert all(int(which.max()) < 5 for which in quantiles(torch.zeros(1, 2, 5)))
    torch.testing.assert_close(quantiles(certain * 0.3)[0], quantiles(certain)[0])  # mass need not be 1


@pytest.mark.parametrize("padded", [(0, 0), (2, 1)])
@pytest.mark.parametrize("dwell", [True, False])
def test_exact_emissions_are_the_frequencies_over_all_paths(dwell: bool, padded: tuple[int, int]) -> None:
    model, batch = transducer(dwell), utterances((4, 2), (2, 1), padded)
    found, log_p = exact_emissions(model, batch)
    B, S, T = *batch.source.shape[:2], batch.target.shape[1]
    steps = S + T if dwell else S
    expected = torch.zeros(B, T, S, dtype=torch.float64)
    for b in range(B):
        m, n = int(batch.source_mask[b].sum()), int(batch.target_mask[b].sum())
        paths = legal_paths(m, n, dwell, steps)
        scores = torch.stack([sum(by_hand(model, batch, b, path), torch.tensor(0.0)).sum() for path in paths])
        torch.testing.assert_close(log_p[b], scores.logsumexp(0).detach(), **CLOSE)
        for path, share in zip(paths.tolist(), scores.softmax(0).tolist(), strict=True):
            consumed = said = 0
            for decision in path[: m + n if dwell else m]:
                if decision:
                    expected[b, said, min(consumed, m - 1)] += share
                said += decision
                consumed += not (dwell and decision)
    torch.testing.assert_close(found, expected, **CLOSE)


def test_decisions_that_depend_on_all_before_them_have_no_exact_emissions() -> None:
    with pytest.raises(UsageError, match="depend on all decisions before them"):
        exact_emissions(online(), utterances())


def spoken(tokens: str, ends: list[float] | None = None) -> Utterance:
    segments = tuple(Segment(0.0, end, token) for token, end in zip(tokens, ends or [], strict=False))
    return Utterance("u", "", torch.zeros(3, 2), segments, tuple(tokens))


def test_tokens_that_were_recognised_rightly_are_matched() -> None:
    assert matches("abc", "abc") == [(0, 0), (1, 1), (2, 2)]
    assert matches("axc", "abc") == [(0, 0), (2, 2)]
    assert matches("bc", "abc") == [(0, 1), (1, 2)]
    assert matches("xabc", "abc") == [(1, 0), (2, 1), (3, 2)]
    assert matches("", "abc") == []
    assert matches("xyz", "abc") == []


def test_delays_are_the_mean_over_tokens_recognised_rightly() -> None:
    said = [Transcript(list("axc"), [0.2, 0.9, 0.5]), Transcript(list("b"), [0.4])]
    timed = [spoken("abc", [0.1, 0.2, 0.45]), spoken("ab", [0.3, 0.6])]
    assert delays(said, timed) == {"delay": pytest.approx((100 + 50 - 200) / 3)}
    assert delays(said, [timed[0], spoken("ab")]) == {"delay": pytest.approx(75)}  # times unknown: left out
    assert delays(said, [spoken("abc"), spoken("ab")]) == {}
    assert delays([Transcript([], []), Transcript([], [])], timed) == {}


def test_options_of_the_recommended_objective_are_not_another_s() -> None:
    def options(**tables: object) -> dict[str, object]:
        return resolve([{"model": "online-alignment"}, tables]).inference

    assert options()["control"] == "geometric"
    assert options(objective="vimco")["control"] == "geometric"
    assert options(inference={"particles": 8}) == {**options(), "particles": 8}
    assert options(objective="vimco-temporal")["control"] == "temporal"
    assert "control" not in options(objective="elbo")
    assert options(objective="elbo")["baseline"] == "leave-one-out"
    assert options(objective="elbo")["credit"] == "global"
    assert options(objective="elbo", inference={"credit": "causal"})["credit"] == "causal"
    assert options(objective="iwae", inference={"control": "prefix"})["control"] == "prefix"
    # A recommended objective makes way for a guide only if it does not train it.
    assert options(guide="variational") == options()
    assert options(guide="prior") == options()


def test_the_preset_of_the_paper_goes_on_until_its_noise_has_grown() -> None:
    training = resolve([{"model": "online-alignment", "preset": "paper"}]).training
    steps = math.ceil(3696 / training.batch_size) * training.max_epochs  # on TIMIT
    assert training.weight_noise_steps == 200_000 < 850_000 <= steps < 860_000
    assert training.patience >= training.max_epochs
    exact = {"objective": "exact", "network": {"form": "ctc"}}
    assert resolve([{"model": "online-alignment", "preset": "paper"}, exact]).training == training


@pytest.mark.parametrize("objective", ["vimco", "vimco-temporal", "elbo", "reinforce"])
def test_the_preset_of_the_paper_draws_its_particles(objective: str) -> None:
    paper = {"model": "online-alignment", "preset": "paper", "objective": objective}
    small, large = (resolve([{**paper, "preset": preset}]).inference for preset in ("small", "paper"))
    # Luo et al. (2016): from 1 to a tenth by step 200,000.
    bonus = {"entropy_bonus": 1.0, "entropy_bonus_steps": 200_000} if objective == "reinforce" else {}
    assert {**small, "particles": 16, **bonus} == large != small
    assert resolve([paper, {"inference": {"particles": 2}}]).inference["particles"] == 2


@pytest.mark.parametrize(("dwell", "chance"), [(True, 0.2), (False, 0.25)])
def test_programs_start_by_emitting_as_often_as_utterances_have_tokens(dwell: bool, chance: float) -> None:
    """A token every four frames: one decision in five if emissions are decisions more, else one in four."""
    description = SpeechDescription(
        tokens=["</s>", "<unk>", "a"],
        features=2,
        frame_seconds=0.03,
        folding={},
        tokens_per_frame=0.5,
        mean_tokens_per_frame=0.25,
        fingerprint="",
    )
    for form in ("online", "transducer"):
        parts = speech_parts(OnlineNetwork(form=form, dwell=dwell, even=False), description)
        guide: Any = target_informed_guide(parts)
        for program in (parts.model, guide):
            assert program.emission.bias.sigmoid().item() == pytest.approx(chance)
        assert not guide.even
