"""The embedded voters: three different kinds, no network, no key, no download."""
