import pytest
import torch
from image_files import Shades

from hardpp.data.captions.batches import Sentence, buckets, collate, sentences, word_vocabulary
from hardpp.data.captions.captioned import Caption, CaptionedPart
from hardpp.data.vocabulary import BOUNDARY, UNKNOWN

TEXTS = [["a dog runs", "the dog"], ["a cat"], ["a", "cat and a dog and a bird", "bird"]]


class Counting(Shades):
    """Says which images were read."""

    asked: torch.Tensor

    def read(self, places: object = None) -> torch.Tensor:
        self.asked = torch.as_tensor(places)
        return super().read(places)


def part() -> CaptionedPart:
    captions = [tuple(Caption(tuple(text.split(" "))) for text in texts) for texts in TEXTS]
    return CaptionedPart("xyz", Counting(3), captions)


def test_sentences_in_order_all_or_the_first_of_each() -> None:
    found = [(one.image, " ".join(one.caption.words)) for one in sentences(part())]
    assert found == [(image, text) for image, texts in enumerate(TEXTS) for text in texts]
    assert [one.image for one in sentences(part(), references=1)] == [0, 1, 2]
    assert [one.image for one in sentences(part(), references=2)] == [0, 0, 1, 2, 2]


def test_the_vocabulary_has_words_that_are_frequent_enough() -> None:
    assert word_vocabulary(part()).symbols[2:] == ("a", "and", "bird", "cat", "dog", "runs", "the")
    assert word_vocabulary(part(), min_count=2).symbols[2:] == ("a", "and", "bird", "cat", "dog")
    assert len(word_vocabulary(part(), min_count=99)) == 2


def test_a_batch_is_padded_and_reads_each_image_once() -> None:
    whole = part()
    chosen = [sentences(whole)[place] for place in (4, 0, 1, 3)]
    vocabulary = word_vocabulary(whole, min_count=2)
    batch = collate(chosen, whole, vocabulary, lambda height, width: 10 * height + width)
    assert batch.source[:, 0, 0, 0].tolist() == [2, 0, 0, 2]
    assert batch.source.dtype == torch.uint8
    assert whole.images.asked.tolist() == [0, 2]  # type: ignore[attr-defined]
    assert batch.source_mask.shape == (4, 22)
    assert batch.source_mask.all()
    assert batch.target.dtype == torch.int64
    for one, ids, mask in zip(chosen, batch.target, batch.target_mask, strict=True):
        wanted = [*vocabulary.encode(one.caption.words), BOUNDARY]
        assert ids[mask].tolist() == wanted
        assert mask.tolist() == [place < len(wanted) for place in range(8)]
        assert not ids[~mask].any()
    assert UNKNOWN in batch.target[1]  # "runs" occurs once
    assert batch.size == 4
    assert batch.symbols == sum(len(one.caption.words) + 1 for one in chosen)
    with pytest.raises(ValueError, match="at least one sentence"):
        collate([], whole, vocabulary, max)


def test_batches_hold_sentences_of_nearly_one_length() -> None:
    chosen = [Sentence(0, Caption(("x",) * (1 + number % 4))) for number in range(32)]
    found = buckets(chosen, 8, seed=0, epoch=0)
    assert sorted(place for batch in found for place in batch) == list(range(32))
    assert all(len({len(chosen[place].caption.words) for place in batch}) == 1 for batch in found)
    assert buckets(chosen, 8, seed=0, epoch=1) != found == buckets(chosen, 8, seed=0, epoch=0)
