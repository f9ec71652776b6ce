"""Simulated devices and load: modules that behave like the devices Sève is for."""
