"""The words of the field as frozen values and their parsers. Standard library and numpy: no I/O, no clock, no logging."""
