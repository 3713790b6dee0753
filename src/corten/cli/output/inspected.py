"""What `inspect --format` prints: objects through a template."""

import json

from corten.cli.output.shapes import Shape, typed
from corten.cli.template.evaluator import Template
from corten.cli.template.functions import DOCKER
from corten.cli.template.parser import TemplateError
from corten.cli.template.values import JsonNumber


def parse_template(source: str) -> Template:
    """Raises TemplateError with the sentence Docker prints for a template that cannot be parsed."""
    try:
        return Template(source, DOCKER)
    except TemplateError as error:
        raise TemplateError(f"template parsing error: {error}") from None


def through(template: Template, raw: bytes, shape: Shape | None) -> str:
    """The template's text for one object, given as the engine's JSON.

    Docker tries typed values, then the plain JSON in which numbers are text and a missing key is an error; the second try's error is shown.
    """
    try:
        return template.execute(typed(json.loads(raw), shape))
    except TemplateError:
        pass
    plain = json.loads(raw, parse_int=JsonNumber, parse_float=JsonNumber)
    second = Template(template.tree.source, DOCKER, missing_key_error=True)
    try:
        return second.execute(plain)
    except TemplateError as error:
        raise TemplateError(f"template parsing error: {error}") from None
