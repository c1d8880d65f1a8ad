"""A package, so that its conftest is not imported in place of tests/conftest.py."""
