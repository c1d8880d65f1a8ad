"""Multiply-adds and parameters of any path through the ShuffleNetV2 supernet, by closed form (Eq.
1's c(alpha))."""

import math
from typing import Any, NamedTuple

import numpy as np

from daas_jax.nets.shuffle import layers


class Costs(NamedTuple):
  """What a path costs: the sum of its choices' entries and what every path has.

  Attributes:
    choices: int64 [blocks, 4], columns as `layers.CHOICES`.
    rest: int, of stem, last convolution and classifier.
  """
  choices: np.ndarray
  rest: int

  def of(self, path: Any) -> int:
    """Cost of a path, positions int [blocks] in `layers.CHOICES`: int."""
    return int(self.choices[np.arange(len(self.choices)), np.asarray(path)].sum()) + self.rest


def _halved(side, stride):
  return -(-side // stride)


def _multiply_adds(layers, height, width):
  """(multiply-adds, height, width behind): biases, normalisation and padding as
  `daas_jax.nets.count` has them."""
  total = 0
  for layer in layers:
    height, width = _halved(height, layer.stride), _halved(width, layer.stride)
    total += math.prod(layer.shape) * height * width
  return total, height, width


def multiply_adds(size: str, image_shape: tuple[int, int, int], num_classes: int) -> Costs:
  """`Costs` in multiply-adds of one image (what the papers call FLOPs).

  Args:
    size: a key of `layers.SIZES`.
    image_shape: (H, W, C).
    num_classes: of the classifier.
  """
  widths, (height, width, channels) = layers.SIZES[size], image_shape
  rest, height, width = _multiply_adds(layers.stem(widths, channels), height, width)
  rows = []
  for block in layers.blocks(widths):
    row = [[_multiply_adds(branch, height, width)[0] for branch in layers.branches(block, name)]
           for name in layers.CHOICES]
    rows.append([sum(parts) for parts in row])
    height, width = _halved(height, block.stride), _halved(width, block.stride)
  rest += _multiply_adds(layers.last(widths), height, width)[0] + widths.last * num_classes
  return Costs(np.array(rows, np.int64), rest)


def parameters(size: str, channels: int, num_classes: int) -> Costs:
  """`Costs` in parameters: kernels, scales and offsets; arguments as of `multiply_adds`, channels
  of the images."""
  widths = layers.SIZES[size]
  rows = [[layers.n_weights(sum(layers.branches(block, name), ())) for name in layers.CHOICES]
          for block in layers.blocks(widths)]
  rest = layers.n_weights(layers.stem(widths, channels)
                           + layers.last(widths)) + widths.last * num_classes
  return Costs(np.array(rows, np.int64), rest)
