"""Networks: functions that return `torch.nn` modules, and nothing else."""
