import errno
import hashlib
import json
import math
import os
import pickle
import shutil
from contextlib import suppress
from pathlib import Path

import pytest
import torch

from hardpp.data import atomic_files
from hardpp.errors import CheckpointError, ResourceError
from hardpp.runs import checkpoint
from hardpp.runs.checkpoint import Checkpoint

TENSORS = ("model.safetensors", "optim.safetensors")
FILES = (*TENSORS, "state.json", "MANIFEST.json")


def example(value: float = 1.0) -> Checkpoint:
    model = {
        "weight": torch.full((3, 4), value),
        "bias": torch.tensor([-0.0, 5e-324], dtype=torch.float64),
        "half": torch.ones(5, dtype=torch.bfloat16),
        "none": torch.zeros(0, 7),
    }
    optim = {"step": torch.tensor(7), "rng": torch.get_rng_state(), "mask": torch.tensor([True, False])}
    return Checkpoint(model, optim, {"step": 7, "epoch": 2, "best": None, "order": [3, 1, 2]})


def same_bits(left: torch.Tensor, right: torch.Tensor) -> bool:
    bits = [t.contiguous().reshape(-1).view(torch.uint8) for t in (left, right)]
    return left.dtype == right.dtype and left.shape == right.shape and torch.equal(*bits)


def rewrite_manifest(folder: Path) -> None:
    # What somebody would do who alters a file and covers it up.
    manifest = json.loads((folder / "MANIFEST.json").read_text())
    for name, entry in manifest["files"].items():
        data = (folder / name).read_bytes()
        entry.update(size=len(data), sha256=hashlib.sha256(data).hexdigest())
    (folder / "MANIFEST.json").write_text(json.dumps(manifest))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return checkpoint.save(tmp_path, 7, example())


def test_round_trip_is_bitwise(tmp_path: Path) -> None:
    saved = example()
    saved.optim["odd"] = torch.tensor([float("nan"), float("inf")])
    folder = checkpoint.save(tmp_path, 1000, saved)
    assert folder == tmp_path / "checkpoints" / "step-00001000"
    assert sorted(path.name for path in folder.iterdir()) == sorted(FILES)
    loaded = checkpoint.load(folder)
    assert loaded.state == saved.state
    for part in ("model", "optim"):
        before, after = getattr(saved, part), getattr(loaded, part)
        assert before.keys() == after.keys()
        assert all(same_bits(before[name], after[name]) for name in before)


def test_equal_contents_give_equal_bytes_whatever_their_order(tmp_path: Path) -> None:
    saved = example()
    turned = Checkpoint(*(dict(reversed(part.items())) for part in saved))
    one, two = checkpoint.save(tmp_path / "a", 1, saved), checkpoint.save(tmp_path / "b", 1, turned)
    for name in FILES:
        assert (one / name).read_bytes() == (two / name).read_bytes(), name


def test_shared_strided_and_learnable_tensors(tmp_path: Path) -> None:
    weight = torch.nn.Parameter(torch.randn(4, 6))
    model = {"in": weight, "out": weight, "turned": weight.t(), "row": weight[1], "spread": weight[:, ::2]}
    loaded = checkpoint.load(checkpoint.save(tmp_path, 0, Checkpoint(model, {}, {})))
    for name, tensor in model.items():
        assert same_bits(loaded.model[name], tensor.detach()), name
        assert not loaded.model[name].requires_grad


def test_tensors_from_a_device(tmp_path: Path, device: torch.device) -> None:
    weight = torch.randn(3, device=device)
    loaded = checkpoint.load(checkpoint.save(tmp_path, 0, Checkpoint({"w": weight}, {"w": weight}, {})))
    assert loaded.model["w"].device.type == "cpu"
    assert same_bits(loaded.model["w"], weight.cpu())


def test_saving_a_step_again_replaces_it(tmp_path: Path) -> None:
    checkpoint.save(tmp_path, 7, example(1.0))
    folder = checkpoint.save(tmp_path, 7, example(2.0))
    assert checkpoint.load(folder).model["weight"].unique().item() == 2.0
    assert sorted(path.name for path in folder.parent.iterdir()) == ["latest", "step-00000007"]


@pytest.mark.parametrize("name", FILES)
def test_truncated_file_is_refused(folder: Path, name: str) -> None:
    data = (folder / name).read_bytes()
    (folder / name).write_bytes(data[:-3])
    with pytest.raises(CheckpointError, match=name):
        checkpoint.load(folder)
    assert checkpoint.complete(folder.parent.parent) == []


@pytest.mark.parametrize("name", FILES)
def test_flipped_byte_is_refused(folder: Path, name: str) -> None:
    data = bytearray((folder / name).read_bytes())
    data[len(data) // 2] ^= 0xFF
    (folder / name).write_bytes(data)
    with pytest.raises(CheckpointError, match=name):
        checkpoint.load(folder)


@pytest.mark.parametrize("name", FILES)
def test_missing_file_is_refused(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(CheckpointError, match=name):
        checkpoint.load(folder)
    assert checkpoint.complete(folder.parent.parent) == []


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "does not hold json"),
        ("[" * 50_000, "does not hold json"),
        ("[]", "not the manifest of a hardpp checkpoint"),
        ('{"format": "somebody-else", "version": 1, "files": {}}', "not the manifest of a hardpp checkpoint"),
        ('{"format": "hardpp-checkpoint", "version": 2, "files": {}}', "version 2"),
        ('{"format": "hardpp-checkpoint", "version": 1}', "does not list"),
        ('{"format": "hardpp-checkpoint", "version": 1, "files": {"../../x": {}}}', "does not list"),
    ],
)
def test_foreign_manifest_is_refused(folder: Path, text: str, complaint: str) -> None:
    (folder / "MANIFEST.json").write_text(text)
    with pytest.raises(CheckpointError, match=complaint):
        checkpoint.load(folder)


@pytest.mark.parametrize("change", [{"size": 1}, {"size": None}, {"sha256": "0" * 64}, {"sha256": 3}])
def test_edited_manifest_is_refused(folder: Path, change: dict[str, object]) -> None:
    manifest = json.loads((folder / "MANIFEST.json").read_text())
    manifest["files"]["optim.safetensors"].update(change)
    (folder / "MANIFEST.json").write_text(json.dumps(manifest))
    with pytest.raises(CheckpointError, match=r"optim\.safetensors"):
        checkpoint.load(folder)


class Trap:
    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (self.path,)

    def __init__(self, path: str):
        self.path = path


@pytest.mark.parametrize("name", TENSORS)
def test_pickle_in_disguise_is_refused_unread(folder: Path, name: str, tmp_path: Path) -> None:
    sprung = tmp_path / "sprung"
    (folder / name).write_bytes(pickle.dumps(Trap(str(sprung))))
    rewrite_manifest(folder)
    with pytest.raises(CheckpointError, match=f"{name} does not hold safetensors"):
        checkpoint.load(folder)
    torch.save({"w": torch.ones(2)}, folder / name)
    rewrite_manifest(folder)
    with pytest.raises(CheckpointError, match=f"{name} does not hold safetensors"):
        checkpoint.load(folder)
    assert not sprung.exists()


def test_huge_header_is_refused(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes((2**62).to_bytes(8, "little") + b"{}")
    rewrite_manifest(folder)
    with pytest.raises(CheckpointError, match=r"model\.safetensors"):
        checkpoint.load(folder)


@pytest.mark.parametrize("text", ["[1]", "{", "\xff"])
def test_state_must_be_an_object(folder: Path, text: str) -> None:
    (folder / "state.json").write_text(text, encoding="latin-1")
    rewrite_manifest(folder)
    with pytest.raises(CheckpointError, match=r"state\.json"):
        checkpoint.load(folder)


def test_folders_that_are_no_checkpoints(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"MANIFEST\.json"):
        checkpoint.load(tmp_path)
    with pytest.raises(CheckpointError, match="nowhere"):
        checkpoint.load(tmp_path / "nowhere")
    assert checkpoint.complete(tmp_path) == []
    assert checkpoint.newest_sound(tmp_path) is None
    (tmp_path / "checkpoints" / "step-00000003").mkdir(parents=True)
    (tmp_path / "checkpoints" / "step-three").mkdir()
    assert checkpoint.complete(tmp_path) == []


@pytest.mark.parametrize("failure", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt()])
@pytest.mark.parametrize("step", [7, 8], ids=["same-step", "next-step"])
@pytest.mark.parametrize("call", range(8))
@pytest.mark.parametrize("function", ["fsync", "replace"])
def test_interrupted_save_leaves_the_older_ones_alone(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    failure: BaseException,
    step: int,
    call: int,
    function: str,
) -> None:
    older = checkpoint.save(tmp_path, 7, example(1.0))
    real, calls = getattr(os, function), []

    def failing(*args: object) -> object:
        calls.append(args)
        if len(calls) == call + 1:
            raise failure
        return real(*args)

    with monkeypatch.context() as patch:
        patch.setattr(os, function, failing)
        with suppress(ResourceError if isinstance(failure, OSError) else KeyboardInterrupt):
            newer = checkpoint.save(tmp_path, step, example(2.0))
            assert len(calls) <= call  # it may succeed only if the failure never came
            assert checkpoint.load(newer).model["weight"].unique().item() == 2.0
    names = {path.name for path in older.parent.iterdir()}
    assert {"latest", older.name} <= names <= {"latest", older.name, "step-00000008"}
    for folder in older.parent.glob("step-*"):
        checkpoint.load(folder)  # whole, whichever of the two it is
    assert checkpoint.marked(tmp_path, "latest").is_dir()


def test_kill_half_way_leaves_nothing_visible(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    older = checkpoint.save(tmp_path, 7, example(1.0))
    with monkeypatch.context() as patch:  # a killed process cleans nothing up
        patch.setattr(os, "replace", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt()))
        patch.setattr(atomic_files, "delete", lambda _: None)
        with pytest.raises(KeyboardInterrupt):
            checkpoint.save(tmp_path, 8, example(2.0))
    (partial,) = older.parent.glob(f"{atomic_files.PARTIAL}*")
    assert checkpoint.load(partial).state == example().state
    assert checkpoint.complete(tmp_path) == [older]
    checkpoint.save(tmp_path, 8, example(2.0))
    checkpoint.prune(tmp_path, 2, pytest.fail)
    assert not partial.exists()
    assert len(checkpoint.complete(tmp_path)) == 2


def test_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "checkpoints").write_text("in the way")
    with pytest.raises(ResourceError, match="step-00000001 cannot be written") as caught:
        checkpoint.save(tmp_path, 1, example())
    assert "bytes" in caught.value.hint


def test_arguments_are_checked_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="-1"):
        checkpoint.save(tmp_path, -1, example())
    with pytest.raises(ValueError, match="'w'"):
        checkpoint.save(tmp_path, 1, Checkpoint({"w": torch.eye(2).to_sparse()}, {}, {}))
    with pytest.raises(TypeError):
        checkpoint.save(tmp_path, 1, Checkpoint({}, {}, {"path": tmp_path}))
    with pytest.raises(ValueError, match="keep"):
        checkpoint.prune(tmp_path, 0, pytest.fail)
    assert list(tmp_path.iterdir()) == []


def test_order_is_by_number_not_by_name(tmp_path: Path) -> None:
    steps = [99_999_999, 5, 100_000_000]
    folders = {step: checkpoint.save(tmp_path, step, example()) for step in steps}
    assert checkpoint.complete(tmp_path) == [folders[step] for step in sorted(steps)]


def test_markers(tmp_path: Path) -> None:
    one, two = checkpoint.save(tmp_path, 1, example()), checkpoint.save(tmp_path, 2, example())
    assert checkpoint.marked(tmp_path, "latest") == two
    assert (two.parent / "latest").read_text() == "step-00000002\n"
    checkpoint.mark(tmp_path, "best", one)
    assert checkpoint.marked(tmp_path, "best") == one
    with pytest.raises(CheckpointError, match="worst"):
        checkpoint.marked(tmp_path, "worst")


@pytest.mark.parametrize("text", ["../../x", "/etc", "step-00000001/../../..", "", ".", "step-00000009"])
def test_marker_that_points_elsewhere_is_refused(folder: Path, text: str) -> None:
    (folder.parent / "best").write_text(text)
    with pytest.raises(CheckpointError, match="best"):
        checkpoint.marked(folder.parent.parent, "best")


@pytest.mark.parametrize("name", ["../x", "step-00000007", "", "a/b", ".partial-x"])
def test_names_that_are_no_marker(folder: Path, name: str) -> None:
    with pytest.raises(CheckpointError, match="cannot name"):
        checkpoint.mark(folder.parent.parent, name, folder)
    with pytest.raises(CheckpointError, match="cannot name"):
        checkpoint.marked(folder.parent.parent, name)


def test_only_checkpoints_of_the_run_are_marked(tmp_path: Path) -> None:
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    checkpoint.save(ours, 1, example())
    other = checkpoint.save(theirs, 1, example())
    for folder in (other, ours, ours / "checkpoints" / "step-00000002"):
        with pytest.raises(CheckpointError, match="no checkpoint of"):
            checkpoint.mark(ours, "best", folder)


def test_prune_keeps_the_newest_and_the_marked(tmp_path: Path) -> None:
    folders = [checkpoint.save(tmp_path, step, example()) for step in range(1, 6)]
    checkpoint.mark(tmp_path, "best", folders[1])
    (folders[0].parent / "stale").write_text("step-00000099")
    (folders[0].parent / ".partial-0123").mkdir()
    (folders[0].parent / "notes").mkdir()  # no marker
    checkpoint.prune(tmp_path, 2, pytest.fail)
    assert checkpoint.complete(tmp_path) == [folders[1], folders[3], folders[4]]
    assert not (folders[0].parent / ".partial-0123").exists()
    assert checkpoint.load(checkpoint.marked(tmp_path, "best")).state == example().state
    checkpoint.prune(tmp_path / "nowhere", 2, pytest.fail)


@pytest.mark.parametrize("code", [errno.EIO, errno.EMFILE, errno.ESTALE])
def test_a_marker_that_cannot_be_read_protects_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    folders = [checkpoint.save(tmp_path, step, example()) for step in range(1, 6)]
    checkpoint.mark(tmp_path, "best", folders[0])
    read_bytes, told = Path.read_bytes, []

    def failing(path: Path) -> bytes:
        if path.name == "best":
            raise OSError(code, os.strerror(code))
        return read_bytes(path)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "read_bytes", failing)
        checkpoint.prune(tmp_path, 2, told.append)
    marker = tmp_path / "checkpoints" / "best"
    assert told == [f"no checkpoint is removed: {marker} cannot be read: {os.strerror(code)}"]
    assert checkpoint.complete(tmp_path) == folders
    checkpoint.prune(tmp_path, 2, pytest.fail)
    assert checkpoint.complete(tmp_path) == [folders[0], *folders[3:]]


def test_a_marker_of_no_checkpoint_protects_all(tmp_path: Path) -> None:
    folders = [checkpoint.save(tmp_path, step, example()) for step in range(1, 4)]
    (folders[0].parent / "best").write_text("")
    told: list[str] = []
    checkpoint.prune(tmp_path, 1, told.append)
    assert len(told) == 1
    assert checkpoint.complete(tmp_path) == folders


def test_a_linked_checkpoint_is_pruned_without_what_it_links_to(tmp_path: Path) -> None:
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    other = checkpoint.save(theirs, 1, example())
    folders = [checkpoint.save(ours, step, example()) for step in (2, 3)]
    (ours / "checkpoints" / other.name).symlink_to(other, target_is_directory=True)
    (ours / "checkpoints" / ".partial-0123").symlink_to(other, target_is_directory=True)
    checkpoint.prune(ours, 2, pytest.fail)
    assert {path.name for path in (ours / "checkpoints").iterdir()} == {
        "latest",
        *(path.name for path in folders),
    }
    assert checkpoint.load(other).state == example().state


def test_a_linked_checkpoint_is_replaced_itself(tmp_path: Path) -> None:
    other = checkpoint.save(tmp_path / "theirs", 1, example(1.0))
    (tmp_path / "ours" / "checkpoints").mkdir(parents=True)
    (tmp_path / "ours" / "checkpoints" / other.name).symlink_to(other, target_is_directory=True)
    folder = checkpoint.save(tmp_path / "ours", 1, example(2.0))
    assert not folder.is_symlink()
    assert checkpoint.load(folder).model["weight"].unique().item() == 2.0
    assert checkpoint.load(other).model["weight"].unique().item() == 1.0


def spoil(folder: Path) -> None:
    data = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(data[:-1] + bytes([data[-1] ^ 1]))


def test_the_newest_sound_checkpoint_and_why_others_are_not(tmp_path: Path) -> None:
    folders = [checkpoint.save(tmp_path, step, example(step)) for step in (1, 2, 3)]
    told: list[str] = []
    newest = checkpoint.newest_sound(tmp_path, told.append)
    assert newest is not None
    assert (newest.folder, told) == (folders[2], [])
    spoil(folders[2])
    (folders[1] / "state.json").unlink()
    newest = checkpoint.newest_sound(tmp_path, told.append)
    assert newest is not None
    assert newest.folder == folders[0]
    assert same_bits(newest.checkpoint.model["weight"], example(1).model["weight"])
    assert [line.partition(" (")[0] for line in told] == [
        "step-00000003 is passed over",
        "step-00000002 is passed over",
    ]
    assert "model.safetensors was altered" in told[0]
    assert "state.json is missing" in told[1]
    spoil(folders[0])
    with pytest.raises(CheckpointError, match=r"no sound checkpoint: .*step-00000003.*step-00000001"):
        checkpoint.newest_sound(tmp_path, told.append)
    for folder in folders[1:]:
        shutil.rmtree(folder)
    (folders[0] / "MANIFEST.json").unlink()  # as if it was never finished
    with pytest.warns(UserWarning, match="step-00000001 is passed over"):
        assert checkpoint.newest_sound(tmp_path) is None


def test_the_best_checkpoint_is_used_or_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=f"{tmp_path} has no checkpoint"):
        checkpoint.best(tmp_path)
    folders = [checkpoint.save(tmp_path, step, example(step)) for step in (1, 2)]
    best = checkpoint.best(tmp_path)
    assert best.folder == folders[1]
    checkpoint.mark(tmp_path, "best", folders[0])
    best = checkpoint.best(tmp_path)
    assert best.folder == folders[0]
    spoil(folders[0])
    with pytest.raises(CheckpointError, match=r"step-00000001/model\.safetensors was altered") as caught:
        checkpoint.best(tmp_path)
    assert caught.value.hint == "step-00000002 is sound: --checkpoint step-00000002 takes it"
    spoil(folders[1])
    with pytest.raises(CheckpointError, match="step-00000001") as caught:
        checkpoint.best(tmp_path)
    assert caught.value.hint == ""


def test_best_weights_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    sound, spoilt = (
        checkpoint.save(tmp_path, step, example(value)) for step, value in ((1, 1.0), (2, math.nan))
    )
    why = r"step-00000002 holds weights that are not finite \(weight\)"
    with pytest.warns(UserWarning, match=why):
        assert checkpoint.best(tmp_path).folder == sound  # the newest that is
    checkpoint.mark(tmp_path, "best", spoilt)
    with pytest.raises(CheckpointError, match=why) as caught:
        checkpoint.best(tmp_path)
    assert "step-00000001 is sound" in caught.value.hint
    checkpoint.mark(tmp_path, "best", sound)
    assert checkpoint.best(tmp_path).folder == sound


def test_training_does_not_go_on_from_moments_that_are_not_finite(tmp_path: Path) -> None:
    sound, moments = example(), example()
    moments.optim["exp_avg.weight"] = torch.tensor([math.inf])
    folders = [checkpoint.save(tmp_path, step, each) for step, each in enumerate((sound, moments), start=1)]
    told: list[str] = []
    newest = checkpoint.newest_sound(tmp_path, told.append)
    assert newest is not None
    assert newest.folder == folders[0]
    assert "holds weights that are not finite (exp_avg.weight)" in told[0]
    checkpoint.mark(tmp_path, "best", folders[1])
    assert checkpoint.best(tmp_path).folder == folders[1]  # its weights are of use


def test_checkpoints_that_a_resume_passed_over_do_not_count(tmp_path: Path) -> None:
    older, damaged = (checkpoint.save(tmp_path, step, example()) for step in (5, 10))
    spoil(damaged)
    later = []
    for step in (6, 7, 8):
        later.append(checkpoint.save(tmp_path, step, example()))
        checkpoint.prune(tmp_path, 2, pytest.fail)
        assert checkpoint.complete(tmp_path) == [*[older, *later][-2:], damaged]
    newest = [checkpoint.save(tmp_path, step, example()) for step in (11, 12)]
    checkpoint.prune(tmp_path, 2, pytest.fail)
    assert checkpoint.complete(tmp_path) == newest
