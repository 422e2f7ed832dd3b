"""What is known of customers and products for recommendations: pairs, neighbours, candidates, a night of all."""
