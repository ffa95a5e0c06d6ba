"""Lab sheets: their files and schema, the answers to them, classes that work on one together, and tallies.

A sheet is a YAML file (`sheet_reader` has its schema). Shipped ones are in `sheets/`, a teacher's own in the home's
folder `lessons/`. Answers are rows of the home's `lessons.sqlite` (`lesson_file`).
"""
