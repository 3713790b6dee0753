"""A user of the host and one of the container become one, and nobody else does."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corten.engine.spec.bind_owner import ANNOTATION, owner_mappings, parse_bind_owner
from corten.errors import Invalid

IDS = st.integers(0, 2**32 - 2)


def shown(mappings: list[dict[str, int]], on_disk: int) -> int | None:
    found = [m["hostID"] + on_disk - m["containerID"] for m in mappings if m["containerID"] <= on_disk < m["containerID"] + m["size"]]
    assert len(found) <= 1
    return found[0] if found else None


@given(owner=IDS, user=IDS, other=IDS)
def test_only_the_owner_is_the_user(owner: int, user: int, other: int) -> None:
    mappings = owner_mappings((owner, owner), (user, user)).get("uidMappings")
    if mappings is None:
        assert owner == user
        return
    assert shown(mappings, owner) == user
    assert shown(mappings, user) in ((user,) if owner == user else (None,))
    assert shown(mappings, other) == {owner: user, user: None}.get(other, other)


def test_an_annotation_is_two_ids() -> None:
    assert parse_bind_owner({}) is None
    assert parse_bind_owner({ANNOTATION: "1000:100"}) == (1000, 100)
    for text in ("", "me", "1000", "-1:0", "4294967295:0", "1:2:3", "1:4294967295"):
        with pytest.raises(Invalid, match="expected UID:GID"):
            parse_bind_owner({ANNOTATION: text})
