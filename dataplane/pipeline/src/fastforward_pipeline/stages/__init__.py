"""The stages, one module each: what each looks at, when it says no, what it leaves for the next."""
