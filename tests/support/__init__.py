"""What tests share: builders, fakes, runners. Imported as `support`; holds no test."""
