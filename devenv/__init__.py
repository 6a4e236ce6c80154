"""What the demo and the tests need around Garrison: real parts, built once and cached."""

import sys

if sys.version_info < (3, 11):  # noqa: UP036 -- whoever has an older one must read this
    sys.exit("Garrison needs Python 3.11 or newer; this is " + sys.version.split()[0])
