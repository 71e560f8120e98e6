"""`python -m dualwalk` is `dualwalk`."""

import sys

from .cli import main

sys.exit(main())
