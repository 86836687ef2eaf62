"""Process settings: nested, frozen groups, read once. A flag beats the environment, which beats the file.

Secrets are named by files and read by their accessors, never kept here and never printed. An unknown key, in the file
or as a variable with our prefix, is an error: a misspelt setting must not be a silent default.
"""

import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    YamlConfigSettingsSource,
)

from daemon.model.errors import ConfigError, Problem
from daemon.model.remedies import Mode

PREFIX = "FLUXMEDIC_"
SERVER_VARIABLES = frozenset({"FLUXMEDIC_SERVER", "FLUXMEDIC_TOKEN_FILE"})
"""Read by the commands that talk to a running daemon; no settings of the daemon."""
DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def seconds_of(value: object) -> object:
    """Return a duration such as 10s or 1h30m in seconds; anything else as it is, for pydantic to judge."""
    if not isinstance(value, str):
        return value
    parts = DURATION.findall(value)
    if not parts or "".join(amount + unit for amount, unit in parts) != value:
        raise ValueError("a duration such as 10s, 5m or 1h30m is needed")
    return sum(float(amount) * UNITS[unit] for amount, unit in parts)


LONGEST = 31 * 86_400.0
"""Longest duration in seconds; a longer one is a slip of the pen, and calendars end."""
Seconds = Annotated[float, BeforeValidator(seconds_of), Field(ge=0, le=LONGEST, allow_inf_nan=False)]


class Group(BaseModel):
    """A frozen group that refuses what it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Ledger(Group):
    """Where what must survive is kept."""

    url: str = "sqlite+aiosqlite:///fluxmedic-data/ledger.db"
    """SQLAlchemy address; the default is a file in the data folder, the working directory's, /data in the image."""


class Http(Group):
    """The one server."""

    bind: str = "127.0.0.1:8080"
    """address:port; loopback unless asked otherwise, because the page shows topology."""
    token_file: Path | None = None
    """Bearer token of commands (approve, acknowledge); without it they are taken on loopback only."""
    page_url: str = ""
    """How people reach the page, for links in messages."""


class Hook(Group):
    """notification-controller's posts."""

    key_file: Path | None = None
    """HMAC key of the generic-hmac provider, its raw bytes; without it the path is closed."""
    allow_unsigned: bool = False
    """Take the `generic` provider's unsigned posts; only inside a network that is trusted."""


class Slack(Group):
    """One Slack channel."""

    token_file: Path | None = None
    channel: str = ""
    """The channel's id (C0123…), not its name."""
    signing_secret_file: Path | None = None
    app_token_file: Path | None = None
    api_url: str = ""
    """Another base address, for tests."""


class Webhook(Group):
    """One outgoing webhook."""

    url: str = ""
    key_file: Path | None = None
    allow_private: bool = False
    """Allow an address inside the cluster or on this machine."""


class Notify(Group):
    """When to speak."""

    group_wait: Seconds = 10.0
    """Seconds a new incident waits for its root before the first message."""
    resolve_after: Seconds = 30.0
    """Seconds everything must stay well: one dependency poll of Flux."""


class Settings(BaseSettings):
    """All of them."""

    model_config = SettingsConfigDict(frozen=True, extra="forbid", env_prefix=PREFIX, env_nested_delimiter="__")

    cluster: str = "default"
    """The cluster's name in refs and messages."""
    mode: Mode = Mode.OBSERVE
    """Upper bound for all rules: observe, propose or auto."""
    rules: str = ""
    """Rule folders and files, comma-separated; later ones override earlier ones by name. The word `shipped` stands for
    the shipped rules: shipped,/etc/fluxmedic/rules adds to them. Empty: the shipped rules."""
    kubeconfig: str = ""
    """Path; empty: KUBECONFIG, the pod's service account, or ~/.kube/config, in this order."""
    helm_storage: bool = True
    """Watch the metadata of Helm's storage Secrets (a right of its own; without it two owners cannot be seen)."""
    ledger: Ledger = Field(default_factory=Ledger)
    http: Http = Field(default_factory=Http)
    hook: Hook = Field(default_factory=Hook)
    slack: Slack = Field(default_factory=Slack)
    webhook: Webhook = Field(default_factory=Webhook)
    notify: Notify = Field(default_factory=Notify)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Take what `load` hands over and nothing else: it asks the library's sources itself, to know the origins."""
        del settings_cls, env_settings, dotenv_settings, file_secret_settings
        return (init_settings,)


class Environment(EnvSettingsSource):
    """The library's environment source over a mapping that is given, not the process's own."""

    def __init__(self, given: Mapping[str, str]) -> None:
        """Read these variables."""
        self._given = {name.lower(): value for name, value in given.items()}
        super().__init__(Settings)

    def _load_env_vars(self) -> Mapping[str, str | None]:
        return self._given


class Loaded(Group):
    """Settings with where each value came from: default, file NAME, environment NAME or flag."""

    settings: Settings
    origins: dict[str, str]


def load(environment: Mapping[str, str], file: str = "", flags: Mapping[str, object] | None = None) -> Loaded:
    """Read the settings. Raises ConfigError with every problem and its place."""
    values: dict[str, object] = {}
    origins: dict[str, str] = {}
    for key, value in _flat(_from_file(file)).items():
        _put(values, key, value)
        origins[key] = f"file {file}"
    known = _names(Settings)
    unknown = []
    for name in sorted(environment):
        key = name.removeprefix(PREFIX).lower().replace("__", ".")
        if name.startswith(PREFIX) and name not in SERVER_VARIABLES and key not in known:
            unknown.append(Problem(f"no setting is called {key}", file="environment", path=name))
    for key, value in _flat(Environment(environment)()).items():
        _put(values, key, value)
        origins[key] = f"environment {PREFIX}{key.upper().replace('.', '__')}"
    for key, value in (flags or {}).items():
        _put(values, key, value)
        origins[key] = "flag"
    try:
        settings = Settings(**values)  # type: ignore[arg-type] # judged by pydantic
    except ValidationError as error:
        problems = [_problem(origins, item["loc"], item["msg"]) for item in error.errors()]
        raise ConfigError(*unknown, *problems) from error
    if unknown:
        raise ConfigError(*unknown)
    return Loaded(settings=settings, origins={key: origins.get(key, "default") for key in sorted(known)})


def read_secret(path: Path | None, what: str, *, strip: bool = True) -> bytes | None:
    """Return a secret file's bytes, None when none is named. Raises ConfigError when it is unreadable or empty."""
    if path is None:
        return None
    try:
        found = path.read_bytes()
    except OSError as error:
        raise ConfigError(Problem(f"{what} cannot be read: {error.strerror}", file=str(path))) from error
    found = found.strip() if strip else found
    if not found:
        raise ConfigError(Problem(f"{what} is empty", file=str(path)))
    return found


SHIPPED = "shipped"
"""What names the shipped rules, wherever they are installed; a folder of that name is ./shipped."""


def shipped_rules() -> Path:
    """Return the folder of the shipped rules: inside an installed package, or the checkout's."""
    packed = Path(__file__).parent / "_rules"
    return packed if packed.is_dir() else Path(__file__).parent.parent / "rules"


def rule_paths(settings: Settings) -> list[Path]:
    """Return the folders and files of rules in their order."""
    return named_rules(part.strip() for part in settings.rules.split(",") if part.strip())


def named_rules(places: Iterable[str | Path]) -> list[Path]:
    """Return the folders and files that these words name; `shipped` is the shipped rules, and so is nothing."""
    return [shipped_rules() if str(place) == SHIPPED else Path(place) for place in places] or [shipped_rules()]


def printed(loaded: Loaded) -> list[tuple[str, str, str]]:
    """Return (setting, value, origin) of everything in force; addresses with their password masked."""
    rows = []
    for key, value in sorted(_flat(loaded.settings.model_dump(mode="json")).items()):
        text = re.sub(r"(?<=://)[^/@\s]+@", "[masked]@", str(value)) if value is not None else ""
        rows.append((key, text, loaded.origins.get(key, "default")))
    return rows


def process_environment() -> Mapping[str, str]:
    """Return the environment of this process."""
    return os.environ


def _from_file(file: str) -> dict[str, object]:
    if not file:
        return {}
    path = Path(file)
    if not path.is_file():
        raise ConfigError(Problem("the settings file cannot be read: is it there?", file=file))
    try:
        found = YamlConfigSettingsSource(Settings, yaml_file=path)()
    except (yaml.YAMLError, UnicodeDecodeError, OSError) as error:
        mark = getattr(error, "problem_mark", None)
        line, column = (mark.line + 1, mark.column + 1) if mark is not None else (0, 0)
        words = getattr(error, "problem", None) or "not YAML"
        raise ConfigError(Problem(str(words), file=file, line=line, column=column)) from error
    except (TypeError, ValueError) as error:
        raise ConfigError(Problem("the settings must be a mapping", file=file)) from error
    return dict(found)


def _flat(values: Mapping[str, object], above: str = "") -> dict[str, object]:
    flat: dict[str, object] = {}
    for key, value in values.items():
        name = f"{above}{key}"
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{name}.")
        else:
            flat[name] = value
    return flat


def _put(values: dict[str, object], key: str, value: object) -> None:
    *groups, last = key.split(".")
    for group in groups:
        inner = values.setdefault(group, {})
        if not isinstance(inner, dict):
            return
        values = inner
    values[last] = value


def _names(model: type[BaseModel], above: str = "") -> set[str]:
    names: set[str] = set()
    for name, field in model.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            names |= _names(kind, f"{above}{name}.")
        else:
            names.add(f"{above}{name}")
    return names


def _problem(origins: Mapping[str, str], location: tuple[int | str, ...], words: str) -> Problem:
    key = ".".join(str(part) for part in location)
    return Problem(words, file=origins.get(key, "settings"), path=key)
