"""The common part of the settings' sections: the sources of their values, and the address of a service."""

from abc import abstractmethod
from typing import Any, ClassVar, Self

from pydantic import BaseModel, Field, ValidationError
from pydantic_settings import (
    BaseSettings,
    DotEnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from common import own_stack
from common.errors import ConfigError, ServiceUnavailable
from common.settings.environment import data_dir, env_files


class OwnStack(PydanticBaseSettingsSource):
    """The addresses that `adstream up` recorded, as the last source before the defaults."""

    def get_field_value(self, field: Any, field_name: str) -> tuple[Any, str, bool]:  # noqa: ANN401, ARG002
        return self().get(field_name), field_name, False

    def __call__(self) -> dict[str, Any]:
        section = getattr(self.settings_cls, "section", "")
        nowhere = getattr(self.settings_cls, "nowhere", None)
        if nowhere is None:
            return own_stack.address_of(data_dir(), section)
        named = [field for field in nowhere if field in self.current_state]
        if named:
            options = " and ".join(option_name(self.settings_cls, field) for field in named)
            found = own_stack.find(data_dir(), section)
            return {**(found.addresses if found and found.running else {}), "origin": options}
        found = own_stack.find(data_dir(), section)
        if found is None:
            return {"origin": "the default address"}
        origin = {"origin": f"the stack in {found.folder}"}
        if found.running:
            return {**found.addresses, **origin}
        return {**nowhere, **found.addresses, **origin, "missing": found.remedy, "last": found.last}


class Section(BaseSettings):
    section: ClassVar[str] = ""
    model_config = SettingsConfigDict(extra="ignore", env_ignore_empty=True)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        files = DotEnvSettingsSource(settings_cls, env_file=env_files())
        return init_settings, env_settings, files, OwnStack(settings_cls)

    @classmethod
    def of(cls, **values: Any) -> Self:  # noqa: ANN401
        """Return a section with these values and otherwise the defaults, whatever the environment and the files say.

        Raises ConfigError for a value that cannot be used.
        """
        made = cls.__new__(cls)
        try:
            BaseModel.__init__(made, **values)  # the constructor of BaseSettings would read the environment first
        except ValidationError as invalid:
            raise unusable(cls, invalid) from None
        return made


class Service(Section):
    """A section that says where a service is. `nowhere` has the fields of its address, with values that reach nothing.

    `origin` says where the address comes from, for people. `missing` is the remedy when the service of the own stack
    does not run, and empty otherwise. `last` is the service's last address.
    """

    title: ClassVar[str]
    one: ClassVar[str]
    nowhere: ClassVar[dict[str, Any]]

    origin: str = Field(default="", repr=False, exclude=True)
    missing: str = Field(default="", repr=False, exclude=True)
    last: str = Field(default="", repr=False, exclude=True)

    @property
    @abstractmethod
    def address(self) -> str:
        """Return the address for people, without credentials."""

    @property
    def where(self) -> str:
        """Describe the service for a line before a change. Raises the errors of `require`."""
        self.require()
        return f"{self.title} at {self.address} ({self.origin})"

    def require(self) -> None:
        """Raise ServiceUnavailable if the service of the own stack does not run. Every client calls this first."""
        if self.missing:
            option = option_name(type(self), next(iter(self.nowhere)))
            place = self.address or self.last
            at = f" at {place}" if place else ""
            raise ServiceUnavailable(
                f"no {self.one} answers{at}: that of {self.origin} does not run",
                f"{self.missing}, or set {option} to use another one",
            )


def option_name(section: type[BaseSettings], field: str) -> str:
    """Return the name that the environment or `.env` has for a field."""
    return f"{section.model_config.get('env_prefix', '')}{field}".upper()


def unusable(section: type[BaseSettings], invalid: ValidationError) -> ConfigError:
    """Return the error about the first invalid value. It does not show the value, which may be a secret."""
    first = invalid.errors(include_input=False, include_url=False)[0]
    name = option_name(section, "_".join(str(part) for part in first["loc"]))
    return ConfigError(f"{name} cannot be used: {first['msg']}", "see .env.example")
