"""Who is told what is wrong: one notice a change of state, by each way that is set up, whichever worker saw it."""
