from hardpp.tasks.file_names import distinct, file_names, file_paths


def test_names_of_files_are_plain_and_no_two_are_alike() -> None:
    assert file_names(["test/cat/1.png", "über uns", "...", "(a)"]) == [
        "test-cat-1-png",
        "über-uns",
        "-",
        "a",
    ]
    assert file_names(["beach 000", "beach 001", "beach 000"], 7) == ["beach-0", "beach-0 (2)", "beach-0 (3)"]
    assert distinct(["a", "b", "a", "a"]) == ["a", "b", "a (2)", "a (3)"]


def test_files_lie_as_recordings_do_and_never_outside() -> None:
    assert file_paths(["set/my rec.wav", "b.FLAC", "dr1/fcjf0/sx0", "a.b"]) == [
        "set/my rec",
        "b",
        "dr1/fcjf0/sx0",
        "a.b",
    ]
    assert file_paths(["../../etc/a.wav", "/etc/a.wav", "..", "x/a:b?.sph"]) == [
        "etc/a",
        "etc/a (2)",
        "-",
        "x/a_b_",
    ]
    assert file_paths(["a.wav", "a.flac", "a"]) == ["a", "a (2)", "a (3)"]
