"""From the bytes of an image file to pixels, on the host; no JAX here: worker processes use it.

Sets in memory and streamed ones are decoded here alike, whatever the mode of the file: of 16 bits
the upper 8 are taken, a palette is looked up, transparency is left out, 1 bit is black or white.

JPEGs are decoded by simplejpeg where it is installed, and by Pillow otherwise or where simplejpeg
refuses (CMYK, a damaged end): the two differ by a few grey levels, so a run is repeated exactly
only with the same of them.
"""

import io

import numpy as np
import PIL.Image

from daas_jax.data.raw import short
from daas_jax.errors import BadInput

try:
  import simplejpeg
except ImportError:
  simplejpeg = None

_MODES = {1: 'L', 3: 'RGB'}
_JPEG = b'\xff\xd8'


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
  image = _image(content, shorter, channels, name)
  if image.size != (side, side) or side != shorter:
    width, height = image.size
    part = min(width, height) * side / shorter  # of the image as it is, in pixels
    left, top = (width - part) / 2, (height - part) / 2
    image = image.resize((side, side), PIL.Image.BILINEAR, (left, top, left + part, top + part))
  return np.asarray(image, np.uint8).reshape(side, side, channels)


def whole(content, channels, name='the image'):
  """An image as it is, uint8 [H, W, channels]; arguments and BadInput as for `square`."""
  image = _image(content, 0, channels, name)
  return np.asarray(image, np.uint8).reshape(image.height, image.width, channels)


def _image(content, least, channels, name):
  """`_decoded`, or BadInput in one line that begins with `name`."""
  try:
    return _decoded(content, least, channels)
  except BadInput as e:
    raise BadInput(f'{name} {e}') from None
  except Exception as e:  # a damaged image raises whatever its decoder raises
    raise BadInput(f'{name} is no image that can be decoded ({short(e)}); prepare the set '
                   'again') from None


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
