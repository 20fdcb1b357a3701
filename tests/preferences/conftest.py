"""Shared by the tests of preference collection."""

import pytest


@pytest.fixture(scope="session", autouse=True)
def _databases():
    yield
    import databases

    databases.stop()
