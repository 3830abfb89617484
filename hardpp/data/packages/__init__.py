"""Packages of pip, npm and Debian, from which the members that are wanted are taken."""
