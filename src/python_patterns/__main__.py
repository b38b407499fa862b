"""``python -m python_patterns``: the command ``patterns``."""

import sys

from python_patterns.cli import main

sys.exit(main())
