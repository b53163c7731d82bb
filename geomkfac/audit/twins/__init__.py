"""What is compared: problems, their twins in other frames and layouts, and the groups that twins are drawn from."""
