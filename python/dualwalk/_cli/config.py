"""`dualwalk config`: what this installation can do."""

from __future__ import annotations

import argparse
import json

from .._config import config_info, show_config


def run(options: argparse.Namespace) -> None:
    if options.json:
        print(json.dumps(config_info(), indent=2, default=str))
    else:
        show_config()
