"""What is generated from the models: CRDs for the API server and reference pages for people."""
