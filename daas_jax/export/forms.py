"""What a file can be exported to, by the word that it has as "format"."""

from collections.abc import Callable
from typing import Any

from daas_jax.export import albumentations, python_file

POLICY: dict[str, Callable[[Any, str], str]] = {
    'pil': python_file.pil,
    'torchvision': python_file.torchvision,
    'albumentations': albumentations.pipeline,
}

FORMS: dict[str, dict[str, Callable[[Any, str], str]]] = {
    'daas_jax.policy': POLICY,
    'daas_jax.policy_schedule': POLICY,
    'daas_jax.policy_transformations': POLICY,
}
"""{format: {--to: (content of the file, its path) -> text}}; a function raises BadInput."""
