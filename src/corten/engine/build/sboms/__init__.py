"""`--sbom`: bills of materials of a result, by a scanner image as BuildKit runs it, or by our own inventory."""
