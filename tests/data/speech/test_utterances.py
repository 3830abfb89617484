import torch

from hardpp.data.digests import sha256_of_tensors
from hardpp.data.speech.utterances import Normalisation, Segment, SpeechCorpus, Utterance


class Lazy:
    def __init__(self, tensor: torch.Tensor):
        self.tensor = tensor

    def __len__(self) -> int:
        return len(self.tensor)

    def read(self) -> torch.Tensor:
        return self.tensor

    def digest(self) -> str:
        return sha256_of_tensors(self.tensor)


def utterance(name: str = "a") -> Utterance:
    return Utterance(name, "s", torch.ones(4, 2), (Segment(0.0, 0.5, "x"),), ("x",))


def corpus(*train: Utterance) -> SpeechCorpus:
    return SpeechCorpus("c", list(train), [utterance("b")], [utterance("c")], 0.01)


def test_frames_may_be_read_later() -> None:
    now, later = utterance(), utterance()._replace(frames=Lazy(torch.ones(4, 2)))
    assert now.length == later.length == 4
    assert torch.equal(now.read(), later.read())
    assert corpus(now).fingerprint() == corpus(later).fingerprint()


def test_the_fingerprint_sees_everything_but_the_name() -> None:
    one = utterance()
    same = corpus(one)
    before = same.fingerprint()
    assert same._replace(name="moved").fingerprint() == before
    changed = [
        corpus(one._replace(name="other")),
        corpus(one._replace(tokens=("y",))),
        corpus(one._replace(segments=(Segment(0.0, 0.6, "x"),))),
        corpus(one._replace(frames=torch.ones(4, 2) * 1.001)),
        corpus(one._replace(frames=torch.ones(2, 4))),
        corpus(one, one),
        same._replace(train=[one, *same.dev], dev=[]),
        same._replace(frame_seconds=0.03),
        same._replace(folding={"x": None}),
    ]
    assert len({before, *(other.fingerprint() for other in changed)}) == len(changed) + 1


def test_normalisation_is_per_feature() -> None:
    found = Normalisation(torch.tensor([1.0, 0.0]), torch.tensor([2.0, 0.5]))
    assert found(torch.tensor([[3.0, 1.0]])).tolist() == [[1.0, 2.0]]
