# SPDX-License-Identifier: MIT
"""`python -m instrument`."""

import sys

from instrument.start import main

if __name__ == "__main__":
    sys.exit(main())
