"""Events: what happened to a tenant's verdicts and reviews, for EventBridge and for webhooks."""
