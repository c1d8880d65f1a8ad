"""launch/: the files are what their platforms take, and what they start is accepted by the commands' parsers."""

import re
import shutil
import subprocess
import sys
import time
import types

import commands
from conftest import ROOT
import pytest
import yaml

import platforms
from daas_jax.prepare import command as prepare
from daas_jax.runtime import cli
from daas_jax.search import command as search
from jax._src.clusters import k8s_cluster

LAUNCH = ROOT / 'launch'
FILES = sorted(path.name for path in LAUNCH.iterdir() if path.name != 'README.md' and not path.name.startswith('gpu_'))
RESTARTED, HOPELESS = (75, 137), (2, 3)
"""Exit statuses after which the same command is started again, or is not (daas_jax.runtime.cli)."""


def _yaml(name):
  return list(yaml.safe_load_all((LAUNCH / name).read_text(encoding='utf-8')))


def _until(condition, seconds=30):
  limit = time.time() + seconds
  while not condition() and time.time() < limit:
    time.sleep(0.02)
  assert condition()


# Each of these runs a launch file against faked programs; `python` writes down what it is asked (platforms.calls).


def _slurm(folder):
  platforms.fake_python(folder)
  platforms.srun(folder)
  directives = dict(re.findall(r'#SBATCH --([\w-]+)=(\S+)', (LAUNCH / 'slurm.sbatch').read_text(encoding='utf-8')))
  tasks = int(directives['nodes']) * int(directives['ntasks-per-node'])
  ran = platforms.bash(folder, LAUNCH / 'slurm.sbatch', cwd=ROOT, SLURM_JOB_ID=1, SLURM_NTASKS=tasks)
  assert ran.returncode == 0, ran.stderr
  assert directives['ntasks-per-node'] == directives['gpus-per-node'] and 'gpus-per-task' not in directives
  assert directives['signal'].startswith('TERM@')  # B:TERM would go to the script
  return tasks, tasks


def _tpu_pod(folder, statuses=(0,)):
  """One worker's share: gcloud's stand-in runs --command as ssh would, in a home of its own."""
  home = folder / 'home'
  home.mkdir()
  fake = platforms.fake_python(folder, statuses, 'fake_python')
  platforms.program(folder, 'python3', 'mkdir -p .venv/bin; touch .venv/bin/activate; ln -sf /bin/true .venv/bin/pip\n'
                    f'ln -sf {fake} .venv/bin/python\n', '/bin/sh')
  platforms.program(folder, 'python', f'exec {fake} "$@"\n', '/bin/sh')
  platforms.program(folder, 'git', 'for a; do case $a in --output=*) tar -czf "${a#*=}" -T /dev/null;; esac; done\n',
                    '/bin/sh')
  platforms.program(folder, 'gcloud', f'''
echo "$@" >> {folder}/gcloud.log
for a; do case $a in
  --command=*) cd {home} && exec bash -c "${{a#--command=}}";;
  *.tar.gz) cp "$a" {home}/daas_jax.tar.gz;;
esac; done
''', '/bin/sh')
  ran = platforms.bash(folder, LAUNCH / 'tpu_pod.sh', cwd=ROOT, NAME='a-tpu', ZONE='a-zone', TMPDIR=folder)
  assert ran.returncode == 0, ran.stderr
  _until(lambda: len(platforms.calls(folder)) > len(statuses))  # the search runs on without the connection
  assert all('--worker=all' in line for line in (folder / 'gcloud.log').read_text().splitlines() if 'tpu-vm' in line)
  return 1, 16  # processes started here, and the chips of a v4-32


def _sky(folder):
  task, = _yaml('sky.yaml')
  platforms.fake_python(folder)
  (folder / 'daas_env' / 'bin').mkdir(parents=True)
  (folder / 'daas_env' / 'bin' / 'activate').touch()
  for rank in range(task['num_nodes']):
    ran = platforms.bash(folder, '-c', task['run'], cwd=ROOT, HOME=folder, SKYPILOT_NODE_IPS='10.0.0.1\n10.0.0.2',
                         SKYPILOT_NUM_NODES=task['num_nodes'], SKYPILOT_NODE_RANK=rank, **task['envs'])
    assert ran.returncode == 0, ran.stderr
  words = [' '.join(call) for call in platforms.calls(folder)]
  assert all('--coordinator=10.0.0.1:8476 --process_count=2' in w for w in words)
  assert [re.search(r'--process_index=(\d)', w)[1] for w in words] == ['0', '1']
  return task['num_nodes'], task['num_nodes'] * int(task['resources']['accelerators'].split(':')[1])


def _jobset():
  jobset = _yaml('kubernetes_jobset.yaml')[-1]
  job = jobset['spec']['replicatedJobs'][0]['template']['spec']
  return jobset, job, job['template']['spec']


def _kubernetes(folder):
  _, job, pod = _jobset()
  platforms.fake_python(folder)
  container, = pod['containers']
  for words in [c['command'] for c in pod['initContainers']] + [container['command']] * job['completions']:
    subprocess.run(words, check=True, cwd=ROOT, env=platforms.environment(folder))
  return job['completions'], job['completions'] * container['resources']['limits']['nvidia.com/gpu']


STARTED = {'slurm.sbatch': _slurm, 'tpu_pod.sh': _tpu_pod, 'sky.yaml': _sky, 'kubernetes_jobset.yaml': _kubernetes}


def test_every_file_is_tested_and_in_both_pages():
  assert sorted(STARTED) == FILES
  for page in (LAUNCH / 'README.md', ROOT / 'docs' / 'pods.md'):
    text = page.read_text(encoding='utf-8')
    assert not [name for name in FILES if name not in text], page


@pytest.mark.parametrize('name', FILES)
def test_one_line_is_to_be_changed(name):
  source = (LAUNCH / name).read_text(encoding='utf-8')
  assert source.count('THE LINE TO CHANGE') == 1 and max(map(len, source.splitlines())) <= 120


@pytest.mark.parametrize('name', FILES)
def test_shell_text_is_valid(name, tmp_path):
  texts = [(LAUNCH / name).read_text(encoding='utf-8')]
  if name.endswith('.yaml'):
    texts = [document[key] for document in _yaml(name) for key in ('setup', 'run') if key in document]
  for text in texts:
    script = platforms.program(tmp_path, 'script', text, '/usr/bin/env bash')
    subprocess.run(['bash', '-n', script], check=True)
    if shutil.which('shellcheck'):  # of the extra `test`
      # 1090, 1091: files of the platform; 2086: flags are meant to be split into words.
      found = subprocess.run(['shellcheck', '--exclude=SC1090,SC1091,SC2086', script], capture_output=True, text=True)
      assert found.returncode == 0, found.stdout


@pytest.mark.parametrize('name', FILES)
def test_every_process_starts_an_accepted_command(name, tmp_path, monkeypatch):
  """Needs the flags --distributed and its like of `daas_jax.search.command.define_flags`."""
  processes, devices = STARTED[name](tmp_path)
  monkeypatch.chdir(ROOT)
  searches = [call[2:] for call in platforms.calls(tmp_path) if call[:2] == ['-m', 'daas_jax.search']]
  assert len(searches) == processes
  for words in searches[:2]:
    options = cli.parse('search', words, search.define_flags)
    assert options.distributed == ('explicit' if name == 'sky.yaml' else 'auto')
    config = options.config
    assert config.parallel.devices == 0 and config.method == 'daas'
    assert config.search.n_arch % devices == 0 and config.search.n_w % devices == 0


@pytest.mark.parametrize('name', FILES)
def test_data_is_prepared_by_an_accepted_command(name):
  source = re.sub(r'[\[\],]', ' ', (LAUNCH / name).read_text(encoding='utf-8'))
  commands = re.findall(r'-m +daas_jax\.prepare +(\w+)((?: +--\w+=\S+)*)', source)
  assert commands
  for which, flags in commands:
    assert prepare._parser().parse_args([which, *flags.split()]).name == 'cifar10'


@pytest.mark.parametrize('statuses', [(75, 137, 0), (75, 2), (3,), (130,)])
def test_a_tpu_host_starts_again_what_can_go_on(tmp_path, statuses):
  _tpu_pod(tmp_path, statuses)
  group = int((tmp_path / 'home' / 'daas_jax' / 'search.pid').read_text())
  _until(lambda: commands.process_state(group) in ('', 'Z'))  # the loop has ended
  runs = [call for call in platforms.calls(tmp_path) if 'daas_jax.search' in call]
  assert len(runs) == len(statuses)


# --- JobSet: what the API (jobset.x-k8s.io/v1alpha2) and Kubernetes' own kinds demand ---


def test_the_jobset_is_complete():
  documents = _yaml('kubernetes_jobset.yaml')
  assert [(d['apiVersion'], d['kind']) for d in documents] == [
      ('v1', 'ServiceAccount'), ('rbac.authorization.k8s.io/v1', 'Role'),
      ('rbac.authorization.k8s.io/v1', 'RoleBinding'), ('v1', 'PersistentVolumeClaim'),
      ('jobset.x-k8s.io/v1alpha2', 'JobSet')]
  account, role, binding, claim, _ = documents
  jobset, job, pod = _jobset()
  names = [d['metadata']['name'] for d in documents] + [jobset['spec']['replicatedJobs'][0]['name']]
  assert all(re.fullmatch(r'[a-z]([-a-z0-9]{0,40}[a-z0-9])?', name) for name in names)  # labels of DNS
  assert pod['serviceAccountName'] == binding['subjects'][0]['name'] == account['metadata']['name']
  assert binding['roleRef'] == {'apiGroup': role['apiVersion'].split('/')[0], 'kind': 'Role',
                                'name': role['metadata']['name']}
  assert claim['spec']['accessModes'] == ['ReadWriteMany']  # the pods are on several nodes
  volumes = {v['name']: v for v in pod['volumes']}
  assert volumes['daas']['persistentVolumeClaim']['claimName'] == claim['metadata']['name']
  mounts = {m['name'] for c in pod['initContainers'] + pod['containers'] for m in c['volumeMounts']}
  assert mounts == set(volumes)
  words = pod['containers'][0]['command']
  folders = [re.search(f'--{flag}=(/[a-z]+)', ' '.join(words))[1] for flag in ('config.data.dir', 'workdir')]
  mounted = {m['name']: m['mountPath'] for m in pod['containers'][0]['volumeMounts']}
  assert folders == [mounted['data'], mounted['daas']]
  assert folders[0] == pod['initContainers'][0]['command'][-1].split('=')[1]
  assert len(jobset['spec']['replicatedJobs']) == 1 and jobset['spec']['replicatedJobs'][0]['replicas'] == 1
  assert job['completionMode'] == 'Indexed' and job['completions'] == job['parallelism'] > 1


def test_the_jobset_restarts_what_can_go_on():
  jobset, job, pod = _jobset()
  assert pod['restartPolicy'] == 'Never'  # podFailurePolicy demands it
  rule, = job['podFailurePolicy']['rules']
  assert rule['action'] == 'FailJob' and rule['onExitCodes']['operator'] == 'In'
  assert tuple(rule['onExitCodes']['values']) == HOPELESS and not set(RESTARTED) & set(rule['onExitCodes']['values'])
  assert rule['onExitCodes']['containerName'] in [c['name'] for c in pod['containers']]
  assert job['backoffLimit'] == 0 and jobset['spec']['failurePolicy']['maxRestarts'] > 0
  rule, = jobset['spec']['failurePolicy']['rules']
  assert rule == {'name': rule['name'], 'action': 'FailJobSet', 'onJobFailureReasons': ['PodFailurePolicy']}


def test_jax_finds_the_peers_with_no_more_than_the_role_allows(monkeypatch):
  """JAX's detection against an API that answers as the controllers of Job and JobSet set the pods up."""
  documents = _yaml('kubernetes_jobset.yaml')
  allowed = {(r, verb) for rule in documents[1]['rules'] for r in rule['resources'] for verb in rule['verbs']}
  jobset, job, _ = _jobset()
  name = jobset['metadata']['name']
  full = f"{name}-{jobset['spec']['replicatedJobs'][0]['name']}-0"
  space = types.SimpleNamespace
  used = set()

  def use(resource, verb, answer):
    used.add((resource, verb))
    return answer

  pod = space(metadata=space(labels={'job-name': full}, name=f'{full}-1-abcde',
                             owner_references=[space(controller=True, kind='Job')]), spec=space(subdomain=name))
  own = space(metadata=space(name=full, labels={'jobset.sigs.k8s.io/jobset-name': name}),
              spec=space(parallelism=job['parallelism']))
  core = space(list_namespaced_pod=lambda namespace, field_selector: use('pods', 'list', space(items=[pod])))
  batch = space(read_namespaced_job=lambda name, namespace: use('jobs', 'get', own) if name == full else None)
  client = space(CoreV1Api=lambda: core, BatchV1Api=lambda: batch, exceptions=space(ApiException=RuntimeError))
  monkeypatch.setitem(sys.modules, 'kubernetes', space(config=space(load_incluster_config=lambda: None), client=client))
  monkeypatch.setattr(k8s_cluster.socket, 'gethostbyname', lambda host: '10.0.0.2')
  monkeypatch.setenv('KUBERNETES_SERVICE_HOST', '10.0.0.1')
  monkeypatch.setenv('HOSTNAME', f'{full}-1')
  monkeypatch.setenv('JOB_COMPLETION_INDEX', '1')

  class Cluster(k8s_cluster.K8sCluster):  # caches of its own
    opt_in_only_method = True
    _namespace = classmethod(lambda cls: 'default')

  try:
    assert Cluster.is_env_present()
    assert Cluster.get_coordinator_address(None, None) == f'{full}-0.{name}:55527'
    assert Cluster.get_process_count() == 2 and Cluster.get_process_id() == 1
  finally:
    Cluster._cluster_types.remove(Cluster)
  assert used == allowed  # no more, no less


def test_the_extras_that_the_files_install_exist():
  extras = re.findall(r"^ {8}'(\w+)': \[", (ROOT / 'setup.py').read_text(encoding='utf-8'), re.MULTILINE)
  named = {name for file in FILES for name in re.findall(r'(?:daas_jax|\.)\[(\w+)\]', (LAUNCH / file).read_text())}
  assert named == {'gcs', 'kubernetes'} and named <= set(extras)
