"""The two ways a command ends early on purpose; `daas_jax.cli` turns them into exit statuses."""


class BadInput(Exception):
  """The user's input cannot be used: one line that says what is wrong and what to do.

  A command that raises it has written nothing; `daas_jax.cli` prints the line and exits with status 2.
  """


class Diverged(Exception):
  """A loss became NaN or infinite: one line that names the step and the last good checkpoint.

  `daas_jax.cli` prints the line and exits with status 3.
  """
