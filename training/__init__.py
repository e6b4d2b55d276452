"""How the embedded voters are trained."""
