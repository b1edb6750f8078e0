"""Where jobs run, one kind of cluster a room, with the commands and services only it needs. Never chooses a start or a place."""
