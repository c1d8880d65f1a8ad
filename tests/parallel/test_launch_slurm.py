"""launch/slurm.sbatch, end to end: real processes that JAX takes for tasks of SLURM; srun and scontrol are faked."""

import json
import socket
import sys

from conftest import CACHE, ROOT
import pytest

import commands
import platforms

SCRIPT = ROOT / 'launch' / 'slurm.sbatch'
PORTS = 2**12, 65535 - 2**12 + 1
"""JAX takes job id % 4096 + 61440 as the coordinator's port."""


@pytest.fixture
def job(tmp_path):
  """(folder of the faked programs, the job's variables): a job of two tasks whose port is free."""
  platforms.program(tmp_path, 'python', f'exec {sys.executable} "$@"\n', '/bin/sh')
  platforms.srun(tmp_path)
  platforms.recorder(tmp_path, 'scontrol')
  for number in range(1000, 1000 + PORTS[0]):
    with socket.socket() as free:
      try:
        free.bind(('', number % PORTS[0] + PORTS[1]))
        break
      except OSError:
        continue
  return tmp_path, {'SLURM_JOB_ID': number, 'SLURM_NTASKS': 2, 'SLURM_JOB_NODELIST': 'localhost',
                    'SLURM_NODELIST': 'localhost'}


def _requeued(folder):
  log = folder / 'scontrol.log'
  return log.read_text().splitlines() if log.exists() else []


def test_jax_takes_the_tasks_for_slurms(job):
  folder, variables = job
  # One write a task, which no other's can cut.
  program = ('import json, os; from jax._src.clusters import SlurmCluster as c; '
             'os.write(1, (json.dumps([c.is_env_present(), c.get_coordinator_address(None, None), '
             'c.get_process_count(), c.get_process_id(), c.get_local_process_id()]) + chr(10)).encode())')
  ran = platforms.bash(folder, '-c', f"srun --kill-on-bad-exit=0 python -c '{program}'", cwd=ROOT, **variables)
  assert ran.returncode == 0, ran.stderr
  seen = sorted(json.loads(line) for line in ran.stdout.splitlines())
  port = variables['SLURM_JOB_ID'] % PORTS[0] + PORTS[1]
  assert seen == [[True, f'localhost:{port}', 2, i, i] for i in range(2)]


@pytest.mark.parametrize('status, restarts, again', [
    (0, 0, False), (2, 0, False), (3, 0, False), (130, 0, False), (75, 0, True), (75, 99, True), (75, 100, False),
    (134, 1, True), (137, 0, True), (143, 0, True)])
def test_what_can_go_on_is_requeued_and_nothing_else(tmp_path, status, restarts, again):
  platforms.recorder(tmp_path, 'srun', status)
  platforms.recorder(tmp_path, 'scontrol')
  variables = {'SLURM_RESTART_COUNT': restarts} if restarts else {}  # unset in a job's first run
  ran = platforms.bash(tmp_path, SCRIPT, cwd=ROOT, SLURM_JOB_ID=7, **variables)
  assert ran.returncode == status and _requeued(tmp_path) == ['requeue 7'] * again


def test_a_job_that_was_told_to_end_is_requeued_and_goes_on_to_the_result(job):
  folder, variables = job
  # The policy alone, on the network that compiles fastest.
  text = commands.SEARCH_CONFIG.replace('network.layers, config.network.channels = 3,',
                                        "network.name, config.network.channels = 'small_cnn',")
  config, run = commands.config_file(folder, text), folder / 'run'
  variables |= {'SEARCH': f'--config={config} --workdir={run} --compilation_cache={CACHE} --heartbeat_seconds=20',
                'SAMPLES': '--config.search.n_arch=2 --config.search.n_w=2'}
  told = platforms.bash(folder, SCRIPT, cwd=ROOT, TERM_AT=f"{run / 'metrics.jsonl'}:3", **variables)
  assert told.returncode == 75, told.stderr
  assert _requeued(folder) == [f"requeue {variables['SLURM_JOB_ID']}"] and not (run / 'policy.json').exists()
  again = platforms.bash(folder, SCRIPT, cwd=ROOT, SLURM_RESTART_COUNT=1, **variables)
  assert again.returncode == 0, again.stderr
  assert len(_requeued(folder)) == 1 and (run / 'policy.json').exists()
  # Every step once: the second run went on where the first one had stopped, and one of the two processes wrote.
  assert [row['step'] for row in commands.metrics(run)] == list(range(2, 37, 2))


def test_bad_input_ends_the_job(job):
  folder, variables = job
  search = f'--config={folder}/none.py --workdir={folder}/run'
  ran = platforms.bash(folder, SCRIPT, cwd=ROOT, SEARCH=search, **variables)
  assert ran.returncode == 2 and not _requeued(folder)
  assert ran.stderr.count(f"no config file '{folder}/none.py'") == 2 and 'Traceback' not in ran.stderr
