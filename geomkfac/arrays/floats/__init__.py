"""Floating point, on arrays of any library that follows the array API standard, on the device where they lie."""
