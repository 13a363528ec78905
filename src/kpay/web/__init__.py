"""The edge: the server, the one error boundary, authentication, the OpenAPI document."""
