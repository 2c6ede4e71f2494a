"""Admission: what the API server asks about an object before it takes it, and what the compiler says of it.

`review` reads what is asked and writes the answer, `judge` finds it, `server` speaks HTTP in a thread of its own, and
`callers` knows whom to listen to. `webhook` is all of it, as bootstrap runs it.
"""
