"""How the recommender comes to be: questions of the past, a ranking learned from them, and what it is held against."""
