"""What runs inside the images; each file stands alone there."""
