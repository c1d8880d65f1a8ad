"""A found augmentation policy on Pillow images: NumPy, Pillow and the standard library are all it
needs.

This file imports neither JAX nor daas_jax and may be copied to wherever a policy is used:

  sampler = Sampler(json.load(open('policy.json')))
  image = sampler(image, np.random.default_rng(0))

Images are PIL images of mode L or RGB, or uint8 arrays [H, W], [H, W, 1] or [H, W, 3]; what comes
out is a PIL image of mode L or RGB. An operation is Pillow's own wherever Pillow has it, geometry
interpolates bilinearly, and values are whole levels after every operation.

The distribution is that of `daas_jax.load_policy` on a batch of one image: every image here has a
policy of its own. SamplePairing blends with a second image, `partner`, which goes through the
operations before it with draws of its own; without a partner it leaves the image as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
import os
import sys
from typing import Any, NamedTuple

import numpy as np
from PIL import Image, ImageEnhance, ImageFilter, ImageOps

BILINEAR = Image.Resampling.BILINEAR
GREY = (125, 123, 114)  # what Cutout fills with


class Operation(NamedTuple):
  """One row of OPS: the magnitude at strength 0 and at 1, in the operation's own unit; (image,
  magnitude, rng, partner or None) -> image; whether the magnitude gets a random sign."""
  low: float
  high: float
  fn: Callable[..., Image.Image]
  signed: bool = False


# --- the operations -------------------------------------------------------------------------------


def _affine(image, *coefficients):
  """Output (x, y) is input (a x + b y + c, d x + e y + f); outside is 0."""
  return image.transform(image.size, Image.Transform.AFFINE, coefficients, BILINEAR)


def _rotate90(image):
  """A quarter turn counter-clockwise; the middle of it, or zeros around it, at the image's size."""
  turned = image.transpose(Image.Transpose.ROTATE_90)
  left, top = (old // 2 - new // 2 if old > new else -((new - old) // 2)
               for old, new in zip(turned.size, image.size))
  return turned.crop((left, top, left + image.width, top + image.height))


def _solarize(image, threshold):
  # A thousandth of a level less, so that a threshold that is a level inverts it however it was
  # rounded.
  table = [i if i < threshold - 1e-3 else 255 - i for i in range(256)]
  return image.point(table * len(image.getbands()))


def cutout(image: Image.Image, fraction: float, centre: tuple[float, float]) -> Image.Image:
  """Fills a square with grey: the int(side) + 1 pixels from floor(centre - side / 2) on, clipped.

  Args:
    image: L or RGB.
    fraction: side over the width of the image; 0 changes nothing.
    centre: (y, x) in pixels.
  """
  # In float32 as in JAX: which pixel is the last one hangs on the last bit.
  side = np.float32(fraction) * np.float32(image.width)
  if side <= 0:
    return image
  top, left = (int(np.floor(np.float32(c) - side / 2)) for c in centre)
  box = (max(left, 0), max(top, 0), min(left + int(side) + 1, image.width),
         min(top + int(side) + 1, image.height))
  image = image.copy()
  if box[0] < box[2] and box[1] < box[3]:
    image.paste(GREY if image.mode == 'RGB' else round(sum(GREY) / 3), box)
  return image


def _sample_pairing(image, weight, partner):
  if partner is None:
    return image
  return Image.blend(image, partner.convert(image.mode).resize(image.size, BILINEAR), weight)


OPS: dict[str, Operation] = {
    'ShearX': Operation(0., 0.3, lambda i, v, *_: _affine(i, 1, v, 0, 0, 1, 0), True),  # slope
    'ShearY': Operation(0., 0.3, lambda i, v, *_: _affine(i, 1, 0, 0, v, 1, 0), True),
    'TranslateX': Operation(0., 0.45, lambda i, v, *_: _affine(i, 1, 0, v * i.width, 0, 1, 0),
                            True),  # of the width
    'TranslateY': Operation(0., 0.45, lambda i, v, *_: _affine(i, 1, 0, 0, 0, 1, v * i.height),
                            True),  # of the height
    'Rotate': Operation(0., 30., lambda i, v, *_: i.rotate(v, BILINEAR), True),  # degrees
    'AutoContrast': Operation(0., 1., lambda i, *_: ImageOps.autocontrast(i)),
    'Invert': Operation(0., 1., lambda i, *_: ImageOps.invert(i)),
    'Equalize': Operation(0., 1., lambda i, *_: ImageOps.equalize(i)),
    'Solarize': Operation(0., 256., lambda i, v, *_: _solarize(i, v)),  # threshold, of 0..255
    'Posterize': Operation(4., 8., lambda i, v, *_: ImageOps.posterize(i, min(int(v), 8))),  # bits
    # factor; 1 is the identity
    'Contrast': Operation(0.1, 1.9, lambda i, v, *_: ImageEnhance.Contrast(i).enhance(v)),
    'Color': Operation(0.1, 1.9, lambda i, v, *_: ImageEnhance.Color(i).enhance(v)),
    'Brightness': Operation(0.1, 1.9, lambda i, v, *_: ImageEnhance.Brightness(i).enhance(v)),
    'Sharpness': Operation(0.1, 1.9, lambda i, v, *_: ImageEnhance.Sharpness(i).enhance(v)),
    'Cutout': Operation(0., 0.2, lambda i, v, rng, _: cutout(
        i, v, (rng.random() * i.height, rng.random() * i.width))),  # of the width
    'Identity': Operation(0., 1., lambda i, *_: i),
    'HorizontalFlip': Operation(0., 1., lambda i, *_: ImageOps.mirror(i)),
    'SamplePairing': Operation(0., 0.4, lambda i, v, _, p: _sample_pairing(i, v, p)),  # weight
    'Rotate90': Operation(0., 1., lambda i, *_: _rotate90(i)),
    'VerticalFlip': Operation(0., 1., lambda i, *_: ImageOps.flip(i)),
    'Blur': Operation(0., 1., lambda i, *_: i.filter(ImageFilter.BLUR)),
    'Smooth': Operation(0., 1., lambda i, *_: i.filter(ImageFilter.SMOOTH)),
}
"""{name: `Operation`} of every operation of daas_jax."""


def magnitude(name: str, strength: float) -> float:
  """low + strength * (high - low), in the operation's own unit; a candidate of DDAS may pass 1."""
  return OPS[name].low + strength * (OPS[name].high - OPS[name].low)


def apply(image: Image.Image, name: str, strength: float, rng: np.random.Generator,
          partner: Image.Image | None = None) -> Image.Image:
  """One operation on one image, its sign or place drawn by NumPy's generator `rng`.

  Args:
    image, name, strength: L or RGB; a key of OPS; see `magnitude`.
    partner: the second image of SamplePairing, of any mode and size: it is fitted to the first.
  """
  value = magnitude(name, strength)
  if OPS[name].signed and rng.random() < 0.5:
    value = -value
  return OPS[name].fn(image, value, rng, partner)


def as_image(image: Any) -> Image.Image:
  """A PIL image of mode L or RGB, as it is or made of a uint8 array [H, W], [H, W, 1] or [H, W, 3].

  Raises:
    TypeError, ValueError: another dtype; another mode or shape.
  """
  if isinstance(image, Image.Image):
    if image.mode not in ('L', 'RGB'):
      raise ValueError(f"an image must have mode L or RGB, got {image.mode}; use .convert('RGB')")
    return image
  array = np.asarray(image)
  if array.dtype != np.uint8:
    raise TypeError(f'an array must be uint8 of 0 to 255, got {array.dtype}')
  if array.ndim not in (2, 3) or array.shape[2:] not in ((), (1,), (3,)) or 0 in array.shape:
    raise ValueError(f'an image must be [H, W], [H, W, 1] or [H, W, 3], got {array.shape}')
  return Image.fromarray(array[..., 0] if array.shape[2:] == (1,) else array)


# --- the forms of policy.json ---------------------------------------------------------------------
# `shared` draws what all images of one call have in common, `own` what an image has to itself: K
# pairs (operation, strength), None where nothing is applied.


def _cumulated(probability):
  """Sums of [..., n] over its last axis, divided so that they end with 1."""
  sums = np.cumsum(np.asarray(probability, np.float64), -1)
  return sums / sums[..., -1:]


def _choice(cumulated, rng):
  return int(np.searchsorted(cumulated, rng.random(), side='right'))


def _epoch(progress, epochs):
  """The epoch of a search whose policy is used when that share of a training is done."""
  return min(max(int(np.floor(np.float32(progress) * np.float32(epochs))), 0), epochs - 1)


class _Table:
  """K operations with levels and probabilities of their own; of version 4 nothing is shared."""

  def __init__(self, content, smoothing):
    del smoothing
    self.each, self.most = content['version'] == 4, max(content['levels'] - 1, 1)
    level = lambda row: map(_cumulated, row['level_probability']) if self.each else row['level']
    self.rows = [list(zip(row['ops'], row['p'], level(row))) for row in content['policies']]
    self.names = {name for row in self.rows for name, *_ in row}
    self.cumulated = _cumulated([row['probability'] for row in content['policies']])

  def shared(self, rng, progress):
    del progress
    return None if self.each else self.rows[_choice(self.cumulated, rng)]

  def own(self, shared, rng):
    level = (lambda m: _choice(m, rng)) if self.each else lambda m: m
    row = self.rows[_choice(self.cumulated, rng)] if self.each else shared
    return [(name, level(m) / self.most) if rng.random() < p else None for name, p, m in row]


class _Schedule:
  """K of N candidates, all of them or none, for every epoch."""

  def __init__(self, content, smoothing):
    self.K = content['K']
    self.candidates = [(c['op'], c.get('strength', 0.0)) for c in content['candidates']]
    self.names = {name for name, _ in self.candidates}
    self.cumulated = _cumulated([epoch['p_o'] for epoch in content['epochs']])
    p_tp, half = [epoch['p_tp'] for epoch in content['epochs']], smoothing // 2
    self.p_tp = [float(np.mean(p_tp[max(0, t - half):t + half + 1])) for t in range(len(p_tp))]

  def shared(self, rng, progress):
    t = _epoch(progress, len(self.p_tp))
    drawn = [self.candidates[_choice(self.cumulated[t], rng)] for _ in range(self.K)]
    return self.p_tp[t], drawn

  def own(self, shared, rng):
    p, drawn = shared
    return drawn if rng.random() < p else [None] * self.K


class _Transformations:
  """K operations with uniform strengths, for every epoch; every image has its own."""

  def __init__(self, content, smoothing):
    del smoothing
    self.shape, self.ops = (len(content['ops']),) * content['K'], content['ops']
    self.names = set(self.ops)
    self.cumulated = _cumulated(content['epochs'])

  def shared(self, rng, progress):
    return _epoch(progress, len(self.cumulated))

  def own(self, shared, rng):
    index = np.unravel_index(_choice(self.cumulated[shared], rng), self.shape)
    return [(self.ops[int(i)], rng.random()) for i in index]


_FORMS: dict[Any, Any] = {'daas_jax.policy': (_Table, (3, 4)),
                          'daas_jax.policy_schedule': (_Schedule, (2,)),
                          'daas_jax.policy_transformations': (_Transformations, (1,))}


class Sampler:
  """A policy as a function of an image and a generator.

  Args:
    content: what a policy.json holds; of its form no more is checked than its name, its version and
      the names of its operations.
    smoothing: for a policy with a total probability a epoch, width of the mean filter over that, in
      epochs, odd; 1 is none.

  Raises:
    ValueError: another form or version, or an unknown operation.
  """

  def __init__(self, content: Mapping[str, Any], smoothing: int = 1):
    form = content.get('format')
    kind, versions = _FORMS.get(form, (None, ()))
    if content.get('version') not in versions:
      known = ', '.join(f'{" or ".join(map(str, v))} of {name}' for name, (_, v) in _FORMS.items())
      raise ValueError(f'a policy must be version {known} (daas_jax.load_policy reads earlier '
                       f'ones), got version {content.get("version")!r} of {form!r}')
    self._form = kind(content, smoothing)
    self.names = sorted(self._form.names)
    unknown = [name for name in self.names if name not in OPS]
    if unknown:
      raise ValueError(f'unknown operation {unknown[0]!r}; known are {", ".join(OPS)}')

  def draw(self, rng: np.random.Generator,
           progress: float = 1.0) -> list[tuple[str, float] | None]:
    """What one call applies: K pairs (operation, strength), None for none; without signs and
    places."""
    return self._form.own(self._form.shared(rng, progress), rng)

  def __call__(self, image: Any, rng: np.random.Generator, progress: float = 1.0,
               partner: Any = None) -> Image.Image:
    """The augmented image.

    Args:
      image: PIL image of mode L or RGB, or a uint8 array; see `as_image`.
      rng: NumPy's generator; the same state gives the same result.
      progress: share of the training that is done, in [0, 1]: it chooses the epoch of a policy that
        has one for every epoch, and is ignored otherwise.
      partner: the second image of SamplePairing, another of the training images; None leaves the
        image as it is there.
    """
    image, partner = as_image(image), None if partner is None else as_image(partner)
    shared = self._form.shared(rng, progress)
    drawn = self._form.own(shared, rng)
    for k, step in enumerate(drawn):
      if step is not None:
        other = partner if step[0] == 'SamplePairing' else None
        if other is not None:
          for before in filter(None, self._form.own(shared, rng)[:k]):
            other = apply(other, before[0], before[1], rng)
        image = apply(image, step[0], step[1], rng, other)
    return image


# --- for torchvision ------------------------------------------------------------------------------


class Transform:
  """A policy as torchvision takes it: a callable PIL image -> PIL image that draws for itself.

  It can be pickled, and no two processes draw the same numbers. In a worker of a torch DataLoader
  they come from the worker's own seed, which torch draws anew for every epoch, so torch.manual_seed
  (or the loader's generator) makes them repeatable. Any other process that gets a copy adds its
  process id. Two objects draw different numbers, too, unless they were given the same seed.

  Args:
    content: what a policy.json holds; see `Sampler`.
    seed: of its numbers, a whole number from 0 on; None takes one from torch's generator where
      torch is imported, else from the operating system.
    progress: share of the training that is done; the attribute `progress` may be set between
      epochs, before the DataLoader starts its workers.
    smoothing: see `Sampler`.
  """

  def __init__(self, content: Mapping[str, Any], seed: int | None = None, progress: float = 1.0,
               smoothing: int = 1):
    self.progress = progress
    self.sampler = Sampler(content, smoothing)
    torch = sys.modules.get('torch')
    if seed is None and torch is not None:
      seed = int(torch.randint(2**62, ()))
    self._seed = np.random.SeedSequence(seed).entropy
    self._made_in = os.getpid()
    self._place: Any = None
    self._rng: Any = None

  def _generator(self):
    data = sys.modules.get('torch.utils.data')
    worker = data.get_worker_info() if data is not None else None
    place = os.getpid(), None if worker is None else worker.seed
    if self._rng is None or place != self._place:
      here = place[1:] if worker else () if place[0] == self._made_in else place[:1]
      self._rng = np.random.default_rng([self._seed, *here])
      self._place = place
    return self._rng

  def __call__(self, image: Any, partner: Any = None) -> Image.Image:
    """The augmented image; `partner` as in `Sampler`."""
    return self.sampler(image, self._generator(), self.progress, partner)

  def __getstate__(self):
    return {**self.__dict__, '_place': None, '_rng': None}

  def __repr__(self) -> str:
    return f'{type(self).__name__}({", ".join(self.sampler.names)})'
