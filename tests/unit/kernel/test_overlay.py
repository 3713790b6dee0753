"""The options of an overlay mount, as an OCI bundle or a snapshot gives them."""

from corten.kernel.overlay import OverlayStack, parse_overlay_options


def test_layers_stand_in_one_option_or_in_one_each() -> None:
    one = parse_overlay_options(["lowerdir=/a:/b", "upperdir=/u", "workdir=/w", "rw", "volatile"])
    assert one == OverlayStack(("/a", "/b"), "/u", "/w", ("volatile",))
    assert parse_overlay_options(["lowerdir+=/a:x", "lowerdir+=/b=y"]) == OverlayStack(("/a:x", "/b=y"))
