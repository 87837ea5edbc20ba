"""The board: one command a row trains, scores and writes docs/results.md."""
