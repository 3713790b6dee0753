"""BuildKit as buildx speaks to it: its Control and LLBBridge services over `/grpc`, the client's own services over `/session`."""
