"""Run cqlsh over TLS and check the server's certificate: `python -m adstream.checked_cqlsh`, with cqlsh's arguments.

The driver (3.30) ignores `cert_reqs` when it makes its TLS context from cqlsh's options. So plain cqlsh would send the
password to any server that answers.
"""

import runpy
import ssl

from cassandra.connection import Connection


def _checking(connection: Connection) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=connection.ssl_options["ca_certs"])


if __name__ == "__main__":
    Connection._build_ssl_context_from_options = _checking
    runpy.run_module("cqlshlib", run_name="__main__")
