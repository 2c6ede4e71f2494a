"""The Kubernetes API: who we are there, what is listed and watched, what is written.

In: a kubeconfig, or the service account of the pod. Out: lists, watches, statuses. Called by providers/kubernetes and
bootstrap. Nothing here knows what a resource means.
"""
