from hardpp.tasks.file_names import distinct, file_names


def test_names_of_files_are_plain_and_no_two_are_alike() -> None:
    assert file_names(["test/cat/1.png", "über uns", "...", "(a)"]) == [
        "test-cat-1-png",
        "über-uns",
        "-",
        "a",
    ]
    assert file_names(["beach 000", "beach 001", "beach 000"], 7) == ["beach-0", "beach-0 (2)", "beach-0 (3)"]
    assert distinct(["a", "b", "a", "a"]) == ["a", "b", "a (2)", "a (3)"]
