"""Quorum: content moderation decided by a vote of models.

Imports point one way: handlers → workflow, verdicts, … → tally, reply → models → errors.
The pure modules (models, policy, registry, panel, tally, reply, normalise) know no AWS and no HTTP.
"""
