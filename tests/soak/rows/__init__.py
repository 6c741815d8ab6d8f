"""What is done to the bridge: one function a row of the matrix."""
