"""From the bytes of an image file to a square of pixels, on the host; no JAX here: worker processes use it.

JPEGs are decoded by simplejpeg where it is installed, and by Pillow otherwise or where simplejpeg refuses (CMYK, a
damaged end): the two differ by a few grey levels, so a run is repeated exactly only with the same of them.
"""

import io

import numpy as np
import PIL.Image

try:
  import simplejpeg
except ImportError:
  simplejpeg = None

_MODES = {1: 'L', 3: 'RGB'}
_JPEG = b'\xff\xd8'


def square(content, side, shorter, channels):
  """The centre of an image as a square of pixels.

  The image is resized so that its shorter side is `shorter` pixels (bilinear, antialiased), and the middle is taken.
  A JPEG is decoded at an eighth, a quarter or half of its size where that still leaves `shorter` pixels.

  Args:
    content: bytes of a JPEG, a PNG or whatever Pillow reads.
    side: of the result, in pixels, at most `shorter`.
    shorter: shorter side after the resize, in pixels.
    channels: 1 or 3.

  Returns:
    uint8 [side, side, channels].

  Raises:
    Exception: of any kind, from the decoder, where it is no image or a damaged one.
  """
  image = _image(content, shorter, channels)
  if image.size != (side, side) or side != shorter:
    width, height = image.size
    part = min(width, height) * side / shorter  # of the image as it is, in pixels
    left, top = (width - part) / 2, (height - part) / 2
    image = image.resize((side, side), PIL.Image.BILINEAR, (left, top, left + part, top + part))
  return np.asarray(image, np.uint8).reshape(side, side, channels)


def _image(content, least, channels):
  """A Pillow image of one of _MODES, its shorter side at least `least` pixels where the file's is."""
  if simplejpeg and content[:2] == _JPEG:
    try:
      pixels = simplejpeg.decode_jpeg(content, 'GRAY' if channels == 1 else 'RGB', min_height=least, min_width=least)
      return PIL.Image.fromarray(pixels[..., 0] if channels == 1 else pixels)
    except ValueError:
      pass  # Pillow has the last word
  image = PIL.Image.open(io.BytesIO(content))
  image.draft(_MODES[channels], (least, least))  # of JPEGs alone
  return image if image.mode == _MODES[channels] else image.convert(_MODES[channels])
