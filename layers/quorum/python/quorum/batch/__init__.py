"""Many items: taken in, queued, judged, counted."""
