"""The benchmark command: which cases, which ratios, files, bad input."""

import argparse
import json
import pathlib
import subprocess
import sys

import pytest

from daas_jax.benchmark import command as benchmark
from daas_jax.benchmark.cases import CASES


def test_patterns_choose_in_the_order_of_the_table():
  assert benchmark.chosen('augment:R*,single_path_grad') == ['single_path_grad', 'augment:Rotate']
  assert benchmark.chosen('*') == list(CASES)


def test_the_ratio_to_the_floor():
  rows = [{'case': 'single_path_grad', 'batch': batch, 'step_ms': ms} for batch, ms in ((16, 100.0), (32, 7.0))]
  row = {'case': 'daas_step', 'batch': 16, 'step_ms': 3300.0, 'floor': ['single_path_grad', 30]}
  assert benchmark.of_floor(row, rows) == pytest.approx(1.1)
  assert benchmark.of_floor(row | {'batch': 64}, rows) is None
  assert benchmark.of_floor({'case': 'x', 'batch': 16, 'step_ms': 1.0, 'floor': None}, rows) is None


def test_a_run_prints_and_writes_its_rows(tmp_path, capsys, monkeypatch):
  monkeypatch.setenv('HOME', str(tmp_path))
  assert benchmark.main(['--only=augment:Invert', '--batch=4', '--json=~/rows [x].json']) == 0
  row, = json.loads((tmp_path / 'rows [x].json').read_text())
  assert row['case'] == 'augment:Invert' and row['batch'] == 4
  assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == ['case', 'augment:Invert']


def test_a_case_that_fails_is_a_row_and_status_1(monkeypatch, capsys):
  popen = subprocess.Popen
  monkeypatch.setattr(subprocess, 'Popen', lambda command, **options: popen(
      [sys.executable, '-c', 'import os, signal; os.kill(os.getpid(), signal.SIGKILL)'], **options))
  assert benchmark.main(['--only=augment:Invert', '--batch=4']) == 1
  assert 'exit status -9' in capsys.readouterr().out


def test_what_runs_is_ended_where_the_command_fails(monkeypatch):
  begun, popen = [], subprocess.Popen
  def sleeper(command, **options):
    begun.append(popen([sys.executable, '-c', "print('compiled', flush=True); import time; time.sleep(60)"], **options))
    return begun[-1]
  monkeypatch.setattr(subprocess, 'Popen', sleeper)
  def fails(measuring):
    raise KeyboardInterrupt
  monkeypatch.setattr(benchmark, 'measure', fails)
  assert benchmark.main(['--only=augment:Invert,augment:Color', '--batch=4', '--at_once=2']) == 130
  assert len(begun) == 2 and all(process.poll() is not None for process in begun)


def test_public_code_that_cannot_run_is_a_row_with_its_error(tmp_path, capsys):
  for name in ('darts', 'AutoDL-Projects'):
    (tmp_path / name).mkdir()
  arguments = ['--only=public:gdas_weight', '--batch=2', f'--public={tmp_path}']
  assert benchmark.main([*arguments, '--torch=/no/such/python']) == 1
  assert 'No such file' in capsys.readouterr().out


def test_public_code_is_run_by_a_script_that_is_there(tmp_path, monkeypatch):
  ran = []
  monkeypatch.setattr(subprocess, 'Popen', lambda command, **options: ran.append(command))
  args = argparse.Namespace(torch='/a/python', public=str(tmp_path), dtype='float32', kernels='auto')
  benchmark.begin('public:gdas_weight', 2, args)
  (interpreter, script, *rest), = ran
  assert interpreter == '/a/python' and rest == ['public:gdas_weight', '2', str(tmp_path)]
  assert 'public:gdas_weight' in pathlib.Path(script).read_text()


def test_cases_compile_at_once_and_are_timed_one_after_the_other(tmp_path, monkeypatch, capsys):
  """Stand-ins that write down when: no one is told to go before all have compiled, nor beside another."""
  script, told = tmp_path / 'case.py', tmp_path / 'told'
  script.write_text('import sys, time, json\n'
                    f"say = lambda word: print(sys.argv[1], word, file=open({str(told)!r}, 'a'), flush=True)\n"
                    "print('hello', flush=True); time.sleep(0.3 * (sys.argv[1] == 'augment:Invert'))\n"
                    "say('compiled'); print('compiled', flush=True); sys.stdin.readline(); say('begins')\n"
                    "time.sleep(0.2); say('ends')\n"
                    "print(json.dumps({'case': sys.argv[1], 'batch': 4, 'error': 'a stand-in'}))\n")
  popen, names = subprocess.Popen, ['augment:Rotate', 'augment:Invert', 'augment:Color']
  monkeypatch.setattr(subprocess, 'Popen', lambda command, **options: popen(
      [sys.executable, str(script), command[3]], **options))
  assert benchmark.main([f"--only={','.join(names)}", '--batch=4', '--at_once=2']) == 1
  said = [line.split() for line in told.read_text().splitlines()]
  groups = said[:6], said[6:]
  for group in groups:
    compiled, timed = group[:len(group) // 3], group[len(group) // 3:]
    assert all(word == 'compiled' for _, word in compiled)
    assert [word for _, word in timed] == ['begins', 'ends'] * len(compiled)
    assert all(timed[i][0] == timed[i + 1][0] for i in range(0, len(timed), 2))


def test_a_dtype_that_a_case_has_not_is_its_error(capsys):
  assert benchmark.main(['--only=augment:Invert', '--batch=4', '--dtype=bfloat16']) == 1
  assert 'float32 alone' in capsys.readouterr().out


@pytest.mark.parametrize('arguments,said', [
    (['--only=daas'], "--only='daas' names no case"),
    (['--batch=0'], "--batch='0' must be whole numbers"),
    (['--batch=x'], 'must be whole numbers'),
    (['--json=/no/such/folder/rows.json'], 'there is no folder /no/such/folder'),
    (['--oops'], 'unrecognized arguments: --oops'),
    (['--dtype=float16'], "invalid choice: 'float16'"),
    (['--kernels=mkl'], "invalid choice: 'mkl'"),
    (['--at_once=0'], '--at_once=0 must be at least 1'),
    (['--public=/no/such/folder'], '/no/such/folder holds no checkout darts'),
    (['--only=public:gdas_weight'], "--only='public:gdas_weight' names no case"),
])
def test_bad_input_is_one_line_and_status_2(arguments, said, capsys):
  assert benchmark.main(arguments) == 2
  error = capsys.readouterr().err
  assert said in error and error.count('\n') == 1
