"""As much of English as the composition needs: word lists, word forms and tokens."""
