"""When each audience is run, and by which of several workers: one job an audience, as cron would have it."""
