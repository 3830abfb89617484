from pathlib import Path
from zlib import crc32

import pytest
import speech_files
import torch

from hardpp.data.speech.mixing import Mixture, mix, with_second_speakers
from hardpp.data.speech.recordings import Recording, Sex, SoundFile
from hardpp.data.speech.utterances import Segment
from hardpp.errors import DataError


def recording(name: str, sex: Sex, folder: Path = Path(".")) -> Recording:
    return Recording(name, name, sex, SoundFile(folder / f"{name}.wav"), (Segment(0.0, 0.1, name),))


@pytest.mark.parametrize("level", [0.5, 0.25, 0.1])
@pytest.mark.parametrize("length", [3, 7, 20])
def test_the_second_is_quieter_and_no_longer(level: float, length: int) -> None:
    first, second = torch.tensor([0.1, -0.4, 0.2, 0.0, 0.3, 0.1, 0.2]), torch.linspace(-0.7, 0.8, length)
    found = mix(first, second, level)
    assert found.shape == first.shape
    assert found.abs().max() == 1
    expected = first / 0.4
    for place in range(min(7, length)):
        expected[place] += level * second[place] / 0.8
    torch.testing.assert_close(found, expected / expected.abs().max())


def test_silence_stays_silence() -> None:
    assert mix(torch.zeros(3), torch.zeros(5), 0.5).tolist() == [0, 0, 0]
    assert mix(torch.tensor([0.5, 0.25]), torch.zeros(1), 0.5).tolist() == [1, 0.5]


def test_pairs_are_fixed_and_of_both_sexes() -> None:
    recordings = [recording(f"m{n}", "m") for n in range(5)] + [recording(f"f{n}", "f") for n in range(2)]
    found = with_second_speakers(recordings, 0.25, "train")
    sexes = {one.sound: one.sex for one in recordings}
    seconds = []
    for before, after in zip(recordings, found, strict=True):
        assert isinstance(after.sound, Mixture)
        assert after.sound.first == before.sound
        assert after.sound.level == 0.25
        assert after._replace(sound=before.sound) == before  # its name, speaker, tokens and times
        assert sexes[after.sound.second] != before.sex
        seconds.append(after.sound.second)
    assert sorted(seconds[:5].count(one) for one in set(seconds[:5])) == [2, 3]  # evenly
    women = sorted((one for one in recordings if one.sex == "f"), key=lambda one: crc32(one.name.encode()))
    assert [one.name for one in women] == ["f1", "f0"]  # so that the order of the names is not theirs
    assert seconds[:5] == [women[n % 2].sound for n in range(5)]
    assert len(set(seconds[5:])) == 2
    assert with_second_speakers(recordings, 0.25, "train") == found
    # Which level it is changes nothing about who speaks.
    assert [one.sound.second for one in with_second_speakers(recordings, 0.5, "train")] == seconds  # type: ignore[attr-defined]


def test_a_mixture_is_read_from_its_files(tmp_path: Path) -> None:
    pytest.importorskip("soundfile")
    recordings = [recording("a", "f", tmp_path), recording("b", "m", tmp_path)]
    for number, one in enumerate(recordings):
        speech_files.write_riff(tmp_path / f"{one.name}.wav", speech_files.noise(1000 + number, seed=number))
    first, second = (one.sound for one in with_second_speakers(recordings, 0.1, "train"))
    assert torch.equal(first.read(), mix(recordings[0].sound.read(), recordings[1].sound.read(), 0.1))
    assert len(second.read()) == 1001
    louder = with_second_speakers(recordings, 0.5, "train")[0].sound
    assert len({first.digest(), second.digest(), louder.digest(), recordings[0].sound.digest()}) == 4


def test_what_cannot_be_paired_is_refused() -> None:
    with pytest.raises(DataError, match="the dev part cannot be mixed: it has no speakers of both sexes"):
        with_second_speakers([recording("a", "m")], 0.5, "dev")
    with pytest.raises(DataError, match="the sex of the speaker of b is unknown"):
        with_second_speakers([recording("a", "m"), recording("b", "")], 0.5, "dev")
    for level in (0.0, 1.5):
        with pytest.raises(ValueError, match="a level above 0"):
            with_second_speakers([], level, "dev")
