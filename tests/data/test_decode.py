"""Image files of every mode: the same pixels in memory and streamed, or the same line."""

import io
import struct
import sys
import zlib

import numpy as np
import PIL.Image
import pytest

from fake_sets import prepared
from daas_jax import config as config_lib
from daas_jax.data import decode, select
from daas_jax.errors import BadInput

SIDE = 256


def file_of(image, kind='PNG', **options):
  content = io.BytesIO()
  image.save(content, kind, **options)
  return content.getvalue()


def png(pixels, colour):
  """A PNG of uint16 [H, W, C], written here: Pillow writes no colours of 16 bits.

  Args:
    colour: PNG's number of the colour type: 0 grey, 2 RGB, 4 grey and alpha, 6 RGB and alpha.
  """
  def chunk(kind, content):
    checksum = zlib.crc32(kind + content)
    return struct.pack('>I', len(content)) + kind + content + struct.pack('>I', checksum)
  rows = b''.join(b'\0' + row.astype('>u2').tobytes() for row in pixels)
  head = struct.pack('>IIBBBBB', pixels.shape[1], pixels.shape[0], 16, colour, 0, 0, 0)
  return (b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', head) + chunk(b'IDAT', zlib.compress(rows))
          + chunk(b'IEND', b''))


RAMP = np.arange(65536, dtype=np.uint16).reshape(SIDE, SIDE)  # every value once
GREY = (RAMP >> 8).astype(np.uint8)
COLOURS = np.stack([RAMP, RAMP[::-1], RAMP.T], -1)
ALPHA = RAMP[..., None].copy()[::-1]


def palette():
  """(image of mode P, its colours uint8 [SIDE, SIDE, 3]): no index of a pixel is its grey level."""
  colours = np.random.default_rng(0).integers(0, 256, (256, 3), np.uint8)
  image = PIL.Image.fromarray(GREY, 'L')
  image.putpalette(colours.tobytes())
  return image, colours[GREY]


def wanted():
  """{mode: (bytes of a file, its pixels in 3 channels uint8)}."""
  image, colours = palette()
  bits = np.asarray(GREY > 99)
  eight = (COLOURS >> 8).astype(np.uint8)
  three = lambda grey: np.repeat(grey[..., None], 3, -1)
  with_alpha = np.concatenate([eight, GREY[..., None]], -1)
  return {
      'I;16': (png(RAMP[..., None], 0), three(GREY)),
      'LA of 16 bits': (png(np.concatenate([RAMP[..., None], ALPHA], -1), 4), three(GREY)),
      'RGB of 16 bits': (png(COLOURS, 2), eight),
      'RGBA of 16 bits': (png(np.concatenate([COLOURS, ALPHA], -1), 6), eight),
      'P': (file_of(image), colours),
      'P, one index transparent': (file_of(image, transparency=7), colours),
      'P, transparency of every index': (file_of(image, transparency=bytes(range(256))), colours),
      'LA': (file_of(PIL.Image.fromarray(np.stack([GREY, GREY.T], -1), 'LA')), three(GREY)),
      'L, one level transparent': (file_of(PIL.Image.fromarray(GREY), transparency=9), three(GREY)),
      'RGBA': (file_of(PIL.Image.fromarray(with_alpha, 'RGBA')), eight),
      '1': (file_of(PIL.Image.fromarray(bits)), three(np.uint8(255) * bits)),
  }


def both(folder, content, channels=3, dtype=np.uint8, **prepare):
  """The training images of a set of such files, (in memory, streamed): each an array or a line."""
  prepared(folder, [(content, 0), (content, 1)], channels=channels, dtype=dtype, **prepare)
  found = []
  for stream in (False, True):
    config = config_lib.search_config()
    config.data.update(name='tfds:tiny', dir=str(folder), stream=stream, side=SIDE if stream else 0)
    try:
      found.append(np.asarray(select.from_config(config).train_images))
    except BadInput as error:
      assert '\n' not in str(error)
      found.append(str(error))
  return found


@pytest.mark.parametrize('mode', wanted())
def test_every_mode_is_read_alike_in_memory_and_streamed(mode, tmp_path, recwarn):
  content, pixels = wanted()[mode]
  for images in both(tmp_path, content):
    np.testing.assert_array_equal(images, np.stack([pixels] * 2))
  assert decode.square(content, SIDE, SIDE, 1).shape == (SIDE, SIDE, 1)
  assert not [warning for warning in recwarn if warning.category is UserWarning]  # Pillow's


def test_16_bits_into_one_channel_without_opencv(tmp_path, monkeypatch):
  """Whatever type the set declares: TFDS itself asks for OpenCV here."""
  monkeypatch.setitem(sys.modules, 'cv2', None)
  for dtype in (np.uint8, np.uint16):
    for images in both(tmp_path / np.dtype(dtype).name, png(RAMP[..., None], 0), 1, dtype):
      np.testing.assert_array_equal(images, np.stack([GREY[..., None]] * 2))


def test_photographs_are_read_alike(tmp_path):
  """Of CMYK too, and of colours where one channel is asked for: the JPEG's own grey."""
  _, colours = palette()
  image = PIL.Image.fromarray(colours)
  for mode in ('RGB', 'CMYK', 'L'):
    for channels in (1, 3):
      content = file_of(image.convert(mode), 'JPEG')
      memory, streamed = both(tmp_path / f'{mode}{channels}', content, channels)
      np.testing.assert_array_equal(memory, streamed)
      assert memory.shape == (2, SIDE, SIDE, channels) and memory.std() > 30


def test_parquet_is_decoded_in_the_same_way(tmp_path):
  content, pixels = wanted()['I;16']
  memory, line = both(tmp_path, content, file_format='parquet')
  np.testing.assert_array_equal(memory, np.stack([pixels] * 2))
  assert 'holds no array_record files' in line


@pytest.mark.parametrize('image, kind, said', [
    (PIL.Image.fromarray(GREY.astype(np.int32)), 'TIFF',
     'is a TIFF of mode I, whose values have no known range'),
    (PIL.Image.fromarray(GREY / np.float32(255)), 'TIFF', 'is a TIFF of mode F, whose'),
    (PIL.Image.fromarray(RAMP >> 4), 'TIFF', 'is a TIFF of mode I;16, whose'),  # of 12 bits, say
    (PIL.Image.fromarray(RAMP.astype(np.int32)), 'PPM', 'is a PPM of mode I, whose'),
    (None, None, 'is no image that can be decoded (cannot identify image file'),
])
def test_what_cannot_be_decoded_is_the_same_line(image, kind, said, tmp_path):
  memory, streamed = both(tmp_path, file_of(image, kind) if image else b'text')
  assert memory.startswith(f'tfds:tiny, split train, row 0 {said}'), memory
  assert streamed.startswith('tfds:tiny, split train, row 0: record 0 of '), streamed
  # Up to 0x, which begins an address in memory.
  reason = lambda line, place: line.partition(place)[2].partition('0x')[0]
  assert reason(memory, 'row 0 ') == reason(streamed, '00001 ')


@pytest.mark.parametrize('channels, dtype, said', [
    (1, np.float32, 'tfds:tiny has images of floats: choose'),
    (4, np.uint8, 'tfds:tiny has images of 4 channels: the image operations need 1 or 3'),
    (2, np.uint8, 'tfds:tiny has images of 2 channels')])
def test_sets_that_declare_other_images(channels, dtype, said, tmp_path, monkeypatch):
  import tensorflow_datasets as tfds
  # TFDS writes the bytes of floats as four channels; of arrays alone, with TensorFlow.
  monkeypatch.setattr(tfds.features.Image, 'encode_example', lambda self, file: file.read())
  content = file_of(PIL.Image.fromarray(np.zeros((SIDE, SIDE, 4), np.uint8), 'RGBA'))
  memory, streamed = both(tmp_path, content, channels, dtype)
  assert memory == streamed and memory.startswith(said)
