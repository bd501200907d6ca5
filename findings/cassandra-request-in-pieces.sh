#!/bin/bash
# A request of more than 4 KiB takes 40 ms longer than a smaller one with the Cassandra driver for Python. The driver hands
# each request to its socket in pieces of 4,096 bytes, and leaves TCP_NODELAY off. So Linux holds the last piece back until
# the server confirms the piece before (Nagle's algorithm), and the server, which waits for the rest of the request, confirms
# after 40 ms (delayed acknowledgement). The drivers for Java, C++ and Go set the option.
#
# Why it matters: a batch of fifty rows is more than 4 KiB, so each bulk write pays 40 ms, however fast the server is. Nothing
# is logged. `Cluster(sockopts=[(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)])` is the remedy.
#
# Source: RFC 896 and RFC 1122, section 4.2.3.2, on what the two sides do. No Cassandra is needed: the server here answers each
# request at once with "void", as a write is answered.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

python3 -m venv venv
venv/bin/pip -q install cassandra-driver==3.30.1
cat > pieces.py <<'END'
import socket
import statistics
import struct
import threading
import time

from cassandra.connection import DefaultEndPoint
from cassandra.io.libevreactor import LibevConnection
from cassandra.protocol import QueryMessage

HEAD = struct.Struct(">BBhBI")  # version, flags, stream, kind of message, length of its body
OPTIONS, SUPPORTED, QUERY, RESULT, READY = 5, 6, 7, 8, 2
OPTIONAL = b"\x00\x02\x00\x0bCQL_VERSION\x00\x01\x00\x053.4.5\x00\x0bCOMPRESSION\x00\x00"
VOID = struct.pack(">i", 1)


def exactly(connection, count):
    found = b""
    while len(found) < count:
        found += (more := connection.recv(count - len(found)))
        if not more:
            raise SystemExit
    return found


def serve(server):
    connection, _ = server.accept()
    while True:
        _, _, stream, kind, length = HEAD.unpack(exactly(connection, HEAD.size))
        exactly(connection, length)
        answer, body = {OPTIONS: (SUPPORTED, OPTIONAL), QUERY: (RESULT, VOID)}.get(kind, (READY, b""))
        connection.sendall(HEAD.pack(0x84, 0, stream, answer, len(body)) + body)


def median_ms(length, sockopts):
    server = socket.create_server(("127.0.0.1", 0))
    threading.Thread(target=serve, args=(server,), daemon=True).start()
    endpoint = DefaultEndPoint("127.0.0.1", server.getsockname()[1])
    connection = LibevConnection.factory(endpoint, timeout=10, protocol_version=4, sockopts=sockopts)
    request = QueryMessage("x" * length, consistency_level=1)
    took = []
    for _ in range(60):
        began = time.perf_counter()
        connection.wait_for_response(request, timeout=10)
        took.append(1_000 * (time.perf_counter() - began))
    connection.close()
    return statistics.median(took[30:])  # a new connection is confirmed at once for a while


LibevConnection.initialize_reactor()
for name, sockopts in (("as it is", None), ("with TCP_NODELAY", [(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)])):
    for length in (3_000, 6_000):
        found = median_ms(length, sockopts)
        print(f"{name}, a request of {length:,} bytes: {'about 40 ms' if found > 35 else 'below 15 ms' if found < 15 else found}")
END
echo "cassandra-driver $(venv/bin/pip show cassandra-driver | sed -n 's/^Version: //p') for Python"
venv/bin/python pieces.py | tee found
cat > expected <<'END'
as it is, a request of 3,000 bytes: below 15 ms
as it is, a request of 6,000 bytes: about 40 ms
with TCP_NODELAY, a request of 3,000 bytes: below 15 ms
with TCP_NODELAY, a request of 6,000 bytes: below 15 ms
END
diff expected found && echo "as described"
