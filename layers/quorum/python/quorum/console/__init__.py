"""The console: pages for reviewers and operators, made of the same functions as the routes."""
