from pathlib import Path

import pytest
import speech_files

from hardpp.data.speech import corpora, festvox_ru, spoken_digits, synthetic_speech
from hardpp.data.speech.corpora import SpeechOptions
from hardpp.data.speech.phone_folding import TO_39
from hardpp.data.transduction import ding
from hardpp.data.transduction.pairs import Bitext
from hardpp.data.transduction.text_pairs import TextPair
from hardpp.errors import DataError, UsageError

pytest.importorskip("soundfile")


@pytest.fixture(autouse=True)
def sources(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """Small data in place of what would be fetched; returns what was."""
    fetched = []

    def fetch(name: str, report: object) -> Path:
        fetched.append(name)
        return tmp_path / name

    speech_files.write_digits(tmp_path / "spoken-digits" / spoken_digits.MEMBER)
    speech_files.write_festvox(tmp_path / "festvox-ru" / festvox_ru.MEMBER, count=10)
    program = speech_files.write_flite(tmp_path / "bin")
    pairs = [TextPair(str(n), f"Sentence {n} is one of the others.") for n in range(400)]
    monkeypatch.setenv("HARDPP_DATA", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", str(program.parent))
    monkeypatch.setattr(corpora, "fetch", fetch)
    monkeypatch.setattr(ding, "bitext", lambda path: Bitext("ding", pairs, [], []))
    monkeypatch.setitem(synthetic_speech.SIZES, "small", {"train": 8, "dev": 4, "test": 4})
    return fetched


@pytest.mark.parametrize(
    ("name", "sizes", "features", "seconds"),
    [
        ("spoken-digits", [2000, 200, 200], 13, 0.025),
        ("festvox-ru", [8, 1, 1], 369, 0.03),
        ("synthetic-timit", [8, 4, 4], 369, 0.03),
        ("synthetic-timit-10", [8, 4, 4], 369, 0.03),
        ("synthetic-timit-25", [8, 4, 4], 369, 0.03),
        ("synthetic-timit-50", [8, 4, 4], 369, 0.03),
    ],
)
def test_every_name_is_a_corpus(
    name: str, sizes: list[int], features: int, seconds: float, sources: list[str]
) -> None:
    assert name in corpora.NAMES
    found = corpora.corpus(name)
    assert found.name == name
    assert [len(part) for part in (found.train, found.dev, found.test)] == sizes
    assert found.frame_seconds == pytest.approx(seconds)
    assert found.folding == (TO_39 if name.startswith("synthetic") else {})
    for utterance in (found.train[0], found.test[-1]):
        assert utterance.read().shape == (utterance.length, features)
        assert utterance.tokens == tuple(segment.label for segment in utterance.segments)
        # The last frame is not over before the last token is.
        assert utterance.segments[-1].end <= utterance.length * found.frame_seconds + 1e-9
    assert sources == [
        {"s": "spoken-digits", "f": "festvox-ru"}.get(name[0]) if "timit" not in name else "ding"
    ]


def test_a_mixed_corpus_says_the_same_at_the_same_times() -> None:
    clean, mixed = corpora.corpus("synthetic-timit"), corpora.corpus("synthetic-timit-50")
    for one, other in zip(clean.train, mixed.train, strict=True):
        assert one[:2] == other[:2]
        assert one[3:] == other[3:]
        assert one.length == other.length
        assert not one.read().equal(other.read())
    quieter = corpora.corpus("synthetic-timit-10")
    assert len({corpus.fingerprint() for corpus in (clean, mixed, quieter)}) == 3


def test_a_folder_of_timit(tmp_path: Path) -> None:
    folder = speech_files.write_timit(tmp_path / "TIMIT")
    told: list[str] = []
    found = corpora.corpus(str(folder), report=told.append)
    assert found.name == "timit"
    assert found.train[0].tokens == ("h#", "sh", "q", "ix", "h#")
    assert found.folding == TO_39
    assert told[-1] == "computing features of 12 utterances"
    options = SpeechOptions(phones=39, mixed=25, stacked=1)
    mixed = corpora.corpus(str(folder), options)
    assert mixed.train[0].tokens == ("sil", "sh", "ih", "sil")
    assert mixed.train[0].read().shape == (50, 123)
    assert mixed.fingerprint() != corpora.corpus(str(folder), options._replace(mixed=0)).fingerprint()


def test_silences_in_a_row_may_be_one(tmp_path: Path) -> None:
    folder = speech_files.write_timit(tmp_path / "TIMIT")
    for path in folder.rglob("*.PHN"):
        speech_files.write_labels(path, [(0, 800, "h#"), (800, 1600, "pau"), (1600, 2400, "aa")])
    options = SpeechOptions(phones=39)
    assert corpora.corpus(str(folder), options).train[0].tokens == ("sil", "sil", "aa")
    merged = options._replace(merged=("sil",))
    assert corpora.corpus(str(folder), merged).train[0].tokens == ("sil", "aa")


def test_what_is_no_corpus_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no corpus of speech named 'synthetic'") as error:
        corpora.corpus("synthetic")
    assert "synthetic-timit-25" in error.value.hint
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="neither TIMIT nor lists"):
        corpora.corpus(str(tmp_path / "empty"))


def test_the_seed_is_for_spoken_digits() -> None:
    digits = [corpora.corpus("spoken-digits", SpeechOptions(seed=seed)) for seed in (0, 1)]
    assert digits[0].fingerprint() != digits[1].fingerprint()
