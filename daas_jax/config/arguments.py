"""The parser of the commands that take no config: a wrong word is `BadInput`, one line."""

import argparse

from daas_jax.errors import BadInput


class Parser(argparse.ArgumentParser):
  """argparse's parser, given prog='daas_jax.COMMAND'; it raises BadInput where argparse would print
  and exit."""

  def error(self, message):
    raise BadInput(f'{message}; see python -m {self.prog} --help')
