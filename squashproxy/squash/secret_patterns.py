"""The patterns of paths that look like secrets or caches, and the search for them.

Only paths are looked at, never contents. A pattern matches the end of a path, or with a leading
slash the whole path; `*` stays within a name, `**` crosses slashes, and case is ignored. The
pattern of a cache is its folder.

Left out on purpose: `etc/shadow` and similar files, which every `useradd` in a later layer
replaces; public keys and certificates, such as the `*.pem` and `*.crt` of distributions.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import cache

_LONGEST = 4096
"""The longest path in bytes (Linux's PATH_MAX); a longer one cannot be opened, and would cost much
time to match.
"""


class SuspectKind(StrEnum):
    """Why a hidden file is worth a look."""

    SECRET = "secret"  # noqa: S105 - a kind of finding, not a password
    CACHE = "cache"


@dataclass(frozen=True, slots=True)
class SuspectRule:
    """One kind of file: its name in results, a sentence about it, and its patterns.

    Paths that match one of `exceptions` are harmless.
    """

    name: str
    sentence: str
    kind: SuspectKind
    patterns: tuple[str, ...]
    exceptions: tuple[str, ...] = ()


def find_secret(path: bytes) -> SuspectRule | None:
    """The first rule for secrets that `path` matches."""
    return _secrets().find(path) if len(path) <= _LONGEST else None


def find_cache(folder: bytes) -> tuple[SuspectRule, bytes] | None:
    """The rule of the cache that `folder` is, or is in, and the cache's folder."""
    return _caches().find_outermost(folder) if len(folder) <= _LONGEST else None


def sentence_of(rule: str) -> str:
    """The sentence about files that `rule` finds. Raises KeyError for an unknown rule."""
    return _SENTENCES[rule]


@dataclass(frozen=True, slots=True)
class _Table:
    """Rules with all of their patterns as one expression that has a group for each rule."""

    rules: tuple[SuspectRule, ...]
    expression: re.Pattern[bytes]
    exceptions: tuple[re.Pattern[bytes] | None, ...]

    def find(self, path: bytes) -> SuspectRule | None:
        match = self.expression.fullmatch(path)
        if match is None:
            return None
        number = _number_of(match)
        exceptions = self.exceptions[number]
        return None if exceptions and exceptions.fullmatch(path) else self.rules[number]

    def find_outermost(self, folder: bytes) -> tuple[SuspectRule, bytes] | None:
        match = self.expression.fullmatch(folder)
        if match is None:
            return None
        number = _number_of(match)
        return self.rules[number], folder[: match.end(number + 1)]


def _number_of(match: re.Match[bytes]) -> int:
    assert match.lastindex is not None, "the expressions have groups only for rules"
    return match.lastindex - 1


@cache
def _secrets() -> _Table:
    return _table(_SECRETS, below="")


@cache
def _caches() -> _Table:
    return _table(_CACHES, below="(?:/.*)?")


def _table(rules: tuple[SuspectRule, ...], below: str) -> _Table:
    groups = [f"({_alternatives(rule.patterns)})" for rule in rules]
    exceptions = [
        _compiled(f"(?:{_alternatives(rule.exceptions)})") if rule.exceptions else None
        for rule in rules
    ]
    return _Table(rules, _compiled(f"(?:{'|'.join(groups)}){below}"), tuple(exceptions))


def _compiled(expression: str) -> re.Pattern[bytes]:
    """The expression for the end of a path; its first match counts."""
    return re.compile(f"(?:.*?/)??{expression}".encode(), re.IGNORECASE | re.DOTALL)


def _alternatives(patterns: Iterable[str]) -> str:
    return "|".join(_iter_expressions(patterns))


def _iter_expressions(patterns: Iterable[str]) -> Iterator[str]:
    for pattern in patterns:
        expression = re.escape(pattern.removeprefix("/"))
        expression = expression.replace(r"\*\*", ".*").replace(r"\*", "[^/]*")
        yield rf"\A{expression}" if pattern.startswith("/") else expression


def _secret(
    name: str, sentence: str, *patterns: str, exceptions: tuple[str, ...] = ()
) -> SuspectRule:
    return SuspectRule(name, sentence, SuspectKind.SECRET, patterns, exceptions)


def _cache(name: str, sentence: str, *patterns: str) -> SuspectRule:
    return SuspectRule(name, sentence, SuspectKind.CACHE, patterns)


_SECRETS = (
    _secret(
        "ssh-key",
        "A private key for SSH: it opens every account that trusts it.",
        "id_rsa",
        "id_dsa",
        "id_ecdsa",
        "id_ed25519",
        "id_ecdsa_sk",
        "id_ed25519_sk",
        "ssh_host_*_key",
    ),
    _secret(
        "private-key",
        "A private key, or a store of keys: make new ones.",
        "*.key",
        "key.pem",
        "*-key.pem",
        "privkey*.pem",
        "*.p12",
        "*.pfx",
        "*.jks",
        "*.keystore",
        "*.kdbx",
        "*.ppk",
        exceptions=(
            "*.pub.key",
            "/usr/share/keyrings/**",
            "/etc/apt/**",
            "/etc/pki/rpm-gpg/**",
            "python3*/test/**",
        ),
    ),
    _secret(
        "dotenv",
        "Variables of an environment, where passwords and tokens are common.",
        ".env",
        ".env.*",
        exceptions=(".env.example", ".env.sample", ".env.template", ".env.dist", "node_modules/**"),
    ),
    _secret(
        "cloud",
        "Credentials of a cloud account.",
        ".aws/credentials",
        ".aws/config",
        "gcloud/*credentials*",
        "gcloud/access_tokens.db",
        "gcloud/legacy_credentials/**",
        "application_default_credentials.json",
        "service-account*.json",
        "service_account*.json",
        ".azure/*",
        ".config/doctl/config.yaml",
        ".oci/*",
    ),
    _secret(
        "kubeconfig",
        "Access to a Kubernetes cluster.",
        ".kube/config",
        "/etc/kubernetes/*.conf",
        "/etc/rancher/*/*.yaml",
    ),
    _secret(
        "registry-login",
        "Logins of container registries.",
        ".docker/config.json",
        ".dockercfg",
        "containers/auth.json",
    ),
    _secret(
        "netrc",
        "Passwords for hosts, read by curl, git and many others.",
        ".netrc",
        "_netrc",
    ),
    _secret(
        "git-login",
        "Logins of Git hosts.",
        ".git-credentials",
        ".config/git/credentials",
        "gh/hosts.yml",
        "glab-cli/config.yml",
    ),
    _secret(
        "package-login",
        "Settings of a package manager, where tokens of its registry are common.",
        ".npmrc",
        ".yarnrc.yml",
        ".pypirc",
        "pip.conf",
        ".gem/credentials",
        ".m2/settings.xml",
        "settings-security.xml",
        "cargo/credentials",
        "cargo/credentials.toml",
        ".cargo/credentials",
        ".cargo/credentials.toml",
        "nuget.config",
        exceptions=("node_modules/**",),
    ),
    _secret(
        "terraform",
        "State or variables of Terraform, which hold secrets as plain text.",
        "terraform.tfstate*",
        "*.tfstate",
        "*.tfvars",
        "*.tfvars.json",
        ".terraform.d/credentials.tfrc.json",
    ),
    _secret("vault-token", "A token of Vault.", ".vault-token"),
    _secret(
        "password-file",
        "Passwords, plain or hashed, of a web server or a database.",
        ".htpasswd",
        ".pgpass",
        ".my.cnf",
        "wp-config.php",
    ),
    _secret(
        "history",
        "What somebody typed, passwords included.",
        ".bash_history",
        ".zsh_history",
        ".ash_history",
        ".sh_history",
        "fish_history",
        ".python_history",
        ".psql_history",
        ".mysql_history",
        ".node_repl_history",
    ),
    _secret(
        "mounted-secret",
        "A secret that was meant to be mounted for a build or a run, not stored.",
        "/run/secrets/**",
        "/var/run/secrets/**",
    ),
)

_CACHES = (
    _cache("apt-cache", "What apt downloaded.", "/var/cache/apt", "/var/lib/apt/lists"),
    _cache(
        "rpm-cache",
        "What yum, dnf or zypper downloaded.",
        "/var/cache/yum",
        "/var/cache/dnf",
        "/var/cache/libdnf5",
        "/var/cache/zypp",
    ),
    _cache("apk-cache", "What apk downloaded.", "/var/cache/apk"),
    _cache("pacman-cache", "What pacman downloaded.", "/var/cache/pacman/pkg"),
    _cache("python-cache", "What pip or uv downloaded.", ".cache/pip", ".cache/uv"),
    _cache("npm-cache", "What npm downloaded.", ".npm/_cacache"),
    _cache("yarn-cache", "What yarn downloaded.", ".cache/yarn"),
    _cache("go-cache", "What go built or downloaded.", ".cache/go-build", "go/pkg/mod/cache"),
    _cache("maven-cache", "What Maven downloaded.", ".m2/repository"),
    _cache("gradle-cache", "What Gradle downloaded or built.", ".gradle/caches"),
    _cache("cargo-cache", "What cargo downloaded.", ".cargo/registry", "cargo/registry"),
)

_SENTENCES = {rule.name: rule.sentence for rule in (*_SECRETS, *_CACHES)}
