import math

import numpy as np
import pytest
import torch

from hardpp.data.speech import log_mel


def sound(length: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    tone = 0.2 * torch.sin(torch.arange(length) * 0.3 + 0.2)
    return (0.05 * torch.randn(length, generator=generator) + tone).clamp(-1, 1)


@pytest.mark.parametrize("length", [160, 399, 400, 1000, 16000, 16081])
def test_features_are_those_of_kaldi(length: int) -> None:
    kaldi = pytest.importorskip("kaldi_native_fbank")
    options = kaldi.FbankOptions()
    options.frame_opts.dither = 0
    options.frame_opts.snip_edges = False
    options.mel_opts.num_bins = 40
    options.mel_opts.high_freq = 0
    options.use_energy = True
    options.energy_floor = 0.0
    wave = sound(length)
    bank = kaldi.OnlineFbank(options)
    bank.accept_waveform(16000, (wave * 32768).tolist())
    bank.input_finished()
    frames = np.array([bank.get_frame(number) for number in range(bank.num_frames_ready)])
    expected = np.concatenate([frames[:, 1:], frames[:, :1]], 1)  # Kaldi has the energy first
    assert expected.min() > 0.1  # so that the floor plays no part
    np.testing.assert_allclose(log_mel.static(wave).numpy(), expected, rtol=0, atol=2e-4)


def test_features_are_those_of_the_equations() -> None:
    wave = sound(900, seed=1)
    found = log_mel.static(wave)
    assert found.shape == (6, 41)  # 900 / 160 rounded
    x = [32768 * float(value) for value in wave]
    for frame in (0, 3, 5):
        centre = 160 * frame + 80
        places = [place if place >= 0 else -1 - place for place in range(centre - 200, centre + 200)]
        window = np.array([x[place if place < 900 else 1799 - place] for place in places])
        window -= window.mean()
        energy = math.log((window**2).sum())
        emphasised = window - 0.97 * np.concatenate([window[:1], window[:-1]])
        shape = (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(400) / 399)) ** 0.85
        power = np.abs(np.fft.rfft(emphasised * shape, 512)) ** 2
        mel = lambda hertz: 1127 * math.log(1 + hertz / 700)  # noqa: E731
        step = (mel(8000) - mel(20)) / 41
        for band in (0, 17, 39):
            centre_mel = mel(20) + (band + 1) * step
            weights = [max(0.0, 1 - abs(mel(f * 31.25) - centre_mel) / step) for f in range(257)]
            assert found[frame, band].item() == pytest.approx(math.log(weights @ power), abs=1e-4)
        assert found[frame, 40].item() == pytest.approx(energy, abs=1e-4)


def test_a_frame_stands_for_its_ten_milliseconds() -> None:
    for place in (800, 959, 960, 5000):
        wave = torch.zeros(8000)
        wave[place] = 0.5
        # The click is heard in the windows that hold it, around the frame of its time.
        heard = (log_mel.static(wave)[:, 40] > 1).nonzero().flatten()
        assert (heard[0] + heard[-1]).item() / 2 == pytest.approx(place / 160 - 0.5, abs=0.5)
        assert place // 160 in heard.tolist()


def test_silence_is_the_floor_and_short_sounds_are_one_frame() -> None:
    assert (log_mel.static(torch.zeros(1600)) == 0).all()
    assert log_mel.static(torch.full((1,), 0.25)).shape == (1, 41)
    assert torch.isfinite(log_mel.static(torch.rand(3))).all()
    for shape in ((0,), (2, 100)):
        with pytest.raises(ValueError, match="one row of samples"):
            log_mel.static(torch.zeros(shape))


def test_deltas_are_slopes_through_five_frames() -> None:
    frames = torch.randn(7, 3, dtype=torch.float64)
    found = log_mel.with_deltas(frames)
    assert torch.equal(found[:, :3], frames)

    def slope(c: torch.Tensor, t: int) -> torch.Tensor:
        def at(place: int) -> torch.Tensor:
            return c[min(max(place, 0), 6)]

        return sum((k * at(t + k) for k in (-2, -1, 1, 2)), torch.zeros(3)) / 10

    first = torch.stack([slope(frames, t) for t in range(7)])
    torch.testing.assert_close(found[:, 3:6], first)
    torch.testing.assert_close(found[:, 6:], torch.stack([slope(first, t) for t in range(7)]))
    line = torch.arange(9.0)[:, None] * torch.tensor([2.0, -1.0])
    torch.testing.assert_close(log_mel.with_deltas(line)[2:-2, 2:4], torch.tensor([[2.0, -1.0]]).expand(5, 2))
    assert log_mel.with_deltas(torch.ones(1, 4)).tolist() == [[1.0] * 4 + [0.0] * 8]


def test_stacking_repeats_the_last_frame() -> None:
    frames = torch.arange(14.0).reshape(7, 2)
    found = log_mel.stack(frames, 3)
    assert found.tolist() == [[0, 1, 2, 3, 4, 5], [6, 7, 8, 9, 10, 11], [12, 13, 12, 13, 12, 13]]
    assert torch.equal(log_mel.stack(frames, 1), frames)
    assert log_mel.stack(frames[:6], 3).shape == (2, 6)
    with pytest.raises(ValueError, match="at least 1 frame"):
        log_mel.stack(frames, 0)


def test_normalised_features_have_mean_0_and_variance_1() -> None:
    pieces = [torch.randn(50, 4) * torch.tensor([1.0, 5.0, 0.1, 0.0]) + torch.tensor([3.0, -20.0, 0.0, 7.0])]
    pieces.append(torch.randn(30, 4) * 2 * torch.tensor([1.0, 1.0, 1.0, 0.0]) + 7 * torch.eye(4)[3])
    found = log_mel.normalisation(iter(pieces))
    every = found(torch.cat(pieces))
    torch.testing.assert_close(every.mean(0), torch.zeros(4), atol=1e-5, rtol=0)
    torch.testing.assert_close(every[:, :3].std(0, correction=0), torch.ones(3))
    assert found.deviation[3] == 1  # a feature that never changes is left alone
    with pytest.raises(ValueError, match="at least one frame"):
        log_mel.normalisation([])
