"""Files that look like secrets or caches: found by path alone, hidden ones only."""

from __future__ import annotations

import pytest

from squashproxy.analysis.secrets import LISTED_SECRETS, Suspects
from squashproxy.squash.layer import HiddenEntry
from squashproxy.squash.secret_patterns import find_cache, find_secret, sentence_of
from squashproxy.testing import LayerBuilder
from tests.pipeline.images import OS, image_of
from tests.pipeline.lab import Lab

SECRETS = {
    "ssh-key": (
        "root/.ssh/id_rsa",
        "id_dsa",
        "home/u/id_ecdsa",
        "a/id_ed25519",
        "etc/ssh/ssh_host_rsa_key",
    ),
    "private-key": (
        "etc/ssl/private/site.key",
        "etc/ssl/site-key.pem",
        "etc/letsencrypt/privkey1.pem",
        "a/client.p12",
        "a/client.PFX",
        "app/trust.jks",
        "app/release.keystore",
        "home/u/all.kdbx",
        "home/u/putty.ppk",
    ),
    "dotenv": ("srv/app/.env", ".env", "srv/.env.production"),
    "cloud": (
        "root/.aws/credentials",
        "root/.aws/config",
        "root/.config/gcloud/credentials.db",
        "root/.config/gcloud/application_default_credentials.json",
        "app/service-account-prod.json",
        "root/.azure/accessTokens.json",
        "root/.oci/config",
        "root/.config/doctl/config.yaml",
    ),
    "kubeconfig": ("root/.kube/config", "etc/kubernetes/admin.conf"),
    "registry-login": ("root/.docker/config.json", "run/containers/auth.json"),
    "netrc": ("root/.netrc", "home/u/_netrc"),
    "git-login": ("root/.git-credentials", "root/.config/gh/hosts.yml"),
    "package-login": (
        "root/.npmrc",
        "app/.yarnrc.yml",
        "root/.pypirc",
        "etc/pip.conf",
        "root/.gem/credentials",
        "root/.m2/settings.xml",
        "root/.m2/settings-security.xml",
        "root/.cargo/credentials",
        "root/.cargo/credentials.toml",
        "root/.nuget/NuGet/NuGet.Config",
    ),
    "terraform": ("infra/terraform.tfstate", "infra/terraform.tfstate.backup", "infra/prod.tfvars"),
    "vault-token": ("root/.vault-token",),
    "password-file": (
        "etc/nginx/.htpasswd",
        "root/.pgpass",
        "root/.my.cnf",
        "var/www/wp-config.php",
    ),
    "history": ("root/.bash_history", "home/u/.zsh_history"),
    "mounted-secret": ("run/secrets/token", "run/secrets/kubernetes.io/token"),
}
HARMLESS = (
    "etc/shadow",
    "etc/ssl/certs/ca-certificates.crt",
    "etc/ssl/certs/ISRG_Root_X1.pem",
    "usr/lib/ssl/cert.pem",
    "root/.ssh/id_rsa.pub",
    "etc/ssh/ssh_host_rsa_key.pub",
    "root/.ssh/known_hosts",
    "srv/.env.example",
    "srv/.env.sample",
    "srv/.env.template",
    "srv/.environment",
    "usr/share/keyrings/vendor.key",
    "usr/local/lib/node_modules/npm/.npmrc",
    "usr/lib/python3.11/test/certdata/ssl.key",
    "home/u/secrets/token",
    "usr/share/config.json",
    "kube/config",
    "monkey",
)
CACHES = {
    "var/cache/apt/archives/git_1.deb": ("apt-cache", "var/cache/apt"),
    "var/lib/apt/lists/mirror_main": ("apt-cache", "var/lib/apt/lists"),
    "var/cache/yum/x/y.rpm": ("rpm-cache", "var/cache/yum"),
    "var/cache/dnf/x.solv": ("rpm-cache", "var/cache/dnf"),
    "var/cache/zypp/x": ("rpm-cache", "var/cache/zypp"),
    "var/cache/apk/x": ("apk-cache", "var/cache/apk"),
    "var/cache/pacman/pkg/x": ("pacman-cache", "var/cache/pacman/pkg"),
    "root/.cache/pip/http/a/b": ("python-cache", "root/.cache/pip"),
    "home/u/.npm/_cacache/content/x": ("npm-cache", "home/u/.npm/_cacache"),
    "usr/local/share/.cache/yarn/v6/x": ("yarn-cache", "usr/local/share/.cache/yarn"),
    "root/.cache/go-build/0a/x": ("go-cache", "root/.cache/go-build"),
    "root/.m2/repository/org/x.jar": ("maven-cache", "root/.m2/repository"),
    "root/.gradle/caches/x": ("gradle-cache", "root/.gradle/caches"),
    "root/.cargo/registry/src/x": ("cargo-cache", "root/.cargo/registry"),
}


def entry(path: str, size: int = 1, layer: int = 0, by: int = 1) -> HiddenEntry:
    return HiddenEntry(path.encode(), size, layer, by)


@pytest.mark.parametrize("rule", SECRETS)
def test_what_looks_like_a_secret(rule: str) -> None:
    for path in SECRETS[rule]:
        found = find_secret(path.encode())
        assert found is not None, path
        assert found.name == rule, path
    assert sentence_of(rule).endswith(".")


@pytest.mark.parametrize("path", HARMLESS)
def test_what_does_not(path: str) -> None:
    assert find_secret(path.encode()) is None


@pytest.mark.parametrize("path", CACHES)
def test_a_cache_is_known_by_its_folder(path: str) -> None:
    found = find_cache(path.rpartition("/")[0].encode())
    assert found is not None
    rule, folder = found
    assert (rule.name, folder.decode()) == CACHES[path]


@pytest.mark.parametrize("folder", ["var/cache", "opt/var/cache/apt", "srv/cache", "root/.cache"])
def test_other_folders_are_no_caches(folder: str) -> None:
    assert find_cache(folder.encode()) is None


@pytest.mark.timeout(20)
def test_a_path_made_to_waste_time_wastes_little() -> None:
    assert find_secret(b"gcloud/" + b"credentials" * 100_000 + b"/x") is None
    assert find_cache(b"a/" * 500_000) is None


def test_secrets_are_listed_one_by_one_and_caches_by_folder_and_layer() -> None:
    suspects = Suspects()
    for path, size in (("srv/.env", 9), ("root/.ssh/id_rsa", 3), ("a/.env", 4)):
        suspects.hidden(entry(path, size))
    suspects.hidden(entry("var/cache/apt/archives/a.deb", 100, layer=1, by=2))
    suspects.hidden(entry("var/cache/apt/pkgcache.bin", 50, layer=1, by=3))
    suspects.hidden(entry("var/cache/apt/pkgcache.bin", 7, layer=0, by=1))
    found = [
        (s.rule, s.kind, s.path, s.size, s.files, s.layer, s.hidden_by) for s in suspects.listed
    ]
    assert found == [
        ("dotenv", "secret", "a/.env", 4, 1, 0, 1),
        ("dotenv", "secret", "srv/.env", 9, 1, 0, 1),
        ("ssh-key", "secret", "root/.ssh/id_rsa", 3, 1, 0, 1),
        ("apt-cache", "cache", "var/cache/apt", 150, 2, 1, 3),
        ("apt-cache", "cache", "var/cache/apt", 7, 1, 0, 1),
    ]
    assert suspects.secrets == 3


def test_what_lives_on_as_a_link_is_no_longer_suspect() -> None:
    suspects = Suspects()
    suspects.hidden(entry("srv/.env", 9))
    suspects.hidden(entry("var/cache/apt/x", 5))
    suspects.revived(b"srv/.env", 0, 9)
    suspects.revived(b"var/cache/apt/x", 0, 5)
    assert (suspects.listed, suspects.secrets) == ((), 0)


def test_more_secrets_than_fit_are_counted_all_the_same() -> None:
    suspects = Suspects()
    for number in range(LISTED_SECRETS + 5):
        suspects.hidden(entry(f"{number}/.env"))
    assert len(suspects.listed) == LISTED_SECRETS
    assert suspects.secrets == LISTED_SECRETS + 5


def test_a_plan_names_hidden_secrets_of_all_layers_but_empty_ones(lab: Lab) -> None:
    base = LayerBuilder().file("root/.netrc", b"machine x").file("run/secrets/token")
    middle = LayerBuilder().file("srv/.env", b"A=1").file("srv/key.pem", b"kept")
    upper = LayerBuilder().file("srv/.env", b"A=2").whiteout("root/.netrc").whiteout("run/secrets")
    lab.put(image_of(base, OS, middle, upper))
    (planned,) = lab.plan(target=None, base="1").platforms
    found = [(s.rule, s.path, s.size, s.layer, s.hidden_by) for s in planned.suspects]
    assert found == [("dotenv", "srv/.env", 3, 2, 3), ("netrc", "root/.netrc", 9, 0, 3)]
    assert planned.secrets == 2
