"""`Accept` against what is offered."""

import pytest

from corten.api.content_type import JSON_STREAMS, match_accept


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        ("", ""),
        ("*/*", ""),
        ("application/*", ""),
        ("application/json", ""),
        ("application/x-ndjson", "application/x-ndjson"),
        ("application/json-seq, application/json", "application/json-seq"),
        ("application/x-ndjson, application/jsonl", "application/jsonl"),
        ("application/jsonl;q=0.5, application/json-seq;q=0.9", "application/json-seq"),
        ("application/jsonl; q=0", ""),
        ("application/jsonl;q=much", ""),
        ("application/jsonl;v=2;q=0.1,*/*", "application/jsonl"),
    ],
)
def test_the_offer_that_weighs_most_is_chosen(accept: str, chosen: str) -> None:
    assert match_accept([member.strip() for member in accept.split(",")], JSON_STREAMS) == chosen
