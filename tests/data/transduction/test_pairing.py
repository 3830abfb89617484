import pytest

from hardpp.data.transduction.pairing import translation_direction
from hardpp.errors import UsageError


@pytest.mark.parametrize(
    ("languages", "said", "expected"),
    [
        ("de en", {}, ("de", "en")),
        ("en fr", {}, ("fr", "en")),
        ("src tgt", {}, ("src", "tgt")),
        ("de en", {"source": "en"}, ("en", "de")),
        ("de en", {"target": "de"}, ("en", "de")),
        ("de en", {"source": "de", "target": "en"}, ("de", "en")),
        ("de fr", {"source": "fr"}, ("fr", "de")),
        ("de fr", {"target": "fr"}, ("de", "fr")),
        ("de en fr", {"source": "fr"}, ("fr", "en")),
        ("de en fr", {"source": "en", "target": "fr"}, ("en", "fr")),
    ],
)
def test_what_was_not_said_is_english_or_the_other_one(languages, said, expected):
    assert translation_direction("here", languages.split(), **said) == expected


@pytest.mark.parametrize(
    ("languages", "said", "message", "hint"),
    [
        ("de fr", {}, "here: there is text in de and fr: which is translated into?", "target"),
        ("en de fr", {}, "here: there is text in de and en and fr: which is translated into 'en'?", "source"),
        (
            "en de fr",
            {"source": "en"},
            "here: there is text in de and en and fr: which is translated into?",
            "target",
        ),
        ("de en", {"source": "fr"}, "here: there is text in de and en, but not in 'fr'", ""),
        ("de en", {"target": "fr"}, "here: there is text in de and en, but not in 'fr'", ""),
        ("de en", {"source": "en", "target": "en"}, "here: 'en' cannot be both source and target", ""),
        ("de", {}, "here: there is text in de, and two languages are needed", ""),
        ("", {}, "here: there is text in no language, and two languages are needed", ""),
    ],
)
def test_what_is_not_clear_is_asked_for(languages, said, message, hint):
    with pytest.raises(UsageError) as caught:
        translation_direction("here", languages.split(), **said)
    assert str(caught.value) == message
    assert hint in caught.value.hint
