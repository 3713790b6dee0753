"""gRPC on a socket that was taken over from an HTTP/1.1 request: protocol buffers, HTTP/2 streams, calls in both directions."""
