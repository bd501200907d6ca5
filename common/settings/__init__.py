"""Typed settings from the environment, the file of `--env-file`, `.env`, the running local stack, then defaults.

The first value wins.

Every option is `ADSTREAM_<SECTION>_<NAME>`, and `.env.example` explains it in one line. Secrets are `SecretStr`: they
print as `**********`, so a settings object may be logged.

A stack started with `adstream up` writes its addresses to `<data dir>/stack.json`. They replace the defaults, so
commands find a stack on other ports without any setting. If the stack does not run, nothing replaces it: another
installation's services may listen on the default ports (common.own_stack).
"""

from common.settings.environment import DATA_DIR_OPTION, ENV_FILE_OPTION, data_dir, env_files, project
from common.settings.programs import LakehouseSettings, LogSettings, MetricsSettings, SparkSettings, StackSettings
from common.settings.section import option_name
from common.settings.services import (
    READ_COMMITTED,
    READ_UNCOMMITTED,
    CassandraSettings,
    IsolationLevel,
    KafkaSettings,
    RegistrySettings,
    TopicSettings,
)
from common.settings.settings import Settings, check_services, option_names

__all__ = [
    "DATA_DIR_OPTION",
    "ENV_FILE_OPTION",
    "READ_COMMITTED",
    "READ_UNCOMMITTED",
    "CassandraSettings",
    "IsolationLevel",
    "KafkaSettings",
    "LakehouseSettings",
    "LogSettings",
    "MetricsSettings",
    "RegistrySettings",
    "Settings",
    "SparkSettings",
    "StackSettings",
    "TopicSettings",
    "check_services",
    "data_dir",
    "env_files",
    "option_name",
    "option_names",
    "project",
]
