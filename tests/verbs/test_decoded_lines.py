"""What a run says, as lines that programs can read."""

import json
import math

from hardpp.tasks.answers.decoded import Decoded, Hypothesis
from hardpp.verbs.decoded_lines import decoded_lines


def test_json_has_no_infinity() -> None:
    never = Hypothesis("never", -math.inf, exact=True)
    (said,) = json.loads("".join(decoded_lines([Decoded("a", "b", (never,))], "json", ranked=True)))
    assert said["hypotheses"] == [{"text": "never", "log_prob": None, "exact": True, "probability": 0.0}]
