"""AWS behind plain functions: DynamoDB, S3, leases, API keys, logs and metrics."""
