"""A found policy as an object: a function of JAX arrays, of PIL images, and a file."""

import copy
import functools
import io
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from PIL import Image

from daas_jax.errors import BadInput
from daas_jax.files import atomic, storage
from daas_jax.policies import contract, file, portable, registry, table as policy_table

_SHOWN = ('K', 'ops', 'levels', 'candidates', 'policies', 'epochs')


def form_of(content: Any) -> registry.Format:
  """The form of a policy.json's content, by its "format"; that of tables where it names none, which
  then says so."""
  asked = content.get('format') if isinstance(content, dict) else None
  known = registry.formats()
  return known.get(asked if isinstance(asked, str) else '', known[policy_table.FORMAT])


class Policy:
  """A policy of any form, as `daas_jax.load_policy` returns it.

  Called, it is a pure function (key, images, progress=1.0) -> images, fit for `jit`, `vmap` and
  `grad`. `pil` and `for_torchvision` do the same to PIL images, without JAX.

  Args:
    content: what a policy.json holds, or a dict of your own that has the same form.
    smoothing: for a policy with a total probability a epoch, width of the mean filter over that, in
      epochs, odd; 1 is none.
    path: what messages about the content call it.
    per: which images of a call share a drawn policy: 'image' (each its own), 'batch' (all),
      'chunk:N' (N in a row); '' is what the method's authors do in their trainings.

  Raises:
    BadInput: the content is malformed, or `smoothing` or `per` is something else.
  """

  def __init__(self, content: Any, smoothing: int = 1, path: str = 'policy', per: str = ''):
    contract.check_smoothing(smoothing)  # whatever the content is
    if wrong := contract.not_per(per):
      raise BadInput(f'per {wrong}')
    row = form_of(content)
    self._found = row.read(content, path)
    self._content = dict(copy.deepcopy(file.newest(content)))
    self._augment = row.augmenter(self._found, smoothing, per)
    self._made_of = self._content, int(smoothing), path, per

  @property
  def smoothing(self) -> int:
    """Width of the mean filter over the total probability, in epochs; 1 is none."""
    return self._made_of[1]

  @property
  def per(self) -> str:
    """Which images of a call share a drawn policy: 'image', 'batch' or 'chunk:N'."""
    return self._made_of[3] or form_of(self._content).per(self._found)

  def __call__(self, key: jax.Array, images: Any, progress: Any = 1.0) -> jax.Array:
    """The augmented images, of the shape and dtype of `images`.

    Which images share a drawn policy, `per` says; whether it is applied, signs and places are drawn
    for every image.

    Args:
      key: PRNG key.
      images: [B, H, W, C], or one image [H, W, C], C = 1 or 3; floating in [0, 1], or uint8.
      progress: [] in [0, 1], share of the training that is done: it chooses the epoch of a policy
        of every epoch (nearest neighbour), and is ignored otherwise.

    Raises:
      TypeError: another dtype.
      ValueError: another shape, or floating values outside of [0, 1], where they can be seen: under
        `jit` and the like they cannot.
    """
    if not hasattr(images, 'ndim'):
      images = np.asarray(images)
    if images.ndim != 3:
      return self._augment(key, images, progress)
    if images.shape[2] not in (1, 3):
      raise ValueError(
          f'images must be [B, H, W, C] or [H, W, C] with C = 1 or 3, got {images.shape}')
    return jnp.squeeze(self._augment(key, images[None], progress), 0)

  def pil(self, image: Any, rng: np.random.Generator, progress: float = 1.0,
          partner: Any = None) -> Image.Image:
    """The augmented image, by NumPy and Pillow alone; the distribution is that of a call on one
    image.

    Args:
      image: PIL image of mode L or RGB, or a uint8 array [H, W], [H, W, 1] or [H, W, 3].
      rng: NumPy's generator; the same state gives the same result.
      progress: as in a call.
      partner: the second image of SamplePairing, another of the training images, of any size;
        without one SamplePairing leaves the image as it is.

    Raises:
      TypeError, ValueError: another kind of image; or the form of the policy is one that a program
        has registered, of which `daas_jax.policies.portable` knows nothing.
    """
    return self._sampler(image, rng, progress, partner)

  def for_torchvision(self, seed: int | None = None,
                      progress: float = 1.0) -> portable.Transform:
    """A callable PIL image -> PIL image for the transform of a data set.

    It can be pickled, needs no JAX in the workers of a DataLoader, and draws other numbers in each
    of them and in every epoch: there they come from torch's own worker seed (torch.manual_seed
    makes them repeatable), elsewhere from NumPy's SeedSequence of `seed` and the process id.

    Args:
      seed: a whole number from 0 on; None takes one from torch's generator where torch is imported,
        else from the operating system.
      progress: as in a call; the attribute `progress` of the result may be set between epochs.
    """
    content, smoothing, *_ = self._made_of
    return portable.Transform(content, seed, progress, smoothing)

  @property
  def content(self) -> dict[str, Any]:
    """What the file holds, as JSON values in today's version of its form: a copy."""
    return copy.deepcopy(self._content)

  @functools.cached_property
  def table(self) -> policy_table.PolicyTable:
    """The likeliest policies; of a policy of every epoch, those of the last."""
    return form_of(self._content).table(self._found)

  @functools.cached_property
  def _sampler(self):
    return portable.Sampler(self._content, self._made_of[1])

  def to_text(self) -> str:
    """The file's text, in today's version of its form: that of a search's own file, to the byte."""
    return contract.laid_out(self._content)

  def save(self, path: str) -> None:
    """Writes the file, whole or not at all; path may be a URL.

    Raises:
      OSError: it cannot be written.
    """
    if storage.is_remote(path):
      storage.put(path, io.BytesIO(self.to_text().encode()))
    else:
      atomic.write(path, self.to_text())

  def __reduce__(self):
    return type(self), self._made_of

  def __repr__(self) -> str:
    parts = [f'{len(value)} {key}' if isinstance(value, list) else f'{key} = {value}'
             for key in _SHOWN if (value := self._content.get(key)) is not None]
    smoothing = self._made_of[1]
    parts += [f'smoothing = {smoothing}'] * (smoothing > 1)
    return f'{type(self).__name__}({self._content["format"]}: {", ".join(parts)})'
