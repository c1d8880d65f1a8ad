"""The cells of a genotype as a graph of labelled edges: every edge has a lane of its own, so no
label meets another."""

from daas_jax.nets.cells import genotype as genotype_lib
from daas_jax.nets.cells.cell import INPUTS, STEPS
from daas_jax.report import figures

_INPUT_NAMES = ('0: cell before the last', '1: last cell')


def operation_color(primitives, name):
  """An operation's colour, the same as in the figure of alpha."""
  return figures.color(primitives.index(name))


def cells(genotype):
  """The PNG of all different cells: two under each other, more in four columns.

  Nodes go down to the right. What leaves a node runs down from it; where it becomes an operation's
  input, a lane turns right, through the operation's name and into the node that it ends in.

  Args:
    genotype: `daas_jax.nets.cells.genotype.Genotype` or `NetworkGenotype`.
  """
  different = genotype_lib.cells_of(genotype)
  columns = 1 if len(different) == 2 else 4
  rows = -(-len(different) // columns)

  def plot(drawing):
    axes = drawing.subplots(rows, columns, squeeze=False).ravel()
    for axis, (title, pairs) in zip(axes, different):
      _cell(axis, title, pairs, genotype.primitives)
    for axis in axes[len(different):]:
      axis.set_axis_off()

  return figures.png((9 if columns == 1 else 6.5 * columns, 4.5 * rows), plot)


def _place(node):
  """(x, y) of a node: the inputs above their lanes, an intermediate node between its two."""
  return (0.55 * node, 0.9) if node < INPUTS else (0.55 + 1.55 * (node - 1), -2 *
                                                   (node - INPUTS) - 0.5)


def _cell(axis, title, pairs, primitives):
  right = _place(INPUTS + STEPS - 1)[0] + 1.0
  for slot, (name, source) in enumerate(pairs):
    target, lane = slot // 2 + INPUTS, -slot
    _lane(axis, _place(source), lane, _place(target), name, operation_color(primitives, name))
  for node in range(INPUTS + STEPS):
    x, y = _place(node)
    if node < INPUTS:
      axis.text(x, y + 0.35 + 0.62 * (1 - node), _INPUT_NAMES[node], ha='left', va='bottom',
                fontsize=9)
      axis.plot((x, x), (y, y + 0.4 + 0.62 * (1 - node)), color='0.7', lw=1, zorder=0)
    else:
      axis.plot((x, right), (y, y), color='0.6', lw=1, zorder=1)
    axis.text(x, y, str(node), ha='center', va='center', zorder=4, fontsize=10, fontweight='bold',
              bbox={'boxstyle': 'circle,pad=0.3', 'fc': 'white', 'ec': 'black'})
  top, bottom = _place(INPUTS)[1] + 0.3, _place(INPUTS + STEPS - 1)[1] - 0.3
  axis.plot((right, right), (bottom, top), color='0.3', lw=5, solid_capstyle='butt')
  axis.text(right + 0.12, (top + bottom) / 2, 'output: nodes side by side', rotation=90,
            va='center', fontsize=9)
  axis.set(xlim=(-0.3, right + 0.5), ylim=(bottom - 0.9, 2.5))
  axis.set_title(title, fontsize=12, loc='left')
  axis.set_axis_off()


def _lane(axis, source, lane, target, name, color):
  """Down from the source, right along the lane, into the target; a dot where it turns."""
  axis.plot((source[0], source[0]), (source[1], lane), color='0.6', lw=1.2, zorder=1)
  axis.plot((source[0], target[0] - 0.3, target[0]), (lane, lane, target[1]), color=color, lw=1.8,
            zorder=2)
  axis.plot(source[0], lane, 'o', color=color, ms=4, zorder=3)
  axis.text(target[0] - 0.82, lane, name, ha='center', va='center', fontsize=9, zorder=3,
            bbox={'boxstyle': 'round,pad=0.25', 'fc': 'white', 'ec': color, 'lw': 1.5})
