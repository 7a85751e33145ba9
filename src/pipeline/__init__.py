"""From raw rows to a packaged champion, and the light half that answers from it."""
