"""The audit trail: who changed what, when, before and after. Append-only, one chain a tenant."""
