# ruff: noqa: RUF001 -- other scripts are what is tested
import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hardpp.data.captions.captioned import words_of
from hardpp.data.questions.questions import Question
from hardpp.data.words import is_unspaced


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("एक किताब मेज पर है", ("एक", "किताब", "मेज", "पर", "है")),
        ("cafe\u0301 Zoe\u0308", ("caf\u00e9", "zo\u00eb")),
        ("می\u200cخواهم", ("می\u200cخواهم",)),
        ("မြန်မာ", ("မြ", "န်", "မာ")),
        ("Don't stop, it’s 3.5 x_1", ("don't", "stop", "it’s", "3", "5", "x_1")),
        ("日本語 and English", ("日", "本", "語", "and", "english")),
        ("\u0301 \u200d ☃ 1️⃣", ("1",)),
    ],
)
def test_words_of_any_script(text: str, words: tuple[str, ...]) -> None:
    assert words_of(text) == words


def test_words_of_questions_keep_signs() -> None:
    def words(text: str) -> list[str]:
        return Question("1", text, "1", ("x",)).words

    assert words("क्या यह लाल है?") == ["क्या", "यह", "लाल", "है", "?"]
    assert words("What's this?") == ["what's", "this", "?"]
    assert words("这是什么？") == ["这", "是", "什", "么", "？"]


@given(st.text(st.characters(max_codepoint=0x52F, exclude_categories=["M", "Cs"])))
def test_scripts_with_blanks_and_no_marks_are_cut_as_ever(text: str) -> None:
    text = unicodedata.normalize("NFC", text).replace("\u0130", "i")
    assert words_of(text) == tuple(re.findall(r"\w+(?:['\u2019]\w+)*", text.lower()))


def test_characters_of_scripts_without_blanks() -> None:
    assert [is_unspaced(word) for word in ("狗", "กิ", "dog", "狗狗", "한", "")] == [True, True, *[False] * 4]
