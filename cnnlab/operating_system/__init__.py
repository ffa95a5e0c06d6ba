"""What differs between Linux, macOS and Windows: locks, processes, signals, cores, memory, renames.

Each function looks for what the system offers and does without the rest; its docstring says what is missing where. No
other module uses these parts of Python (a test checks it), so a system is added or mended here. Only the standard
library is imported.
"""
