"""Audits as pages and pictures: the groups from small to large, with the verdicts on them."""
