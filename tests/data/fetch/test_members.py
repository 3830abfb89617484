import hashlib
import shutil
import subprocess

import pytest

from hardpp.data.fetch import members

FILES = {"d/b.txt": b"two", "d/B.txt": b"three", "d/sub/a": b"", "dd/x": b"other", "d.txt": b"one"}


@pytest.fixture
def folder(tmp_path):
    for name, content in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(content)
    return tmp_path


def test_a_file_stands_for_itself(folder):
    assert members.files_in_archive(FILES, "d.txt") == members.files_in_folder(folder, "d.txt") == ["d.txt"]
    assert members.state_of_member(folder, "d.txt")["size"] == 3
    assert members.sha256_of_member(folder, "d.txt") == hashlib.sha256(b"one").hexdigest()


def test_a_folder_stands_for_the_files_below_it(folder):
    below = ["d/B.txt", "d/b.txt", "d/sub/a"]
    assert (
        members.files_in_archive([*FILES, "d/", "d/sub/"], "d/**")
        == members.files_in_folder(folder, "d/**")
        == below
    )
    assert members.state_of_member(folder, "d/**")["size"] == 8


@pytest.mark.skipif(shutil.which("sha256sum") is None, reason="needs sha256sum")
def test_a_folder_is_pinned_as_the_command_line_does_it(folder):
    command = "find d -type f | LC_ALL=C sort | xargs sha256sum | sha256sum"
    outcome = subprocess.run(command, shell=True, cwd=folder, capture_output=True, text=True, check=True)
    assert members.sha256_of_member(folder, "d/**") == outcome.stdout.split()[0]


@pytest.mark.parametrize(
    "change",
    [
        lambda folder: (folder / "d/b.txt").write_bytes(b"owt"),
        lambda folder: (folder / "d/b.txt").rename(folder / "d/c.txt"),
        lambda folder: (folder / "d/sub/a").unlink(),
        lambda folder: (folder / "d/more").write_bytes(b""),
    ],
    ids=["content", "name", "one less", "one more"],
)
def test_a_pin_notices_every_change(folder, change):
    before = members.sha256_of_member(folder, "d/**")
    change(folder)
    assert members.sha256_of_member(folder, "d/**") != before


def test_files_of_one_ending(folder):
    for name in ("d/one.png", "d/sub/two.png", "dd/three.png"):
        (folder / name).write_bytes(b"png")
    (folder / "d/sub/link.png").symlink_to("../../dd/three.png")
    names = ["d/one.png", "d/sub/link.png", "d/sub/two.png"]
    member = "d/**/*.png"
    assert members.files_in_folder(folder, member) == names
    assert members.files_in_archive([*names[::-1], "d/b.txt", "dd/three.png", "d/sub/"], member) == names
    assert members.state_of_member(folder, member)["size"] == 9
    before = members.sha256_of_member(folder, member)
    (folder / "d/b.txt").write_bytes(b"owt")
    assert members.sha256_of_member(folder, member) == before
    into = folder / "copied"
    assert members.copy_member(folder, member, into) == 3
    assert members.has_members(into, {member: before})
    (folder / "dd/three.png").write_bytes(b"gnp")
    assert members.sha256_of_member(folder, member) != before


def test_what_is_outside_the_folder_does_not_count(folder):
    before = members.sha256_of_member(folder, "d/**")
    (folder / "dd/x").write_bytes(b"changed")
    assert members.sha256_of_member(folder, "d/**") == before


def test_what_is_not_there(folder):
    for measure in (members.files_in_folder, members.state_of_member, members.sha256_of_member):
        with pytest.raises(FileNotFoundError):
            measure(folder, "none")
    assert members.files_in_folder(folder, "none/**") == []
    assert members.state_of_member(folder, "none/**")["size"] == 0
