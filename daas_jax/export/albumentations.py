"""A policy as a pipeline of Albumentations, in the library's own serialised form: for A.load and
A.from_dict.

An operation has a counterpart where Albumentations has one of the same meaning, up to OpenCV's
rounding: its warp interpolates with zeros at the border, Translate moves by whole pixels, and
Equalize shares the pixels of a level out by OpenCV's rule. It has none of a shear from the corner
(its own is about the centre), of Pillow's filters Blur, Smooth and Sharpness, of Cutout with a
centre anywhere in the image (its holes lie inside), and of SamplePairing.

The parts of the pipeline draw independently, as they must, where it has no seed or one generator
(set_random_state); set_random_seed of version 2.0.8 gives every part the same numbers.
"""

from collections.abc import Callable
import json
from typing import Any

import numpy as np

from daas_jax.errors import BadInput
from daas_jax.policies import portable, total, transformations
from daas_jax.policies.policy import form_of
from daas_jax.policies.table import strength

VERSION = '2.0.8'  # of Albumentations, whose form this is


# --- operations -----------------------------------------------------------------------------------


def _transform(kind, p, **arguments):
  return {'__class_fullname__': kind, 'p': float(p), **arguments}


def _among(p, transforms):
  """One of some, by their p; a choice is applied whatever its own p."""
  return _transform('OneOf', p, transforms=transforms)


def _jitter(which):
  still = {'brightness': [1.0, 1.0], 'contrast': [1.0, 1.0], 'saturation': [1.0, 1.0],
           'hue': [0.0, 0.0]}
  return lambda low, high, p: _transform('ColorJitter', p, **still | {which: [low, high]})


_WARP = {'interpolation': 1, 'mask_interpolation': 0, 'border_mode': 0, 'fill': 0.0,
         'fill_mask': 0.0, 'rotate_method': 'largest_box'}  # bilinear, zeros outside


def _rotate(low, high, p):
  return _transform('Rotate', p, **_WARP, limit=[low, high], crop_border=False)


def _translate(axis):
  zero, one = [0.0, 0.0], [1.0, 1.0]
  return lambda low, high, p: _transform(
      'Affine', p, **_WARP, balanced_scale=False, fit_output=False, keep_ratio=False, rotate=zero,
      scale={'x': one, 'y': one}, shear={'x': zero, 'y': zero}, translate_px=None,
      translate_percent={'x': zero, 'y': zero} | {axis: [low, high]})


def _solarize(low, high, p):
  # A threshold above 255 inverts nothing. As in JAX, one that is a level inverts it.
  beyond = (high - max(low, 255.0)) / (high - low) if high > 255 and high > low else 0.0
  bounds = [max(0.0, min(x - 1e-3 * (low == high), 255.0)) / 255 for x in (low, high)]
  inner = _transform('Solarize', 1 - beyond if beyond else p, threshold_range=bounds)
  return _among(p, [inner, _transform('NoOp', beyond)]) if beyond else inner


def _posterize(low, high, p):
  if high < 1:
    return _jitter('brightness')(0.0, 0.0, p)  # no bit is left
  # A whole number of bits: of a range, its end has no probability.
  return _transform('Posterize', p, num_bits=[int(low), int(high) - (high > low)])


_PLAIN: dict[str, tuple[str, dict[str, Any]]] = {
    'AutoContrast': ('AutoContrast', {'cutoff': 0.0, 'ignore': None, 'method': 'pil'}),
    'Invert': ('InvertImg', {}),
    'Equalize': ('Equalize', {'by_channels': True, 'mask': None, 'mode': 'cv'}),
    'Identity': ('NoOp', {}),
    'HorizontalFlip': ('HorizontalFlip', {}),
    'VerticalFlip': ('VerticalFlip', {}),
    'Rotate90': ('Rotate', {**_WARP, 'limit': [90.0, 90.0], 'crop_border': False}),
}
"""{operation without a magnitude: (its counterpart, arguments)}."""

_GRADED: dict[str, Callable] = {
    'TranslateX': _translate('x'), 'TranslateY': _translate('y'), 'Rotate': _rotate,
    'Solarize': _solarize, 'Posterize': _posterize, 'Contrast': _jitter('contrast'),
    'Color': _jitter('saturation'), 'Brightness': _jitter('brightness'),
}
"""{operation: (least magnitude, greatest, p) -> its counterpart, uniform between them}."""

_STILL: dict[str, Callable[[float], bool]] = {
    **dict.fromkeys(('ShearX', 'ShearY', 'TranslateX', 'TranslateY', 'Rotate', 'Cutout',
                     'SamplePairing'), lambda v: abs(v) < 1e-9),
    **dict.fromkeys(('Contrast', 'Color', 'Brightness', 'Sharpness'), lambda v: abs(v - 1) < 1e-9),
    'Posterize': lambda v: v >= 8, 'Solarize': lambda v: v - 1e-3 > 255,
}
"""{operation: whether it changes nothing at a magnitude}."""


def _counterpart(name, strengths, p, missing):
  """The transform of an operation at strengths (least, greatest); its name goes to `missing` where
  there is none."""
  if name in _PLAIN:
    kind, arguments = _PLAIN[name]
    return _transform(kind, p, **arguments)
  low, high = (float(portable.magnitude(name, s)) for s in strengths)
  if low == high and name in _STILL and _STILL[name](low):
    return _transform('NoOp', p)
  if name not in _GRADED:
    missing.append(name)
    return None
  if low == high and portable.OPS[name].signed:
    return _among(p, [_GRADED[name](sign * low, sign * low, 0.5) for sign in (1, -1)])
  if portable.OPS[name].signed:  # from 0 on, and a sign
    low = -high
  return _GRADED[name](low, high, p)


# --- forms ----------------------------------------------------------------------------------------


def _sequence(p, transforms):
  return _transform('Sequential', p, transforms=transforms or [_transform('NoOp', 1)])


def _at(name, strength, p, missing):
  """The counterpart of an operation at one strength."""
  return _counterpart(name, (strength, strength), p, missing)


def _at_levels(name, weights, p, missing):
  """One of the levels, each with its probability; one transform where the operation has none."""
  if name in _PLAIN:
    return _at(name, 0.0, p, missing)
  return _among(p, [_at(name, strength(m, len(weights)), w, missing)
                    for m, w in enumerate(weights) if w > 0])


def _of_table(table, missing):
  levels = table.level_probability
  one, strengths = (_at, table.strength) if levels is None else (_at_levels, levels)
  return _among(1, [
      _sequence(probability, [
          one(table.ops[i], at, p, missing) for i, p, at in zip(o, applied, of_slots) if p > 0])
      for o, probability, applied, of_slots in zip(
          table.o, table.probability, table.p, strengths) if probability > 0])


def _of_schedule(schedule, missing):
  p_tp, p_o = schedule.p_tp[-1], schedule.p_o[-1]
  if p_tp == 0:
    return _transform('NoOp', 1)
  one = _among(1, [_at(c.op, c.strength, p, missing)
                   for c, p in zip(schedule.space.candidates, p_o) if p > 0])
  return _sequence(p_tp, [one] * schedule.space.K)


def _of_transformations(found, missing):
  space, p = found.space, found.probability[-1]
  return _among(1, [
      _sequence(p[i], [_counterpart(space.ops[j], (0.0, 1.0), 1, missing)
                       for j in np.unravel_index(i, space.shape)])
      for i in np.flatnonzero(p)])


def pipeline(content: Any, path: str) -> str:
  """The pipeline as JSON; of a policy of every epoch, the last one.

  Args:
    content: what the policy's file holds.
    path: that file.

  Raises:
    BadInput: the content is malformed, or operations of it have no counterpart: one line that names
      them.
  """
  found = form_of(content).read(content, path)
  missing: list[str] = []
  made = {total.Schedule: _of_schedule,
          transformations.Transformations: _of_transformations}.get(type(found), _of_table)
  transform = made(found, missing)
  if missing:
    raise BadInput(f'{path}: Albumentations has no counterpart of '
                   f'{", ".join(dict.fromkeys(missing))}; export it with --to=torchvision, or use '
                   'a policy without')
  return json.dumps({'__version__': VERSION, 'transform': _transform(
      'Compose', 1, transforms=[transform], bbox_params=None, keypoint_params=None,
      additional_targets={}, is_check_shapes=True)}, indent=1) + '\n'
