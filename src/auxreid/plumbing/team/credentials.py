"""Keeps credentials out of Git: the options of DVC that hold a secret, and texts that look like one.

`.dvc/config` is a file of the repository; what belongs to a person goes to `.dvc/config.local`, which Git ignores, or
to the environment.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from auxreid.plumbing.base.errors import ConfigError

CONFIG_FILE = Path(".dvc/config")

# Of all sections of DVC's schema. Paths of key files are no secrets; account and client names neither, but for the
# halves of a key pair.
SECRET_OPTIONS = frozenset(
    {
        "access_key_id",
        "secret_access_key",
        "session_token",
        "sse_customer_key",
        "password",
        "passphrase",
        "custom_auth_header",
        "token",
        "connection_string",
        "sas_token",
        "account_key",
        "client_secret",
        "oss_key_id",
        "oss_key_secret",
        "gdrive_client_id",
        "gdrive_client_secret",
        "ssh_private",
    }
)

SECRET_TEXTS = {
    "a password in a URL": re.compile(r"\b[a-z][a-z0-9+.-]*://[^\s/:@'\"`<>]*:[^\s/@'\"`<>{}$]+@[\w\[.-]"),
    "a signature in a URL": re.compile(r"[?&](sig|X-Amz-Signature)=[\w%+/=-]{16,}"),
    "an AWS access key": re.compile(r"\b(AKIA|ASIA)[A-Z0-9]{16}\b"),
    "an AWS secret key": re.compile(r"(?i)aws_?(secret_?access_?key|session_?token)\W{1,5}[\w/+=]{30,}"),
    "an Azure key": re.compile(r"(AccountKey|SharedAccessKey|SharedAccessSignature)=[\w%+/=&-]{16,}"),
    "a private key": re.compile(r"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----"),
    "a Google key": re.compile(r"\bAIza[\w-]{35}|\bya29\.[\w-]{20,}|\bGOCSPX-[\w-]{20,}"),
    "an access token": re.compile(
        r"\b(gh[pousr]_\w{36,}|github_pat_\w{36,}|glpat-[\w-]{20,}|hf_[A-Za-z]{30,}|xox[abprs]-[\w-]{20,}"
        r"|dapi[0-9a-f]{32}|isat_\w{30,}|eyJ[\w-]{20,}\.eyJ[\w-]{20,}\.[\w-]{20,})"
    ),
    "a password": re.compile(
        r"(?i)\b(MLFLOW_TRACKING_(PASSWORD|TOKEN)|DVC_STUDIO_TOKEN|HF_TOKEN)\s*[=:]\s*[^\s$'\"`<]{8,}"
    ),
}


def secret_texts(text: str) -> Iterator[tuple[int, str]]:
    """Line number and kind of what looks like a credential. The credential itself is not repeated."""
    for kind, pattern in SECRET_TEXTS.items():
        for match in pattern.finditer(text):
            yield text.count("\n", 0, match.start()) + 1, kind


def secret_options(config: Mapping, section: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], str]]:
    """Section and name of the options that hold a secret, in a configuration as DVC reads it."""
    for name, value in config.items():
        if isinstance(value, Mapping):
            yield from secret_options(value, (*section, name))
        elif name in SECRET_OPTIONS:
            yield section, name


def check_dvc_config(root: Path) -> None:
    """Look for credentials in the part of DVC's configuration that Git keeps.

    Raises:
        ConfigError: names the option, without its value, and where it belongs; or the file cannot be read.
    """
    from dvc.config import Config
    from dvc.config import ConfigError as DvcConfigError

    path = root / CONFIG_FILE
    if not path.is_file():
        return
    try:
        options = list(secret_options(Config.load_file(str(path))))
    except DvcConfigError as error:
        raise ConfigError(f"{CONFIG_FILE}: {error}") from None
    for section, name in options:
        place = f"{CONFIG_FILE}: {' '.join(section)}: {name}"
        raise ConfigError(f"{place} is a secret, and Git would keep it; {_remedy(section, name)}")
    for line, kind in secret_texts(path.read_text(encoding="utf-8")):
        raise ConfigError(
            f"{CONFIG_FILE}, line {line}: {kind}, and Git would keep it; use `dvc remote modify --local`, which writes "
            f"to {CONFIG_FILE}.local"
        )


def _remedy(section: tuple[str, ...], name: str) -> str:
    if section[:1] == ("remote",):
        remote = section[1]
        return f"`dvc remote modify --unset {remote} {name}`, then `dvc remote modify --local {remote} {name} ...`"
    option = ".".join((*section, name))
    return f"`dvc config --unset {option}`, then `dvc config --local {option} ...`"
