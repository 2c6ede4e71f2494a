"""`ff up`: everything on this machine, without a cluster.

In: directories of resources and, beside them, an `ff-up.yaml` that names the sample programs to run. Out: one process
tree (operator, Envoy, decision service, sample programs) that ends as one. Called by the CLI only.
"""
