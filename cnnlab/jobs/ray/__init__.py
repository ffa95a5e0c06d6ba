"""Trainings on several machines: a runner for a Ray cluster."""
