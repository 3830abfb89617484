"""A run that is asked about the file that it was trained on says so."""

import itertools
import json
from pathlib import Path

from corpora import RULE, hardpp, train_command


def test_all_of_the_file_that_a_run_was_trained_on(tmp_path: Path) -> None:
    data, run = tmp_path / "words.tsv", tmp_path / "run"
    words = ["".join(letters) for size in (2, 3) for letters in itertools.product("abcde", repeat=size)]
    data.write_text("".join(f"{word}\t{' '.join(map(RULE.__getitem__, word))}\n" for word in words))
    assert hardpp(*train_command(data, run, "--max-steps", "1")).exit_code == 0
    warning = f"warning: {data} is what the run was trained on, and all of it is asked about: --part test"
    for more, told, pairs in (([], True, len(words)), (["--part", "test"], False, None)):
        result = hardpp("evaluate", run, "--data", data, "--format", "json", *more)
        assert (warning in result.stderr) == told
        found = json.loads(result.stdout)[0]["pairs"]
        assert found == pairs if pairs else found < len(words) / 5
    other = tmp_path / "other.tsv"
    other.write_text(data.read_text())
    assert "is what the run was trained on" not in hardpp("evaluate", run, "--data", other).stderr
