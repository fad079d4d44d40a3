"""Tandem's tables as a Django application, for both Django contenders."""
