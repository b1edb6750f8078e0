"""What is put on other people's machines: the image."""
