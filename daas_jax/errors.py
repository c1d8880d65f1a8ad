"""The four ways a command ends early on purpose; `daas_jax.runtime.cli` turns them into exit
statuses."""

EX_TEMPFAIL = 75
"""Exit status of a run that the same command goes on with: it ended on SIGTERM with its state
saved, or another process of it is gone. sysexits.h's "try again", for a scheduler."""


class BadInput(Exception):
  """The user's input cannot be used: one line that says what is wrong and what to do.

  A command that raises it has written nothing; `daas_jax.runtime.cli` prints the line and exits
  with status 2.
  """


class Diverged(Exception):
  """A loss became NaN or infinite: one line that names the step and the last good checkpoint.

  `daas_jax.runtime.cli` prints the line and exits with status 3.

  Attributes:
    step: that step, from 1, or None.
  """

  def __init__(self, line, step=None):
    super().__init__(line)
    self.step = step


class Interrupted(Exception):
  """Ctrl-C was heard and the state is saved: one line that names the step to go on from.

  `daas_jax.runtime.cli` prints the line and exits with status 130.
  """


class Terminated(Exception):
  """SIGTERM was heard and the state is saved: one line that names the step that the same command
  goes on from.

  `daas_jax.runtime.cli` prints the line and exits with status 75, on which a scheduler starts the
  command again.
  """
