"""From the bytes of an image file to pixels, on the host; no JAX here: worker processes use it.

Sets in memory and streamed ones are decoded here alike, whatever the mode of the file: of 16 bits
the upper 8 are taken, a palette is looked up, transparency is left out, 1 bit is black or white.

JPEGs are decoded by simplejpeg where it is installed, and by Pillow otherwise or where simplejpeg
refuses (CMYK, a damaged end): the two differ by a few grey levels, so a run is repeated exactly
only with the same of them.
"""

import io
import math
from typing import NamedTuple

import numpy as np
import PIL.ExifTags
import PIL.Image
import PIL.ImageOps

from daas_jax.data.raw import short
from daas_jax.errors import BadInput

try:
  import simplejpeg
except ImportError:
  simplejpeg = None

_MODES = {1: 'L', 3: 'RGB'}
_JPEG = b'\xff\xd8'
_BILINEAR = PIL.Image.Resampling.BILINEAR
_PNG = b'\x89PNG'
_GREY = '1', 'L', 'LA', 'La', 'I', 'F'
_SIDEWAYS = 5, 6, 7, 8  # EXIF's orientations that swap height and width
FITS = 'crop', 'pad', 'stretch'
"""How an image becomes a square: its centre is taken; all of it, on black; its sides are changed
alone."""


class Header(NamedTuple):
  """What the first bytes of an image file say.

  Attributes:
    height, width: in pixels, as the image is to be seen: turned as its EXIF says.
    grey: whether its mode, or every colour of its palette, is grey. WebP has no grey mode.
    orientation: EXIF's, 1 to 8; 1 where there is none.
  """
  height: int
  width: int
  grey: bool
  orientation: int


def square(content, side, shorter, channels, name='the image'):
  """The centre of an image as a square of pixels.

  The image is resized so that its shorter side is `shorter` pixels (bilinear, antialiased), and the
  middle is taken. A JPEG is decoded at an eighth, a quarter or half of its size where that still
  leaves `shorter` pixels.

  Args:
    content: bytes of a JPEG, a PNG or whatever Pillow reads.
    side: of the result, in pixels, at most `shorter`.
    shorter: shorter side after the resize, in pixels.
    channels: 1 or 3.
    name: of its record, for messages.

  Returns:
    uint8 [side, side, channels].

  Raises:
    BadInput: it is no image, a damaged one, or one whose values have no known range.
  """
  image = _middle(_image(content, shorter, channels, name), side, shorter)
  return np.asarray(image, np.uint8).reshape(side, side, channels)


def boxed(content, side, channels, draw, name='the image'):
  """A box of an image as a square of pixels: of the whole photograph, not of its middle.

  A JPEG is decoded at a part of its size where that still leaves the box `side` pixels.

  Args:
    content, side, channels, name: as for `square`.
    draw: (height, width) of the image -> (top, left, height, width) of the box, in pixels.

  Returns:
    uint8 [side, side, channels]: bilinear, antialiased; the filter may reach beyond the box.

  Raises:
    BadInput: as `square`.
  """
  try:
    width, height = PIL.Image.open(io.BytesIO(content)).size
  except Exception as e:  # of any kind
    raise _undecodable(name, e) from None
  top, left, box_height, box_width = draw(height, width)
  least = -(-side * min(height, width) // min(box_height, box_width))
  image = _image(content, min(least, height, width), channels, name)
  x, y = image.width / width, image.height / height
  image = image.resize((side, side), _BILINEAR,
                       (left * x, top * y, (left + box_width) * x, (top + box_height) * y))
  return np.asarray(image, np.uint8).reshape(side, side, channels)


def random_box(rng: np.random.Generator, height: int, width: int,
               scale: tuple[float, float] = (0.08, 1.0),
               ratio: tuple[float, float] = (3 / 4, 4 / 3)) -> tuple[int, int, int, int]:
  """(top, left, height, width) of torchvision's RandomResizedCrop: of ten boxes, their area uniform
  in `scale` times the image's, width / height log-uniform in `ratio`, the first that fits, at a
  uniform place; the largest centred one with an allowed ratio where none does."""
  area = height * width * rng.uniform(scale[0], scale[1], 10)
  shape = np.exp(rng.uniform(math.log(ratio[0]), math.log(ratio[1]), 10))
  heights, widths = (np.round(np.sqrt(x)).astype(int) for x in (area / shape, area * shape))
  fits = np.flatnonzero((0 < heights) & (heights <= height) & (0 < widths) & (widths <= width))
  if not len(fits):
    h, w = min(height, round(width / ratio[0])), min(width, round(height * ratio[1]))
    return (height - h) // 2, (width - w) // 2, h, w
  h, w = int(heights[fits[0]]), int(widths[fits[0]])
  return int(rng.integers(height - h + 1)), int(rng.integers(width - w + 1)), h, w


def _middle(image, side, shorter):
  if image.size == (side, side) and side == shorter:
    return image
  width, height = image.size
  part = min(width, height) * side / shorter  # of the image as it is, in pixels
  left, top = (width - part) / 2, (height - part) / 2
  return image.resize((side, side), _BILINEAR, (left, top, left + part, top + part))


def whole(content, channels, name='the image'):
  """An image as it is, uint8 [H, W, channels]; arguments and BadInput as for `square`."""
  image = _image(content, 0, channels, name)
  return np.asarray(image, np.uint8).reshape(image.height, image.width, channels)


def header(content: bytes) -> Header:
  """The `Header` of an image file.

  Raises:
    Exception: of any kind, where it is none.
  """
  image = PIL.Image.open(io.BytesIO(content))
  orientation = 1
  # Pillow decodes all of a PNG to look for the chunk, which may lie behind the pixels.
  if content[:4] != _PNG or b'eXIf' in content:
    try:
      orientation = image.getexif().get(PIL.ExifTags.Base.Orientation, 1)
    except Exception:  # damaged notes on an image are no damage to it
      pass
  orientation = orientation if orientation in range(1, 9) else 1
  width, height = image.size[::-1] if orientation in _SIDEWAYS else image.size
  return Header(height, width, _is_grey(image), orientation)


def _is_grey(image):
  if image.mode == 'P' and image.palette:
    mode, colours = image.palette.getdata()
    colours = np.frombuffer(colours, np.uint8).reshape(-1, len(mode))[:, :3]
    return bool(np.all(colours == colours[:, :1]))
  return image.mode in _GREY or image.mode.startswith('I;')


def fitted(content: bytes, channels: int, side: int = 0, fit: str = 'crop') -> np.ndarray:
  """An image as it is to be seen, made a square.

  Args:
    content: bytes of an image file.
    channels: 1 or 3.
    side: of the square in pixels; 0 leaves the image as it is.
    fit: one of FITS: the square in the middle (as `square`), the whole image in the middle of a
      black square, or the whole image stretched to one (all bilinear, antialiased).

  Returns:
    uint8 [H, W, channels].

  Raises:
    Exception: of any kind, where it is no image, or a damaged one.
  """
  height, width, _, orientation = header(content)
  # a JPEG is decoded no larger than is needed
  least = max(1, side * min(height, width) // max(height, width)) if fit == 'pad' else side
  image = _decoded(content, least, channels)
  if orientation != 1:
    # without what else the file notes, which Pillow may stumble over, and simplejpeg has left out
    image = PIL.Image.fromarray(np.asarray(image))
    image.getexif()[PIL.ExifTags.Base.Orientation] = orientation
    image = PIL.ImageOps.exif_transpose(image)
  image = _square_of(image, side, fit) if side else image
  return np.asarray(image, np.uint8).reshape(image.height, image.width, channels)


def _square_of(image, side, fit):
  if fit == 'pad':
    return PIL.ImageOps.pad(image, (side, side), _BILINEAR)
  if fit == 'stretch':
    return image.resize((side, side), _BILINEAR)
  return _middle(image, side, side)


def squares(images: np.ndarray, side: int, fit: str = 'crop') -> np.ndarray:
  """Images that are decoded, made squares as `fitted` makes them: uint8 [N, H, W, C], C 1 or 3, ->
  [N, side, side, C]."""
  channels = images.shape[-1]
  out = np.empty((len(images), side, side, channels), np.uint8)
  for i, pixels in enumerate(images):
    image = PIL.Image.fromarray(pixels[..., 0] if channels == 1 else pixels)
    out[i] = np.asarray(_square_of(image, side, fit)).reshape(side, side, channels)
  return out


def _image(content, least, channels, name):
  """`_decoded`, or BadInput in one line that begins with `name`."""
  try:
    return _decoded(content, least, channels)
  except BadInput as e:
    raise BadInput(f'{name} {e}') from None
  except Exception as e:  # a damaged image raises whatever its decoder raises
    raise _undecodable(name, e) from None


def _undecodable(name, error):
  return BadInput(f'{name} is no image that can be decoded ({short(error)}); prepare the set again')


def _decoded(content, least, channels):
  """A Pillow image of one of _MODES, its shorter side at least `least` pixels where the file's is.

  0: as large as the file's.
  """
  if simplejpeg and content[:2] == _JPEG:
    try:
      pixels = simplejpeg.decode_jpeg(content, 'GRAY' if channels == 1 else 'RGB', min_height=least,
                                      min_width=least)
      return PIL.Image.fromarray(pixels[..., 0] if channels == 1 else pixels)
    except ValueError:
      pass  # Pillow has the last word
  image = PIL.Image.open(io.BytesIO(content))
  image.draft(_MODES[channels], (least, least) if least else None)  # of JPEGs alone
  image.info.pop('transparency', None)  # left out as alpha channels are; Pillow warns of some of it
  if image.mode[0] in 'IF':
    image = _upper_bits(image)
  image.load()
  return image if image.mode == _MODES[channels] else image.convert(_MODES[channels])


def _upper_bits(image):
  """A grey image of more than 8 bits as one of 8; Pillow itself would cut off what is above 255."""
  if image.format != 'PNG':  # PNG's 16 bits are used whole; the values of others may have any range
    raise BadInput(f'is a {image.format} of mode {image.mode}, whose values have no known range: '
                   'make it a PNG of 8 or 16 bits and prepare the set again')
  return PIL.Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
