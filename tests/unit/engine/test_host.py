"""What is read of the machine."""

import pytest

from corten.engine.host import amd64_variant

V2 = "fpu cx16 lahf_lm popcnt pni sse4_1 sse4_2 ssse3"
V3 = f"{V2} avx avx2 bmi1 bmi2 f16c fma abm movbe xsave"


@pytest.mark.parametrize(
    ("flags", "variant"),
    [
        ("fpu", ""),
        (V2, "v2"),
        (f"{V3} avx512f", "v3"),
        (f"{V3} avx512f avx512bw avx512cd avx512dq avx512vl", "v4"),
        ("avx512f avx512bw avx512cd avx512dq avx512vl", ""),
    ],
)
def test_levels_of_amd64(flags: str, variant: str) -> None:
    assert amd64_variant(f"processor\t: 0\nflags\t\t: {flags}\n\nprocessor\t: 1\nflags\t\t: fpu\n") == variant
    assert amd64_variant("") == ""
