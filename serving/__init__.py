"""The endpoint: online features and champion models in, answers over HTTP out."""
