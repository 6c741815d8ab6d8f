"""What a record costs, in time and in what a reader must hold. The bench against others is in `bench/`."""
