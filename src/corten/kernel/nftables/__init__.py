"""nftables without the `nft` binary: rules as expressions, changes as one atomic batch, dumps to see what is there."""
