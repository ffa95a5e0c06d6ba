"""Python imports this at its start where this folder is on PYTHONPATH: child processes of a simulation simulate too."""

import simulated_system

simulated_system.apply_from_environment()
