"""Settings, typed: from the environment, the file named by `--env-file`, `.env`, the running local stack, then
defaults; the first value found wins.

Every option is `ADSTREAM_<SECTION>_<NAME>` and stands in `.env.example` with one line of explanation. Secrets are
`SecretStr`: they print as `**********`, so a settings object may be logged.

A stack started with `adstream up` leaves its addresses in `<data dir>/stack.json`; they stand in for the defaults, so
that a stack on other ports is found without any setting. Where it does not run, nothing stands in for it: another
installation's services may listen on the default ports (common.own_stack).
"""

from common.settings.environment import ENV_FILE_OPTION, data_dir, env_files, project
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
from common.settings.settings import Settings, option_names

__all__ = [
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
    "data_dir",
    "env_files",
    "option_name",
    "option_names",
    "project",
]
