"""What happened in the shop, and when we learned of it."""
