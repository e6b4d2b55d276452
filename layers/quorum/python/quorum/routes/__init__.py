"""The routes of the HTTP API, a router for each subject: validate → one call → answer."""
