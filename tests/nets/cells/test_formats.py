"""Genotypes as other projects write them: what they published is read, and what is written comes back."""

import ast
import collections
import json

import numpy as np
import pytest

from daas_jax.errors import BadInput
from daas_jax.nets.cells import formats, genotype as gt
from daas_jax.nets.cells.primitives import DAAS_PRIMITIVES, DARTS_PRIMITIVES

DARTS = """DARTS_V2 = Genotype(normal=[('sep_conv_3x3', 0), ('sep_conv_3x3', 1), ('sep_conv_3x3', 0), ('sep_conv_3x3', 1), ('sep_conv_3x3', 1), ('skip_connect', 0), ('skip_connect', 0), ('dil_conv_3x3', 2)], normal_concat=[2, 3, 4, 5], reduce=[('max_pool_3x3', 0), ('max_pool_3x3', 1), ('skip_connect', 2), ('max_pool_3x3', 1), ('max_pool_3x3', 0), ('skip_connect', 2), ('skip_connect', 2), ('max_pool_3x3', 1)], reduce_concat=[2, 3, 4, 5])

"""  # noqa: E501
"""quark0/darts, cnn/genotypes.py."""

PDARTS = """PDARTS = Genotype(normal=[('skip_connect', 0), ('dil_conv_3x3', 1), ('skip_connect', 0),('sep_conv_3x3', 1), ('sep_conv_3x3', 1), ('sep_conv_3x3', 3), ('sep_conv_3x3',0), ('dil_conv_5x5', 4)], normal_concat=range(2, 6), reduce=[('avg_pool_3x3', 0), ('sep_conv_5x5', 1), ('sep_conv_3x3', 0), ('dil_conv_5x5', 2), ('max_pool_3x3', 0), ('dil_conv_3x3', 1), ('dil_conv_3x3', 1), ('dil_conv_5x5', 3)], reduce_concat=range(2, 6))
"""  # noqa: E501
"""chenxin061/pdarts, genotypes.py."""

GDAS = """# Searching for A Robust Neural Architecture in Four GPU Hours, CVPR 2019
GDAS_V1 = Genotype(
  normal=[
    (('skip_connect', 0), ('skip_connect', 1)),
    (('skip_connect', 0), ('sep_conv_5x5', 2)),
    (('sep_conv_3x3', 3), ('skip_connect', 0)),
    (('sep_conv_5x5', 4), ('sep_conv_3x3', 3))],
  normal_concat=[2, 3, 4, 5],
  reduce=[
    (('sep_conv_5x5', 0), ('sep_conv_3x3', 1)),\x20
    (('sep_conv_5x5', 2), ('sep_conv_5x5', 1)),
    (('dil_conv_5x5', 2), ('sep_conv_3x3', 1)),
    (('sep_conv_5x5', 0), ('sep_conv_5x5', 1))],
  reduce_concat=[2, 3, 4, 5],
  connectN=None, connects=None
)
"""
"""D-X-Y/AutoDL-Projects, nas_infer_model/DXYs/genotypes.py."""

NNI = """            arch = {
                'normal/op_2_0': 'sep_conv_3x3',
                'normal/op_2_1': 'sep_conv_3x3',
                'normal/input_2_0': [0],
                'normal/input_2_1': [1],
                'normal/op_3_0': 'sep_conv_3x3',
                'normal/op_3_1': 'sep_conv_3x3',
                'normal/input_3_0': [0],
                'normal/input_3_1': [1],
                'normal/op_4_0': 'sep_conv_3x3',
                'normal/op_4_1': 'skip_connect',
                'normal/input_4_0': [1],
                'normal/input_4_1': [0],
                'normal/op_5_0': 'skip_connect',
                'normal/op_5_1': 'dil_conv_3x3',
                'normal/input_5_0': [0],
                'normal/input_5_1': [2],
                'reduce/op_2_0': 'max_pool_3x3',
                'reduce/op_2_1': 'max_pool_3x3',
                'reduce/input_2_0': [0],
                'reduce/input_2_1': [1],
                'reduce/op_3_0': 'skip_connect',
                'reduce/op_3_1': 'max_pool_3x3',
                'reduce/input_3_0': [2],
                'reduce/input_3_1': [1],
                'reduce/op_4_0': 'max_pool_3x3',
                'reduce/op_4_1': 'skip_connect',
                'reduce/input_4_0': [0],
                'reduce/input_4_1': [2],
                'reduce/op_5_0': 'skip_connect',
                'reduce/op_5_1': 'max_pool_3x3',
                'reduce/input_5_0': [2],
                'reduce/input_5_1': [1]
            }
"""
"""microsoft/nni, nni/nas/hub/pytorch/nasnet.py: DARTS_V2 again."""

NASLIB = """    spec = (((0, 6), (1, 4), (0, 0), (1, 5), (1, 4), (3, 2), (0, 6), (3, 2)),
            ((0, 1), (1, 4), (0, 1), (1, 4), (2, 6), (3, 4), (1, 5), (2, 1)))
"""
"""automl/NASLib, tests/test_nb301_search_space.py."""

CONFIGURATION = """darts_config = {
        "ImageAugmentation:augment": "True",
        "NetworkSelectorDatasetInfo:darts:auxiliary": True,
        "NetworkSelectorDatasetInfo:darts:init_channels": 50,
        "NetworkSelectorDatasetInfo:darts:layers": 20,
        "NetworkSelectorDatasetInfo:darts:edge_normal_0": "max_pool_3x3",
        "NetworkSelectorDatasetInfo:darts:edge_normal_1": "sep_conv_5x5",
        "NetworkSelectorDatasetInfo:darts:edge_reduce_0": "dil_conv_5x5",
        "NetworkSelectorDatasetInfo:darts:edge_reduce_1": "sep_conv_3x3",
        "NetworkSelectorDatasetInfo:darts:inputs_node_normal_3": "0_1",
        "NetworkSelectorDatasetInfo:darts:inputs_node_normal_4": "0_1",
        "NetworkSelectorDatasetInfo:darts:inputs_node_normal_5": "2_3",
        "NetworkSelectorDatasetInfo:darts:inputs_node_reduce_3": "0_1",
        "NetworkSelectorDatasetInfo:darts:inputs_node_reduce_4": "0_2",
        "NetworkSelectorDatasetInfo:darts:inputs_node_reduce_5": "1_3",
        "NetworkSelectorDatasetInfo:darts:edge_normal_11": "dil_conv_3x3",
        "NetworkSelectorDatasetInfo:darts:edge_normal_12": "skip_connect",
        "NetworkSelectorDatasetInfo:darts:edge_normal_2": "avg_pool_3x3",
        "NetworkSelectorDatasetInfo:darts:edge_normal_3": "avg_pool_3x3",
        "NetworkSelectorDatasetInfo:darts:edge_normal_5": "avg_pool_3x3",
        "NetworkSelectorDatasetInfo:darts:edge_normal_6": "avg_pool_3x3",
        "NetworkSelectorDatasetInfo:darts:edge_reduce_10": "max_pool_3x3",
        "NetworkSelectorDatasetInfo:darts:edge_reduce_12": "dil_conv_3x3",
        "NetworkSelectorDatasetInfo:darts:edge_reduce_2": "max_pool_3x3",
        "NetworkSelectorDatasetInfo:darts:edge_reduce_3": "max_pool_3x3",
        "NetworkSelectorDatasetInfo:darts:edge_reduce_5": "dil_conv_5x5",
        "NetworkSelectorDatasetInfo:darts:edge_reduce_7": "avg_pool_3x3"}
"""
"""A configuration of NAS-Bench-301, some of its other settings left out."""


def _cells(normal, reduce):
  pairs = lambda text: tuple((name, int(source)) for name, source in (p.split() for p in text.split(',')))
  return gt.Genotype(pairs(normal), pairs(reduce), DAAS_PRIMITIVES)


DARTS_V2 = _cells('sep_conv_3x3 0, sep_conv_3x3 1, sep_conv_3x3 0, sep_conv_3x3 1, '
                  'skip_connect 0, sep_conv_3x3 1, skip_connect 0, dil_conv_3x3 2',
                  'max_pool_3x3 0, max_pool_3x3 1, max_pool_3x3 1, skip_connect 2, '
                  'max_pool_3x3 0, skip_connect 2, max_pool_3x3 1, skip_connect 2')
PUBLISHED = {
    'darts': (DARTS, DARTS_V2),
    'nni': (NNI, DARTS_V2),
    'p_darts': (PDARTS, _cells('skip_connect 0, dil_conv_3x3 1, skip_connect 0, sep_conv_3x3 1, '
                               'sep_conv_3x3 1, sep_conv_3x3 3, sep_conv_3x3 0, dil_conv_5x5 4',
                               'avg_pool_3x3 0, sep_conv_5x5 1, sep_conv_3x3 0, dil_conv_5x5 2, '
                               'max_pool_3x3 0, dil_conv_3x3 1, dil_conv_3x3 1, dil_conv_5x5 3')),
    'gdas': (GDAS, _cells('skip_connect 0, skip_connect 1, skip_connect 0, sep_conv_5x5 2, '
                          'skip_connect 0, sep_conv_3x3 3, sep_conv_3x3 3, sep_conv_5x5 4',
                          'sep_conv_5x5 0, sep_conv_3x3 1, sep_conv_5x5 1, sep_conv_5x5 2, '
                          'sep_conv_3x3 1, dil_conv_5x5 2, sep_conv_5x5 0, sep_conv_5x5 1')),
    'naslib': (NASLIB, _cells('dil_conv_5x5 0, sep_conv_5x5 1, max_pool_3x3 0, dil_conv_3x3 1, '
                              'sep_conv_5x5 1, skip_connect 3, dil_conv_5x5 0, skip_connect 3',
                              'avg_pool_3x3 0, sep_conv_5x5 1, avg_pool_3x3 0, sep_conv_5x5 1, '
                              'dil_conv_5x5 2, sep_conv_5x5 3, dil_conv_3x3 1, avg_pool_3x3 2')),
    'configuration': (CONFIGURATION, _cells('max_pool_3x3 0, sep_conv_5x5 1, avg_pool_3x3 0, avg_pool_3x3 1, '
                                            'avg_pool_3x3 0, avg_pool_3x3 1, dil_conv_3x3 2, skip_connect 3',
                                            'dil_conv_5x5 0, sep_conv_3x3 1, max_pool_3x3 0, max_pool_3x3 1, '
                                            'dil_conv_5x5 0, avg_pool_3x3 2, max_pool_3x3 1, dil_conv_3x3 3')),
}


@pytest.mark.parametrize('name', PUBLISHED)
def test_what_was_published_is_read_as_it_is(name, tmp_path):
  text, expected = PUBLISHED[name]
  assert formats.from_text(text) == expected
  (tmp_path / 'a file').write_text(text.replace('\n', '\r\n'))
  assert gt.load(tmp_path / 'a file') == expected


CALL = DARTS.split(' = ', 1)[1].strip()
LISTS = json.loads(json.dumps(ast.literal_eval(NASLIB.split(' = ')[1])))
OTHERS = {
    'without a name': CALL, 'of another module': f'x: Any = genotypes.{CALL}',
    'the log of a search': f'11/28 04:33:53 PM genotype = {CALL}',
    'a range': CALL.replace('[2, 3, 4, 5]', 'range(2, 6)'), 'a tuple': CALL.replace('[2, 3, 4, 5]', '(2, 3, 4, 5)'),
    'without names of arguments': CALL.replace('normal=', '').replace('normal_concat=', '').replace('reduce=', ''),
    'a whole file': "from collections import namedtuple\n\nGenotype = namedtuple('Genotype', 'normal normal_concat "
                    f"reduce reduce_concat')\n\nPRIMITIVES = ['none']\n\n{DARTS}\nDARTS = DARTS_V2\n",
    'the concat of an older NASLib': CALL.replace('[2, 3, 4, 5]', '[2, 3, 4, 5, 6]', 1)
                                         .replace('[2, 3, 4, 5])', '[4, 5, 6])'),
    'a dict': json.dumps({n.arg: ast.literal_eval(n.value) for n in ast.parse(CALL).body[0].value.keywords}),
    'numbers for inputs': NNI.replace('[0]', '0').replace('[1]', '1').replace('[2]', '2'),
    'sizes beside it': NNI.replace('{', "{'width': 16, 'depth': 8,"),
    'as JSON': json.dumps(ast.literal_eval(NNI.split(' = ')[1])),
}


@pytest.mark.parametrize('name', OTHERS)
def test_other_ways_to_write_it(name):
  assert formats.from_text(OTHERS[name]) == DARTS_V2


def test_lists_for_tuples():
  assert formats.from_text(json.dumps(LISTS)) == PUBLISHED['naslib'][1]


@pytest.mark.parametrize('form', formats.FORMS)
def test_what_is_written_comes_back(form):
  for seed in range(60):
    g = gt.random_genotype(seed, DAAS_PRIMITIVES)
    text = formats.to_text(g, form)
    assert formats.from_text(text) == g and text.endswith('\n') and formats.to_text(g, form) == text


def test_what_is_written_is_what_the_others_take():
  g = DARTS_V2
  tuples = collections.namedtuple('Genotype', 'normal normal_concat reduce reduce_concat')
  theirs = tuples(list(g.normal), range(2, 6), list(g.reduce), range(2, 6))
  assert formats.to_text(g, 'darts') == f'{theirs}\n'
  exported = json.loads(formats.to_text(g, 'nni'))
  assert exported.keys() == ast.literal_eval(NNI.split(' = ')[1]).keys()
  assert exported['normal/op_4_0'] == 'skip_connect' and exported['normal/input_4_0'] == [0]
  compact = ast.literal_eval(formats.to_text(g, 'naslib'))
  assert compact == (((0, 3), (1, 3), (0, 3), (1, 3), (0, 2), (1, 3), (0, 2), (2, 5)),
                     ((0, 0), (1, 0), (1, 0), (2, 2), (0, 0), (2, 2), (1, 0), (2, 2)))


def test_the_candidates_of_others_are_those_asked_for(tmp_path):
  (tmp_path / 'g').write_text(DARTS)
  assert gt.load(tmp_path / 'g', DARTS_PRIMITIVES) == DARTS_V2._replace(primitives=DARTS_PRIMITIVES)
  with pytest.raises(BadInput, match='sep_conv_3x3, which is not one to choose'):
    gt.load(tmp_path / 'g', ('skip_connect', 'max_pool_3x3'))


def _network():
  cell = gt.random_genotype(0, DAAS_PRIMITIVES).normal
  return gt.NetworkGenotype((cell,) * 3, DAAS_PRIMITIVES)


def test_the_form_of_this_package_is_read_too():
  for g in (gt.random_genotype(5, ('none', 'noise', *DAAS_PRIMITIVES)), _network()):
    assert formats.from_text(gt.to_text(g)) == g


@pytest.mark.parametrize('form', formats.FORMS)
def test_what_they_cannot_say_is_one_line(form):
  noisy = DARTS_V2._replace(normal=(('noise', 0), *DARTS_V2.normal[1:]), primitives=('noise', *DAAS_PRIMITIVES))
  for g, says in ((noisy, 'operation noise'), (_network(), 'all differ'),
                  (DARTS_V2._replace(normal=DARTS_V2.normal[:6]), 'not a list of 4 nodes')):
    with pytest.raises(BadInput, match=says) as error:
      formats.to_text(g, form)
    assert '\n' not in str(error.value)


def test_there_are_no_other_forms():
  with pytest.raises(BadInput, match="no form 'onnx' of a genotype; give one of darts, nni, naslib"):
    formats.to_text(DARTS_V2, 'onnx')


FIVE = ("NASNet = Genotype(normal=[('sep_conv_5x5', 1), ('sep_conv_3x3', 0)] * 5, normal_concat=[2, 3, 4, 5, 6], "
        'reduce=[], reduce_concat=[4, 5, 6])')
SPEC = NASLIB.strip()
BAD = {
    'two genotypes': (f'{DARTS}\n{PDARTS}', 'holds 2 genotypes .DARTS_V2, PDARTS.'),
    'none': ("Genotype = namedtuple('Genotype', 'normal')", 'no text of a genotype .from line 1 on'),
    'statements': ('import os\nos.remove("x")', 'holds no Genotype'),
    'ellipsis': ('normal = [...]', 'neither a whole Genotype'),
    'broken': (DARTS[:-20], 'g.txt is not JSON'),
    'a star': ('Genotype(*x)', 'from line 1 on'), 'two stars': (f'{CALL[:-1]}, **x)', r'has \*\* among'),
    'an argument twice': (f'{CALL[:-1]}, normal=1)', 'normal twice|repeated'),
    'a name and a place': (f'Genotype([], normal={CALL[16:]}', 'normal twice'),
    'too many arguments': ('Genotype(1, 2, 3, 4, 5)', 'has 5 arguments without a name'),
    'an unknown argument': (f'{CALL[:-1]}, width=3)', "no 'width'"),
    'connects': (f'{CALL[:-1]}, connectN=3)', 'connectN is 3'),
    'no concat': (CALL.replace(', reduce_concat=[2, 3, 4, 5]', ''), 'no reduce_concat'),
    'no cells': ('Genotype()', 'neither a whole Genotype'),
    'other concat': (CALL.replace('[2, 3, 4, 5]', '[4, 5]', 1), r'normal_concat is \[4, 5\]'),
    'turned concat': (CALL.replace('[2, 3, 4, 5]', '[5, 4, 3, 2]', 1), 'normal_concat is'),
    'a concat of text': (CALL.replace('[2, 3, 4, 5]', '"2345"', 1), "normal_concat is '2345'"),
    'a long range': (CALL.replace('[2, 3, 4, 5]', 'range(2, 0x' + 'f' * 5000 + ')', 1), r'normal_concat is \[2, 3'),
    'half an old NASLib': (CALL.replace('[2, 3, 4, 5]', '[2, 3, 4, 5, 6]', 1), 'normal_concat is'),
    'a sum': (FIVE, 'g.txt is not JSON'),
    'five nodes': (FIVE.replace('] * 5', ', ' + ', '.join(["('sep_conv_5x5', 0)"] * 8) + ']'), 'normal has 10 operations'),
    'five nested nodes': (GDAS.replace("    (('skip_connect', 0), ('skip_connect', 1)),\n",
                                       "    (('skip_connect', 0), ('skip_connect', 1)),\n" * 2), 'has 10 operations'),
    'a node of three': (GDAS.replace("('skip_connect', 1))", "('skip_connect', 1), ('skip_connect', 1))"), 'has 9 operations'),
    'a cell of text': (CALL.replace('normal=[', 'normal="'[:8] + 'x" or ['), 'g.txt is not JSON'),
    'a cell that is a number': ('Genotype(1, [2, 3, 4, 5], 2, [2, 3, 4, 5])', 'normal is 1, not a list'),
    'an unknown operation': (CALL.replace('dil_conv_3x3', 'sep_conv_7x7'), "unknown operation 'sep_conv_7x7'"),
    'none for an operation': (CALL.replace('dil_conv_3x3', 'none'), 'operation none'),
    'zero for an operation': (CALL.replace('dil_conv_3x3', 'zero'), "operation 'zero'"),
    'a source twice': (CALL.replace("('sep_conv_3x3', 1)", "('sep_conv_3x3', 0)", 1), 'source 0 twice'),
    'a late source': (CALL.replace("('dil_conv_3x3', 2)", "('dil_conv_3x3', 5)"), 'source 5'),
    'a huge source': (CALL.replace("('dil_conv_3x3', 2)", "('dil_conv_3x3', 0x" + 'f' * 9000 + ')'), 'a very long integer'),
    'an operation with its weight': (CALL.replace("('dil_conv_3x3', 2)", "('dil_conv_3x3', 2, 0.13)"), 'not .operation, source'),
    'run me': ("__import__('os').system('touch PWNED')", 'g.txt is not JSON'),
    'run me inside': (CALL.replace('[2, 3, 4, 5]', "__import__('os').system('touch PWNED')", 1), 'g.txt is not JSON'),
    'a long text': ('#' * 70_000 + CALL, 'longer than 64 KiB'),
    'deep': ('-' * 60_000 + '1', 'g.txt is not JSON'), 'brackets': ('[' * 60_000, 'g.txt is not JSON'),
    'attributes': ('a' + '.a' * 30_000, 'g.txt is not JSON'),
    'a lone surrogate': ('"\ud800"', 'holds no JSON object'), 'a NUL': ('Genotype(\0)', 'g.txt is not JSON'),
    'no nni': (NNI.replace('normal/op_2_0', 'normal/op_2_2'), "has 'normal/op_2_2'"),
    'a node more': (NNI.replace('{', "{'normal/op_6_0': 'skip_connect',"), "has 'normal/op_6_0'"),
    'a part less': (NNI.replace("                'normal/input_5_1': [2],\n", ''), 'no normal/input_5_1'),
    'two inputs': (NNI.replace('[2]', '[0, 1]', 1), r'the source \[0, 1\]'),
    'nni with its 5 nodes': (NNI.replace('sep_conv_3x3', 'max_pool_7x7'), "operation 'max_pool_7x7'"),
    'a number for a key': (NNI.replace('{', '{0x' + 'f' * 9000 + ': 1,'), 'a very long integer'),
    'a number too large': (SPEC.replace('(0, 6)', '(0, 7)', 1), 'operation 7'),
    'a negative number': (SPEC.replace('(0, 6)', '(0, -1)', 1), 'operation -1'),
    'a true number': (SPEC.replace('(0, 6)', '(0, True)', 1), 'operation True'),
    'three in a pair': (SPEC.replace('(0, 6)', '(0, 6, 1)', 1), r'holds \(0, 6, 1\)'),
    'seven pairs': (SPEC.replace('(0, 6), ', '', 1), 'normal has 7 operations'),
    'three cells': (SPEC[:-1] + ', ())', 'neither a whole'),
    'edges less': (CONFIGURATION.replace('edge_normal_12', 'edge_normal_4'), 'inputs .0_1., and operations on 0_1_2'),
    'edges more': (CONFIGURATION.replace('edge_normal_12', 'edge_normal_14'), "edge_normal_14'"),
    'other inputs': (CONFIGURATION.replace('"2_3"', '"0_1"'), 'normal, node 5 has the inputs'),
    'one edge': (CONFIGURATION.replace('        "NetworkSelectorDatasetInfo:darts:edge_normal_0": "max_pool_3x3",\n', ''),
                 'node 2 is not a list of 2'),
}


@pytest.mark.parametrize('name', BAD)
def test_bad_text_is_one_line(name, tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  text, says = BAD[name]
  with pytest.raises(BadInput, match=says) as error:
    formats.from_text(text, 'g.txt')
  line = str(error.value)
  assert '\n' not in line and line.startswith('g.txt ') and len(line) < 600 and not list(tmp_path.iterdir())


def test_random_changes_give_bad_input_or_a_valid_genotype():
  reached = {True: 0, False: 0}
  for seed in range(300):
    rng = np.random.default_rng(seed)
    raw = list(list(PUBLISHED.values())[seed % len(PUBLISHED)][0])
    letters = '01234' if seed < 150 else '01234[](){}\'",:=#'
    places = [i for i, letter in enumerate(raw) if seed >= 150 or letter.isdigit()]
    for place in rng.choice(places, rng.integers(1, 3)):
      raw[place] = letters[rng.integers(len(letters))]
    try:
      g = formats.from_text(''.join(raw))
    except BadInput as error:
      assert '\n' not in str(error)
      reached[False] += 1
    else:
      assert gt.from_json(gt.to_json(g)) == g
      reached[True] += 1
  assert min(reached.values()) > 20
