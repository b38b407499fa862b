"""``python -m python_patterns.grow``: the command ``patterns``."""

import sys

from python_patterns.grow.cli import main

sys.exit(main())
