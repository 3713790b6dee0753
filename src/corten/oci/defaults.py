"""What a container has where neither its image nor its user says otherwise, in moby, BuildKit and runc alike."""

DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
