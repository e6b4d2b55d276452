"""Quorum: content moderation decided by a vote of models.

The packages are floors, and imports point down only: routes, then app, then bulk, document and
chat, then vote, answer and health, then gateway and batch, then ledger and api, then aws, then
core. The contract is in `pyproject.toml`, with the list of pure modules: they know no AWS, no HTTP
and no environment.
"""
