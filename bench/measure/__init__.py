"""What every load script shares: processes and their CPU, the load generator, the table and the plot."""
