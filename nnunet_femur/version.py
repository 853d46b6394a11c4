"""The package's version, where the build finds it without importing anything heavy."""

__version__ = "0.2.0"
