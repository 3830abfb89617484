"""Tables of recordings whose first line names their columns."""

import pytest

from hardpp.data.speech.headed_tables import Columns, columns_of


@pytest.mark.parametrize(
    ("heading", "columns"),
    [
        ("client_id\tpath\tsentence\n", Columns("\t", 3, 1, 2, 0)),
        ("wav_filename,wav_filesize,transcript\r\n", Columns(",", 3, 0, 2, None)),
        ("file_name,transcription", Columns(",", 2, 0, 1, None)),
        ("Text;Audio;Speaker", Columns(";", 3, 1, 0, 2)),
        ('"path","text"', Columns(",", 2, 0, 1, None)),
        ("path|text", Columns("|", 2, 0, 1, None)),
        ("wav/1.wav\tone two", None),
        ("path", None),
        ("", None),
        ("a,b\rc", None),
    ],
)
def test_usual_names_of_columns_tell_which_is_which(heading: str, columns: Columns | None) -> None:
    assert columns_of(heading) == columns


def test_the_cells_of_a_line() -> None:
    columns = columns_of("file_name,transcription")
    assert columns is not None
    assert columns.of('a.wav,"one, two"') == ("a.wav", "one, two", "")
    with pytest.raises(ValueError, match="3 columns found where the heading has 2"):
        columns.of("a.wav,one,two")
    with pytest.raises(ValueError, match="no sound"):
        columns.of(",one")
