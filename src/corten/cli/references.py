"""Image names on the command line. The grammar is loaded only for names that need it: most are plain."""

from corten.cli.errors import Failure

PLAIN = frozenset("abcdefghijklmnopqrstuvwxyz0123456789/.-_:")


def check_name(text: str) -> None:
    """Raises ValueError with Docker's sentence for what cannot be an image's name."""
    if not text or not set(text) <= PLAIN or text.count(":") > 1 or text[0] in "/.:-_" or text[-1] in "/.:-":
        normalized(text)


def normalized(text: str) -> tuple[str, str, str]:
    """Repository with its registry ("docker.io/library/python"), tag or digest ("" when there is none), and how people write it.

    Raises ValueError.
    """
    from corten.errors import Invalid
    from corten.oci.reference import parse_reference

    try:
        reference = parse_reference(text)
    except Invalid as error:
        raise ValueError(error.message) from None
    return reference.name, str(reference.digest or reference.tag or ""), reference.familiar


def named(text: str) -> tuple[str, str, str]:
    """As `normalized`; a wrong name ends the command."""
    try:
        return normalized(text)
    except ValueError as error:
        raise Failure(str(error)) from None


def normalized_platform(text: str, said: str = "error parsing specified platform") -> str:
    """`os/architecture[/variant]` as the API wants it, with what is missing taken from this machine."""
    from corten.errors import Invalid
    from corten.oci.platform import parse_platform

    try:
        return str(parse_platform(text))
    except Invalid as error:
        raise Failure(f"{said}: {error.message}" if said else error.message) from None


def platform_json(text: str, said: str = "invalid platform") -> str:
    """A platform as the JSON that some query parameters take. `said` comes before the sentence about a wrong one."""
    from json import dumps

    names = ("os", "architecture", "variant")
    parts = dict(zip(names, normalized_platform(text, said).split("/"), strict=False))
    return dumps(dict(sorted(parts.items())), separators=(",", ":"))
