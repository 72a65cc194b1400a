"""Profiles of registries: their habits, so that tests meet them without the network.

    from squashproxy.testing import PROFILES, FakeRegistry

    with FakeRegistry(PROFILES["Quay"].options) as registry:
        ...  # it answers as Quay does; log in as PROFILES["Quay"].login

Each habit names its source; what no source tells is as the distribution specification has it.
"""

from squashproxy.testing.profiles.acr import ACR
from squashproxy.testing.profiles.artifactory import ARTIFACTORY
from squashproxy.testing.profiles.distribution2 import DISTRIBUTION2
from squashproxy.testing.profiles.distribution3 import DISTRIBUTION3
from squashproxy.testing.profiles.docker_hub import DOCKER_HUB
from squashproxy.testing.profiles.ecr import ECR
from squashproxy.testing.profiles.ghcr import GHCR
from squashproxy.testing.profiles.gitlab import GITLAB
from squashproxy.testing.profiles.google import GOOGLE
from squashproxy.testing.profiles.harbor import HARBOR
from squashproxy.testing.profiles.nexus import NEXUS
from squashproxy.testing.profiles.profile import Habit, Profile
from squashproxy.testing.profiles.quay import QUAY
from squashproxy.testing.profiles.zot import ZOT

PROFILES = {
    profile.name: profile
    for profile in (
        DOCKER_HUB,
        GHCR,
        ECR,
        GOOGLE,
        ACR,
        QUAY,
        HARBOR,
        GITLAB,
        ARTIFACTORY,
        NEXUS,
        DISTRIBUTION2,
        DISTRIBUTION3,
        ZOT,
    )
}
"""Every profile by its name."""

__all__ = ["PROFILES", "Habit", "Profile"]
