"""Choosing when and where jobs run: pure functions of what is handed in. Opens no file or socket, asks no clock, changes no job."""
