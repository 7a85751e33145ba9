"""One GitHub for each process of the tests, with machines that are made anew for every job."""

from collections.abc import Iterator

import pytest

from tests.system.runner.played import GitHub, hosted


@pytest.fixture(scope="session")
def github(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GitHub]:
    with hosted(tmp_path_factory.mktemp("github")) as found:
        yield found
