"""A base image from a distribution's own signed packages, where no registry can be reached."""
