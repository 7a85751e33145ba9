"""From raw rows to a packaged champion, and the runtime that predicts with it without training libraries."""
