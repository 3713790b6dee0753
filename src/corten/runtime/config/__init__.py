"""config.json: read, checked, and turned into plans. Nothing here touches the machine."""
