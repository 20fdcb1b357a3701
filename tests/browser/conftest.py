"""One browser for all tests of a file."""

import pytest
from chromium import chromium


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    """The port by which it is driven."""
    with chromium(tmp_path_factory.mktemp("profile")) as port:
        yield port
