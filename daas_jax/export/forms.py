"""What a file can be exported to, by the word that it has as "format"."""

from collections.abc import Callable
import functools
from typing import Any

from daas_jax.export import albumentations, python_file
from daas_jax.nets.cells import content as content_lib, formats

POLICY: dict[str, Callable[[Any, str], str]] = {
    'pil': python_file.pil,
    'torchvision': python_file.torchvision,
    'albumentations': albumentations.pipeline,
}


def _genotype(content, path, form):
  return formats.to_text(content_lib.from_json(content, path), form)


FORMS: dict[str, dict[str, Callable[[Any, str], str]]] = {
    'daas_jax.policy': POLICY,
    'daas_jax.policy_schedule': POLICY,
    'daas_jax.policy_transformations': POLICY,
    content_lib.FORMAT: {form: functools.partial(_genotype, form=form) for form in formats.FORMS},
}
"""{format: {--to: (content of the file, its path) -> text}}; a function raises BadInput."""
