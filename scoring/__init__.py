"""What a trained model is: its files, its scores, its reasons."""
