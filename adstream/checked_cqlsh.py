"""cqlsh by TLS, with the server's certificate checked: `python -m adstream.checked_cqlsh`, with cqlsh's own arguments.

The driver (3.30) makes its TLS context from cqlsh's options without looking at `cert_reqs`, so that cqlsh by itself
gives the password to whoever answers.
"""

import runpy
import ssl

from cassandra.connection import Connection


def _checking(connection: Connection) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=connection.ssl_options["ca_certs"])


if __name__ == "__main__":
    Connection._build_ssl_context_from_options = _checking
    runpy.run_module("cqlshlib", run_name="__main__")
