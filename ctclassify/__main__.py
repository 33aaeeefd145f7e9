"""``python -m ctclassify``."""

import sys

from ctclassify.cli import main

sys.exit(main())
