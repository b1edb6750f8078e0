"""One module a family of commands: reads what was asked, calls the room that does it, shows the answer. Decides nothing."""
