"""What `cleanhours cancel`, `pause` and `resume` answer here, typed as it was answered, does what was asked."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from cleanhours.domain.jobs import Action, JobState
from tests.integration.kubernetes.conftest import ControlPlane
from tests.integration.kubernetes.product import CLEAN, DIRTY, Product, a_product, write_grid
from tests.integration.kubernetes.worlds import wait

pytestmark = [
    pytest.mark.integration,
]


@pytest.fixture
def product(control_plane: ControlPlane, namespace: str, tmp_path: Path) -> Iterator[Product]:
    with a_product(control_plane, namespace, tmp_path) as product:
        write_grid(tmp_path / "grid.csv", DE=[CLEAN], FR=[DIRTY])
        yield product


def type_what_is_answered(product: Product, verb: str, name: str) -> None:
    """Asks us, which ends with 2, and gives a shell what we say."""
    plane = product.owner.plane
    answered = product.shell().run(verb, name, code=2).stderr
    (command,) = re.findall(rf"{name}: {verb} it with: (kubectl .*)", answered)
    own = f"{plane.kubectl_program} --kubeconfig={plane.kubeconfig} --cache-dir={plane.folder / 'cache'}"
    subprocess.run(
        ["/bin/sh", "-c", command.replace("kubectl", own, 1)], check=True, capture_output=True, timeout=60
    )


def test_a_held_job_is_kept_given_back_and_ended(product: Product) -> None:
    owner = product.owner
    owner.apply("job", "1h")
    type_what_is_answered(product, "pause", "job")
    wait(lambda: owner.find("job").state is JobState.UNMANAGED)
    assert "its owner holds it" == owner.tell("job", Action.RELEASE, "de")
    type_what_is_answered(product, "resume", "job")
    wait(lambda: owner.find("job").state is JobState.HELD)
    type_what_is_answered(product, "cancel", "job")
    wait(lambda: not owner.knows("job"))


def test_a_running_job_is_stopped_and_goes_on_at_its_owners_word(product: Product) -> None:
    owner = product.owner
    owner.apply("job", "1h", {"interruptible": "true", "locations": "de,fr"})
    assert "" == owner.tell("job", Action.RELEASE, "de")
    wait(lambda: owner.regions("job") == {"de"})
    type_what_is_answered(product, "pause", "job")
    wait(lambda: not owner.regions("job"))
    wait(lambda: owner.find("job").state is JobState.UNMANAGED)
    type_what_is_answered(product, "resume", "job")
    wait(lambda: owner.regions("job") == {"de"})
