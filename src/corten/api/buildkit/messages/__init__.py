"""What goes over the wire, by BuildKit's names and field numbers; fields that Corten neither reads nor writes are left out."""
