"""A policy as a Python file that needs NumPy and Pillow alone: `daas_jax.policies.portable` with
the policy at its end."""

import inspect
import os
import sys
from typing import Any

from daas_jax.policies import contract, portable
from daas_jax.policies.policy import Policy

_HEAD = """\
# Written by `python -m daas_jax.export` from %s: %s, at the end, is the policy.
"""
_CONTENT = """

# --- the policy -----------------------------------------------------------------------------------

CONTENT = """
_PIL = '''
_SAMPLER = Sampler(CONTENT)


def augment(image: Any, rng: np.random.Generator, progress: float = 1.0,
            partner: Any = None) -> Image.Image:
  """The augmented image, a PIL image of mode L or RGB.

  Args:
    image: PIL image of mode L or RGB, or a uint8 array [H, W], [H, W, 1] or [H, W, 3].
    rng: NumPy's generator, such as np.random.default_rng(0).
    progress: share of the training that is done, in [0, 1]: the epoch of a policy that has one for
      every epoch.
    partner: the second image of SamplePairing; without one that leaves the image as it is.
  """
  return _SAMPLER(image, rng, progress, partner)
'''
_TORCHVISION = '''

class Policy(Transform):
  """The policy as a transform of torchvision, PIL image -> PIL image: Policy() in a Compose.

  Args:
    seed, progress, smoothing: see `Transform`, also for the numbers that workers draw.
  """

  def __init__(self, seed: int | None = None, progress: float = 1.0, smoothing: int = 1):
    super().__init__(CONTENT, seed, progress, smoothing)
'''


def pil(content: Any, path: str) -> str:
  """A module with a function augment(image, rng).

  Args:
    content: what the policy's file holds.
    path: that file.

  Raises:
    BadInput: the content is malformed.
  """
  return _module(content, path, 'augment(image, rng)', _PIL)


def torchvision(content: Any, path: str) -> str:
  """A module with a class Policy, whose instances are callables PIL image -> PIL image; as
  `pil`."""
  return _module(content, path, 'the class Policy', _TORCHVISION)


def _module(content, path, what, tail):
  content = Policy(content, path=path).content
  if 'SamplePairing' in portable.Sampler(content).names:
    print(f'daas_jax.export: {path} has SamplePairing, which blends with a second image: give one '
          'as partner, or it leaves the image as it is', file=sys.stderr)
  head = _HEAD % (ascii(os.path.basename(path)), what)
  return (head + inspect.getsource(portable) + _CONTENT + contract.laid_out(content, ascii) + tail)
