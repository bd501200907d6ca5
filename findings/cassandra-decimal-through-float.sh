#!/bin/bash
# The Cassandra driver for Python has two ways to send a value, and both spoil money, each another kind. In a plain
# statement a Decimal goes through a float: 12345678901234567.89 is sent as 1.2345678901234568e+16. In a prepared statement a
# float for a decimal column is stored with all of its 55 binary digits; the same float in a plain statement is sent as 0.1.
#
# Why it matters: code that begins with plain statements and is prepared later, as everybody advises, writes other amounts for
# the same rows. Equal amounts are no longer equal in the table, and neither way raises an error.
#
# Source: the driver's documentation maps decimal.Decimal to the CQL type decimal for both kinds of statement. No server is
# needed: this is what the driver would send.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

python3 -m venv venv
venv/bin/pip -q install cassandra-driver==3.30.1
cat > send.py <<'END'
from decimal import Decimal
from cassandra.cqltypes import DecimalType
from cassandra.encoder import Encoder
from cassandra.query import bind_params

for value in (Decimal("12345678901234567.89"), Decimal("0.1000000000000000000001"), 0.1):
    plain = bind_params("%s", (value,), Encoder())
    prepared = DecimalType.deserialize(DecimalType.serialize(value, 5), 5)
    print(f"{value!r} | plain statement: {plain} | prepared: {prepared}")
END
echo "cassandra-driver $(venv/bin/pip show cassandra-driver | sed -n 's/^Version: //p') for Python"
venv/bin/python send.py | tee found
cat > expected <<'END'
Decimal('12345678901234567.89') | plain statement: 1.2345678901234568e+16 | prepared: 12345678901234567.89
Decimal('0.1000000000000000000001') | plain statement: 0.1 | prepared: 0.1000000000000000000001
0.1 | plain statement: 0.1 | prepared: 0.1000000000000000055511151231257827021181583404541015625
END
diff expected found && echo "as described"
