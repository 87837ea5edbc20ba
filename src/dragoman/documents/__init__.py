"""Translates documents: a reader a format, blocks of sentences, and their translations joined."""
